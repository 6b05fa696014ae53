"""What the ledger adds up to: spend and saving, by model and day, and whether the predictions came true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from r2_router.ledger.entry import by_candidate, stored_budget
from r2_router.ledger.money import to_usd
from r2_router.ledger.store import Ledger, iso
from r2_router.records import Budget, Record

if TYPE_CHECKING:
    from r2_router.ledger.database import Connection


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
    was billed for all. The saving is of the `compared` ones: whole answers of which both the bill and what always
    asking the strongest model, unlimited, was expected to cost are known. For these `compared_cost_usd` was billed,
    `baseline_cost_usd` expected, and `saved_usd` is the difference.
    """

    calls: int
    answered: int
    cost_usd: float
    compared: int
    compared_cost_usd: float
    baseline_cost_usd: float
    saved_usd: float


@dataclass(frozen=True, slots=True)
class CacheStats(Record):
    """What providers' prompt caches did, over the `told` answers whose provider counted tokens.

    Of `prompt_tokens`, `cache_read_tokens` came from a cache and `cache_write_tokens` went into it. `saved_usd` is what
    that took off the price of the prompts: below 0 where writing cost more than reading saved.
    """

    told: int
    prompt_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    saved_usd: float

    @property
    def share(self) -> float:
        """The share of the prompts that came from a cache, 0 to 1."""
        return self.cache_read_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


@dataclass(frozen=True, slots=True)
class ExplorationStats(Record):
    """How many answers were explorations, and the expected net value in USD that they gave up."""

    answers: int
    given_up_usd: float


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
    caches: CacheStats


@dataclass(frozen=True, slots=True)
class CallerStats(Record):
    """Somebody with a token, and the dollars billed for them, by the books of the spending limits."""

    caller: str
    cost_usd: float


@dataclass(frozen=True, slots=True)
class CandidateStats(Record):
    """One (model, budget) that has answered."""

    model: str
    budget: Budget
    answered: int
    calibration: Calibrations


@dataclass(frozen=True, slots=True)
class Stats(Totals):
    """The ledger's entries of the UTC days from `since` on (an ISO date; None: from the first).

    `outcomes` counts the calls by how they ended; `decided` the decisions for which nothing was asked of a
    model. Days are in order of time, models and callers of cost, candidates of name and budget.
    """

    since: str | None
    outcomes: dict[str, int]
    decided: int
    calibration: Calibrations
    caches: CacheStats
    explored: ExplorationStats
    days: tuple[DayStats, ...]
    models: tuple[ModelStats, ...]
    candidates: tuple[CandidateStats, ...]
    callers: tuple[CallerStats, ...]


def stats(ledger: Ledger, since: datetime | None = None) -> Stats:
    """What `ledger` adds up to from the UTC day of `since` on, entries that were pruned included.

    Raises LedgerError where it cannot be read.
    """
    first = "" if since is None else iso(since)[:10]
    with ledger.reading() as db:
        return _stats(first or None, *(_NOTHING if db is None else _sums(db, first)))


# -- sums ----------------------------------------------------------------------------------------------------

_Rows: TypeAlias = "list[tuple[Any, ...]]"

_NO_CACHE = CacheStats(0, 0, 0, 0, 0.0)
_NOTHING: tuple[_Rows, ...] = ([], [], [], [], [], [])
_MONEY = ("cost_nanos", "compared", "compared_nanos", "baseline_usd")
_PARTS = ("count", "predicted", "real", "error")
_CACHES = ("told", "prompt_tokens", "cache_read_tokens", "cache_write_tokens", "cache_saved_usd")
_TOTALS = ("calls", "answered", *_MONEY)
_PACE = ("output_tokens", "timed", "latency_s")
_PAIRS = tuple(f"{quantity}_{part}" for quantity in ("quality", "tokens", "cost") for part in _PARTS)
_LAST_TOTAL, _FIRST_PAIR = len(_TOTALS), len(_TOTALS) + len(_PACE)


