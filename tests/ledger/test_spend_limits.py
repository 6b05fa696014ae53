"""Spending limits: what passes, what is refused and why, and what happens at midnight, at a crash, without a ledger."""

from __future__ import annotations

import logging
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.ledgers import busy, ledger_at

from r2_router.errors import InputError, LedgerError, SpendLimitError
from r2_router.ledger import Ledger, SpendGuard
from r2_router.ledger.money import exact_text, to_nanos, to_usd
from r2_router.ledger.spend_limits import Reservation
from r2_router.words import usd as usd_text

CANDIDATE = SimpleNamespace(model="gemma", label="gemma @ 400")


@dataclass
class Clock:
    time: datetime = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(place: str | Path, clock: Clock) -> Iterator[Ledger]:
    with ledger_at(place, wait_s=0.05, now=clock) as ledger:
        yield ledger


@pytest.fixture
def blocked(tmp_path: Path) -> Ledger:
    """A ledger that cannot be written."""
    (tmp_path / "file").write_text("")
    return Ledger(tmp_path / "file" / "ledger.sqlite3")


def spent(ledger: Ledger) -> int:
    with ledger.reading() as db:
        return db.execute("SELECT COALESCE(SUM(nanos), 0) FROM spend").fetchone()[0]


def reserved(ledger: Ledger) -> int:
    with ledger.reading() as db:
        return db.execute("SELECT COALESCE(SUM(nanos), 0) FROM reservations").fetchone()[0]


def refusal(reserve: Callable[[], object]) -> SpendLimitError:
    with pytest.raises(SpendLimitError) as caught:
        reserve()
    return caught.value


# -- limits --------------------------------------------------------------------------------------------------


def test_a_call_up_to_its_limit_passes_and_one_above_is_refused(ledger):
    guard = SpendGuard(ledger, per_call=0.05)
    guard.reserve(CANDIDATE, 0.05)
    error = refusal(lambda: guard.reserve(CANDIDATE, 0.050000001))
    assert (error.period, error.variable) == ("call", "R2_MAX_USD_PER_CALL")
    assert (error.call_usd, error.limit_usd, error.resets_at) == (0.050000001, 0.05, "")
    for said in ("gemma @ 400", "$0.050000001", "$0.05 a call", "R2_MAX_USD_PER_CALL"):
        assert said in str(error)


def test_a_day_holds_exactly_what_its_limit_says(ledger):
    guard = SpendGuard(ledger, per_day=0.3)  # as floats 0.1 + 0.1 + 0.1 > 0.3
    first, _, _ = (guard.reserve(CANDIDATE, 0.1) for _ in range(3))
    guard.settle(first, 0.1)
    error = refusal(lambda: guard.reserve(CANDIDATE, 1e-9))
    assert (error.period, error.variable) == ("day", "R2_MAX_USD_PER_DAY")
    assert (error.spent_usd, error.reserved_usd, error.call_usd, error.limit_usd) == (0.1, 0.2, 1e-9, 0.3)
    assert error.resets_at == "2026-11-24T00:00:00+00:00"
    for said in ("$0.30 a day", "$0.10 is spent", "$0.20 reserved", "2026-11-24 00:00 UTC", "R2_MAX_USD_PER_DAY"):
        assert said in str(error)


def test_a_month_has_its_own_limit(ledger, clock):
    guard = SpendGuard(ledger, per_day=1.0, per_month=1.5)
    guard.settle(guard.reserve(CANDIDATE, 1.0), 1.0)
    clock.time += timedelta(days=1)
    error = refusal(lambda: guard.reserve(CANDIDATE, 0.6))
    assert (error.period, error.variable) == ("month", "R2_MAX_USD_PER_MONTH")
    assert (error.spent_usd, error.limit_usd, error.resets_at) == (1.0, 1.5, "2026-12-01T00:00:00+00:00")
    guard.reserve(CANDIDATE, 0.5)


def test_a_refused_call_holds_nothing(ledger):
    guard = SpendGuard(ledger, per_day=1.0)
    for _ in range(3):
        refusal(lambda: guard.reserve(CANDIDATE, 1.1))
    guard.reserve(CANDIDATE, 1.0)


def test_every_guard_on_the_ledger_counts(ledger):
    free_spender = SpendGuard(ledger)
    free_spender.reserve(CANDIDATE, 3.0)
    free_spender.settle(free_spender.reserve(CANDIDATE, 2.0), 2.0)
    error = refusal(lambda: SpendGuard(ledger, per_day=5.5).reserve(CANDIDATE, 1.0))
    assert (error.spent_usd, error.reserved_usd) == (2.0, 3.0)


