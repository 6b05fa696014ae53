"""What was learned from the use of a pool, the same on all machines whose ledger is one database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from r2_router.checkpoints.find import learned_folder, learned_on
from r2_router.checkpoints.learned import Written, log_of, runs
from r2_router.config.file_locks import locked_if_free
from r2_router.errors import R2Error
from r2_router.ledger.store import Ledger, iso

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint
    from r2_router.config.settings import Settings
    from r2_router.pools.pool import Pool

_LEARNING = timedelta(minutes=10)  # after which one that has not said it is done counts as dead

_TIME = "SELECT time FROM learned WHERE pool = ?"
_WRITTEN = "SELECT runs, about, heads FROM learned WHERE pool = ?"
_GIVE = (
    "INSERT INTO learned (pool, time, runs, about, heads) VALUES (?, ?, ?, ?, ?) ON CONFLICT (pool) DO UPDATE SET "
    "time = excluded.time, runs = excluded.runs, about = excluded.about, heads = excluded.heads "
    "WHERE learned.time < excluded.time"
)
_CLAIM = (
    "INSERT INTO learned (pool, learning_until) VALUES (?, ?) ON CONFLICT (pool) DO UPDATE SET "
    "learning_until = excluded.learning_until WHERE learned.learning_until < ?"
)
_DONE = "UPDATE learned SET learning_until = '' WHERE pool = ?"


def keep_in_step(ledger: Ledger, pool: Pool) -> bool:
    """Bring here what was learned of `pool` on another machine, or there what was learned here: what is newer counts.
    Whether something came here. For whoever holds the lock of the runs; nothing to do for a ledger in a file.

    Raises LedgerError or OSError.
    """
    if not ledger.database.is_server:
        return False
    folder, name = learned_folder(pool), _name(pool)
    done = runs(folder)
    here = done[-1].time if done else ""
    with ledger.reading() as db:
        row = None if db is None else db.execute(_TIME, (name,)).fetchone()
        there: str = row[0] if row else ""
        news = _written(db.execute(_WRITTEN, (name,)).fetchone()) if db and there > here else None
    if news is not None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        news.write(folder)
    elif here > there:
        ours = Written.read(folder)
        with ledger.transaction() as db:
            db.execute(_GIVE, (name, here, ours.runs, ours.about, ours.heads))
    return news is not None


def take_news(ledger: Ledger, pool: Pool) -> bool:
    """keep_in_step for who holds no lock: where somebody here is learning, that is waited for another time.

    Raises LedgerError or OSError.
    """
    if not ledger.database.is_server:
        return False
    folder = learned_folder(pool)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked_if_free(log_of(folder)) as free:
        return free and keep_in_step(ledger, pool)


def learned_by_all(settings: Settings) -> Callable[[Pool], Checkpoint | None]:
    """Finds what was learned from the use of a pool, on this machine or another that shares the ledger of `settings`;
    where that is away, what is here counts: the first answer says so."""

    def find(pool: Pool) -> Checkpoint | None:
        with suppress(R2Error, OSError), Ledger.configured(settings) as ledger:
            take_news(ledger, pool)
        return learned_on(pool)

    return find


@contextmanager
def learning(ledger: Ledger, pool: Pool) -> Generator[bool]:
    """Whether no other machine that shares `ledger` learns of `pool` now; then none does until the end of the block.

    Raises LedgerError.
    """
    if not ledger.database.is_server:
        yield True
        return
    now, name = ledger.now(), _name(pool)
    with ledger.transaction() as db:
        free = db.execute(_CLAIM, (name, iso(now + _LEARNING), iso(now))).rowcount > 0
    try:
        yield free
    finally:
        if free:
            with ledger.transaction() as db:
                db.execute(_DONE, (name,))


def _name(pool: Pool) -> str:
    """A pool by its name and its models: two people's "mine" are two."""
    models = hashlib.sha256("\n".join(sorted(pool.models)).encode()).hexdigest()
    return f"{pool.name}/{models[:16]}"


def _written(row: tuple[bytes, bytes | None, bytes | None]) -> Written:
    runs_, about, heads = row
    return Written(bytes(runs_), about and bytes(about), heads and bytes(heads))
