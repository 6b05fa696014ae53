"""A ledger in Postgres: its address, its tables, and a server that goes away and comes back."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.ledgers import ledger_at, rows
from support.postgres import PostgresServer, postgres_server

from r2_router.config.settings import load_settings
from r2_router.errors import ConfigError, LedgerError, SpendLimitError
from r2_router.ledger import Entry, Ledger, SpendGuard, holdings, prune, stats
from r2_router.ledger.postgres import place_of
from r2_router.ledger.schema import MIGRATIONS
from r2_router.ledger.schema_postgres import for_postgres

ENTRY = Entry(face="cli", outcome="answered", model="m", budget=100, query="q", cost_usd=0.25, output_tokens=7)
CANDIDATE = SimpleNamespace(model="m", label="m @ 10")
WORKER = str(Path(__file__).parents[1] / "support" / "ledger_worker.py")


# -- the address ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:secret@db.example:5433/team?sslmode=require", "postgresql://db.example:5433/team"),
        ("postgres://me@[::1]/team", "postgresql://::1/team"),
        ("postgresql:///team", "postgresql:///team"),
    ],
)
def test_a_place_holds_no_password(url, place):
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["", "sqlite:///x", "mysql://me:secret@h/d", "postgresql://h:port/d", "me:secret"])
def test_what_is_no_address_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match="R2_LEDGER_URL is an address like") as caught:
        place_of(url)
    assert "secret" not in str(caught.value)


def test_without_its_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r'pip install "r2-mcp\[postgres\]"'):
        Ledger(url="postgresql://h/d")


def test_the_settings_name_it_and_no_repr_shows_it(monkeypatch):
    monkeypatch.setenv("R2_LEDGER_URL", "postgresql://me:secret@127.0.0.1:1/team")
    ledger = Ledger.configured(load_settings(ledger_days=3))
    assert (ledger.place, ledger.keep_days) == ("postgresql://127.0.0.1:1/team", 3)
    with pytest.raises(LedgerError, match=r"The ledger postgresql://127.0.0.1:1/team cannot be read") as caught:
        ledger.find("x")
    assert "secret" not in str(caught.value) + repr(ledger)
    with pytest.raises(LedgerError, match="did not answer a moment ago"):
        ledger.find("x")


def test_every_statement_of_the_schema_is_said_in_postgres():
    said = [one for step in MIGRATIONS for statement in step for one in for_postgres(statement)]
    assert not [one for one in said if "WITHOUT ROWID" in one or " REAL" in one or "INTEGER" in one or "--" in one]
    assert sum(one.startswith("CREATE FUNCTION") for one in said) == 5


# -- the server ----------------------------------------------------------------------------------------------


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with postgres_server() as server:
        yield server


@pytest.mark.slow
def test_its_tables_lie_in_a_schema_of_their_own(url):
    with ledger_at(url) as ledger:
        ledger.record(ENTRY)
    found = {table for (table,) in rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'r2_router'")}
    sums = {"days", "day_candidates", "day_caches", "day_explored"}
    assert found == {
        "entries",
        "answer_texts",
        "preferences",
        "spend",
        "reservations",
        "learned",
        "tokens",
        *sums,
        "warm_prompts",
        "cache_hits",
        "schema_version",
    }
    assert rows(url, "SELECT budget FROM entries") == [("100",)]


@pytest.mark.slow
def test_a_newer_ledger_is_left_alone(url):
    with ledger_at(url) as ledger:
        ledger.record(ENTRY)
    import psycopg

    with psycopg.connect(url) as db:
        db.execute("UPDATE r2_router.schema_version SET version = 99")
    with pytest.raises(LedgerError, match="newer r2-router"):
        stats(ledger_at(url))


@pytest.mark.slow
def test_old_entries_go_and_their_sums_stay(url):
    with ledger_at(url) as ledger:
        ledger.record(ENTRY)
        assert holdings(ledger).entries == 1
        assert holdings(ledger).bytes > 0
        assert prune(ledger, 1).removed == 0
        assert stats(ledger).cost_usd == 0.25


@pytest.mark.slow
def test_one_that_nobody_closed_ends_in_silence(url, recwarn):
    import psycopg

    with psycopg.connect(url) as other:
        ledger = ledger_at(url)
        ledger.database.holder = ledger  # a ring, as tracebacks make them
        gc.collect(0)  # now the collector comes to the connection, made after this, before it comes to the ledger
        assert ledger.find("x") is None
        del ledger
        gc.collect()
        assert [str(warning.message) for warning in recwarn] == []
        ours = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'r2-router' AND datname = %s"
        while other.execute(ours, (url.rpartition("/")[2],)).fetchone() != (0,):
            other.commit()


@pytest.mark.slow
def test_what_could_not_be_written_is_written_when_the_server_is_back(own_server, caplog):
    with ledger_at(own_server.database()) as ledger:
        first = ledger.record(ENTRY)
        ledger.flush()
        own_server.stop("immediate")
        lost = [ledger.record(ENTRY) for _ in range(3)]
        ledger.flush()
        assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
        own_server.start()
        ledger.database._away_until = 0.0
        last = ledger.record(ENTRY)
        assert {entry.id for entry in ledger.entries()} == {first, *lost, last}
        assert stats(ledger).calls == 5


@pytest.mark.slow
def test_while_it_is_away_a_limit_refuses_and_without_one_calls_go_on(own_server):
    with ledger_at(own_server.database()) as ledger:
        limited, free = SpendGuard(ledger, per_day=1.0), SpendGuard(ledger)
        running = limited.reserve(CANDIDATE, 0.5)
        own_server.stop("immediate")
        limited.settle(running, 0.25)
        with pytest.raises(LedgerError, match="No paid call while R2_MAX_USD_PER_DAY cannot be kept"):
            limited.reserve(CANDIDATE, 0.1)
        unrecorded = free.reserve(CANDIDATE, 0.1)
        free.settle(unrecorded, 0.1)
        own_server.start()
        ledger.database._away_until = 0.0
        for guard in (limited, free):
            guard.settle(guard.reserve(CANDIDATE, 0.01), 0.01)
        with ledger.reading() as db:
            assert db.execute("SELECT SUM(nanos) FROM spend").fetchone()[0] == 370_000_000
            assert db.execute("SELECT COUNT(*) FROM reservations").fetchone()[0] == 0


@pytest.mark.slow
def test_a_settlement_whose_end_nobody_heard_of_counts_once(url):
    with ledger_at(url) as ledger:
        guard = SpendGuard(ledger, per_day=1.0)
        reservation = guard.reserve(CANDIDATE, 0.5)
        guard.settle(reservation, 0.25)
        reservation.tried = True  # as if the connection had broken before the server said so
        guard._unwritten.append((reservation, 250_000_000))
        guard.settle(guard.reserve(CANDIDATE, 0.1), 0.1)
        with ledger.reading() as db:
            assert db.execute("SELECT SUM(nanos) FROM spend").fetchone()[0] == 350_000_000


@pytest.mark.slow
def test_an_entry_that_was_written_unheard_is_not_written_twice(url):
    with ledger_at(url) as ledger:
        row = ledger._row(ENTRY, "0123456789abcd", ledger.now())
        other = ledger._row(ENTRY, "0123456789abce", ledger.now())
        for rows_of_a_batch in ([row], [row, other]):
            with ledger.transaction() as db:
                ledger._insert(db, rows_of_a_batch)
        assert [entry.id for entry in ledger.entries()] == ["0123456789abcd", "0123456789abce"]


@pytest.mark.slow
def test_limits_hold_across_machines_and_kills(url, tmp_path):
    """Two homes stand for two machines, with two processes each; one process is killed while its call runs."""
    homes = [{"R2_HOME": str(tmp_path / name)} for name in ("one", "two")]

    def start(home: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, WORKER, *map(str, arguments)],
            env={**os.environ, **home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    victim = start(homes[0], "reserve_and_record", url, 0.5)
    json.loads(victim.stdout.readline())
    victim.kill()
    victim.communicate()
    workers = [start(home, "spend", url, 40, 0.01, 0.01, 1.0) for home in homes for _ in range(2)]
    for worker in workers:
        assert json.loads(worker.stdout.readline()) == "ready"
    for worker in workers:
        worker.stdin.close()
        worker.stdin = None
    said = [json.loads(line) for worker in workers for line in worker.communicate(timeout=60)[0].splitlines()]
    assert said.count("granted") == 50
    assert rows(url, "SELECT SUM(nanos) FROM spend") == [(500_000_000,)]
    with pytest.raises(SpendLimitError, match=r"\$0.50 reserved by running calls"):
        SpendGuard(ledger_at(url), per_day=1.0).reserve(CANDIDATE, 0.01)
