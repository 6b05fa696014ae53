"""What is asked of a chat API: the caller's options and the body of the request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r2_router.errors import InputError
from r2_router.generate.endpoint import Endpoint
from r2_router.pools.model import ROUTERS_FIELDS, THINKING_FIELDS, Model
from r2_router.records import Record
from r2_router.routing.messages import Message

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Record):
    """How long to wait, how often to try, what else to ask for. Times are seconds.

    `sampling` is sent as it is: temperature, top_p, seed, stop ... `request_key` names the request, so that a server
    that knows the header Idempotency-Key answers and bills it once, however often it is sent; "" sends none.
    Raises InputError for a number out of range.
    """

    first_token_s: float = 60.0  # from the request to the first token; a model that thinks first gets more
    idle_s: float = 30.0  # from one token to the next
    try_s: float = 300.0
    total_s: float = 600.0
    tries: int = 3  # of one model
    models: int = 3  # asked at most: the choice and its fallbacks
    backoff_s: float = 0.5  # doubles with each try; a random part of it is waited
    loading_s: float = 60.0  # for a model that its server is loading
    max_wait_s: float = 20.0  # between tries; where Retry-After asks for more, the next model is asked
    max_tokens: int | None = None  # of an unlimited budget
    cap_tokens: int | None = None  # of any budget, thoughts included: more is never asked for
    max_bytes: int = 16 << 20  # of a response, unpacked
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    request_key: str = ""

    def __post_init__(self) -> None:
        for name in ("first_token_s", "idle_s", "try_s", "total_s", "backoff_s", "loading_s", "max_wait_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} is seconds and more than 0; got {value!r}.")
        for name in ("tries", "models", "max_tokens", "cap_tokens", "max_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is a whole number of at least 1; got {value!r}.")
        if taken := ROUTERS_FIELDS & self.sampling.keys():
            raise InputError(f"sampling cannot set {', '.join(sorted(taken))}: the router does.")


def offers_tools(asked: Mapping[str, Any]) -> bool:
    """Whether a request offers tools, so that a call of one is an answer."""
    return bool(asked.get("tools") or asked.get("functions"))


def chat_body(model: Model, messages: Sequence[Message], max_tokens: int | None, sampling: Mapping[str, Any]) -> Body:
    """A streamed request whose last event tells the usage.

    The model's own fields go before the caller's: they are what its price and ability hold for.
    """
    body: Body = {
        **sampling,
        **model.request,
        "model": model.id,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return body if max_tokens is None else {**body, "max_tokens": max_tokens}


def without_thinking(body: Body, endpoint: Endpoint) -> Body:
    """`body` asking for an answer without reasoning, in the words the server at `endpoint` may know."""
    kept = {name: value for name, value in body.items() if name not in THINKING_FIELDS}
    return {**kept, **endpoint.profile.thinking_off}


def is_thinking_off(body: Body, endpoint: Endpoint) -> bool:
    """Whether `body` still holds a word of `without_thinking`."""
    return any(name in body for name in endpoint.profile.thinking_off)
