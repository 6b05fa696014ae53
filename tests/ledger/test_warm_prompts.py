"""What lies in prompt caches, shared through a ledger: found by others, gone in time, without text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from support.ledgers import ledger_at, rows

from r2_router.ledger import Ledger
from r2_router.ledger.warm_prompts import WarmPrompts
from r2_router.routing.prompt_memory import Beginning
from r2_router.routing.warm_prices import HIT

CHAT, OTHER = b"c" * 16, b"o" * 16


class Now:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 26, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


def beginning(prefix: bytes, tokens: int = 900, chat: bytes = CHAT, model: str = "opus") -> Beginning:
    return Beginning(chat, prefix * 16, model, tokens, None, 0.0, 300.0)


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    return request.getfixturevalue("postgres").database() if request.param == "postgres" else tmp_path / "l.sqlite3"


@pytest.fixture
def opened(place: str | Path) -> Callable[[], tuple[Ledger, WarmPrompts, Now]]:
    """The ledger as another process opens it."""

    def make() -> tuple[Ledger, WarmPrompts, Now]:
        now = Now()
        ledger = ledger_at(place, now=now)
        return ledger, WarmPrompts(lambda: ledger), now

    return make


def test_another_process_reads_what_one_wrote_until_the_provider_forgets_it(
    opened: Callable[[], tuple[Ledger, WarmPrompts, Now]], place: str | Path
) -> None:
    ledger, one, _ = opened()
    one.write([beginning(b"1"), beginning(b"s", 400, OTHER)], [])
    one.write([beginning(b"2", 1200), beginning(b"2", 1200, model="haiku")], [b"1" * 16])
    ledger.close()
    again, other, now = opened()
    now.time += timedelta(seconds=40)
    found, rates = other.read([CHAT])
    assert sorted((b.model, b.prefix, b.tokens, b.kept) for b in found) == [
        ("haiku", b"2" * 16, 1200, None),
        ("opus", b"2" * 16, 1200, None),
    ]
    assert {round(b.seconds_ago) for b in found} == {40}
    assert rates == {}
    assert len(other.read([CHAT, OTHER])[0]) == 3
    now.time += timedelta(seconds=300)
    assert other.read([CHAT, OTHER]) == ([], {})
    other.write([beginning(b"9")], [])
    again.close()
    assert rows(place, "SELECT COUNT(*) FROM warm_prompts") == [(1,)]


def test_trust_is_shared_and_learned_by_all(opened: Callable[[], tuple[Ledger, WarmPrompts, Now]]) -> None:
    (ledger, one, _), (_, other, _) = opened(), opened()
    one.learn("opus", 0.0)
    ledger.flush()
    other.learn("opus", 0.0)
    other._ledger().flush()
    rate = one.read([CHAT])[1]["opus"]
    assert rate.rate == pytest.approx(HIT * 0.81)


def test_a_ledger_that_is_not_there_yet_knows_nothing(opened: Callable[[], tuple[Ledger, WarmPrompts, Now]]) -> None:
    assert opened()[1].read([CHAT]) == ([], {})


def test_one_that_cannot_be_read_is_a_warning_once_and_nothing_waits_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "l.sqlite3"
    path.write_bytes(b"this is no database, however long one looks at it" * 100)
    ledger = Ledger(path)
    shared = WarmPrompts(lambda: ledger)
    shared.write([beginning(b"1")], [])
    ledger.flush()
    assert shared.read([CHAT]) == ([], {})
    assert shared.read([CHAT]) == ([], {})
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_a_decision_does_not_wait_for_what_this_process_is_writing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite3")
    shared = WarmPrompts(lambda: ledger)
    shared.write([beginning(b"1")], [])
    ledger.flush()
    held, done = Event(), Event()

    def write() -> None:
        with ledger.lock:
            held.set()
            done.wait()

    writer = Thread(target=write)
    writer.start()
    held.wait()
    assert shared.read([CHAT]) == ([], {})
    done.set()
    writer.join()
    assert len(shared.read([CHAT])[0]) == 1
