"""OpenAI's chat completions: the form in which everything is read, and the one most programs speak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from r2_router.gateway.api import Body, Told, ended, event, facts

if TYPE_CHECKING:
    from r2_router.gateway.failures import Failure
    from r2_router.generate import Answer, ToolCallDelta

_DONE = b"data: [DONE]\n\n"
_TEXT = "the text"


class ChatCompletions:
    """The API."""

    def chat(self, body: Body) -> Body:
        return body

    def whole(self, answer: Answer, told: Told) -> Body:
        choice = {
            "index": 0,
            "message": {**answer.message, "refusal": None},
            "logprobs": None,
            "finish_reason": ended(answer),
        }
        return {**_head(told, "chat.completion"), "choices": [choice], "usage": usage(answer, told)}

    def events(self, told: Told, *, usage: bool) -> ChatEvents:
        return ChatEvents(told, usage=usage)

    def failed(self, failure: Failure) -> Body:
        return {"error": error(failure)}


class ChatEvents:
    """Chunks of a completion."""

    waiting = b": waiting\n\n"

    def __init__(self, told: Told, *, usage: bool) -> None:
        self._told = told
        self._usage = usage
        self._around_text: tuple[bytes, bytes] | None = None

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, piece: str) -> bytes:
        if self._around_text is None:  # the chunks of an answer differ in their text alone
            before, _, behind = self._chunk({"content": _TEXT}).rpartition(json.dumps(_TEXT).encode())
            self._around_text = before, behind
        before, behind = self._around_text
        return before + json.dumps(piece).encode() + behind

    def call(self, piece: ToolCallDelta) -> bytes:
        return self._chunk({"tool_calls": [piece.to_openai()]})

    def end(self, answer: Answer) -> bytes:
        last = self._chunk({}, ended(answer))
        if self._usage:
            last += event({**self._head, "choices": [], "usage": usage(answer, self._told)})
        return last + _DONE

    def fail(self, failure: Failure) -> bytes:
        return event({"error": error(failure)}) + _DONE

    @property
    def _head(self) -> Body:
        return _head(self._told, "chat.completion.chunk")

    def _chunk(self, delta: Body, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event({**self._head, "choices": [choice]})


def usage(answer: Answer, told: Told) -> dict[str, Any]:
    """What an answer took, in OpenAI's words; its `cost` in dollars, as OpenRouter says it."""
    return {
        **answer.usage,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "cost": answer.cost_usd,
        "r2": facts(answer, told),
    }


def error(failure: Failure) -> Body:
    """An error as OpenAI words it."""
    return {"message": failure.message, "type": failure.kind, "param": None, "code": failure.code or None}


def _head(told: Told, kind: str) -> Body:
    return {"id": f"chatcmpl-{told.id}", "object": kind, "created": told.created, "model": told.model}
