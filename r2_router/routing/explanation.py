"""Why a decision is what it is: runner-up, the worth at which it flips, the frontier, the obvious baseline."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from r2_router.records import UNLIMITED, Record
from r2_router.routing.decision import Candidate, Decision, Excluded


@dataclass(frozen=True, slots=True)
class Flip(Record):
    """At `worth_usd` dollars a perfect answer, `candidate` becomes as good a choice as the present one."""

    worth_usd: float
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class FrontierPoint(Record):
    """A candidate that no other beats in both quality and cost.

    It is the choice for worths from `from_worth_usd` to `to_worth_usd` (None: no upper end); both are None
    where a mix of its neighbours is always better.
    """

    candidate: Candidate
    from_worth_usd: float | None
    to_worth_usd: float | None


@dataclass(frozen=True, slots=True)
class Baseline(Record):
    """What always asking the strongest model, unlimited, is expected to give here, against the choice.

    `saved_usd` is its cost less the choice's; `lost_quality` its quality less the choice's.
    """

    candidate: Candidate
    saved_usd: float
    lost_quality: float


@dataclass(frozen=True, slots=True, eq=False)
class Explanation(Record):
    """A decision and its reasons.

    `runner_up` is the second in the ranking, `gap_risk` and `gap_usd` its distance in risk and in net_usd.
    `flip_up` and `flip_down`: the nearest worth above and below the present one at which the choice changes.
    """

    decision: Decision
    runner_up: Candidate | None
    gap_risk: float | None
    gap_usd: float | None
    flip_up: Flip | None
    flip_down: Flip | None
    frontier: tuple[FrontierPoint, ...]
    baseline: Baseline | None
    excluded: tuple[Excluded, ...]


def explain(decision: Decision) -> Explanation:
    """The reasons behind `decision`."""
    best = decision.best
    candidates = list(decision.candidates)
    excluded = decision.excluded
    runner_up = candidates[1] if len(candidates) > 1 else None
    worth = decision.worth_usd
    return Explanation(
        decision=decision,
        runner_up=runner_up,
        gap_risk=None if runner_up is None else best.risk - runner_up.risk,
        gap_usd=_gap_usd(best, runner_up),
        flip_up=None if worth is None else _flip_up(best, candidates),
        flip_down=_flip_down(best, candidates),
        frontier=_frontier(candidates),
        baseline=baseline(decision),
        excluded=tuple(excluded),
    )


def _gap_usd(best: Candidate, other: Candidate | None) -> float | None:
    if other is None or best.net_usd is None or other.net_usd is None:
        return None
    return best.net_usd - other.net_usd


def _even_worth(a: Candidate, b: Candidate) -> float:
    """The worth at which a and b, of different quality, have the same net value."""
    return (b.weighed_usd - a.weighed_usd) / (b.believed_quality - a.believed_quality)


def _flip_up(best: Candidate, candidates: list[Candidate]) -> Flip | None:
    better = [c for c in candidates if c.believed_quality > best.believed_quality]
    flips = [Flip(max(0.0, _even_worth(best, c)), c) for c in better]
    return min(flips, key=lambda f: (f.worth_usd, -f.candidate.believed_quality), default=None)


def _flip_down(best: Candidate, candidates: list[Candidate]) -> Flip | None:
    cheaper = [c for c in candidates if c.believed_quality < best.believed_quality and c.weighed_usd < best.weighed_usd]
    flips = [Flip(_even_worth(best, c), c) for c in cheaper]
    return max(flips, key=lambda f: (f.worth_usd, -f.candidate.believed_quality), default=None)


def _frontier(candidates: list[Candidate]) -> tuple[FrontierPoint, ...]:
    """Undominated candidates from cheapest to dearest, with the worths at which each is the choice."""
    undominated: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (c.weighed_usd, -c.believed_quality)):
        if not undominated or c.believed_quality > undominated[-1].believed_quality:
            undominated.append(c)
    hull = _upper_hull(undominated)
    edges = [0.0, *(_even_worth(a, b) for a, b in pairwise(hull))]
    span = {id(c): (edges[i], edges[i + 1] if i + 1 < len(edges) else None) for i, c in enumerate(hull)}
    return tuple(FrontierPoint(c, *span.get(id(c), (None, None))) for c in undominated)


def chosen_at_some_worth(candidates: list[Candidate]) -> list[Candidate]:
    """Those of `candidates`, best first, that some worth picks, from the cheapest to the dearest."""
    return [point.candidate for point in _frontier(candidates) if point.from_worth_usd is not None]


def _upper_hull(points: list[Candidate]) -> list[Candidate]:
    """The undominated candidates that some worth chooses: those above every line between two others."""
    hull: list[Candidate] = []
    for c in points:
        while len(hull) > 1 and _even_worth(hull[-2], hull[-1]) >= _even_worth(hull[-1], c):
            hull.pop()
        hull.append(c)
    return hull


def baseline(decision: Decision) -> Baseline | None:
    """What always asking the strongest model, unlimited, would give; None if no usable model is unlimited.

    The limits of the decision do not bind the baseline. Where the strongest model is not known, or cannot be used,
    it is the model of the best prediction for this query.
    """
    everyone = [*decision.candidates, *(e.candidate for e in decision.excluded if e.usable)]
    unlimited = [c for c in everyone if c.budget == UNLIMITED]
    named = [c for c in unlimited if c.model == decision.strongest]
    pick = max(named or unlimited, key=lambda c: c.predicted_quality, default=None)
    if pick is None:
        return None
    return Baseline(
        candidate=pick,
        saved_usd=pick.predicted_cost_usd - decision.predicted_cost_usd,
        lost_quality=pick.predicted_quality - decision.predicted_quality,
    )
