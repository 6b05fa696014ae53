"""OpenAI's Responses: what Codex and the newer of OpenAI's clients speak. Nothing is kept between two requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from r2_router.errors import InputError
from r2_router.gateway.api import Body, Told, ended, event, facts
from r2_router.gateway.blocks import Blocks, Call
from r2_router.gateway.chat_completions import error
from r2_router.gateway.parts import joined, objects
from r2_router.gateway.response_tools import call_of, called, function_name, offered
from r2_router.records import as_dict

if TYPE_CHECKING:
    from r2_router.gateway.failures import Failure
    from r2_router.generate import Answer

_SAME = ("model", "temperature", "top_p", "stream", "parallel_tool_calls", "user", "prompt_cache_key", "r2")
_RENAMED = {"max_output_tokens": "max_tokens"}
# What asks for something that is kept, or run, at OpenAI.
_LOST = ("previous_response_id", "conversation", "background", "prompt")
_ECHOED = ("instructions", "metadata", "parallel_tool_calls", "temperature", "text", "tool_choice", "tools", "top_p")


class Responses:
    """The API."""

    def chat(self, body: Body) -> Body:
        for name in _LOST:
            if body.get(name):
                raise InputError(f"{name} rests on what OpenAI keeps; the gateway keeps nothing. Send the whole input.")
        asked = {name: body[name] for name in _SAME if body.get(name) is not None}
        asked |= {ours: body[theirs] for theirs, ours in _RENAMED.items() if body.get(theirs) is not None}
        if effort := as_dict(body.get("reasoning")).get("effort"):
            asked["reasoning_effort"] = effort
        instructions = body.get("instructions")
        system = [{"role": "system", "content": instructions}] if instructions else []
        return {**asked, "messages": [*system, *_messages(body.get("input"))], **_tools(body), **_format(body)}

    def whole(self, answer: Answer, told: Told) -> Body:
        text = [_message(f"msg_{told.id}", answer.text)] if answer.text or not answer.tool_calls else []
        tools = offered(told.asked.get("tools"))
        calls = [Call(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in answer.tool_calls]
        return _response(told, [*text, *(called(call, tools) for call in calls)], answer)

    def events(self, told: Told, *, usage: bool) -> ResponseEvents:
        return ResponseEvents(told)

    def failed(self, failure: Failure) -> Body:
        return {"error": error(failure)}


class ResponseEvents(Blocks):
    """The events of a streamed response, numbered."""

    waiting = b": waiting\n\n"

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told
        self._tools = offered(told.asked.get("tools"))
        self._number = 0
        self._output: list[Body] = []
        self._text = ""

    def begin(self) -> bytes:
        begun = _response(self._told, [])
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def end(self, answer: Answer) -> bytes:
        last = self.finish()
        response = _response(self._told, self._output, answer)
        return last + self._event(f"response.{response['status']}", response=response)

    def fail(self, failure: Failure) -> bytes:
        stated = {"code": failure.code or "server_error", "message": failure.message}
        response = {**_response(self._told, self._output), "status": "failed", "error": stated}
        return self._event("response.failed", response=response)

    def open_text(self) -> bytes:
        self._text = ""
        item: Body = {**_message(self._id, ""), "status": "in_progress"}
        return self._event("response.output_item.added", output_index=self._at, item=item) + self._event(
            "response.content_part.added", part=_part(""), **self._place
        )

    def text_delta(self, piece: str) -> bytes:
        self._text += piece
        return self._event("response.output_text.delta", delta=piece, logprobs=[], **self._place)

    def close_text(self) -> bytes:
        part, item = _part(self._text), _message(self._id, self._text)
        return (
            self._event("response.output_text.done", text=self._text, logprobs=[], **self._place)
            + self._event("response.content_part.done", part=part, **self._place)
            + self._close(item)
        )

    def open_call(self, call: Call) -> bytes:
        item = {**called(Call(call.id, call.name), self._tools), "status": "in_progress"}
        return self._event("response.output_item.added", output_index=self._at, item=item)

    def call_delta(self, call: Call, arguments: str) -> bytes:
        if self._is_free(call) or not arguments:
            return b""  # its text is known when its JSON is whole
        place = {"item_id": f"fc_{call.id}", "output_index": self._at}
        return self._event("response.function_call_arguments.delta", delta=arguments, **place)

    def close_call(self, call: Call) -> bytes:
        item = called(call, self._tools)
        place = {"item_id": item["id"], "output_index": self._at}
        if self._is_free(call):
            written = self._event("response.custom_tool_call_input.delta", delta=item["input"], **place)
            written += self._event("response.custom_tool_call_input.done", input=item["input"], **place)
        else:
            written = self._event(
                "response.function_call_arguments.done", name=item["name"], arguments=call.arguments, **place
            )
        return written + self._close(item)

    def _is_free(self, call: Call) -> bool:
        return call.name in self._tools and self._tools[call.name].free

    @property
    def _at(self) -> int:
        return len(self._output)

    @property
    def _id(self) -> str:
        return f"msg_{self._told.id}_{self._at}"

    @property
    def _place(self) -> Body:
        return {"item_id": self._id, "output_index": self._at, "content_index": 0}

    def _close(self, item: Body) -> bytes:
        written = self._event("response.output_item.done", output_index=self._at, item=item)
        self._output.append(item)
        return written

    def _event(self, kind: str, /, **data: Any) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number - 1, **data}, kind)


# -- what is said ----------------------------------------------------------------------------------------------


def _response(told: Told, output: list[Body], answer: Answer | None = None) -> Body:
    """The response so far, or with its `answer` whole."""
    cut = answer is not None and ended(answer) == "length"
    return {
        "id": f"resp_{told.id}",
        "object": "response",
        "created_at": told.created,
        "status": "in_progress" if answer is None else "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "model": told.model,
        "output": [*output],
        "usage": None if answer is None else _usage(answer, told),
        **{name: told.asked.get(name) for name in _ECHOED if told.asked.get(name) is not None},
    }


def _message(item_id: str, text: str) -> Body:
    content = [_part(text)] if text else []
    return {"type": "message", "id": item_id, "status": "completed", "role": "assistant", "content": content}


def _part(text: str) -> Body:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(answer: Answer, told: Told) -> Body:
    return {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": answer.cache_read_tokens},
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "cost": answer.cost_usd,
        "r2": facts(answer, told),
    }


# -- what is asked ---------------------------------------------------------------------------------------------


def _messages(given: object) -> list[Body]:
    """The items of an input as messages; the calls of tools after a message belong to it."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    found: list[Body] = []
    for i, item in enumerate(objects(given, "input")):
        for message in _message_of(item, f"input[{i}]"):
            calls = message.get("tool_calls")
            if calls and found and found[-1]["role"] == "assistant":
                found[-1]["tool_calls"] = [*found[-1].get("tool_calls", ()), *calls]
            else:
                found.append(message)
    return found


