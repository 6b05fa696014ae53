"""Spending limits for an event loop: the ledger's own thread waits for the disk, the loop goes on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from r2_router.acting import acting
from r2_router.ledger.money import to_nanos
from r2_router.ledger.spend_limits import Reservation

if TYPE_CHECKING:
    from concurrent.futures import Future

    from r2_router.ledger.spend_limits import SpendGuard
    from r2_router.ledger.store import Ledger
    from r2_router.routing.considered import Candidate


class LoopGuard:
    """A SpendGuard, as a `generate.Guard`: what it writes is put off to the ledger's thread, and stays in order. It
    reserves for whoever is `acting`."""

    def __init__(self, guard: SpendGuard, ledger: Ledger) -> None:
        self._guard = guard
        self._ledger = ledger

    async def reserve(self, candidate: Candidate, worst_case_cost_usd: float, /) -> Reservation:
        """As SpendGuard's, with its errors. The ledger has the reservation when this returns: a kill does not lose it.

        One whose caller was cancelled meanwhile is given back.
        """
        import asyncio

        reserve = partial(self._guard.reserve, candidate, worst_case_cost_usd, acting())
        reserving = self._ledger.put_off(reserve)
        try:
            return await asyncio.wrap_future(reserving)
        except asyncio.CancelledError:
            reserving.add_done_callback(self._give_back)
            raise

    def reservation(self, worst_case_cost_usd: float, /) -> Reservation:
        """One for several calls, that `hold` is to hold: whoever notes it before can settle it after a crash too."""
        caller = acting()
        nanos = to_nanos(worst_case_cost_usd, "The cost of a call")
        return Reservation(self._guard.today(), nanos, caller.name if caller else "")

    async def hold(self, reservation: Reservation, candidate: Candidate, dearest_usd: float, /) -> None:
        """Hold `reservation` for calls like those of `candidate`, the dearest of which may cost `dearest_usd`. Errors
        as in `reserve`."""
        import asyncio

        dearest = to_nanos(dearest_usd, "The cost of a call")
        hold = partial(self._guard.hold, reservation, candidate, dearest, acting())
        await asyncio.wrap_future(self._ledger.put_off(hold))

    def settle(self, reservation: Reservation, cost_usd: float, /) -> None:
        """As SpendGuard's, soon. Killed before that, the process leaves the reservation: the worst case counts."""
        self._ledger.put_off(partial(self._guard.settle, reservation, cost_usd))

    def renew(self, reservation: Reservation, /) -> None:
        """As SpendGuard's, soon."""
        self._ledger.put_off(partial(self._guard.renew, reservation))

    def _give_back(self, reserving: Future[Reservation]) -> None:
        if not reserving.cancelled() and reserving.exception() is None:
            self.settle(reserving.result(), 0.0)
