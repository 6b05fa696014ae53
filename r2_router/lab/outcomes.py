"""Labelled answers of the ledger as a training table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from r2_router.errors import InputError
from r2_router.lab.questions import query_id
from r2_router.lab.table import Table, make_table
from r2_router.ledger import Entry, Ledger
from r2_router.ledger.store import iso
from r2_router.records import UNLIMITED, Budget, Record

_ASKED = "outcome = 'answered' AND quality IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Outcomes(Record):
    """What the ledger gives to learn from. `without_text`: labelled answers whose query was not kept; `between`:
    answers at a budget no head stands for."""

    rows: tuple[dict[str, Any], ...]
    without_text: int
    between: int

    def lines(self) -> list[str]:
        """In words."""
        said = [f"{len(self.rows):,} labelled answers of the ledger."]
        if self.without_text:
            said.append(
                f"{self.without_text:,} more cannot be learned from: their queries were not kept. R2_LOG_TEXT=1 keeps "
                f"those to come."
            )
        if self.between:
            said.append(f"{self.between:,} more were asked at a budget between two measured ones; left out.")
        return said


def labelled(
    ledger: Ledger, *, since: datetime | None = None, candidates: Sequence[tuple[str, Budget]] = ()
) -> Outcomes:
    """The labelled whole answers as rows of a training table; of `candidates` only, where given.

    Raises LedgerError where the ledger cannot be read.
    """
    start = iso(since) if since else ""
    entries = ledger.entries(f"{_ASKED} AND time >= ?", (start,))
    known = set(candidates)
    kept = [entry for entry in entries if entry.query is not None]
    used = [entry for entry in kept if not known or (entry.model, entry.budget) in known]
    return Outcomes(tuple(_row(entry) for entry in used), len(entries) - len(kept), len(kept) - len(used))


def outcomes_table(outcomes: Outcomes, base: Table | None = None) -> Table:
    """A training table of the outcomes, with the rows of `base` before them. Raises InputError where there are none."""
    rows = [*(_rows(base) if base else ()), *outcomes.rows]
    if not rows:
        raise InputError("The ledger holds no label to learn from. " + " ".join(outcomes.lines()[1:] or [_HOW]))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = make_table(columns, "the ledger")
    return table if base is None else replace(table, about=base.about)


def short_of(table: Table, least: int) -> list[str]:
    """How many labels each candidate of `table` lacks to `least`, in words."""
    counts = table.measured.sum(axis=0).tolist()
    return [
        f"{model} @ {budget}: {least - count} more"
        for (model, budget), count in zip(table.candidates, counts, strict=True)
        if count < least
    ]


_HOW = "Give labels with `r2-router feedback ANSWER_ID good|bad`, with R2_LOG_TEXT=1 set while asking."


def _row(entry: Entry) -> dict[str, Any]:
    query = entry.query or ""
    return {
        "query_id": query_id(query),
        "query": query,
        "model": entry.model,
        "budget": None if entry.budget == UNLIMITED else entry.budget,
        "quality": entry.quality,
        "output_tokens": entry.output_tokens or 0,
        "input_tokens": entry.input_tokens,
        "category": "ledger",
    }


def _rows(table: Table) -> list[dict[str, Any]]:
    """The measured cells of a table as rows. A query_id is made from the text, so that one query is one."""
    found: list[dict[str, Any]] = []
    seen = Counter[str]()
    for i, query in enumerate(table.queries):
        seen[query] += 1
        for j, (model, budget) in enumerate(table.candidates):
            if table.measured[i, j]:
                found.append(
                    {
                        "query_id": query_id(query),
                        "query": query,
                        "model": model,
                        "budget": None if budget == UNLIMITED else budget,
                        "quality": float(table.quality[i, j]),
                        "output_tokens": float(table.output_tokens[i, j]),
                        "input_tokens": None
                        if table.input_tokens[i, j] != table.input_tokens[i, j]
                        else float(table.input_tokens[i, j]),
                        "category": table.categories[i],
                    }
                )
    return found
