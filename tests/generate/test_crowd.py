"""Five hundred generations at once against a server that fails one request in five."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter

import pytest
from support.chat_server import Behaviour, Exchange, chat_server, fails, resets, says, sends, streams, thinks
from support.generations import Books, candidate, generation, options

from r2_router.errors import ProviderError
from r2_router.generate import Answer
from r2_router.generate.sync import stop

pytestmark = pytest.mark.slow

CROWD = 500
FAULTS: list[Behaviour] = [
    fails(429, retry_after=0),
    fails(503),
    fails(404),
    sends({"error": {"code": 502, "message": "down"}}),
    sends(b"{oops"),
    streams(b": ping\n\n"),
    resets(),
    resets("half "),
    thinks("hm"),
    says("half ", reason=None, done=False),
]


class _OneInFiveFails:
    """A behaviour. An answer that hangs breaks off when all others on their way do: no limit of time depends on how
    busy this machine is."""

    def __init__(self) -> None:
        self._chance = random.Random(7)
        self._under_way = 0
        self._hanging: list[asyncio.Event] = []
        self._faults = [*FAULTS, self._hang_at_once, self._hang_half_way]

    async def __call__(self, exchange: Exchange) -> None:
        fault = self._chance.choice(self._faults) if self._chance.random() < 0.2 else says("Ro", "me")
        self._under_way += 1
        try:
            await fault(exchange)
        finally:
            self._under_way -= 1
            self._break_off()

    async def _hang_at_once(self, exchange: Exchange) -> None:
        over = asyncio.Event()
        self._hanging.append(over)
        self._break_off()
        await over.wait()
        exchange.reset()

    async def _hang_half_way(self, exchange: Exchange) -> None:
        await exchange.start()
        await exchange.say("half ")
        await self._hang_at_once(exchange)

    def _break_off(self) -> None:
        if self._under_way == len(self._hanging):
            while self._hanging:
                self._hanging.pop().set()


def _sockets() -> int:
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("open files cannot be counted here")
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


async def _ask_all(url: str, books: Books) -> list[Answer | BaseException]:
    models = [candidate("a"), candidate("b"), candidate("c")]
    limits = options(first_token_s=600, idle_s=600)
    asked = [generation(url, models, guard=books, options=limits).result() for _ in range(CROWD)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return results


def test_every_call_ends_and_the_books_balance() -> None:
    books = Books()
    stop()  # the loop that another test of this process started
    gc.collect()
    with chat_server(_OneInFiveFails()) as server:
        before = _sockets()
        results = asyncio.run(_ask_all(server.url, books))
        assert server.wait_closed()
        gc.collect()
        assert _sockets() == before
        asked = len(server.requests)
    assert "r2-router" not in [thread.name for thread in threading.enumerate()]

    answers = [result for result in results if isinstance(result, Answer)]
    errors = [result for result in results if not isinstance(result, Answer)]
    assert all(isinstance(error, ProviderError) for error in errors), errors
    assert len(answers) >= 0.97 * CROWD
    whole = Counter((a.text, a.partial) for a in answers)
    assert set(whole) == {("Rome", False), ("half ", True)}
    assert whole["half ", True] < 0.1 * CROWD

    tries = [attempt for result in results for attempt in result.attempts]  # type: ignore[union-attr]
    assert books.balanced
    assert len(tries) == len(books.reserved) == asked > CROWD
    assert books.spent == pytest.approx(sum(attempt.cost_usd for attempt in tries))
    assert sum(a.cost_usd for a in answers) <= books.spent * 1.000001
