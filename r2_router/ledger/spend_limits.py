"""Spending limits that hold across processes: reserve the worst case, call, settle the real cost."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from r2_router.errors import LedgerError, SpendLimitError
from r2_router.ledger.money import exact_text, is_amount, to_nanos, to_usd
from r2_router.ledger.store import Ledger

if TYPE_CHECKING:
    from r2_router.acting import Caller
    from r2_router.ledger.database import Connection
    from r2_router.routing.considered import Candidate

Period = Literal["call", "day", "month"]

_VARIABLES: dict[Period, str] = {
    "call": "R2_MAX_USD_PER_CALL",
    "day": "R2_MAX_USD_PER_DAY",
    "month": "R2_MAX_USD_PER_MONTH",
}
_SPENT = "SELECT COALESCE(SUM(nanos), 0) FROM spend WHERE day BETWEEN ? AND ?"
_RESERVED = "SELECT COALESCE(SUM(nanos), 0) FROM reservations WHERE day BETWEEN ? AND ?"
_BY_CALLER = " AND caller = ?"
_RESERVE = "INSERT INTO reservations (id, day, nanos, lease_end, caller) VALUES (?, ?, ?, ?, ?)"
_RENEW = "UPDATE reservations SET lease_end = ? WHERE id = ? AND nanos > 0"
_SPEND = """
    INSERT INTO spend (day, caller, nanos) VALUES (?, ?, ?)
    ON CONFLICT (day, caller) DO UPDATE SET
    nanos = CASE WHEN spend.nanos + excluded.nanos > 0 THEN spend.nanos + excluded.nanos ELSE 0 END
"""
# A reservation whose lease is over is spent at its worst case. It stays, of nothing, for the owner who was slow and
# not dead: what he settles then replaces the worst case.
_SPEND_ABANDONED = """
    INSERT INTO spend (day, caller, nanos)
    SELECT day, caller, SUM(nanos) FROM reservations WHERE lease_end <= ? AND nanos > 0 GROUP BY day, caller
    ON CONFLICT (day, caller) DO UPDATE SET nanos = spend.nanos + excluded.nanos
"""
_EMPTY_ABANDONED = "UPDATE reservations SET nanos = 0 WHERE lease_end <= ?"
_FORGET_ABANDONED = "DELETE FROM reservations WHERE nanos = 0 AND lease_end <= ?"
_REMEMBERED_S = 7 * 86_400.0


class Limit(NamedTuple):
    """So many nano-dollars, and what sets them: a variable, or somebody's token."""

    name: str
    nanos: int


@dataclass(slots=True, eq=False)
class Reservation:
    """Money held for one call, on a UTC day. Its number is drawn by chance: nobody else's in any ledger."""

    day: str
    nanos: int
    caller: str = ""
    id: int = field(default_factory=lambda: secrets.randbits(62))
    settled: bool = False
    written: bool = False  # the ledger holds it
    tried: bool = False  # to settle it; the database went away, and may have done so before


