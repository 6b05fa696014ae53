"""An event loop beside a ledger: it never waits for it, and no money is forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.chat_server import chat_server, says
from support.made_up import LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router
from r2_router.errors import SpendLimitError
from r2_router.ledger import Ledger, LoopGuard, SpendGuard
from r2_router.pools.pool import Pool

CANDIDATE = SimpleNamespace(model="m", label="m @ 10")
WAIT_S = 60.0  # a loop that waited for the lock would never free it


class Watched(Ledger):
    """Says when a thread begins to write, and which thread it is."""

    def __init__(self, path: Path, **options: object) -> None:
        super().__init__(path, **options)  # type: ignore[arg-type]
        self.begun = threading.Event()
        self.threads: set[int] = set()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:  # type: ignore[override]
        self.threads.add(threading.get_ident())
        self.begun.set()
        with super().transaction() as db:
            yield db


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "ledger.sqlite3", wait_s=WAIT_S) as ledger:
        yield ledger


@contextmanager
def locked(ledger: Ledger) -> Iterator[sqlite3.Connection]:
    """Somebody else writes until ROLLBACK."""
    with ledger.transaction():
        pass
    with closing(sqlite3.connect(ledger.place, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def books(ledger: Ledger) -> tuple[int, int]:
    """Nano-dollars spent and reserved."""
    ledger.flush()
    with ledger.reading() as db:
        assert db is not None
        return tuple(
            db.execute(f"SELECT COALESCE(SUM(nanos), 0) FROM {t}").fetchone()[0] for t in ("spend", "reservations")
        )


def test_a_reservation_is_on_the_disk_before_the_call_is_made(ledger):
    guard = LoopGuard(SpendGuard(ledger, per_day=1.0), ledger)

    async def reserve() -> None:
        await guard.reserve(CANDIDATE, 0.5)
        with closing(sqlite3.connect(ledger.place)) as other:  # as the file is now, should the process be killed
            assert other.execute("SELECT nanos FROM reservations").fetchall() == [(500_000_000,)]

    asyncio.run(reserve())


def test_settlements_follow_in_order_and_limits_hold(ledger):
    guard = LoopGuard(SpendGuard(ledger, per_day=1.0), ledger)

    async def spend() -> None:
        for _ in range(9):  # each passes only if the one before was settled first
            guard.settle(await guard.reserve(CANDIDATE, 0.2), 0.1)
        with pytest.raises(SpendLimitError, match=r"\$0.90 is spent"):
            await guard.reserve(CANDIDATE, 0.2)

    asyncio.run(spend())
    assert books(ledger) == (900_000_000, 0)


def test_the_loop_goes_on_while_the_file_is_locked(ledger):
    guard = LoopGuard(SpendGuard(ledger, per_day=1.0), ledger)

    async def spend() -> None:
        with locked(ledger) as other:
            ledger.begun.clear()
            reserving = asyncio.create_task(guard.reserve(CANDIDATE, 0.2))
            await asyncio.to_thread(ledger.begun.wait, WAIT_S)
            assert not reserving.done()
            other.execute("ROLLBACK")
            reservation = await reserving
        with locked(ledger) as other:
            guard.settle(reservation, 0.1)
            other.execute("ROLLBACK")

    asyncio.run(spend())
    assert books(ledger) == (100_000_000, 0)


@pytest.mark.parametrize("begun", [False, True])
def test_a_reservation_whose_caller_is_cancelled_is_given_back(ledger, begun):
    guard = LoopGuard(SpendGuard(ledger, per_day=1.0), ledger)

    async def spend() -> None:
        with locked(ledger) as other:
            ledger.begun.clear()
            before = None if begun else asyncio.create_task(guard.reserve(CANDIDATE, 0.1))
            reserving = asyncio.create_task(guard.reserve(CANDIDATE, 0.2))
            await asyncio.to_thread(ledger.begun.wait, WAIT_S)
            reserving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reserving
            other.execute("ROLLBACK")
            if before is not None:
                guard.settle(await before, 0.1)

    asyncio.run(spend())
    assert books(ledger) == (0 if begun else 100_000_000, 0)


def test_answers_never_touch_the_ledger_on_the_loop(tmp_path, ledger):
    pool = make_pool()
    with chat_server(says("Rome", ".")) as server:
        pool = Pool(pool.name, {m.name: replace(m, base_url=server.url) for m in pool})
        router = R2Router.from_pretrained(make_checkpoint().save(tmp_path / "c"), pool=pool, embedder=LetterEmbedder())
        router._recorder()._ledger = ledger  # pyright: ignore[reportPrivateUsage]

        async def ask() -> None:
            with locked(ledger) as other:
                ledger.threads.clear()
                ledger.begun.clear()
                asked = [router.stream(f"question {i}") for i in range(5)]
                answers = asyncio.gather(*(each.result() for each in asked))
                await asyncio.to_thread(ledger.begun.wait, WAIT_S)
                other.execute("ROLLBACK")
                await answers
            ledger.flush()
            assert ledger.threads
            assert threading.get_ident() not in ledger.threads
            assert {ledger.find(each.id).outcome for each in asked} == {"answered"}

        asyncio.run(ask())
    spent, reserved = books(ledger)
    assert spent > 0
    assert reserved == 0
