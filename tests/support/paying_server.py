"""A chat server that is paid for each whole answer, and can kill whoever asks at a given moment of an answer."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from support.chat_server import Behaviour, Exchange, delta

PHASES = ("asked", "begun", "half", "told", "over")


class Till:
    """Answers "model: query" in pieces. `paid` counts whole answers by (model, cap, query).

    With `remembers`, a request whose Idempotency-Key was answered is answered alike, for nothing. `kill_at(n, phase,
    pid)`: the process `pid` is killed in that phase of the n-th request from now.
    """

    def __init__(self, *, remembers: bool) -> None:
        self.paid: Counter[tuple[str, int | None, str]] = Counter()
        self.requests = 0
        self._remembers = remembers
        self._known: set[str] = set()
        self._kill: tuple[int, str, int] | None = None
        self.on_request: Callable[[], None] = lambda: None

    def kill_at(self, n: int, phase: str, pid: int) -> None:
        self._kill = (self.requests + n, phase, pid)

    @property
    def armed(self) -> bool:
        return self._kill is not None

    def disarm(self) -> None:
        self._kill = None

    @property
    def behaviour(self) -> Behaviour:
        return self._behave

    async def _behave(self, exchange: Exchange) -> None:
        self.requests += 1
        number, body = self.requests, exchange.body
        self.on_request()
        self._moment(number, "asked")
        await exchange.start()
        self._moment(number, "begun")
        text = answer_to(body)
        await exchange.say(text[: len(text) // 2])
        self._moment(number, "half")
        await exchange.say(text[len(text) // 2 :])
        await exchange.event(delta(finish_reason="stop"))
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        await exchange.event({"id": "x", "model": body["model"], "choices": [], "usage": usage})
        self._pay(exchange)
        self._moment(number, "told")
        await exchange.chunk(b"data: [DONE]\n\n")
        await exchange.end()
        self._moment(number, "over")

    def _pay(self, exchange: Exchange) -> None:
        key = exchange.headers.get("idempotency-key", "")
        if not (self._remembers and key in self._known):
            self.paid[cell_of(exchange.body)] += 1
            self._known.add(key)

    def _moment(self, number: int, phase: str) -> None:
        if self._kill is not None and (number, phase) == self._kill[:2]:
            pid, self._kill = self._kill[2], None
            os.kill(pid, signal.SIGKILL)


def cell_of(body: dict[str, Any]) -> tuple[str, int | None, str]:
    return body["model"], body.get("max_tokens"), body["messages"][-1]["content"]


def answer_to(body: dict[str, Any]) -> str:
    return f"{body['model']} to {body['messages'][-1]['content'][:40]}: the answer is 42."