class SpendGuard:
    """Lets a call pass only if its worst case fits the limits: dollars a call, a UTC day, a UTC month.

    None is no limit. Every process that shares the ledger counts, whether it has limits or not. A reservation that
    nobody settled or renewed for `lease_s` seconds is a dead process's, and counts as spent: its call may have been
    billed to the last token.
    """

    def __init__(
        self,
        ledger: Ledger,
        per_call: float | None = None,
        per_day: float | None = None,
        per_month: float | None = None,
        *,
        lease_s: float = 900.0,
    ) -> None:
        given: dict[Period, float | None] = {"call": per_call, "day": per_day, "month": per_month}
        self._limits = {
            p: Limit(_VARIABLES[p], to_nanos(usd, _VARIABLES[p])) for p, usd in given.items() if usd is not None
        }
        self._ledger = ledger
        self._lease = timedelta(seconds=lease_s)
        self._unwritten: list[tuple[Reservation, int]] = []  # settled, and the ledger could not be told yet

    def reserve(self, candidate: Candidate, worst_case_cost_usd: float, caller: Caller | None = None) -> Reservation:
        """Hold the most that a call of `candidate`, made for `caller`, may cost.

        Raises SpendLimitError over a limit, the caller's own among them; LedgerError if a limit a day or a month is set
        and the ledger, which keeps it, cannot be written. A free call always passes.
        """
        nanos = to_nanos(worst_case_cost_usd, "The cost of a call")
        reservation = Reservation(self.today(), nanos, caller.name if caller else "")
        self.hold(reservation, candidate, nanos, caller)
        return reservation

    def today(self) -> str:
        """The UTC day on which what is reserved now counts."""
        return self._ledger.now().astimezone(UTC).date().isoformat()

    def hold(
        self, reservation: Reservation, candidate: Candidate, dearest_nanos: int, caller: Caller | None = None
    ) -> None:
        """Hold a new reservation for several calls like those of `candidate`, the dearest of which may cost
        `dearest_nanos`. Raises what `reserve` raises."""
        now, nanos = self._ledger.now().astimezone(UTC), reservation.nanos
        if nanos == 0:
            return
        self._check("call", self._limits.get("call"), candidate, dearest_nanos, now)
        try:
            with self._ledger.lock:
                with self._ledger.transaction() as db:
                    self._write_settled(db, now)
                    self._check_periods(db, candidate, nanos, now, caller)
                    held = (reservation.id, reservation.day, nanos, self._lease_end(now), reservation.caller)
                    db.execute(_RESERVE, held)
                self._unwritten.clear()
                reservation.written = True
        except LedgerError as error:
            self._pass_unreserved(error, caller)

    def settle(self, reservation: Reservation, real_cost_usd: float | None) -> None:
        """Replace a reservation by what the call cost; None if nobody knows, which counts as the worst case.

        It counts for the day on which it was reserved, even past midnight: that day's limit let it pass. What
        cannot be written now is written with the next call. A second settlement does nothing.
        """
        with self._ledger.lock:
            if reservation.settled:
                return
            reservation.settled = True
            nanos = reservation.nanos
            if real_cost_usd is not None and is_amount(real_cost_usd):
                nanos = to_nanos(real_cost_usd, "The cost of a call")
            if nanos == reservation.nanos == 0:
                return
            self._unwritten.append((reservation, nanos))
            try:
                with self._ledger.transaction() as db:
                    self._write_settled(db, self._ledger.now())
                self._unwritten.clear()
            except LedgerError as error:
                reservation.tried = True
                self._ledger.warn(error)

    def renew(self, reservation: Reservation) -> None:
        """Say that the call goes on: its lease begins anew. Nothing happens where the ledger cannot be written."""
        if reservation.settled or not reservation.written:
            return
        with suppress(LedgerError), self._ledger.transaction() as db:
            db.execute(_RENEW, (self._lease_end(self._ledger.now()), reservation.id))

    def _lease_end(self, now: datetime) -> float:
        return (now + self._lease).timestamp()

    def _write_settled(self, db: Connection, now: datetime) -> None:
        """Write what this process settled, and what others left behind."""
        for reservation, nanos in self._unwritten:
            held = db.execute("SELECT nanos FROM reservations WHERE id = ?", (reservation.id,)).fetchone()
            if reservation.written and reservation.tried and held is None:
                continue  # that settled it
            left = held[0] if held else 0  # a row that is gone was counted as spent, and then forgotten
            spent_already = reservation.nanos - left if reservation.written else 0
            db.execute("DELETE FROM reservations WHERE id = ?", (reservation.id,))
            db.execute(_SPEND, (reservation.day, reservation.caller, nanos - spent_already))
        over = now.timestamp()
        if db.execute("SELECT 1 FROM reservations WHERE lease_end <= ? AND nanos > 0", (over,)).fetchone():
            db.execute(_SPEND_ABANDONED, (over,))
            db.execute(_EMPTY_ABANDONED, (over,))
            db.execute(_FORGET_ABANDONED, (over - _REMEMBERED_S,))

    def _pass_unreserved(self, error: LedgerError, caller: Caller | None) -> None:
        """Let a call pass that no ledger knows of, unless a limit rests on the ledger."""
        limits = [*self._limits.items(), *_own_limits(caller).items()]
        kept = [limit.name for period, limit in limits if period != "call"]
        if kept:
            raise LedgerError(f"No paid call while {' and '.join(kept)} cannot be kept. {error}") from None
        self._ledger.warn(error)

    def _check_periods(
        self, db: Connection, candidate: Candidate, nanos: int, now: datetime, caller: Caller | None
    ) -> None:
        today = now.date().isoformat()
        days: dict[Period, tuple[str, ...]] = {
            "day": (today, today),
            "month": (f"{today[:7]}-01", f"{today[:7]}-31"),
        }
        own = _own_limits(caller)
        for period, span in days.items():
            for limits, also, values in ((self._limits, "", ()), (own, _BY_CALLER, (caller.name if caller else "",))):
                if (limit := limits.get(period)) is not None:
                    sums = (db.execute(q + also, (*span, *values)).fetchone()[0] for q in (_SPENT, _RESERVED))
                    self._check(period, limit, candidate, nanos, now, *sums)

    def _check(
        self,
        period: Period,
        limit: Limit | None,
        candidate: Candidate,
        nanos: int,
        now: datetime,
        spent: int = 0,
        reserved: int = 0,
    ) -> None:
        if limit is None or spent + reserved + nanos <= limit.nanos:
            return
        end = _period_end(period, now)
        allowed, most, gone, held = (exact_text(n) for n in (limit.nanos, nanos, spent, reserved))
        if end is None:
            why = f"{candidate.label} may cost up to {most}, and {limit.name} allows {allowed} a call."
            advice = "Choose a cheaper model or a smaller budget, or raise the limit."
        else:
            why = (
                f"{candidate.label} may cost up to {most}, and {limit.name} allows {allowed} a {period}, of "
                f"which {gone} is spent and {held} reserved by running calls."
            )
            advice = f"The {period} ends at {end:%Y-%m-%d %H:%M} UTC; raise the limit to go on before."
        raise SpendLimitError(
            f"{why} {advice}",
            period=period,
            variable=limit.name,
            spent_usd=to_usd(spent),
            reserved_usd=to_usd(reserved),
            call_usd=to_usd(nanos),
            limit_usd=to_usd(limit.nanos),
            resets_at="" if end is None else end.isoformat(),
        )


def _own_limits(caller: Caller | None) -> dict[Period, Limit]:
    """The limits that go with a caller's token."""
    if caller is None:
        return {}
    given: dict[Period, float | None] = {"day": caller.max_usd_per_day, "month": caller.max_usd_per_month}
    name = f"the token of {caller.name}"
    return {period: Limit(name, to_nanos(usd, name)) for period, usd in given.items() if usd is not None}


def _period_end(period: Period, now: datetime) -> datetime | None:
    """The UTC midnight at which the day or the month of `now` is over, None for a call."""
    if period == "call":
        return None
    day = now.date() + timedelta(days=1)
    if period == "month":
        day = (now.date().replace(day=1) + timedelta(days=31)).replace(day=1)
    return datetime.combine(day, time(), UTC)
