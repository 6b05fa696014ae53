"""Earlier turns of a notebook, to be asked with the next cell as its context."""

from __future__ import annotations

from collections import deque

_MOST_TURNS = 100  # kept; a cell takes the last few of them

Message = dict[str, str]


class History:
    """What was asked and answered, oldest first."""

    def __init__(self) -> None:
        self._turns: deque[tuple[str, str]] = deque(maxlen=_MOST_TURNS)

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, query: str, text: str) -> None:
        """Keep a turn."""
        self._turns.append((query, text))

    def settle(self, query: str, text: str) -> None:
        """Keep a turn; where the last one has the same query, this is its answer."""
        if self._turns and self._turns[-1][0] == query:
            self._turns.pop()
        self.add(query, text)

    def messages(self, query: str, turns: int) -> list[Message]:
        """`query` after the last `turns` turns, as OpenAI messages."""
        earlier = list(self._turns)[-turns:] if turns else []
        messages: list[Message] = []
        for asked, answered in earlier:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        return [*messages, {"role": "user", "content": query}]

    def clear(self) -> None:
        self._turns.clear()
