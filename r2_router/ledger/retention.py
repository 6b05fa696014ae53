"""How long entries are kept. The sums by day outlive them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2_router.ledger.expiry import drop, first_kept
from r2_router.records import Record

if TYPE_CHECKING:
    from r2_router.ledger.store import Ledger

_AT_ONCE = 10_000  # entries in one transaction: others write between two


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
    first, before, removed = first_kept(ledger.now(), days), ledger.database.size(), 0
    if before:
        gone = _AT_ONCE
        while gone == _AT_ONCE:
            with ledger.transaction() as db:
                gone = drop(db, first, _AT_ONCE)
            removed += gone
        ledger.database.shrink()
    return Pruned(removed, first, before, ledger.database.size())


def holdings(ledger: Ledger) -> Holdings:
    """What `ledger` holds. Raises LedgerError where it cannot be read."""
    with ledger.reading() as db:
        count, first = (0, None) if db is None else db.execute("SELECT COUNT(*), MIN(time) FROM entries").fetchone()
    return Holdings(count, first and first[:10], ledger.database.size())
