"""One ledger: what goes in comes out, what is private stays private, and what breaks loses no answer."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.ledgers import ledger_at

from r2_router.errors import InputError, LedgerError
from r2_router.ledger import Entry, Ledger, prune, schema, stats
from r2_router.ledger.labels import texts

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
ENTRY = Entry(
    face="mcp",
    outcome="answered",
    model="gemma-3-27b",
    budget=400,
    checkpoint="local",
    query="What is the capital of Italy?",
    input_tokens=8,
    lambda_val=0.5,
    worth_usd=1.0,
    predicted_quality=0.75,
    predicted_output_tokens=210.5,
    output_tokens=180,
    predicted_cost_usd=3.1e-5,
    cost_usd=2.8e-5,
    baseline_cost_usd=0.012,
    latency_s=1.25,
    attempts=2,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, wait_s=0.05, now=lambda: NOON) as ledger:
        yield ledger


@pytest.fixture
def either(place: str | Path) -> Iterator[Ledger]:
    """A ledger in a file, and one in Postgres."""
    with ledger_at(place, wait_s=0.05, now=lambda: NOON) as ledger:
        yield ledger


def query(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "r2_router" and r.levelno == logging.WARNING]


# -- entries -------------------------------------------------------------------------------------------------


def test_an_entry_comes_back_as_it_was_written(either):
    answer_id = either.record(ENTRY)
    filled = {
        "id": answer_id,
        "time": "2026-11-23T12:00:00.123+00:00",
        "query_sha256": hashlib.sha256(b"What is the capital of Italy?").hexdigest(),
        "query": None,
    }
    assert either.find(answer_id) == replace(ENTRY, **filled)


def test_what_is_not_known_comes_back_as_none(either):
    bare = Entry(face="cli", outcome="decided", model="m", budget="unlimited")
    answer_id = either.record(bare)
    assert either.find(answer_id) == replace(bare, id=answer_id, time="2026-11-23T12:00:00.123+00:00")


def test_an_unknown_id_is_none(either):
    assert either.find("nothing") is None
    either.record(ENTRY)
    assert either.find("nothing") is None


def test_it_lies_in_the_users_data_folder(home):
    with Ledger() as ledger:
        ledger.record(ENTRY)
    assert (home / "data" / "ledger.sqlite3").is_file()


def test_ids_are_short_unique_and_sort_by_time(path):
    ids: list[list[str]] = []
    for time in (NOON, NOON + timedelta(milliseconds=1), NOON.replace(year=2031)):
        with Ledger(path, now=lambda time=time: time) as ledger:
            ids.append([ledger.record(ENTRY) for _ in range(50)])
    assert len({answer_id for group in ids for answer_id in group}) == 150
    assert {len(answer_id) for group in ids for answer_id in group} == {14}
    assert max(ids[0]) < min(ids[1]) <= max(ids[1]) < min(ids[2])


def test_what_comes_in_one_millisecond_is_told_in_the_order_it_came(either):
    ids = [either.record(replace(ENTRY, model=str(i))) for i in range(2_000)]
    assert ids == sorted(ids)
    assert [entry.model for entry in either.entries()] == [str(i) for i in range(2_000)]


@pytest.mark.parametrize("end", ["flush", "close"])
def test_all_that_waits_is_written_however_much_it_is(path, end):
    with Ledger(path) as ledger:
        with ledger.lock:  # the writer waits for it
            for _ in range(3_000):
                ledger.record(ENTRY)
        getattr(ledger, end)()
        assert query(path, "SELECT COUNT(*) FROM entries") == [(3_000,)]


def test_an_id_that_another_process_took_is_drawn_again(path, monkeypatch):
    drawn = iter(["same", "same", "other"])
    monkeypatch.setattr("r2_router.ledger.store.new_id", lambda now, last="": next(drawn))
    for model in ("a", "b"):
        with Ledger(path) as ledger:
            ledger.record(replace(ENTRY, model=model))
    with Ledger(path) as ledger:
        assert {entry.id: entry.model for entry in ledger.entries()} == {"same": "a", "other": "b"}


def test_the_text_is_kept_only_if_asked_for(path):
    secret = "Tell nobody: the cake is a lie 🍰"
    with Ledger(path) as ledger:
        ledger.record(replace(ENTRY, query=secret))
        ledger.flush()
        assert secret.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    with Ledger(path, log_text=True) as ledger:
        kept = ledger.find(ledger.record(replace(ENTRY, query=secret)))
        assert secret.encode() in b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert kept.query == secret
    assert kept.query_sha256 == hashlib.sha256(secret.encode()).hexdigest()


def test_what_was_said_is_kept_with_the_text_and_goes_with_its_entry(path):
    with Ledger(path) as ledger:
        ledger.record(ENTRY, said="a secret")
        ledger.log_text = True
        ids = [ledger.record(ENTRY, said=f"said {i}") for i in range(3)]
        assert texts(ledger, ids) == {answer_id: f"said {i}" for i, answer_id in enumerate(ids)}
        assert query(path, "SELECT COUNT(*) FROM answer_texts") == [(3,)]
        prune(Ledger(path, now=lambda: datetime.now(UTC) + timedelta(days=5)), 1)
        assert query(path, "SELECT COUNT(*) FROM answer_texts") == [(0,)]


def test_half_a_character_is_no_reason_to_lose_an_entry(path, caplog):
    with Ledger(path, log_text=True) as ledger:
        entry = ledger.find(ledger.record(replace(ENTRY, query="broken \ud83d paste")))
    assert entry.query == "broken ? paste"
    assert warnings(caplog) == []


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0])
def test_a_cost_that_is_none_is_kept_as_unknown(either, cost):
    assert either.find(either.record(replace(ENTRY, cost_usd=cost))).cost_usd is None


def test_real_quality_comes_later(either):
    answer_id = either.record(ENTRY)
    either.set_quality(answer_id, 0.25)
    assert either.find(answer_id).quality == 0.25


@pytest.mark.parametrize("quality", [-0.01, 1.01, float("nan")])
def test_a_quality_out_of_range_is_refused(either, quality):
    answer_id = either.record(ENTRY)
    with pytest.raises(InputError, match="from 0 to 1"):
        either.set_quality(answer_id, quality)
    assert either.find(answer_id).quality is None


def test_quality_of_an_unknown_answer_is_refused(either):
    with pytest.raises(InputError, match="no answer 'nothing'"):
        either.set_quality("nothing", 0.5)


def test_threads_share_a_ledger(ledger, path):
    def write() -> None:
        for _ in range(50):
            ledger.record(ENTRY)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.flush()
    assert query(path, "SELECT COUNT(*), SUM(cost_nanos) FROM entries") == [(400, 400 * 28_000)]


@pytest.mark.slow
def test_two_that_begin_a_ledger_at_once_wait_for_each_other(path, caplog):
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")  # as one that makes the tables, before the file is in WAL mode
        end = threading.Timer(0.2, other.execute, ["COMMIT"])
        end.start()
        with Ledger(path) as ledger:
            answer_id = ledger.record(ENTRY)
            ledger.flush()
        end.join()
    assert warnings(caplog) == []
    with Ledger(path) as ledger:
        assert ledger.find(answer_id) is not None
        ledger.record(ENTRY)
    assert query(path, "PRAGMA journal_mode") == [("wal",)]


# -- the file ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_its_owner_may_read_it(ledger, path):
    ledger.record(ENTRY)
    ledger.flush()
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "ledger.sqlite3": 0o600,
        "ledger.sqlite3-wal": 0o600,
        "ledger.sqlite3-shm": 0o600,
    }


def test_looking_makes_no_file(ledger, path):
    assert ledger.find("x") is None
    assert stats(ledger).calls == 0
    assert not path.parent.exists()


def test_an_empty_file_becomes_a_ledger(ledger, path):
    path.parent.mkdir()
    path.touch()
    assert ledger.find("x") is None
    answer_id = ledger.record(ENTRY)
    assert ledger.find(answer_id) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps an open file from being deleted")
def test_a_ledger_deleted_while_it_is_open_is_begun_again(ledger, path):
    before = ledger.record(ENTRY)
    ledger.flush()
    for file in path.parent.iterdir():
        file.unlink()
    after = ledger.record(ENTRY)
    assert ledger.find(before) is None
    assert ledger.find(after) is not None


def test_a_closed_ledger_opens_again(ledger):
    first = ledger.record(ENTRY)
    ledger.close()
    second = ledger.record(ENTRY)
    assert [ledger.find(answer_id).id for answer_id in (first, second)] == [first, second]


# -- what breaks ---------------------------------------------------------------------------------------------


def assert_one_warning_and_no_error(ledger: Ledger, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    ids: set[str] = set()
    for _ in range(3):
        ids.add(ledger.record(ENTRY))
        ledger.flush()
    assert len(ids) == 3
    [warning] = warnings(caplog)
    assert ledger.place in warning
    assert reason in warning


def damage(path: Path, kind: str) -> None:
    with Ledger(path) as ledger:
        for _ in range(100):
            ledger.record(ENTRY)
    whole = path.read_bytes()
    page = 4096
    path.write_bytes(
        {
            "garbage": b"this is not a database, not even remotely. " * 99,
            "cut": whole[: page + 100],
            "scrambled": whole[:page] + bytes(range(256)) * ((len(whole) - page) // 256),
        }[kind]
    )


@pytest.mark.parametrize(
    ("kind", "reason"), [("garbage", "not a database"), ("cut", "malformed"), ("scrambled", "malformed")]
)
def test_a_damaged_file_is_left_as_it_is(ledger, path, caplog, kind, reason):
    damage(path, kind)
    before = path.read_bytes()
    assert_one_warning_and_no_error(ledger, caplog, reason)
    with pytest.raises(LedgerError, match="move it away"):
        ledger.find("x")
    with pytest.raises(LedgerError, match="move it away"):
        stats(ledger)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_not_touched(ledger, path, caplog):
    with Ledger(path) as older:
        older.record(ENTRY)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    assert_one_warning_and_no_error(ledger, caplog, "newer r2-router (its schema is 99")
    with pytest.raises(LedgerError, match="upgrade"):
        ledger.find("x")
    ledger.close()
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_one_warning(ledger, path, caplog):
    path.mkdir(parents=True)
    assert_one_warning_and_no_error(ledger, caplog, "unable to open")


def test_a_file_in_the_folders_place_is_one_warning(ledger, path, caplog):
    path.parent.write_text("")
    assert_one_warning_and_no_error(ledger, caplog, "written")


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder nobody may write to; root, who may write anywhere, is nobody meanwhile."""
    if sys.platform == "win32":
        pytest.skip("Windows has no file modes")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ledger(folder / "ledger.sqlite3") as ledger:
            ledger.record(ENTRY)
        (folder / "ledger.sqlite3").chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_read_only_folder_is_one_warning(read_only_folder, caplog):
    with Ledger(read_only_folder / "another.sqlite3") as ledger:
        assert_one_warning_and_no_error(ledger, caplog, "Permission denied")