def test_a_limit_of_nothing_lets_free_calls_pass(ledger):
    guard = SpendGuard(ledger, per_call=0.0, per_day=0.0, per_month=0.0)
    guard.settle(guard.reserve(CANDIDATE, 0.0), 0.0)
    assert not Path(ledger.place).exists()
    refusal(lambda: guard.reserve(CANDIDATE, 1e-12))


@pytest.mark.parametrize("amount", [-0.01, float("nan"), float("inf"), 1e10])
def test_what_is_no_amount_is_refused(ledger, amount):
    with pytest.raises(InputError, match="amount in dollars"):
        SpendGuard(ledger).reserve(CANDIDATE, amount)
    with pytest.raises(InputError, match="R2_MAX_USD_PER_DAY"):
        SpendGuard(ledger, per_day=amount)


def test_a_refusal_survives_the_way_between_processes(ledger):
    error = refusal(lambda: SpendGuard(ledger, per_day=1.0).reserve(CANDIDATE, 2.0))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


# -- settling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "counted"),
    [(0.2, 0.2), (0.0, 0.0), (0.9, 0.9), (None, 0.5), (float("nan"), 0.5), (-1.0, 0.5), (float("inf"), 0.5)],
)
def test_the_real_cost_takes_the_place_of_the_worst_case(ledger, real, counted):
    guard = SpendGuard(ledger)
    guard.settle(guard.reserve(CANDIDATE, 0.5), real)
    assert (spent(ledger), reserved(ledger)) == (to_nanos(counted, ""), 0)


def test_a_second_settlement_does_nothing(ledger):
    guard = SpendGuard(ledger)
    guard.reserve(CANDIDATE, 0.7)
    reservation = guard.reserve(CANDIDATE, 0.5)
    guard.settle(reservation, 0.2)
    guard.settle(reservation, 0.3)
    assert (spent(ledger), reserved(ledger)) == (200_000_000, 700_000_000)


def test_a_call_that_was_to_be_free_and_was_not_counts(ledger):
    guard = SpendGuard(ledger)
    guard.settle(guard.reserve(CANDIDATE, 0.0), 0.25)
    assert spent(ledger) == 250_000_000


def test_what_could_not_be_settled_is_settled_with_the_next_call(ledger, place, caplog):
    guard = SpendGuard(ledger, per_day=1.0)
    reservation = guard.reserve(CANDIDATE, 0.5)
    with busy(place):
        guard.settle(reservation, 0.3)
    assert (spent(ledger), reserved(ledger)) == (0, 500_000_000)
    assert refusal(lambda: guard.reserve(CANDIDATE, 0.8)).spent_usd == 0.3
    guard.reserve(CANDIDATE, 0.7)
    assert (spent(ledger), reserved(ledger)) == (300_000_000, 700_000_000)
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


# -- time ----------------------------------------------------------------------------------------------------


def test_a_day_ends_at_utc_midnight_and_a_late_settlement_is_the_old_days(ledger, clock):
    guard = SpendGuard(ledger, per_day=1.0)
    late = guard.reserve(CANDIDATE, 1.0)
    refusal(lambda: guard.reserve(CANDIDATE, 0.1))
    clock.time = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
    full = guard.reserve(CANDIDATE, 1.0)
    guard.settle(late, 1.0)
    guard.settle(full, 0.4)
    guard.reserve(CANDIDATE, 0.6)
    with ledger.reading() as db:
        assert db.execute("SELECT day, nanos FROM spend ORDER BY day").fetchall() == [
            ("2026-11-23", 1_000_000_000),
            ("2026-11-24", 400_000_000),
        ]


def test_local_time_does_not_move_the_day(ledger, clock):
    guard = SpendGuard(ledger, per_day=1.0)
    guard.settle(guard.reserve(CANDIDATE, 1.0), 1.0)
    clock.time = clock.time.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert refusal(lambda: guard.reserve(CANDIDATE, 0.1)).resets_at == "2026-11-24T00:00:00+00:00"


