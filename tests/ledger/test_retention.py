"""Old entries go, their sums stay, and the disk gets its space back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from r2_router.ledger import Entry, Holdings, Ledger, holdings, prune, schema, stats
from r2_router.ledger.store import _DROPPED_A_WRITE  # pyright: ignore[reportPrivateUsage]

ENTRY = Entry(face="cli", outcome="answered", model="small", budget=100, query="q", cost_usd=0.25, output_tokens=7)
TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    time = TODAY

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def fill(ledger: Ledger, clock: Clock, days: int, each: int = 1, **changes: object) -> None:
    """`each` entries a day for `days` days until today."""
    for back in reversed(range(days)):
        clock.time = TODAY - timedelta(days=back)
        for _ in range(each):
            ledger.record(replace(ENTRY, **changes))  # type: ignore[arg-type]


def test_the_last_days_stay_today_included_and_the_sums_of_all(path, clock):
    with Ledger(path, now=clock) as ledger:
        fill(ledger, clock, 5, each=2)
        before = stats(ledger)
        pruned = prune(ledger, 2)
        assert (pruned.removed, pruned.first_kept) == (6, "2026-11-22")
        assert {entry.time[:10] for entry in ledger.entries()} == {"2026-11-22", "2026-11-23"}
        assert stats(ledger) == before
        assert before.calls == 10
        assert prune(ledger, 2).removed == 0


def test_the_first_moment_of_the_first_day_stays(path, clock):
    with Ledger(path, now=clock) as ledger:
        for time in (datetime(2026, 11, 22, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)):
            clock.time = time
            ledger.record(ENTRY)
        clock.time = TODAY
        assert prune(ledger, 1).removed == 1
        assert [entry.time for entry in ledger.entries()] == ["2026-11-23T00:00:00.000+00:00"]


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, len(schema.MIGRATIONS)])
def test_the_file_gets_smaller(path, clock, version, monkeypatch):
    """One of the first schema too, which could not give space back."""
    if version == 1:
        with closing(sqlite3.connect(path)) as db:
            for statement in schema.MIGRATIONS[0]:
                db.execute(statement)
            db.execute("PRAGMA user_version = 1")
    with Ledger(path, log_text=True, now=clock) as ledger:
        fill(ledger, clock, 40, each=10, query="x" * 1000)
        assert prune(ledger, 39).removed == 10
        pruned = prune(ledger, 1)
        assert pruned.removed == 380
        assert pruned.bytes_after < pruned.bytes_before / 5
        assert pruned.bytes_after == path.stat().st_size
        assert len(ledger.entries()) == 10
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_no_ledger_is_nothing_to_prune(path):
    pruned = prune(Ledger(path), 1)
    assert (pruned.removed, pruned.bytes_before, pruned.bytes_after) == (0, 0, 0)
    assert holdings(Ledger(path)) == Holdings(0, None, 0)
    assert not path.exists()


def test_more_days_than_there_ever_were_keep_all(path, clock):
    with Ledger(path, now=clock) as ledger:
        ledger.record(ENTRY)
        assert prune(ledger, 10**9).removed == 0


def test_with_days_to_keep_old_entries_go_as_new_ones_come(path, clock):
    with Ledger(path, now=clock) as everlasting:
        fill(everlasting, clock, 3, each=_DROPPED_A_WRITE)
    with Ledger(path, now=clock, keep_days=1) as ledger:
        left: list[int] = []
        for _ in range(3):
            ledger.record(ENTRY)
            left.append(len(ledger.entries("time < ?", ("2026-11-23",))))
        assert left == [_DROPPED_A_WRITE, 0, 0]
        assert stats(ledger).calls == 3 * _DROPPED_A_WRITE + 3
        assert holdings(ledger).entries == _DROPPED_A_WRITE + 3


def test_what_a_ledger_holds(path, clock):
    with Ledger(path, now=clock) as ledger:
        fill(ledger, clock, 3)
        held = holdings(ledger)
    assert (held.entries, held.first_day) == (3, "2026-11-21")
    assert held.bytes >= path.stat().st_size > 0