def test_a_read_only_file_is_one_warning(read_only_folder, caplog):
    with Ledger(read_only_folder / "ledger.sqlite3") as ledger:
        assert_one_warning_and_no_error(ledger, caplog, "cannot be written")


def test_a_locked_file_is_one_warning_until_it_is_free(ledger, path, caplog):
    first = ledger.record(ENTRY)
    ledger.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_one_warning_and_no_error(ledger, caplog, "locked")
        other.execute("ROLLBACK")
    last = ledger.record(ENTRY)
    ledger.flush()
    assert query(path, "SELECT id FROM entries ORDER BY id") == sorted([(first,), (last,)])
    assert len(warnings(caplog)) == 1


@pytest.mark.slow
def test_only_the_first_failure_waits_long(path):
    def wait_ms() -> int:
        with ledger.transaction() as db:
            return db.execute("PRAGMA busy_timeout").fetchone()[0]

    with Ledger(path, wait_s=0.2) as ledger:
        assert wait_ms() == 200
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ledger.record(ENTRY)
            ledger.flush()
        assert [wait_ms(), wait_ms()] == [50, 200]


def test_a_full_file_is_one_warning_until_there_is_room(ledger, path, caplog):
    ledger.record(ENTRY)
    ledger.flush()
    with ledger.transaction() as db:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    sent = 0
    while not warnings(caplog):
        ledger.record(ENTRY)
        ledger.flush()
        sent += 1
        assert sent < 1000
    assert "full" in warnings(caplog)[0]
    assert query(path, "SELECT COUNT(*) FROM entries") == [(sent,)]  # the first, and all sent but the last
    ledger.record(ENTRY)
    ledger.flush()
    assert query(path, "SELECT COUNT(*) FROM entries") == [(sent + 1,)]