@pytest.mark.parametrize(
    ("last", "first"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_month_ends_with_its_last_day(ledger, clock, last, first):
    guard = SpendGuard(ledger, per_month=1.0)
    clock.time = last.replace(day=1, hour=0)
    guard.settle(guard.reserve(CANDIDATE, 0.6), 0.6)
    clock.time = last
    assert refusal(lambda: guard.reserve(CANDIDATE, 0.5)).resets_at == first.isoformat()
    guard.reserve(CANDIDATE, 0.4)
    assert refusal(lambda: guard.reserve(CANDIDATE, 0.1)).reserved_usd == 0.4
    clock.time = first
    guard.reserve(CANDIDATE, 1.0)


def test_an_abandoned_reservation_is_spent_at_its_worst_case(ledger, clock):
    guard = SpendGuard(ledger, per_day=1.0, lease_s=60)
    clock.time = datetime(2026, 11, 23, 12, tzinfo=UTC)
    abandoned = guard.reserve(CANDIDATE, 0.9)
    clock.time += timedelta(seconds=59)
    refusal(lambda: guard.reserve(CANDIDATE, 0.2))
    clock.time += timedelta(seconds=1)
    other = SpendGuard(ledger, per_day=1.0)
    assert refusal(lambda: other.reserve(CANDIDATE, 0.2)).spent_usd == 0.9
    guard.settle(guard.reserve(CANDIDATE, 0.1), 0.1)
    assert (spent(ledger), reserved(ledger)) == (1_000_000_000, 0)
    guard.settle(abandoned, 0.8)  # it was not dead, only slow: what it cost takes the place of the worst case
    assert (spent(ledger), reserved(ledger)) == (900_000_000, 0)


def test_what_others_left_behind_is_spent_by_whoever_settles_next(ledger, clock):
    SpendGuard(ledger).reserve(CANDIDATE, 0.5)
    mine = SpendGuard(ledger).reserve(CANDIDATE, 0.25)
    clock.time += timedelta(days=1)
    SpendGuard(ledger).settle(mine, 0.125)
    assert (spent(ledger), reserved(ledger)) == (625_000_000, 0)


def test_a_lease_is_renewed_while_its_call_lives(ledger, clock):
    guard, other = SpendGuard(ledger, lease_s=60), SpendGuard(ledger)
    mine = guard.reserve(CANDIDATE, 0.5)
    for _ in range(3):
        clock.time += timedelta(seconds=50)
        guard.renew(mine)
        other.settle(other.reserve(CANDIDATE, 0.1), 0.0)
    assert (spent(ledger), reserved(ledger)) == (0, 500_000_000)
    guard.settle(mine, 0.25)
    guard.renew(mine)
    assert (spent(ledger), reserved(ledger)) == (250_000_000, 0)


# -- without a ledger ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"per_day": 1.0}, "R2_MAX_USD_PER_DAY"),
        ({"per_month": 1.0, "per_call": 1.0}, "R2_MAX_USD_PER_MONTH"),
        ({"per_day": 1.0, "per_month": 9.0}, "R2_MAX_USD_PER_DAY and R2_MAX_USD_PER_MONTH"),
    ],
)
def test_a_limit_that_cannot_be_kept_refuses_paid_calls_only(blocked, limits, named):
    guard = SpendGuard(blocked, **limits)
    with pytest.raises(LedgerError, match=f"No paid call while {named} cannot be kept"):
        guard.reserve(CANDIDATE, 0.5)
    guard.settle(guard.reserve(CANDIDATE, 0.0), 0.0)


@pytest.mark.parametrize("limits", [{}, {"per_call": 1.0}])
def test_without_a_limit_that_rests_on_it_the_ledger_may_fail(blocked, caplog, limits):
    guard = SpendGuard(blocked, **limits)
    for _ in range(3):
        guard.settle(guard.reserve(CANDIDATE, 0.5), 0.4)
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


# -- arithmetic ----------------------------------------------------------------------------------------------

