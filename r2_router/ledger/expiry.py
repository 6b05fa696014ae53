"""Which entries are too old, and how they leave the file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from r2_router.ledger.database import Connection

_PAGES_AT_ONCE = 1000
_INCREMENTAL = 2  # what `PRAGMA auto_vacuum` says of a file that can give pages back


def first_kept(now: datetime, days: int) -> str:
    """The first of the last `days` UTC days."""
    return date.fromordinal(max(now.astimezone(UTC).toordinal() - days + 1, 1)).isoformat()


def drop(db: Connection, first_day: str, most: int) -> int:
    """Delete the oldest entries from before `first_day`, at most so many, with what goes with them; how many they
    were."""
    expired = "SELECT id FROM entries WHERE time < ? ORDER BY time LIMIT ?"
    db.execute(f"DELETE FROM answer_texts WHERE id IN ({expired})", (first_day, most))  # noqa: S608
    one = f"better IN ({expired}) OR worse IN ({expired})"
    db.execute(f"DELETE FROM preferences WHERE {one}", (first_day, most) * 2)  # noqa: S608
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
