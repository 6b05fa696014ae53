"""Generations that ask a `chat_server`: made-up models and candidates, short limits, a guard that keeps books."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from r2_router.checkpoints.format import Instruction
from r2_router.generate import Answer, Endpoint, Generation, Options
from r2_router.pools.model import Model
from r2_router.records import Budget
from r2_router.routing.considered import Candidate
from r2_router.routing.messages import check_messages
from support.chat_server import ChatServer

INSTRUCTION = Instruction("Under {words} words.")
PRICES = (1.0, 2.0)  # USD per million tokens read and written


def candidate(model: str = "a", budget: Budget = 100, cost: float = 0.001, tokens: float = 50.0) -> Candidate:
    return Candidate(model, f"vendor/{model}", budget, 0.8, None, tokens, cost, 0.7, None)


def model(name: str, base_url: str, **changes: Any) -> Model:
    made = Model(name, f"vendor/{name}", *PRICES, base_url=base_url)
    return replace(made, **changes)


def options(**changes: Any) -> Options:
    """Short waits between tries; long enough for a busy machine everywhere else."""
    return Options(**{"backoff_s": 0.001, "first_token_s": 20.0, "idle_s": 20.0, **changes})


def generation(
    server: ChatServer | str,
    candidates: Sequence[Candidate] = (candidate(),),
    messages: Any = "What is the capital of Italy?",
    **changes: Any,
) -> Generation:
    url = server if isinstance(server, str) else server.url
    given: dict[str, Any] = {
        "instruction": INSTRUCTION,
        "models": {name: model(name, url) for name in "abcd"},
        "resolve": lambda m: Endpoint(m.base_url),
        "options": options(),
    }
    return Generation(candidates, check_messages(messages), **{**given, **changes})


def answer(server: ChatServer | str, *args: Any, **changes: Any) -> Answer:
    """The answer of a `generation`, on a loop of its own."""
    return asyncio.run(generation(server, *args, **changes).result())


@dataclass
class Books:
    """A guard that notes what was reserved and what it was settled for."""

    reserved: list[float] = field(default_factory=list)
    settled: dict[int, float] = field(default_factory=dict)

    async def reserve(self, candidate: Candidate, worst_case_usd: float) -> int:
        self.reserved.append(worst_case_usd)
        return len(self.reserved) - 1

    def settle(self, reservation: int, cost_usd: float) -> None:
        assert reservation not in self.settled, "settled twice"
        self.settled[reservation] = cost_usd

    def renew(self, reservation: int) -> None:
        assert reservation not in self.settled, "renewed after it was settled"

    @property
    def balanced(self) -> bool:
        """Every reservation settled."""
        return len(self.settled) == len(self.reserved)

    @property
    def spent(self) -> float:
        return sum(self.settled.values())
