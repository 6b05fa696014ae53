"""Predictions held against what came, in detail: bias and its interval, correlation, reliability, what is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from r2_router.ledger.entry import by_candidate, stored_budget
from r2_router.ledger.statistics import Calibration
from r2_router.ledger.store import Ledger, iso
from r2_router.records import Budget, Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

Quantity = Literal["quality", "output_tokens", "cost_usd"]

_LEAST = 10  # answers under which nothing is called off: an interval of a few is no more than a guess
_RATIO = 1.25  # tokens or cost off by less do no harm to a choice
_BIAS = 0.05  # of quality
_LEAST_TO_CORRELATE = 3
_MOST_BINS = 5
_LEAST_IN_A_BIN = 5
_ROWS = """
    SELECT model, budget, predicted_quality, quality, predicted_output_tokens, output_tokens,
           predicted_cost_usd, cost_nanos / 1e9
    FROM entries WHERE outcome = 'answered' AND time >= ? AND (? = '' OR checkpoint = ?)
"""


@dataclass(frozen=True, slots=True)
class Bin(Record):
    """Answers of like predicted quality: how many, and the mean predicted and real quality."""

    count: int
    predicted: float
    real: float


@dataclass(frozen=True, slots=True)
class Comparison(Calibration):
    """A Calibration and how sure it is.

    `bias` is real less predicted, in mean; `bias_interval_95` its 95 % interval by Student's t, None for a single
    answer; `correlation` is Pearson's, None under three answers or where one side does not vary.
    """

    bias: float
    bias_interval_95: tuple[float, float] | None
    correlation: float | None


@dataclass(frozen=True, slots=True)
class QualityComparison(Comparison):
    """Quality, besides: reliability `bins` of equally many answers by rising prediction, and over the labels that are
    0 or 1 the mean squared error (`brier`, Brier 1950), beside that of always saying their mean (`brier_of_mean`)."""

    bins: tuple[Bin, ...]
    brier: float | None
    brier_of_mean: float | None


@dataclass(frozen=True, slots=True)
class Group(Record):
    """The whole answers of one (model, budget), or of all, then both None; a quantity is None where none tells."""

    model: str | None
    budget: Budget | None
    answered: int
    quality: QualityComparison | None
    output_tokens: Comparison | None
    cost_usd: Comparison | None

    @property
    def label(self) -> str:
        return "all answers" if self.model is None else f"{self.model} @ {self.budget}"


@dataclass(frozen=True, slots=True)
class Calibrated(Record):
    """The answers from `since` on (UTC, ISO form; None: all), of `checkpoint` ("": any).

    `labelled` of them have a label. `findings` says in sentences what is off.
    """

    since: str | None
    checkpoint: str
    answered: int
    labelled: int
    overall: Group
    candidates: tuple[Group, ...]
    findings: tuple[str, ...]


def calibrate(ledger: Ledger, since: datetime | None = None, checkpoint: str = "") -> Calibrated:
    """What the ledger's whole answers say of the predictions. Raises LedgerError where it cannot be read."""
    start = "" if since is None else iso(since)
    with ledger.reading() as db:
        rows = [] if db is None else db.execute(_ROWS, (start, checkpoint, checkpoint)).fetchall()
    overall = _group(None, None, rows)
    groups: dict[tuple[str, Budget], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault((row[0], stored_budget(row[1])), []).append(row)
    labels = sorted(groups, key=lambda label: by_candidate(*label))
    candidates = tuple(_group(*label, groups[label]) for label in labels)
    return Calibrated(
        since=start or None,
        checkpoint=checkpoint,
        answered=len(rows),
        labelled=sum(row[3] is not None for row in rows),
        overall=overall,
        candidates=candidates,
        findings=tuple(_findings(overall, candidates)),
    )


# -- numbers -------------------------------------------------------------------------------------------------


def _group(model: str | None, budget: Budget | None, rows: Sequence[tuple[Any, ...]]) -> Group:
    quality, tokens, cost = (_pairs(rows, column) for column in (2, 4, 6))
    return Group(
        model,
        budget,
        len(rows),
        quality=_quality(*quality) if len(quality[0]) else None,
        output_tokens=Comparison(*_compared(*tokens)) if len(tokens[0]) else None,
        cost_usd=Comparison(*_compared(*cost)) if len(cost[0]) else None,
    )


def _pairs(rows: Sequence[tuple[Any, ...]], column: int) -> tuple[Floats, Floats]:
    """Predicted and real (n,), of the rows that have both."""
    import numpy as np

    known = [row[column : column + 2] for row in rows if row[column] is not None and row[column + 1] is not None]
    array = np.array(known, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _compared(predicted: Floats, real: Floats) -> tuple[Any, ...]:
    """The fields of Comparison."""
    import numpy as np

    n, difference = len(real), real - predicted
    bias, mean = float(difference.mean()), float(predicted.mean())
    interval = None
    if n > 1:
        from scipy import special  # scikit-learn brings it; its statistics module would take a second to load

        half = float(cast("Any", special).stdtrit(n - 1, 0.975)) * float(difference.std(ddof=1)) / n**0.5
        interval = bias - half, bias + half
    correlation = None
    if n >= _LEAST_TO_CORRELATE and np.ptp(predicted) > 0 and np.ptp(real) > 0:
        # Brought to 0..1 first: the variance of numbers near 0 vanishes.
        scaled = [(values - values.min()) / np.ptp(values) for values in (predicted, real)]
        correlation = float(np.corrcoef(*scaled)[0, 1])
    ratio = float(real.mean()) / mean if mean else None
    return n, mean, float(real.mean()), ratio, float(np.abs(difference).mean()), bias, interval, correlation


def _quality(predicted: Floats, real: Floats) -> QualityComparison:
    import numpy as np

    order = np.argsort(predicted, kind="stable")
    count = max(1, min(_MOST_BINS, len(real) // _LEAST_IN_A_BIN))
    bins = [Bin(len(b), float(predicted[b].mean()), float(real[b].mean())) for b in np.array_split(order, count)]
    sure = (real == 0) | (real == 1)
    brier = of_mean = None
    if sure.any():
        brier = float(((predicted - real)[sure] ** 2).mean())
        of_mean = float(real[sure].var())
    return QualityComparison(*_compared(predicted, real), bins=tuple(bins), brier=brier, brier_of_mean=of_mean)


# -- words ---------------------------------------------------------------------------------------------------


def _findings(overall: Group, candidates: Sequence[Group]) -> list[str]:
    """What is off, candidate by candidate; of all answers only what no candidate shows."""
    found: list[str] = []
    for quantity in ("quality", "output_tokens", "cost_usd"):
        own = [stated for group in candidates if (stated := _finding(group, quantity))]
        found += own or [stated for stated in (_finding(overall, quantity),) if stated]
    return found


def _finding(group: Group, quantity: Quantity) -> str:
    """What is off with one quantity, "" where nothing is, or too few answers tell."""
    known: Comparison | None = getattr(group, quantity)
    if known is None or known.count < _LEAST or known.bias_interval_95 is None:
        return ""
    low, high = known.bias_interval_95
    if low <= 0 <= high:
        return ""
    if quantity == "quality":
        stated = (
            f"Quality of {group.label} is {known.real_mean:.2f} where {known.predicted_mean:.2f} was predicted "
            f"(n={known.count}, bias {known.bias:+.2f}, 95 % interval {low:+.2f} to {high:+.2f})."
        )
        return stated if abs(known.bias) >= _BIAS else ""
    follows = quantity == "cost_usd" and _finding(group, "output_tokens")  # dearer because longer
    if follows or not known.ratio or 1 / _RATIO < known.ratio < _RATIO:
        return ""
    least, most = (1 + edge / known.predicted_mean for edge in (low, high))
    return (
        f"{'Cost' if quantity == 'cost_usd' else 'Tokens'} of {group.label}: {known.ratio:.2g} times as predicted "
        f"(n={known.count}, 95 % interval {max(least, 0):.2g} to {most:.2g})."
    )