usd = st.floats(0, 3, allow_nan=False) | st.sampled_from([0.0, 0.1, 0.2, 0.3, 1e-9, 1e-12])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), usd),
        st.tuples(st.just("settle"), st.integers(0, 9), usd | st.none()),
        st.tuples(st.just("wait"), st.sampled_from([1, 600, 86_400, 86_400 * 20])),
    ),
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps=steps, per_day=usd, per_month=usd)
@example(  # a reservation that was given up for dead, counted, forgotten, and is settled after all
    steps=[
        ("reserve", 0.0),
        ("reserve", 1.0),
        ("settle", 0, None),
        ("wait", 86_400 * 20),
        ("reserve", 1.0),
        ("settle", 0, None),
    ],
    per_day=1.0,
    per_month=1.0,
)
def test_the_guard_agrees_with_plain_bookkeeping(steps, per_day, per_month):
    clock = Clock()
    lease = timedelta(seconds=900)
    held: dict[object, tuple[str, int, datetime]] = {}  # reservation -> day, amount, end of its lease
    noticed = clock.time  # leases that ended before are spent
    spend: dict[str, int] = {}
    day_limit, month_limit = to_nanos(per_day, ""), to_nanos(per_month, "")
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l", now=clock) as ledger:
        guard = SpendGuard(ledger, per_day=per_day, per_month=per_month, lease_s=lease.total_seconds())
        for kind, *arguments in steps:
            if kind == "wait":
                clock.time += timedelta(seconds=arguments[0])
            elif kind == "settle":
                index, real = arguments
                if index < len(held):
                    reservation = list(held)[index]
                    day, nanos, _ = held.pop(reservation)
                    spend[day] = spend.get(day, 0) + (nanos if real is None else to_nanos(real, ""))
                    guard.settle(reservation, real)
                    noticed = clock.time if nanos or real else noticed
            else:
                nanos, today = to_nanos(arguments[0], ""), clock.time.date().isoformat()
                live = [(day, n) for day, n, _ in held.values()] + list(spend.items())
                day = sum(n for when, n in live if when == today)
                month = sum(n for when, n in live if when[:7] == today[:7])
                fits = nanos == 0 or (day + nanos <= day_limit and month + nanos <= month_limit)
                try:
                    reservation = guard.reserve(CANDIDATE, arguments[0])
                except SpendLimitError:
                    assert not fits
                else:
                    assert fits
                    noticed = clock.time if nanos else noticed
                    held[reservation] = (today, nanos, clock.time + lease)
        if Path(ledger.place).exists():
            abandoned = sum(n for _, n, end in held.values() if end <= noticed)
            assert spent(ledger) == sum(spend.values()) + abandoned
            assert spent(ledger) + reserved(ledger) == sum(spend.values()) + sum(n for _, n, _ in held.values())


@given(st.floats(0, 1e9))
def test_money_is_whole_nano_dollars_to_the_nearest(amount):
    nanos = to_nanos(amount, "")
    assert nanos >= (amount > 0)
    assert abs(to_usd(nanos) - amount) <= max(1e-9, amount * 1e-15)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "-"),
        (0.0, "$0.00"),
        (0.5, "$0.50"),
        (-0.5, "-$0.50"),
        (0.000218, "$0.000218"),
        (0.00021849, "$0.000218"),
        (1e-9, "$0.000000001"),
        (0.9949, "$0.995"),
        (0.996, "$1.00"),
        (1234.567, "$1,234.57"),
    ],
)
def test_dollars_are_shown_with_the_digits_that_mean_something(amount, text):
    assert usd_text(amount) == text


@pytest.mark.parametrize(
    ("nanos", "text"), [(0, "$0.00"), (1, "$0.000000001"), (1_995_000_000, "$1.995"), (2_000_000_000_000, "$2,000.00")]
)
def test_limits_are_shown_to_the_last_digit(nanos, text):
    assert exact_text(nanos) == text


# -- several calls held together -----------------------------------------------------------------------------


def together(guard: SpendGuard, usd: float, dearest: float) -> Reservation:
    held = Reservation(guard.today(), to_nanos(usd, "usd"))
    guard.hold(held, CANDIDATE, to_nanos(dearest, "dearest"))
    return held


def test_the_dearest_is_held_against_a_call_and_all_against_a_day(ledger: Ledger) -> None:
    guard = SpendGuard(ledger, per_call=0.05, per_day=0.3)
    together(guard, 0.2, 0.05)
    assert refusal(lambda: together(guard, 0.05, 0.051)).period == "call"
    assert refusal(lambda: together(guard, 0.101, 0.05)).period == "day"
    assert reserved(ledger) == to_nanos(0.2, "usd")


def test_what_another_process_held_is_settled_once_by_whoever_noted_it(ledger: Ledger, clock: Clock) -> None:
    guard = SpendGuard(ledger, per_day=1.0)
    held = together(guard, 0.2, 0.1)

    def again() -> Reservation:
        return Reservation(held.day, held.nanos, held.caller, held.id, written=True, tried=True)

    clock.time += timedelta(hours=5)  # its process is gone: it counts as spent
    guard.settle(guard.reserve(CANDIDATE, 0.01), 0.0)
    assert spent(ledger) == held.nanos
    guard.settle(again(), 0.03)
    assert spent(ledger) == to_nanos(0.03, "usd")
    guard.settle(again(), 0.03)
    assert (spent(ledger), reserved(ledger)) == (to_nanos(0.03, "usd"), 0)


def test_what_was_noted_and_never_held_is_settled_for_nothing(ledger: Ledger) -> None:
    guard = SpendGuard(ledger, per_day=1.0)
    guard.settle(Reservation(guard.today(), to_nanos(0.2, "usd"), written=True, tried=True), 0.0)
    assert (spent(ledger), reserved(ledger)) == (0, 0)