# -- older ledgers -------------------------------------------------------------------------------------------

NEXT_STEP = ("CREATE TABLE notes (text TEXT)", "INSERT INTO notes VALUES ('migrated')")


@pytest.mark.parametrize("use", [lambda ledger: ledger.record(ENTRY), lambda ledger: ledger.find("x")])
def test_an_older_ledger_is_brought_up_to_date_on_first_use(ledger, path, monkeypatch, use):
    with Ledger(path) as older:
        answer_id = older.record(ENTRY)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, NEXT_STEP))
    monkeypatch.setattr("r2_router.ledger.sqlite_file.MIGRATIONS", schema.MIGRATIONS)
    use(ledger)
    use(ledger)
    ledger.flush()
    assert query(path, "SELECT text FROM notes") == [("migrated",)]
    assert query(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    assert ledger.find(answer_id).model == ENTRY.model


def test_a_migration_happens_whole_or_not_at_all(ledger, path, caplog, monkeypatch):
    with Ledger(path) as older:
        older.record(ENTRY)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, (*NEXT_STEP, "INSERT INTO missing VALUES (1)")))
    assert_one_warning_and_no_error(ledger, caplog, "no such table: missing")
    assert query(path, "SELECT name FROM sqlite_master WHERE name = 'notes'") == []
    assert query(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS) - 1,)]
