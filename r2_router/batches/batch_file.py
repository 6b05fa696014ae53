"""The file of a batch: which prompts were answered, what was spent, what calls were under way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from r2_router.batches.mapped import Mapped
from r2_router.ledger.money import to_nanos, to_usd
from r2_router.ledger.working_file import WorkingFile

_PAGE = 1000
# Providers' batches, the prompts that are in them at the most each may cost, and lines that the ledger is to have.
JOBS = """
    CREATE TABLE IF NOT EXISTS jobs (
        key TEXT PRIMARY KEY, state TEXT NOT NULL, batch_id TEXT NOT NULL, began REAL NOT NULL, about TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS sent (
        position INTEGER PRIMARY KEY, job TEXT NOT NULL, nanos INTEGER NOT NULL, about TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS sent_by_job ON sent (job);
    CREATE TABLE IF NOT EXISTS unrecorded (
        id TEXT PRIMARY KEY, job TEXT NOT NULL, entry TEXT NOT NULL, said TEXT NOT NULL
    )
"""


class BatchFile(WorkingFile):
    """What a batch has brought, one row a prompt; `max_usd` is what it may cost in all, None for no limit."""

    schema = """
        CREATE TABLE calls (position INTEGER PRIMARY KEY, nanos INTEGER NOT NULL);
        CREATE TABLE rows (position INTEGER PRIMARY KEY, failed INTEGER NOT NULL, row TEXT NOT NULL);
        CREATE TABLE spent (nanos INTEGER NOT NULL);
        INSERT INTO spent VALUES (0)
    """
    max_usd: float | None = None

    def prepare(self, db: sqlite3.Connection) -> None:
        for statement in JOBS.split(";"):  # a folder that was begun before there were any lacks them
            db.execute(statement)

    def give_up_calls(self, indices: Iterable[int] | None = None) -> None:
        """Calls for these prompts, None for all, that an earlier process left under way count as spent in full: they
        may have been billed."""
        marks = None if indices is None else ", ".join(str(int(index)) for index in indices)
        which = "" if marks is None else f" WHERE position IN ({marks})"
        with self.transaction() as db:
            db.execute(f"UPDATE spent SET nanos = nanos + (SELECT COALESCE(SUM(nanos), 0) FROM calls{which})")  # noqa: S608
            db.execute(f"DELETE FROM calls{which}")  # noqa: S608

    def forget_failures(self) -> None:
        """Let what failed be tried again; what it cost stays spent."""
        with self.transaction() as db:
            db.execute("DELETE FROM rows WHERE failed")

    def holds(self, index: int) -> bool:
        """Whether the prompt is done, or in a provider's batch."""
        return any(
            self.one(f"SELECT 1 FROM {table} WHERE position = ?", (index,)) is not None  # noqa: S608
            for table in ("rows", "sent")
        )

    def begin(self, index: int, most_usd: float) -> bool:
        """Note that the prompt may cost so much by now; False, and nothing noted, where the limit would be passed."""
        nanos = to_nanos(most_usd, "The cost of a call")
        with self.transaction() as db:
            noted = self.one("SELECT nanos FROM calls WHERE position = ?", (index,)) or 0
            if not self.fits(nanos - noted):
                return False
            db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?)", (index, nanos))
        return True

    def over(self, mapped: Mapped, *, kept: bool) -> None:
        """Write what became of a prompt and what it cost, at once; not `kept`, it is to be asked again."""
        self.write(mapped.row(), mapped.cost_usd, failed=mapped.answer is None, kept=kept)

    def write(self, row: dict[str, Any], cost_usd: float, *, failed: bool, kept: bool) -> None:
        """`over`, for whoever has the row of a prompt only."""
        nanos, index = to_nanos(cost_usd, "cost_usd"), row["index"]
        text = json.dumps(row, ensure_ascii=False)
        with self.transaction() as db:
            db.execute("DELETE FROM calls WHERE position = ?", (index,))
            db.execute("UPDATE spent SET nanos = nanos + ?", (nanos,))
            if kept:
                db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (index, int(failed), text))

    def fits(self, nanos: int) -> bool:
        """Whether the limit leaves so much."""
        return self.max_usd is None or self._committed + nanos <= to_nanos(self.max_usd, "max_usd")

    @property
    def spent_usd(self) -> float:
        """Dollars spent, calls under way and what is in providers' batches at their most."""
        return to_usd(self._committed)

    def counts(self) -> tuple[int, int]:
        """How many prompts are answered, and how many failed."""
        row = self.db.execute(
            "SELECT COUNT(*) - COALESCE(SUM(failed), 0), COALESCE(SUM(failed), 0) FROM rows"
        ).fetchone()
        return row[0], row[1]

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """All rows by position, a page at a time."""
        last = -1
        while found := self.db.execute(
            "SELECT position, row FROM rows WHERE position > ? ORDER BY position LIMIT ?", (last, _PAGE)
        ).fetchall():
            last = found[-1][0]
            yield [json.loads(row) for _, row in found]

    @property
    def _committed(self) -> int:
        return sum(self.one(f"SELECT COALESCE(SUM(nanos), 0) FROM {table}") for table in ("spent", "calls", "sent"))  # noqa: S608
