"""A provider that fails one request in five, in every way there is."""

from __future__ import annotations

import asyncio
import random

from support.chat_server import Behaviour, Exchange, fails, resets, says, sends, streams, thinks

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


class OneInFiveFails:
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
