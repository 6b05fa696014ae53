"""Several candidates asked at the same time, within what the limits leave for all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from r2_magic.answer import CellAnswer, cell_answer
from r2_router.batches.each import MemoryLimit
from r2_router.batches.mapped import Mapped
from r2_router.errors import R2Error, SpendLimitError
from r2_router.show.facts import event_text

if TYPE_CHECKING:
    from r2_magic.base import Configured
    from r2_router.batches.each import RunGuard
    from r2_router.generate import AnswerStream
    from r2_router.generate.answer import Event
    from r2_router.routing.considered import Candidate
    from r2_router.routing.request import Request


class Leg:
    """A candidate that is asked beside others: what came of it, or why nothing did. Its own number is its place."""

    def __init__(self, index: int, candidate: Candidate, group: Together) -> None:
        self.candidate = candidate
        self.error: R2Error | None = None
        self.doing = ""  # what goes on while there is no answer
        self.guard: RunGuard = group.magics.guard(index, group.limit)
        self._group = group
        self._stream: AnswerStream | None = None

    @property
    def answer(self) -> CellAnswer | None:
        """Whole, or as far as it came."""
        found = self._stream and self._stream.answer
        return cell_answer(found) if found else None

    @property
    def id(self) -> str:
        """The answer's id in the ledger, "" where there is none."""
        return self._stream.id if self._stream else ""

    def begin(self, request: Request) -> None:
        """Decide; nothing is asked yet."""
        try:
            self._stream = self._group.magics.router().ask(request, guard=self, on_event=self._tell)
        except R2Error as error:
            self.error = error

    async def run(self) -> None:
        """Ask, to the end."""
        if self._stream is None:
            return
        try:
            async with aclosing(self._stream) as pieces:
                async for _ in pieces:
                    pass
        except R2Error as error:
            self.error = error
        finally:
            self.doing = ""
            self._group.over(self, Mapped(self.guard.index, cost_usd=self.guard.billed_usd))

    def _tell(self, event: Event) -> None:
        self.doing = event_text(event)
        self._group.say()

    # -- its money: a generate.Guard -------------------------------------------------------------------------

    async def reserve(self, candidate: Candidate, worst_case_usd: float, /) -> Any:
        """What a limit refuses while others hold money waits for one of them to end: most cost less than they may.
        Raises SpendLimitError where none does."""
        group = self._group
        while True:
            ended = group.ended
            group.holding.add(self)  # from now on: the notebook's budget holds it before the ledger does
            try:
                return await self.guard.reserve(candidate, worst_case_usd)
            except SpendLimitError:
                group.holding.discard(self)  # two that wait must not wait for each other
                if not group.holding:
                    raise
            await ended.wait()

    def settle(self, reservation: Any, cost_usd: float, /) -> None:
        self.guard.settle(reservation, cost_usd)

    def renew(self, reservation: Any, /) -> None:
        self.guard.renew(reservation)


class Together:
    """Candidates under way, in the order of `legs`; `tell` is told what goes on."""

    def __init__(self, magics: Configured, tell: Callable[[str], None]) -> None:
        self.magics = magics
        self.limit = MemoryLimit(magics.left_usd())
        self.legs: list[Leg] = []
        self.holding: set[Leg] = set()  # those that have money set aside
        self.ended = asyncio.Event()  # set, and another one made, whenever a leg is over
        self._tell = tell

    def ask(self, requests: Sequence[tuple[Candidate, Request]]) -> None:
        """Ask all of them, until each has its answer or its error. Stopped by Ctrl-C, they keep what came."""
        from r2_router.generate import run

        self.legs = [Leg(i, candidate, self) for i, (candidate, _) in enumerate(requests)]
        try:
            for leg, (_, request) in zip(self.legs, requests, strict=True):
                leg.begin(request)
            run(self._run())
        finally:
            self.magics.session.spent_usd += sum(leg.guard.billed_usd for leg in self.legs)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for leg in self.legs:
                group.create_task(leg.run())

    def over(self, leg: Leg, mapped: Mapped) -> None:
        """`leg` is over, for what `mapped` says it cost."""
        self.limit.over(mapped, kept=True)
        self.holding.discard(leg)
        ended, self.ended = self.ended, asyncio.Event()
        ended.set()
        self.say()

    def say(self) -> None:
        """What goes on now."""
        if doing := [leg.doing for leg in self.legs if leg.doing]:
            self._tell(" · ".join(doing))
