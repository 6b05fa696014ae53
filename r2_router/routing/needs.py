"""What a request needs of the model that answers it, read from the request itself: one place, one rule.

Needs are limits: a model that is known not to have what is needed is excluded, with the reason. Where nothing is known
of a model, it is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from r2_router.checkpoints.format import Instruction
from r2_router.errors import InputError
from r2_router.pools.can import CANNOT
from r2_router.pools.model import Capability
from r2_router.records import Record
from r2_router.routing.messages import Message, part_kind


@dataclass(frozen=True, slots=True)
class Need(Record):
    """Something a model must be able to do, and where the request asks for it: "messages[0]", "tools" ..."""

    kind: Capability
    where: str

    @property
    def refusal(self) -> str:
        """Why a model without it is excluded: "cannot read images (messages[0])"."""
        return f"{CANNOT[self.kind]} ({self.where})"


@dataclass(frozen=True, slots=True)
class Form(Record):
    """What is asked for beside the conversation, in the fields of OpenAI's API, and whether the answer is `checked`
    against the schema of `response_format`."""

    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    tool_choice: Any = field(default=None, hash=False)
    response_format: Mapping[str, Any] | None = field(default=None, hash=False)
    checked: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the request's body."""
        given = {"tools": list(self.tools), "tool_choice": self.tool_choice, "response_format": self.response_format}
        return {name: value for name, value in given.items() if value}

    @property
    def structured(self) -> bool:
        """Whether the answer must be JSON, which an instruction or a cut would break."""
        return self.response_format is not None and self.response_format.get("type") != "text"

    def instruction(self, measured: Instruction) -> Instruction:
        """The checkpoint's instruction as it is sent: none, where the answer must be JSON."""
        return replace(measured, text="") if self.structured else measured

    @property
    def text(self) -> str:
        """What the model reads of it, for its tokens to be counted."""
        read = [*self.tools, *([self.response_format] if self.structured else [])]
        return json.dumps(read) if read else ""


PLAIN = Form()


def check_form(
    tools: object = None, tool_choice: object = None, response_format: object = None, check_format: object = None
) -> Form:
    """The form that is asked for. Raises InputError for what no chat API takes."""
    if not (tools or tool_choice or response_format or check_format):
        return PLAIN
    if tool_choice and not tools:
        raise InputError("tool_choice chooses among tools: give tools too.")
    if response_format is not None and not (isinstance(response_format, Mapping) and "type" in response_format):
        raise InputError('response_format is a dict such as {"type": "json_object"}.')
    form = Form(
        tools=tuple(_check_tools(tools)),
        tool_choice=tool_choice,
        response_format=cast("Mapping[str, Any] | None", response_format),
        checked=bool(check_format),
    )
    if form.checked and not form.structured:
        raise InputError("check_format holds the answer against response_format: give a json_schema or json_object.")
    try:
        json.dumps(form.fields, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InputError("tools and response_format hold something JSON cannot say.") from None
    return form


def read_needs(messages: Sequence[Message], form: Form = PLAIN) -> tuple[Need, ...]:
    """What a checked conversation and its form need, each kind once, at the place that says so first."""
    found: dict[Capability, str] = {}
    if form.tools:
        found["tools"] = "tools"
    for i, message in enumerate(messages):
        for kind in _needed_by(message):
            found.setdefault(kind, f"messages[{i}]")
    if messages and messages[-1]["role"] == "assistant":
        found["prefill"] = f"messages[{len(messages) - 1}]"
    if form.structured:
        kind = cast("Mapping[str, Any]", form.response_format).get("type")
        found["json_schema" if kind == "json_schema" else "json_object"] = "response_format"
    return tuple(Need(kind, where) for kind, where in found.items())


def _needed_by(message: Message) -> Iterable[Capability]:
    if message["role"] == "tool" or message.get("tool_calls"):
        yield "tools"
    content = message.get("content")
    if isinstance(content, list):
        for part in cast("list[Message]", content):
            if (kind := part_kind(part)) is not None:
                yield kind


def _check_tools(tools: object) -> list[Mapping[str, Any]]:
    if tools is None:
        return []
    if isinstance(tools, (str, bytes, Mapping)) or not hasattr(tools, "__iter__"):
        raise InputError('tools is a list such as [{"type": "function", "function": {"name": ...}}].')
    checked = list(cast("Iterable[object]", tools))
    for i, tool in enumerate(checked):
        if not isinstance(tool, Mapping):
            raise InputError(f'tools[{i}] is not a dict such as {{"type": "function", "function": {{...}}}}.')
    return cast("list[Mapping[str, Any]]", checked)