def _message_of(item: Body, where: str) -> Iterable[Body]:
    kind = item.get("type") or "message"
    if kind == "message":
        yield {"role": item.get("role"), "content": _content(item.get("content"), where)}
    elif kind in ("function_call", "custom_tool_call"):
        yield {"role": "assistant", "content": None, "tool_calls": [call_of(item)]}
    elif kind in ("function_call_output", "custom_tool_call_output"):
        yield from _result(item, where)
    elif kind != "reasoning":  # thoughts of a model that answered elsewhere are of no use to another
        raise InputError(f"{where} is of type {str(kind)[:40]!r}, which no other chat API has. Leave it out.")


def _result(item: Body, where: str) -> Iterable[Body]:
    """What a tool gave back: its text; images in it stand in a message of the user."""
    content = _content(item.get("output"), where)
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    yield {"role": "tool", "tool_call_id": str(item.get("call_id", "")), "content": text}
    if seen := [part for part in parts if part["type"] != "text"]:
        yield {"role": "user", "content": seen}


def _content(content: object, where: str) -> str | list[Body]:
    if content is None or isinstance(content, str):
        return content or ""
    return joined([_part_of(part, where) for part in objects(content, where)])


def _part_of(part: Body, where: str) -> Body:
    """A part in the form of chat completions. Raises InputError for a kind that has none."""
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text")}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "input_image" and part.get("image_url"):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file" and (part.get("file_data") or part.get("file_url")):
        kept = {name: part[name] for name in ("filename", "file_data", "file_url") if part.get(name)}
        return {"type": "file", "file": kept}
    raise InputError(f"{where} holds a part of type {str(kind)[:40]!r}, which no other chat API has. Leave it out.")


def _tools(body: Body) -> Body:
    """Tools and the choice among them, as chat completions have them."""
    found = [{"type": "function", "function": tool.function} for tool in offered(body.get("tools")).values()]
    choice = body.get("tool_choice")
    if as_dict(choice).get("type") in ("function", "custom"):
        choice = {"type": "function", "function": {"name": function_name(as_dict(choice).get("name"))}}
    return {"tools": found, **({"tool_choice": choice} if choice else {})} if found else {}


def _format(body: Body) -> Body:
    stated = as_dict(as_dict(body.get("text")).get("format"))
    if stated.get("type") == "json_object":
        return {"response_format": {"type": "json_object"}}
    if stated.get("type") != "json_schema":
        return {}
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {name: stated[name] for name in ("name", "schema", "strict") if name in stated},
        }
    }
