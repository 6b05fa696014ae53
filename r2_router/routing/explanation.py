"""Why a decision is what it is: runner-up, the worth at which it flips, the frontier, the obvious baseline; in numbers,
in sentences, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from r2_router.errors import InputError
from r2_router.pages import html
from r2_router.records import UNLIMITED, Record, read_budget
from r2_router.routing.considered import Candidate, Excluded
from r2_router.routing.decision import Decision
from r2_router.routing.ranked_page import SHOWN, filtered_out, ranking
from r2_router.routing.rows import choice, excluded_texts, frontier_cells
from r2_router.words import (
    CLOSING,
    EXPLORED,
    asks_for_length,
    held_back,
    leaves,
    read_with,
    stays,
    usd,
)

FRONTIER = "Frontier: nothing is both better and cheaper"
FRONTIER_COLUMNS = ("model", "budget", "quality", "cost", "the choice at a worth of")
FRONTIER_NUMBERS = frozenset({1, 2, 3})


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

    def _repr_html_(self) -> str:
        """The ranking, its reasons and the frontier as a notebook shows them."""
        return explanation_page(self, self.decision.candidates[:SHOWN])


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
    left_out = (e.candidate for e in decision.excluded if e.usable)
    unlimited = [*decision.candidates.unlimited, *(c for c in left_out if c.budget == UNLIMITED)]
    named = [c for c in unlimited if c.model == decision.strongest]
    pick = max(named or unlimited, key=lambda c: c.predicted_quality, default=None)
    if pick is None:
        return None
    return Baseline(
        candidate=pick,
        saved_usd=pick.predicted_cost_usd - decision.predicted_cost_usd,
        lost_quality=pick.predicted_quality - decision.predicted_quality,
    )


# -- in sentences ------------------------------------------------------------------------------------------------


def reasons(explanation: Explanation) -> list[str]:
    """Sentences that say why the choice is the choice."""
    decision, best = explanation.decision, explanation.decision.best
    worth = decision.worth_usd
    basis = "at λ = 0 only quality counts" if worth is None else f"if a perfect answer is worth {usd(worth)} to you"
    source = f"; {decision.trade_off.source}" if decision.trade_off.source else ""
    if decision.explored is None:
        lines = [f"Why: the best trade of quality and cost {basis} (λ = {decision.lambda_val:.6g}{source})."]
    else:
        lines = [EXPLORED]
    if decision.closing:
        lines.append(CLOSING)
    if decision.read_with:
        lines.append(read_with([(turn.text, turn.share) for turn in decision.read_with]))
    if (cache := decision.prompt_cache) is not None:
        numbers = (cache.cached_tokens, cache.input_tokens, cache.cost_usd, cache.other_usd)
        lines.append(stays(*numbers) if cache.stays else leaves(cache.model, *numbers))
    if decision.stated_length is not None:
        lines.append(asks_for_length(decision.stated_length.said))
    if best.doubt:
        lines.append(held_back(best.doubt))
    other = explanation.runner_up
    if other is not None and decision.explored is None:
        gap = "" if explanation.gap_usd is None else f", {usd(explanation.gap_usd)} of value behind"
        lines.append(f"Runner-up: {choice(other)}{gap}.")
    flips = [
        f"{word} {usd(flip.worth_usd)} it would be {choice(flip.candidate)}"
        for word, flip in (("above", explanation.flip_up), ("below", explanation.flip_down))
        if flip is not None and flip.worth_usd > 0 and decision.explored is None
    ]
    if flips:
        lines.append(f"Worth at which the choice flips: {'; '.join(flips)}.")
    base = explanation.baseline
    if base is not None and base.candidate != best:
        quality = f"{abs(base.lost_quality):.2f} {'lower' if base.lost_quality > 0 else 'higher'}"
        lines.append(
            f"Always {base.candidate.model}, unlimited, would cost {usd(base.candidate.predicted_cost_usd)} an answer; "
            f"this costs {usd(best.predicted_cost_usd)}, expected quality {quality}."
        )
    return lines


def span_text(point: FrontierPoint) -> str:
    """The worths at which a point of the frontier is the choice."""
    if point.from_worth_usd is None:
        return "never the choice: a mix of its neighbours is better"
    upper = "and above" if point.to_worth_usd is None else f"to {usd(point.to_worth_usd)}"
    return f"{usd(point.from_worth_usd)} {upper}"


def why_not(explanation: Explanation, named: str) -> str:
    """Why the candidate `named`, a model or "model @ budget", is not the choice: of a model its best-ranked one.

    Raises InputError where it names no candidate.
    """
    model, _, length = (part.strip() for part in named.rpartition("@")) if "@" in named else (named.strip(), "", "")
    budget, decision = read_budget(length) if length else None, explanation.decision
    for rank, c in enumerate(decision.candidates, 1):
        if _is(c, model) and budget in (None, c.budget):
            return _against(explanation, rank, c)
    found = [e for e in explanation.excluded if _is(e.candidate, model) and budget in (None, e.candidate.budget)]
    if not found:
        known = dict.fromkeys(c.model for c in (*decision.candidates, *(e.candidate for e in explanation.excluded)))
        raise InputError(f"'{named[:80]}' is none of the candidates. Models: {', '.join(known)}.")
    return f"Filtered out: {excluded_texts(found)[0]}."


def _is(candidate: Candidate, model: str) -> bool:
    return model.lower() in (candidate.model.lower(), candidate.model_id.lower())


def _against(explanation: Explanation, rank: int, other: Candidate) -> str:
    best = explanation.decision.best
    if rank == 1:
        return f"{choice(other)} is the choice."
    behind = "" if best.net_usd is None or other.net_usd is None else f": {usd(best.net_usd - other.net_usd)} behind"
    return (
        f"{choice(other)} ranks {rank} of {len(explanation.decision.candidates)}{behind}. Expected quality "
        f"{other.predicted_quality:.2f} for {usd(other.predicted_cost_usd)}; that of the choice "
        f"{best.predicted_quality:.2f} for {usd(best.predicted_cost_usd)}."
    )


# -- as a page -----------------------------------------------------------------------------------------------------


def explanation_page(explanation: Explanation, shown: Sequence[Candidate]) -> str:
    """The ranking of `shown` with everything that is said about it, and the frontier."""
    return html.page(
        ranking(shown),
        html.items([*reasons(explanation), *explanation.decision.warnings()]),
        html.table(FRONTIER, FRONTIER_COLUMNS, frontier_rows(explanation), numbers=FRONTIER_NUMBERS),
        filtered_out(explanation.excluded),
    )


def frontier_rows(explanation: Explanation) -> list[tuple[str, ...]]:
    """The cells under FRONTIER_COLUMNS."""
    return [(*frontier_cells(point.candidate), span_text(point)) for point in explanation.frontier]
