"""What the ledger adds up to: spend and saving, by model and day, and whether the predictions came true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from r2_router.ledger.money import to_usd
from r2_router.ledger.store import Ledger, iso
from r2_router.records import Budget, Record

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Calibration(Record):
    """A prediction against what came, over the `count` answers where both are known.

    `ratio` is real over predicted, in sum: at 2 twice as much came as was predicted; None if nothing was
    predicted. `mean_absolute_error` is in the unit of the quantity: quality 0..1, tokens, or USD an answer.
    """

    count: int
    predicted_mean: float
    real_mean: float
    ratio: float | None
    mean_absolute_error: float


@dataclass(frozen=True, slots=True)
class Calibrations(Record):
    """How well quality, output tokens and cost are predicted; None where no answer tells."""

    quality: Calibration | None
    output_tokens: Calibration | None
    cost_usd: Calibration | None


@dataclass(frozen=True, slots=True)
class Totals(Record):
    """What a set of entries adds up to.

    `calls` asked a model, or were refused by a limit; `answered` of them got a whole answer; `cost_usd` is what
    was billed for all. `baseline_cost_usd` is what always asking the strongest model, unlimited, was expected to
    cost for the answered ones; `saved_usd` is that less what was billed, where a baseline is known.
    """

    calls: int
    answered: int
    cost_usd: float
    baseline_cost_usd: float
    saved_usd: float


@dataclass(frozen=True, slots=True)
class DayStats(Totals):
    """One UTC day, as an ISO date."""

    day: str


@dataclass(frozen=True, slots=True)
class ModelStats(Totals):
    """One model; `output_tokens` in sum, `mean_latency_s` over the answered calls."""

    model: str
    output_tokens: int
    mean_latency_s: float | None


@dataclass(frozen=True, slots=True)
class CandidateStats(Record):
    """One (model, budget) that has answered."""

    model: str
    budget: Budget
    answered: int
    calibration: Calibrations


@dataclass(frozen=True, slots=True)
class Stats(Totals):
    """The ledger's entries from `since` on (UTC, ISO form; None: from the first).

    `outcomes` counts the calls by how they ended; `decided` the decisions for which nothing was asked of a
    model. Days are in order of time, models of cost, candidates of name and budget.
    """

    since: str | None
    outcomes: dict[str, int]
    decided: int
    calibration: Calibrations
    days: tuple[DayStats, ...]
    models: tuple[ModelStats, ...]
    candidates: tuple[CandidateStats, ...]


_NOTHING = Stats(0, 0, 0.0, 0.0, 0.0, None, {}, 0, Calibrations(None, None, None), (), (), ())

_CALLS = "outcome <> 'decided'"
_ANSWERED = "outcome = 'answered'"

# What was billed is whole nano-dollars: its sums are exact. Baselines are predictions.
_TOTALS = """
    COUNT(*), SUM(outcome = 'answered'), SUM(cost_nanos),
    SUM(CASE WHEN outcome = 'answered' AND cost_nanos IS NOT NULL THEN baseline_cost_usd END),
    SUM(CASE WHEN baseline_cost_usd IS NOT NULL THEN cost_nanos END)
"""


def _compared(predicted: str, real: str) -> str:
    """Columns: how many answers have both, the mean of each over those, the mean absolute error."""
    return f"""
        COUNT({real} - {predicted}),
        AVG(CASE WHEN {real} IS NOT NULL THEN {predicted} END),
        AVG(CASE WHEN {predicted} IS NOT NULL THEN {real} END),
        AVG(ABS({real} - {predicted}))
    """


_CALIBRATIONS = ", ".join(
    (
        _compared("predicted_quality", "quality"),
        _compared("predicted_output_tokens", "output_tokens"),
        _compared("predicted_cost_usd", "cost_nanos / 1e9"),
    )
)


def stats(ledger: Ledger, since: datetime | None = None) -> Stats:
    """What `ledger` adds up to from `since` on. Raises LedgerError where it cannot be read."""
    start = "" if since is None else iso(since)
    with ledger.reading() as db:
        return replace(_NOTHING, since=start or None) if db is None else _stats(db, start)


def _stats(db: sqlite3.Connection, start: str) -> Stats:
    db.execute("BEGIN")  # all queries see one moment
    outcomes = dict(_rows(db, "outcome, COUNT(*)", start, "TRUE", "outcome"))
    decided = outcomes.pop("decided", 0)
    days = _rows(db, f"substr(time, 1, 10), {_TOTALS}", start, _CALLS, "1 ORDER BY 1")
    models = _rows(
        db,
        f"model, SUM(output_tokens), AVG(CASE WHEN {_ANSWERED} THEN latency_s END), {_TOTALS}",
        start,
        _CALLS,
        "model ORDER BY SUM(cost_nanos) DESC, model",
    )
    candidates = _rows(db, f"model, budget, COUNT(*), {_CALIBRATIONS}", start, _ANSWERED, "1, 2 ORDER BY 1, 2")
    return Stats(
        *_totals(_rows(db, _TOTALS, start, _CALLS)[0]),
        since=start or None,
        outcomes=outcomes,
        decided=decided,
        calibration=_calibrations(_rows(db, _CALIBRATIONS, start, _ANSWERED)[0]),
        days=tuple(DayStats(*_totals(totals), day) for day, *totals in days),
        models=tuple(
            ModelStats(*_totals(totals), model, tokens or 0, latency) for model, tokens, latency, *totals in models
        ),
        candidates=tuple(
            CandidateStats(model, budget, count, _calibrations(pairs)) for model, budget, count, *pairs in candidates
        ),
    )


def _rows(db: sqlite3.Connection, columns: str, start: str, where: str, group_by: str = "") -> list[tuple[Any, ...]]:
    groups = f"GROUP BY {group_by}" if group_by else ""
    query = f"SELECT {columns} FROM entries WHERE time >= ? AND {where} {groups}"  # noqa: S608
    return db.execute(query, (start,)).fetchall()


def _totals(row: Sequence[Any]) -> tuple[int, int, float, float, float]:
    """The fields of Totals from the columns of _TOTALS; a sum of nothing is NULL."""
    calls, answered, nanos, baseline, compared = (value or 0 for value in row)
    return calls, answered, to_usd(nanos), float(baseline), baseline - to_usd(compared)


def _calibrations(row: Sequence[Any]) -> Calibrations:
    """From the columns of _CALIBRATIONS, four for each quantity."""
    quality, tokens, cost = (_calibration(*row[i : i + 4]) for i in (0, 4, 8))
    return Calibrations(quality, tokens, cost)


def _calibration(count: int, predicted: float | None, real: float | None, error: float | None) -> Calibration | None:
    if predicted is None or real is None or error is None:
        return None
    return Calibration(count, predicted, real, real / predicted if predicted else None, error)
