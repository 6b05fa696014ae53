"""Calls of tools in an answer: put together of the pieces in which they come, in the form of OpenAI's API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from r2_router.generate.usage import Document
from r2_router.records import Record, as_dict

_MAX_CALLS = 1000  # what is more is no answer


@dataclass(frozen=True, slots=True)
class ToolCallDelta(Record):
    """What came of one call of a tool: the first piece of call `index` holds its id and name; `arguments` is text to be
    put after what came before."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""

    def to_openai(self) -> dict[str, Any]:
        """As an entry of `delta.tool_calls` in a stream of OpenAI's API."""
        function = {"name": self.name} if self.name else {}
        named = {"id": self.id, "type": "function"} if self.id else {}
        return {"index": self.index, **named, "function": {**function, "arguments": self.arguments}}


@dataclass(slots=True)
class _Open:
    id: str
    name: str
    key: object  # how the provider tells it from the others
    arguments: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class ToolCalls:
    """The calls of one answer, in the order in which they began.

    Providers tell them apart by index, by id (Gemini gives each index 0), or not at all: then a name begins the next.
    """

    _calls: list[_Open] = field(default_factory=list[_Open])

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, stated: Document) -> list[ToolCallDelta]:
        """What a message, or the delta of one, adds; also in the older form of one `function_call`."""
        calls, one = stated.get("tool_calls"), stated.get("function_call")
        given = [as_dict(call) for call in cast("list[object]", calls)] if isinstance(calls, list) else []
        if one and not given:
            given = [{"index": 0, "function": one}]
        return [delta for call in given if (delta := self._add(call)) is not None]

    def _add(self, call: Document) -> ToolCallDelta | None:
        function = as_dict(call.get("function"))
        name, arguments = _text(function.get("name")), _arguments(function.get("arguments"))
        stated_id, index = _text(call.get("id")), call.get("index")
        if not (name or arguments or stated_id):
            return None
        at = self._place(index, stated_id, name)
        if at is None:
            if len(self._calls) >= _MAX_CALLS:
                return None
            at = len(self._calls)
            self._calls.append(_Open(stated_id or f"call_{at}", name, index))
            opened = self._calls[at]
            opened.arguments.append(arguments)
            return ToolCallDelta(at, opened.id, name, arguments)
        known = self._calls[at]
        added = name if not known.name else ""
        known.name = known.name or name
        known.arguments.append(arguments)
        return ToolCallDelta(at, "", added, arguments) if added or arguments else None

    def _place(self, index: object, stated_id: str, name: str) -> int | None:
        """The call that a piece belongs to, None for a new one."""
        if stated_id:
            same = [i for i, known in enumerate(self._calls) if known.id == stated_id]
            if same:
                return same[0]
        for at in range(len(self._calls) - 1, -1, -1):
            known = self._calls[at]
            if known.key == index:
                begins = bool(stated_id and stated_id != known.id and name) or (index is None and bool(name))
                return None if begins else at
        return None

    def finished(self, *, whole: bool) -> tuple[dict[str, Any], ...]:
        """The calls as an assistant's message holds them; of an answer that broke off only those whose arguments are
        whole JSON."""
        return tuple(
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": text}}
            for call in self._calls
            for text in ["".join(call.arguments)]
            if whole or _is_json(text)
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    """Arguments as JSON text; some servers give the object itself."""
    return json.dumps(value) if isinstance(value, dict) else _text(value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