def _sums(db: Connection, first: str) -> tuple[_Rows, ...]:
    """Rows from the day `first` on: (outcome, entries); (day, totals); (model, budget, totals, pace, pairs);
    (model, caches); (day, explored); (caller, nano-dollars)."""

    def rows(key: str, sums: Sequence[str], table: str, where: str = "TRUE") -> _Rows:
        columns = ", ".join((key, *(f"SUM({column})" for column in sums)))
        query = f"SELECT {columns} FROM {table} WHERE day >= ? AND {where} GROUP BY {key}"  # noqa: S608
        return sorted(db.execute(query, (first,)).fetchall(), key=itemgetter(0))

    candidates = rows("model, budget", (*_TOTALS, *_PACE, *_PAIRS), "day_candidates")
    answered = "CASE WHEN outcome = 'answered' THEN entries ELSE 0 END"
    return (
        rows("outcome", ("entries",), "days"),
        rows("day", ("entries", answered, *_MONEY), "days", "outcome <> 'decided'"),
        sorted(
            ((model, stored_budget(budget), *sums) for model, budget, *sums in candidates),
            key=lambda row: by_candidate(*row[:2]),
        ),
        rows("model", _CACHES, "day_caches"),
        rows("day", ("explored", "explored_usd"), "day_explored"),
        sorted(rows("caller", ("nanos",), "spend", "caller <> ''"), key=lambda row: (-row[1], row[0])),
    )


def _stats(
    since: str | None,
    by_outcome: _Rows,
    by_day: _Rows,
    by_candidate: _Rows,
    by_cache: _Rows,
    by_explored: _Rows,
    by_caller: _Rows,
) -> Stats:
    caches = {model: CacheStats(*sums) for model, *sums in by_cache}
    outcomes: dict[str, int] = dict(by_outcome)
    decided = outcomes.pop("decided", 0)
    by_model = [
        (model, *_added([sums for _, _, *sums in rows])) for model, rows in groupby(by_candidate, itemgetter(0))
    ]
    return Stats(
        *_totals(_added([sums for _, *sums in by_day])),
        since=since,
        outcomes=outcomes,
        decided=decided,
        calibration=_calibrations(_added([sums for _, *sums in by_model])),
        caches=CacheStats(*map(sum, zip(*(sums for _, *sums in by_cache), strict=True))) if by_cache else _NO_CACHE,
        explored=ExplorationStats(sum(row[1] for row in by_explored), float(sum(row[2] for row in by_explored))),
        days=tuple(DayStats(*_totals(sums), day) for day, *sums in by_day),
        callers=tuple(CallerStats(caller, to_usd(int(nanos))) for caller, nanos in by_caller),
        models=tuple(
            sorted(
                (_model(model, sums, caches.get(model, _NO_CACHE)) for model, *sums in by_model),
                key=lambda m: (-m.cost_usd, m.model),
            )
        ),
        candidates=tuple(
            CandidateStats(model, budget, answered, _calibrations(sums))
            for model, budget, *sums in by_candidate
            if (answered := sums[_TOTALS.index("answered")])
        ),
    )


def _added(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The sums of several rows' sums."""
    return [sum(column) for column in zip(*rows, strict=True)] or [0] * (_FIRST_PAIR + len(_PAIRS))


def _totals(sums: Sequence[Any]) -> tuple[int, int, float, int, float, float, float]:
    """The fields of Totals."""
    calls, answered, nanos, compared, compared_nanos, baseline = sums[:_LAST_TOTAL]
    billed = to_usd(compared_nanos)
    return calls, answered, to_usd(nanos), compared, billed, float(baseline), baseline - billed


def _model(name: str, sums: Sequence[Any], caches: CacheStats) -> ModelStats:
    tokens, timed, seconds = sums[_LAST_TOTAL:_FIRST_PAIR]
    return ModelStats(*_totals(sums), name, tokens, seconds / timed if timed else None, caches)


def _calibrations(sums: Sequence[Any]) -> Calibrations:
    quality, tokens, cost = (
        _calibration(*sums[i : i + len(_PARTS)]) for i in range(_FIRST_PAIR, len(sums), len(_PARTS))
    )
    return Calibrations(quality, tokens, cost)


def _calibration(count: int, predicted: float, real: float, error: float) -> Calibration | None:
    if not count:
        return None
    return Calibration(count, predicted / count, real / count, real / predicted if predicted else None, error / count)
