"""Spending limits for an event loop: the ledger's own thread waits for the disk, the loop goes on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from r2_router.acting import acting

if TYPE_CHECKING:
    from concurrent.futures import Future

    from r2_router.ledger.spend_limits import Reservation, SpendGuard
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

    def settle(self, reservation: Reservation, cost_usd: float, /) -> None:
        """As SpendGuard's, soon. Killed before that, the process leaves the reservation: the worst case counts."""
        self._ledger.put_off(partial(self._guard.settle, reservation, cost_usd))

    def renew(self, reservation: Reservation, /) -> None:
        """As SpendGuard's, soon."""
        self._ledger.put_off(partial(self._guard.renew, reservation))

    def _give_back(self, reserving: Future[Reservation]) -> None:
        if not reserving.cancelled() and reserving.exception() is None:
            self.settle(reserving.result(), 0.0)
