"""What an API of the gateway must say: its requests in the form of chat completions, our answers in its own form."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from r2_router.records import to_json

if TYPE_CHECKING:
    from r2_router.gateway.failures import Failure
    from r2_router.generate import Answer, ToolCallDelta
    from r2_router.routing.decision import Decision

Body: TypeAlias = dict[str, Any]

ROUTED = "r2"
"""The name of the model that stands for the router's choice; "r2:PRESET" for a named worth."""

_CUT = ("length", "max_tokens", "max_output_tokens")


@dataclass(slots=True)
class Told:
    """What is known of an answer before it is there, and the name it goes by. `asked`: the body of the request;
    `model`: the one that is being asked, of the pool; `entry`: the answer in the ledger, "" until it is over."""

    asked: Mapping[str, Any]
    decision: Decision
    model: str
    entry: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def headers(self) -> dict[str, str]:
        """The decision in the headers of a response: numbers as they are, names in ASCII."""
        best = self.decision.best
        known = {
            "model": best.model,
            "budget": best.budget,
            "predicted-quality": f"{best.predicted_quality:.4g}",
            "predicted-cost-usd": f"{best.predicted_cost_usd:.4g}",
            "worth-usd": None if self.decision.worth_usd is None else f"{self.decision.worth_usd:.6g}",
            "id": self.entry or None,
        }
        said = {
            name: str(value).encode("ascii", "backslashreplace") for name, value in known.items() if value is not None
        }
        return {f"x-r2-{name}": value.decode() for name, value in said.items()}


class Events(Protocol):
    """A stream in the form of one API, as it is written: each method gives the bytes to send, b"" for none."""

    waiting: bytes
    """What may be sent at any time to keep a connection open."""

    def begin(self) -> bytes: ...
    def text(self, piece: str, /) -> bytes: ...
    def call(self, piece: ToolCallDelta, /) -> bytes: ...
    def end(self, answer: Answer, /) -> bytes: ...
    def fail(self, failure: Failure, /) -> bytes: ...


class Api(Protocol):
    """One API."""

    def chat(self, body: Body, /) -> Body:
        """A request's body in the form of OpenAI's chat completions. Raises InputError for one that cannot be read."""
        ...

    def whole(self, answer: Answer, told: Told, /) -> Body:
        """The response, where it is not streamed."""
        ...

    def events(self, told: Told, /, *, usage: bool) -> Events:
        """The response, where it is; `usage`: whether what it took was asked for."""
        ...

    def failed(self, failure: Failure, /) -> Body:
        """The body of an error."""
        ...


def ended(answer: Answer) -> Literal["stop", "length", "tool_calls"]:
    """Why an answer ends, as OpenAI says it; one that broke off was cut, too."""
    if answer.tool_calls:
        return "tool_calls"
    return "length" if answer.partial or answer.finish_reason.lower() in _CUT else "stop"


def facts(answer: Answer, told: Told) -> Body:
    """What the router did, for the usage of a response: the id under which the answer can be rated, what was expected
    of whom, what was paid."""
    known = {
        "id": told.entry,
        **{name: answer[name] for name in ("model", "budget", "predicted_quality", "predicted_cost_usd", "cost_usd")},
        "tries": len(answer.attempts),
        "error": answer.error or None,
    }
    return {name: to_json(value) for name, value in known.items() if value is not None}


def event(data: Body, name: str = "") -> bytes:
    """A server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
