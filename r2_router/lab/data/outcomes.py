"""Labelled answers of the ledger as a training table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isnan
from typing import Any

from r2_router.errors import InputError
from r2_router.lab.data.questions import ID_DIGITS, query_id
from r2_router.lab.data.table import MIN_QUERIES, Table, make_table
from r2_router.ledger import Entry, Ledger
from r2_router.ledger.labels import preferences
from r2_router.ledger.store import iso
from r2_router.records import UNLIMITED, Budget, Record

NOT_KEPT = "(its text was not kept)"
_ANSWERED = "outcome = 'answered' AND time >= ?"
_ASKED = f"{_ANSWERED} AND quality IS NOT NULL"
_HOW = "Give labels with `r2-router feedback ANSWER_ID good|bad`, with R2_LOG_TEXT=1 set while asking."


@dataclass(frozen=True, slots=True)
class Outcomes(Record):
    """What the ledger gives to learn from: `rows` of a training table, and the labelled answers that are none of them.

    `unread` of the rows are of queries whose text was not kept, NOT_KEPT in its place: they tell of levels alone.
    `without_text`: they are left out for that; `without_tokens`: nobody knows how long they were; `other_words`: asked
    for by another checkpoint's instruction; `sparse`: (model, budget, queries) of candidates with too few queries, as
    a budget between two measured ones has.
    """

    rows: tuple[dict[str, Any], ...]
    unread: int = 0
    without_text: int = 0
    without_tokens: int = 0
    other_words: int = 0
    sparse: tuple[tuple[str, Budget, int], ...] = ()

    def lines(self) -> list[str]:
        """In words."""
        stated = [f"{len(self.rows):,} labelled answers of the ledger to learn from."]
        if self.unread:
            stated.append(
                f"{self.unread:,} of them tell only how good and how long answers are on the whole, and not to which "
                "queries: these were not kept. R2_LOG_TEXT=1 keeps those to come."
            )
        if self.without_text:
            stated.append(
                f"{self.without_text:,} more are left out: their queries' text was not kept. R2_LOG_TEXT=1 keeps those "
                f"to come."
            )
        if self.without_tokens:
            stated.append(f"{self.without_tokens:,} more are left out: their length is not known.")
        if self.other_words:
            stated.append(f"{self.other_words:,} more are left out: another checkpoint's instruction asked for them.")
        if self.sparse:
            lacking = ", ".join(f"{model} @ {budget} has {count}" for model, budget, count in self.sparse)
            stated.append(f"Left out, for a candidate needs {MIN_QUERIES} queries with a label: {lacking}.")
        return stated


def checkpoints_of(ledger: Ledger, since: datetime | None = None) -> tuple[str, ...]:
    """The names of the checkpoints under whose instruction labelled answers with a limit were asked for."""
    entries = ledger.entries(f"{_ASKED} AND budget <> '{UNLIMITED}'", (iso(since) if since else "",))
    return tuple(sorted({entry.checkpoint for entry in entries}))


def labelled(
    ledger: Ledger,
    *,
    since: datetime | None = None,
    candidates: Sequence[tuple[str, Budget]] = (),
    other_words: Collection[str] = (),
) -> Outcomes:
    """The labelled whole answers as rows of a training table: those of `candidates`, and of whatever (model, budget)
    has labels of MIN_QUERIES queries.

    Answers within a limit that one of the checkpoints `other_words` asked for are left out: their instruction is
    another. Raises LedgerError where the ledger cannot be read.
    """
    entries = ledger.entries(_ASKED, (iso(since) if since else "",))
    return _outcomes(entries, candidates, other_words, MIN_QUERIES)


def answered(
    ledger: Ledger,
    candidates: Sequence[tuple[str, Budget]],
    *,
    since: datetime | None = None,
    other_words: Collection[str] = (),
) -> Outcomes:
    """The whole answers of `candidates`, labelled or not, their queries kept or not, as rows with their `time`; else as
    `labelled`."""
    entries = ledger.entries(_ANSWERED, (iso(since) if since else "",))
    return _outcomes(entries, candidates, other_words, None)


def preferred(
    ledger: Ledger, table: Table, *, since: datetime | None = None, other_words: Collection[str] = ()
) -> list[tuple[int, tuple[str, Budget], tuple[str, Budget]]]:
    """Of two whole answers to a query of `table`, by its row, whose was preferred, and to whose: of the table's
    candidates, two different ones. Answers that `answered` leaves out are left out here too. Raises LedgerError."""
    rows = {query: row for row, query in enumerate(table.query_ids)}
    known = {*table.candidates}
    found: list[tuple[int, tuple[str, Budget], tuple[str, Budget]]] = []
    for sides in preferences(ledger, since):
        row = rows.get(_query_id(sides[0]))
        better: tuple[str, Budget] = (sides[0].model, sides[0].budget)
        worse: tuple[str, Budget] = (sides[1].model, sides[1].budget)
        usable = all(entry.outcome == "answered" and _in_our_words(entry, other_words) for entry in sides)
        if row is not None and usable and better != worse and {better, worse} <= known:
            found.append((row, better, worse))
    return found


def _in_our_words(entry: Entry, other_words: Collection[str]) -> bool:
    """Whether no other instruction asked for the answer."""
    return entry.budget == UNLIMITED or entry.checkpoint not in other_words


def _outcomes(
    entries: Sequence[Entry],
    candidates: Sequence[tuple[str, Budget]],
    other_words: Collection[str],
    enough: int | None,
) -> Outcomes:
    """The entries of `candidates`, and of whatever has `enough` queries."""
    kept = [entry for entry in entries if enough is None or _is_read(entry)]
    long = [entry for entry in kept if entry.output_tokens is not None]
    fitting = [entry for entry in long if _in_our_words(entry, other_words)]
    queries: dict[tuple[str, Budget], set[str]] = {}
    for entry in fitting:
        queries.setdefault((entry.model, entry.budget), set()).add(entry.query or "")
    texts = {_query_id(entry): entry.query or "" for entry in fitting if _is_read(entry)}
    known = {*candidates, *(c for c, asked in queries.items() if enough is not None and len(asked) >= enough)}
    rows = tuple(_row(entry, texts) for entry in fitting if (entry.model, entry.budget) in known)
    return Outcomes(
        rows=rows,
        unread=sum(row["query"] == NOT_KEPT for row in rows),
        without_text=len(entries) - len(kept),
        without_tokens=len(kept) - len(long),
        other_words=len(long) - len(fitting),
        sparse=tuple((*candidate, len(asked)) for candidate, asked in queries.items() if candidate not in known),
    )


def outcomes_table(outcomes: Outcomes, base: Table | None = None, *, ungraded: bool = False) -> Table:
    """A training table of the outcomes, with the rows of `base` before them; equal texts are one query. Answers without
    a label are left out, unless `ungraded` ones are wanted for their tokens.

    Raises InputError, saying what lacks, where there is no outcome.
    """
    if not outcomes.rows:
        stated = " ".join(outcomes.lines()[1:])
        raise InputError(f"The ledger holds no label to learn from. {stated or _HOW}")
    rows = [*(_rows(base) if base else ()), *outcomes.rows]
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    table = make_table(columns, "the ledger", ungraded=ungraded)
    return table if base is None else replace(table, ungraded=base.ungraded, about=base.about)


def table_from_ledger(ledger: Ledger, since: datetime | None = None) -> Table:
    """The training table of the ledger's labels alone. Raises InputError where there is none, LedgerError."""
    return outcomes_table(labelled(ledger, since=since))


