"""Anthropic's Messages: what Claude Code and Anthropic's clients speak."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from r2_router.errors import InputError
from r2_router.gateway.api import Body, Told, ended, event, facts
from r2_router.gateway.blocks import Blocks, Call
from r2_router.gateway.parts import joined, objects
from r2_router.records import as_dict

if TYPE_CHECKING:
    from r2_router.gateway.failures import Failure
    from r2_router.generate import Answer

# The caller's fields that mean the same in both APIs, and those with another name.
_SAME = ("model", "max_tokens", "temperature", "top_p", "top_k", "stream", "r2")
_RENAMED = {"stop_sequences": "stop"}
_LOST = ("mcp_servers", "container")
_THOUGHTS = ("thinking", "redacted_thinking")  # of a model that answered elsewhere: of no use to another
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class AnthropicMessages:
    """The API."""

    def chat(self, body: Body) -> Body:
        for name in _LOST:
            if body.get(name):
                raise InputError(f"{name} is run by Anthropic; the gateway has none. Leave it out.")
        asked = {name: body[name] for name in _SAME if name in body}
        asked |= {ours: body[theirs] for theirs, ours in _RENAMED.items() if body.get(theirs)}
        system = _text_parts(body.get("system"), "system")
        asked["messages"] = [{"role": "system", "content": joined(system)}] if system else []
        for i, message in enumerate(objects(body.get("messages"), "messages")):
            asked["messages"] += _messages(message, f"messages[{i}]")
        return {**asked, **_tools(body), **_format(body)}

    def whole(self, answer: Answer, told: Told) -> Body:
        blocks: list[Body] = [{"type": "text", "text": answer.text}] if answer.text else []
        for call in answer.tool_calls:
            function = call["function"]
            blocks.append({**_tool_use(call["id"], function["name"]), "input": _input(function["arguments"])})
        return {
            **_message(told),
            "content": blocks,
            "stop_reason": _STOP_REASONS[ended(answer)],
            "usage": {**_usage(answer), "r2": facts(answer, told)},
        }

    def events(self, told: Told, *, usage: bool) -> MessageEvents:
        return MessageEvents(told)

    def failed(self, failure: Failure) -> Body:
        return {"type": "error", "error": {"type": failure.kind, "message": failure.message}}


class MessageEvents(Blocks):
    """The events of a streamed message."""

    waiting = event({"type": "ping"}, "ping")

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told
        self._index = 0

    def begin(self) -> bytes:
        usage = {"input_tokens": self._told.decision.input_tokens, "output_tokens": 0}
        return _event("message_start", message={**_message(self._told), "usage": usage})

    def end(self, answer: Answer) -> bytes:
        usage = {**_usage(answer), "r2": facts(answer, self._told)}
        delta = {"stop_reason": _STOP_REASONS[ended(answer)], "stop_sequence": None}
        return self.finish() + _event("message_delta", delta=delta, usage=usage) + _event("message_stop")

    def fail(self, failure: Failure) -> bytes:
        return event(AnthropicMessages().failed(failure), "error")

    def open_text(self) -> bytes:
        return self._open({"type": "text", "text": ""})

    def text_delta(self, piece: str) -> bytes:
        return self._delta({"type": "text_delta", "text": piece})

    def close_text(self) -> bytes:
        self._index += 1
        return _event("content_block_stop", index=self._index - 1)

    def open_call(self, call: Call) -> bytes:
        return self._open({**_tool_use(call.id, call.name), "input": {}})

    def call_delta(self, call: Call, arguments: str) -> bytes:
        return self._delta({"type": "input_json_delta", "partial_json": arguments}) if arguments else b""

    def close_call(self, call: Call) -> bytes:
        return self.close_text()

    def _open(self, block: Body) -> bytes:
        return _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: Body) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)


def _event(name: str, **data: Any) -> bytes:
    return event({"type": name, **data}, name)


# -- what is said ----------------------------------------------------------------------------------------------


def _message(told: Told) -> Body:
    head = {"id": f"msg_{told.id}", "type": "message", "role": "assistant", "model": told.model}
    return {**head, "content": [], "stop_reason": None, "stop_sequence": None}


def _tool_use(call_id: str, name: str) -> Body:
    return {"type": "tool_use", "id": call_id, "name": name}


def _input(arguments: str) -> Body:
    """The arguments of a call as an object; what a model wrote that is none stays to be seen."""
    try:
        known: object = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        known = None
    return cast("Body", known) if isinstance(known, dict) else {"arguments": arguments}


def _usage(answer: Answer) -> dict[str, int]:
    """Tokens as Anthropic counts them: those of the cache stand beside the input, not in it."""
    read, written = answer.cache_read_tokens, answer.cache_write_tokens
    return {
        "input_tokens": max(0, answer.prompt_tokens - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": answer.completion_tokens,
    }


# -- what is asked ---------------------------------------------------------------------------------------------


def _messages(message: Body, where: str) -> Iterable[Body]:
    """One message of theirs as ours: the results of tools have messages of their own there."""
    role, content = message.get("role"), message.get("content")
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    blocks = objects(content, f"{where}.content")
    results = [block for block in blocks if block.get("type") == "tool_result"]
    seen: list[Body] = []
    for result in results:
        text, images = _result(result, where)
        yield {"role": "tool", "tool_call_id": str(result.get("tool_use_id", "")), "content": text}
        seen += images
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    skipped = ("tool_result", "tool_use", *_THOUGHTS)
    parts = [_part(block, where) for block in blocks if block.get("type") not in skipped]
    if calls:
        yield {"role": role, "content": joined(parts) if parts else None, "tool_calls": calls}
    elif parts or seen or not results:
        yield {"role": role, "content": joined([*seen, *parts])}


def _call(block: Body) -> Body:
    function = {"name": block.get("name"), "arguments": json.dumps(block.get("input") or {})}
    return {"id": str(block.get("id", "")), "type": "function", "function": function}


def _result(block: Body, where: str) -> tuple[str, list[Body]]:
    """The text that a tool gave back, and what else: images, which only a user's message may hold."""
    parts = _blocks(block.get("content"), where)
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    return text, [part for part in parts if part["type"] != "text"]


