"""How long entries are kept. The sums by day outlive them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from r2_router.records import Record

if TYPE_CHECKING:
    import sqlite3

    from r2_router.ledger.store import Ledger

_AT_ONCE = 10_000  # entries in one transaction: others write between two
_PAGES_AT_ONCE = 1000
_INCREMENTAL = 2  # what `PRAGMA auto_vacuum` says of a file that can give pages back


@dataclass(frozen=True, slots=True)
class Pruned(Record):
    """`removed` entries from before the UTC day `first_kept`, the first that stays; bytes of the file by then."""

    removed: int
    first_kept: str
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class Holdings(Record):
    """How many entries a ledger holds, since which UTC day (None: it holds none), and the bytes of its file."""

    entries: int
    first_day: str | None
    bytes: int


def prune(ledger: Ledger, days: int) -> Pruned:
    """Remove all entries but those of the last `days` UTC days, today included, and give the disk their space.

    What `stats` sums up stays; calibrations and training tables are made of entries, and lose them. Raises
    LedgerError.
    """
    ledger.flush()
    first, before, removed = first_kept(ledger.now(), days), _size(ledger), 0
    if before:
        gone = _AT_ONCE
        while gone == _AT_ONCE:
            with ledger.transaction() as db:
                gone = drop(db, first, _AT_ONCE)
            removed += gone
        ledger.shrink()
    return Pruned(removed, first, before, _size(ledger))


def holdings(ledger: Ledger) -> Holdings:
    """What `ledger` holds. Raises LedgerError where it cannot be read."""
    with ledger.reading() as db:
        count, first = (0, None) if db is None else db.execute("SELECT COUNT(*), MIN(time) FROM entries").fetchone()
    return Holdings(count, first and first[:10], _size(ledger))


def first_kept(now: datetime, days: int) -> str:
    """The first of the last `days` UTC days."""
    return date.fromordinal(max(now.astimezone(UTC).toordinal() - days + 1, 1)).isoformat()


def drop(db: sqlite3.Connection, first_day: str, most: int) -> int:
    """Delete the oldest entries from before `first_day`, at most so many; how many they were."""
    expired = "SELECT id FROM entries WHERE time < ? ORDER BY time LIMIT ?"
    return db.execute(f"DELETE FROM entries WHERE id IN ({expired})", (first_day, most)).rowcount  # noqa: S608


def give_back(db: sqlite3.Connection) -> None:
    """Make the file as small as what it holds, outside a transaction."""
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
        while db.execute("PRAGMA freelist_count").fetchone()[0]:
            db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    else:  # a file of the first schema is written anew, once
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _size(ledger: Ledger) -> int:
    """Bytes of the file and of what is still beside it."""
    files = (ledger.path, ledger.path.with_name(f"{ledger.path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.is_file())