def _is_read(entry: Entry) -> bool:
    """Whether the text of its query was kept."""
    return bool((entry.query or "").strip())


def _query_id(entry: Entry) -> str:
    """As `query_id` of its text, kept or not; of an entry without a query, its own."""
    return entry.query_sha256[:ID_DIGITS] or entry.id


def _row(entry: Entry, texts: Mapping[str, str]) -> dict[str, Any]:
    identity = _query_id(entry)
    return {
        "query_id": identity,
        "query": texts.get(identity, NOT_KEPT),
        "model": entry.model,
        "budget": None if entry.budget == UNLIMITED else entry.budget,
        "quality": entry.quality,
        "output_tokens": entry.output_tokens,
        "input_tokens": entry.input_tokens,
        "category": "ledger",
        "time": entry.time,
        "checkpoint": entry.checkpoint,
        "predicted_quality": entry.predicted_quality,
        "predicted_output_tokens": entry.predicted_output_tokens,
    }


def _rows(table: Table) -> list[dict[str, Any]]:
    """The measured cells of a table as rows. A query_id is made from the text, so that one query is one."""
    columns = [(model, None if budget == UNLIMITED else budget) for model, budget in table.candidates]
    found: list[dict[str, Any]] = []
    cells = zip(table.quality.tolist(), table.output_tokens.tolist(), table.input_tokens.tolist(), strict=True)
    for query, category, (qualities, outputs, inputs) in zip(table.queries, table.categories, cells, strict=True):
        identity = query_id(query)
        for (model, budget), quality, tokens, asked in zip(columns, qualities, outputs, inputs, strict=True):
            if not isnan(quality):
                found.append(
                    {
                        "query_id": identity,
                        "query": query,
                        "model": model,
                        "budget": budget,
                        "quality": quality,
                        "output_tokens": tokens,
                        "input_tokens": None if isnan(asked) else asked,
                        "category": category,
                        "time": "",
                    }
                )
    return found