def _blocks(content: object, where: str) -> list[Body]:
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content or ""}]
    return [_part(block, where) for block in objects(content, where)]


def _part(block: Body, where: str) -> Body:
    """A block of content in the form of chat completions. Raises InputError for a kind that has none."""
    kind, source = block.get("type"), as_dict(block.get("source"))
    marked = {"cache_control": block["cache_control"]} if block.get("cache_control") else {}
    if kind == "text":
        return {"type": "text", "text": block.get("text"), **marked}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": _url(source)}, **marked}
    if kind == "document" and source.get("type") == "text":
        return {"type": "text", "text": source.get("data"), **marked}
    if kind == "document":
        return {"type": "file", "file": {"filename": block.get("title") or "document.pdf", "file_data": _url(source)}}
    raise InputError(f"{where} holds a block of type {str(kind)[:40]!r}, which no other chat API has. Leave it out.")


def _url(source: Body) -> str:
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    return str(source.get("url", ""))


def _text_parts(content: object, where: str) -> list[Body]:
    return [] if not content else _blocks(content, where)


def _tools(body: Body) -> Body:
    """Tools and the choice among them, as chat completions have them."""
    found: list[Body] = []
    for i, tool in enumerate(objects(body.get("tools") or [], "tools")):
        if tool.get("type") not in (None, "custom"):
            raise InputError(f"tools[{i}] ({tool['type']}) is run by Anthropic; the gateway has none. Leave it out.")
        described = {"description": tool["description"]} if tool.get("description") else {}
        function: Body = {"name": tool.get("name"), **described, "parameters": as_dict(tool.get("input_schema"))}
        found.append({"type": "function", "function": function})
    if not found:
        return {}
    stated = as_dict(body.get("tool_choice"))
    choices: Mapping[object, object] = {
        "any": "required",
        "none": "none",
        "tool": {"type": "function", "function": {"name": stated.get("name")}},
    }
    chosen = {"tool_choice": choices[stated["type"]]} if stated.get("type") in choices else {}
    alone = {"parallel_tool_calls": False} if stated.get("disable_parallel_tool_use") else {}
    return {"tools": found, **chosen, **alone}


def _format(body: Body) -> Body:
    stated = as_dict(as_dict(body.get("output_config")).get("format") or body.get("output_format"))
    if stated.get("type") != "json_schema":
        return {}
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": stated.get("schema"), "strict": True},
        }
    }
