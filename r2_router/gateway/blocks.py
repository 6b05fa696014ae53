"""An answer told block after block, as Anthropic's Messages and OpenAI's Responses want it: one is open at a time.

Models may write the calls of several tools side by side. Text, and the first call, are told as they come; what comes
beside the call that is open is told when the answer is over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from r2_router.generate import ToolCallDelta


@dataclass(slots=True)
class Call:
    """One call of a tool, as far as it came."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def add(self, piece: ToolCallDelta) -> None:
        self.id, self.name = self.id or piece.id, self.name or piece.name
        self.arguments += piece.arguments


class Blocks(ABC):
    """The state of such a stream. What a subclass writes is sent as it is."""

    def __init__(self) -> None:
        self._calls: dict[int, Call] = {}
        self._writing = False  # a block of text is open
        self._calling: int | None = None  # the call that was told as it came
        self._later = ""  # text behind a call

    def text(self, piece: str) -> bytes:
        if self._calling is not None:
            self._later += piece
            return b""
        opening = b"" if self._writing else self.open_text()
        self._writing = True
        return opening + self.text_delta(piece)

    def call(self, piece: ToolCallDelta) -> bytes:
        call = self._calls.setdefault(piece.index, Call())
        call.add(piece)
        if self._calling == piece.index:
            return self.call_delta(call, piece.arguments)
        if self._calling is not None or not call.name:
            return b""
        self._calling = piece.index
        return self._close_text() + self.open_call(call) + self.call_delta(call, call.arguments)

    def finish(self) -> bytes:
        """What closes the block that is open, and all that was held back."""
        written = self._close_text()
        if self._calling is not None:
            written += self.close_call(self._calls[self._calling])
        for index, call in sorted(self._calls.items()):
            if index != self._calling:
                written += self.open_call(call) + self.call_delta(call, call.arguments) + self.close_call(call)
        if self._later:
            written += self.open_text() + self.text_delta(self._later) + self.close_text()
        return written

    def _close_text(self) -> bytes:
        closing = self.close_text() if self._writing else b""
        self._writing = False
        return closing

    @abstractmethod
    def open_text(self) -> bytes: ...
    @abstractmethod
    def text_delta(self, piece: str) -> bytes: ...
    @abstractmethod
    def close_text(self) -> bytes: ...
    @abstractmethod
    def open_call(self, call: Call) -> bytes: ...
    @abstractmethod
    def call_delta(self, call: Call, arguments: str) -> bytes:
        """More `arguments` of the open call; may be none."""

    @abstractmethod
    def close_call(self, call: Call) -> bytes: ...
