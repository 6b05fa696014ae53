"""Predictions + prices + the user's limits -> candidates, ranked by risk.

A candidate is an index into arrays here. Nothing becomes an object until somebody looks at it, so a decision
costs little more than the matrix product before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from r2_router import words
from r2_router.arrays import Floats
from r2_router.errors import InputError, NoCandidateError
from r2_router.records import UNLIMITED, Budget, Later
from r2_router.routing.candidates import Allowed, CandidateTable, Indices, Mask, largest
from r2_router.routing.decision import (
    NO_ERRORS,
    Candidate,
    Excluded,
    Limits,
    Ranking,
    Scores,
    TradeOff,
)
from r2_router.routing.stated_length import StatedLength
from r2_router.routing.warm import Warmth

_NONE: Indices = np.array([], dtype=np.intp)


def rank(
    table: CandidateTable,
    quality: Floats,
    tokens: Floats,
    *,
    input_tokens: float | Floats,
    trade: TradeOff,
    limits: Limits,
    errors: Later[Floats | None] = NO_ERRORS,
    stated: StatedLength | None = None,
    warm: Warmth | None = None,
) -> Ranking:
    """Rank the candidates of one query: quality and tokens are (C,), input_tokens a count, or one a candidate, (C,);
    `stated` is the length that the query itself asks for, `warm` what prompt caches change: ranked is the mean of the
    next turns, limited is this one.

    Raises NoCandidateError, naming the nearest candidate, when the limits leave none; InputError for a budget that
    lies beyond those measured for every model allowed.
    """
    if stated is not None:
        share = stated.share(table.budgets)
        quality, errors = quality * share, _times(errors, share)
        tokens = stated.hold(tokens, table.budgets, table.thoughts)
    plain = table.cost(tokens, input_tokens)
    cost = plain if warm is None else plain + warm.usd
    measured = scores = Scores(
        models=table.models,
        model_index=table.model_index,
        budgets=table.budgets,
        quality=quality,
        tokens=tokens,
        cost=cost,
        risk=risk(quality, cost if warm is None else cost + warm.ahead_usd, trade),
        doubt=None,
        ahead=None if warm is None else warm.ahead_usd,
        trade_off=trade,
        measured=len(quality),
        errors=errors,
        rounded=table.compat,
    )
    if table.tenfold_gain:
        _hold_back(scores, table.doubt(plain))
    allowed = table.allowed(limits)
    feasible = allowed.index
    longer = stated is not None and bool(stated.floor_tokens)  # than the heads foresee, it may be
    bounds = _Bounds.of(table, allowed, tokens, input_tokens, limits, longer=longer)
    if bounds is not None:
        holding = allowed.mask & bounds.hold(scores)
        feasible = np.flatnonzero(holding)
        if not table.compat:
            scores, feasible = _interpolate(table, scores, allowed.mask, holding, bounds)
    if limits.budget is not None:
        feasible = _at_budget(scores, feasible, allowed.index, limits.budget)
    order = _order(scores, feasible)
    if not len(order):
        raise NoCandidateError(_nothing_left(exclusions(table, measured, input_tokens, limits), limits))
    return Ranking(scores, order)


def _times(errors: Later[Floats | None], share: Floats) -> Later[Floats | None]:
    def scaled() -> Floats | None:
        known = errors()
        return None if known is None else known * share

    return Later(scaled)


def _hold_back(scores: Scores, doubt: Floats) -> None:
    """Rank by the quality that is believed at each price: the plain one, for no cache makes an answer worse."""
    scores.doubt = doubt
    cost = scores.cost if scores.ahead is None else scores.cost + scores.ahead
    scores.risk = risk(scores.quality - doubt, cost, scores.trade_off)


def risk(quality: Floats, cost: Floats, trade: TradeOff) -> Floats:
    """The score that is maximised: (1−λ)·quality − λ·cost (arXiv 2602.02823)."""
    return quality * (1.0 - trade.lambda_val) - cost * trade.lambda_val


def _order(scores: Scores, feasible: Indices) -> Indices:
    """The feasible indices, higher risk first; ties go to the cheaper, the shorter, the name.

    The seed release ranks the risk it shows (8 decimals) and leaves ties in its own order.
    """
    falling = -scores.risk[feasible]
    if scores.rounded:
        return feasible[np.argsort(np.round(falling, 8), kind="stable")]
    ranked = np.argsort(falling, kind="stable")
    ordered = falling[ranked]
    if (ordered[1:] == ordered[:-1]).any():
        names = np.array([model.name for model in scores.models])[scores.model_index]
        keys = (scores.budgets, names, scores.tokens, scores.cost, -scores.risk)
        ranked = np.lexsort([key[feasible] for key in keys])
    return feasible[ranked]


# -- limits --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Bounds:
    """The numerical limits of one query. `room` is the longest answer each candidate may give, (C,) tokens."""

    room: Floats
    max_cost: float
    min_quality: float

    @classmethod
    def of(
        cls,
        table: CandidateTable,
        allowed: Allowed,
        tokens: Floats,
        input_tokens: float | Floats,
        limits: Limits,
        *,
        longer: bool,
    ) -> _Bounds | None:
        """None where nothing can bind: no limit is set and every answer fits its context window. `longer`: an answer
        may be longer than the checkpoint's ceiling.
        """
        if largest(input_tokens) <= allowed.input_limit and not limits.numbers and not longer:
            return None
        room = np.full(len(tokens), _longest(limits))
        if table.windows is not None:
            room = np.minimum(room, table.windows - input_tokens)
        room = np.minimum(room, table.longest_answer)
        room = np.where(input_tokens > table.longest_query, -1.0, room)
        return cls(
            room=room,
            max_cost=np.inf if limits.max_cost_usd is None else limits.max_cost_usd,
            min_quality=-np.inf if limits.min_quality is None else limits.min_quality,
        )

    def hold(self, scores: Scores) -> Mask:
        """Which measured candidates keep every limit, (C,)."""
        within = (scores.cost <= self.max_cost) & (scores.quality >= self.min_quality)
        return within & (answer_length(scores.budgets, scores.tokens) <= self.room)


def _longest(limits: Limits) -> float:
    """The most tokens an answer may have. A budget that is asked for cuts between two measured ones as a cap does."""
    caps = [limits.max_tokens, None if limits.budget == UNLIMITED else limits.budget]
    return min((float(cap) for cap in caps if cap is not None), default=np.inf)


def _at_budget(scores: Scores, feasible: Indices, allowed: Indices, budget: Budget) -> Indices:
    """Those of `feasible` with the budget asked for. Raises InputError where no model of `allowed` reaches to it."""
    wanted = np.inf if budget == UNLIMITED else float(budget)
    measured = scores.budgets[allowed]
    limited = measured[np.isfinite(measured)]
    within = bool(len(limited)) and limited.min() <= wanted <= limited.max()
    if len(allowed) and not within and wanted not in measured:
        span = f"between {limited.min():.0f} and {limited.max():.0f}, or " if len(limited) else ""
        raise InputError(f"Budget {budget} was not measured for any model allowed here. Choose one {span}'unlimited'.")
    return feasible[scores.budgets[feasible] == wanted]


def answer_length(budgets: Floats, tokens: Floats) -> Floats:
    """The answer's length a limit is held against: the budget where there is one, else the expectation."""
    return np.where(np.isinf(budgets), tokens, budgets)


def _interpolate(
    table: CandidateTable, scores: Scores, usable: Mask, holding: Mask, bounds: _Bounds
) -> tuple[Scores, Indices]:
    """Add, for each model, its best budget between two measured ones, where a limit cuts through.

    Between neighbouring budgets quality, tokens and cost are linear in the budget (paper, eq. 9), so is risk, and
    every limit keeps an interval. The optimum over all budgets is therefore a measured budget or an end of such
    an interval, rounded inwards to a whole token.
    """
    left, right = table.segments
    cut = usable[left] & ~(holding[left] & holding[right])
    left, right = left[cut], right[cut]
    if not len(left):
        return scores, np.flatnonzero(holding)
    low, high = _interval(scores, left, right, bounds)
    start, width = scores.budgets[left], scores.budgets[right] - scores.budgets[left]
    ends = np.concatenate([np.ceil(start + low * width - 1e-9), np.floor(start + high * width + 1e-9)])
    left, right = np.tile(left, 2), np.tile(right, 2)
    start, width = np.tile(start, 2), np.tile(width, 2)
    share = (ends - start) / width
    inside = np.tile(low <= high, 2) & (share > 0) & (share < 1)
    added = _between(scores, left[inside], right[inside], ends[inside], share[inside])
    room = np.minimum(bounds.room[left], bounds.room[right])[inside]
    holds = (added.cost <= bounds.max_cost) & (added.quality >= bounds.min_quality) & (added.budgets <= room)
    extended = _extend(scores, added, np.flatnonzero(holds))
    return extended, np.concatenate([np.flatnonzero(holding), _best_of_each_model(extended)])


def _interval(scores: Scores, left: Indices, right: Indices, bounds: _Bounds) -> tuple[Floats, Floats]:
    """The part [low, high] of each segment that keeps all limits, as shares of its width; empty if low > high."""
    low, high = np.zeros(len(left)), np.ones(len(left))
    room = np.minimum(bounds.room[left], bounds.room[right])
    for values, most in (
        (scores.budgets, room),
        (scores.cost, bounds.max_cost),
        (-scores.quality, -bounds.min_quality),
    ):
        start, slope = values[left], values[right] - values[left]
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (most - start) / slope
        high = np.where(slope > 0, np.minimum(high, at), high)
        low = np.where(slope < 0, np.maximum(low, at), low)
        high = np.where((slope == 0) & (start > most), -1.0, high)
    return low, high


def _between(scores: Scores, left: Indices, right: Indices, budgets: Floats, share: Floats) -> Scores:
    """Scores of the candidates at `budgets`, each `share` of the way from measured `left` to `right`."""

    def mix(values: Floats) -> Floats:
        return values[left] + share * (values[right] - values[left])

    quality, cost = mix(scores.quality), mix(scores.cost)
    doubt = None if scores.doubt is None else mix(scores.doubt)
    ahead = None if scores.ahead is None else mix(scores.ahead)
    weighed = cost if ahead is None else cost + ahead
    return replace(
        scores,
        model_index=scores.model_index[left],
        budgets=budgets,
        quality=quality,
        tokens=mix(scores.tokens),
        cost=cost,
        doubt=doubt,
        ahead=ahead,
        risk=risk(quality if doubt is None else quality - doubt, weighed, scores.trade_off),
        between=[(int(a), int(b), float(s)) for a, b, s in zip(left, right, share, strict=True)],
    )


def _best_of_each_model(scores: Scores) -> Indices:
    """Of the candidates between two measured ones, the best one a model."""
    ranked = _order(scores, np.arange(scores.measured, len(scores.quality)))
    _, first = np.unique(scores.model_index[ranked], return_index=True)
    return ranked[np.sort(first)]


def _extend(scores: Scores, added: Scores, kept: Indices) -> Scores:
    """All that keep the limits, though only the best a model is ranked: at another trade-off it is another one."""

    def join(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(scores, name), getattr(added, name)[kept]])

    return replace(
        scores,
        model_index=np.concatenate([scores.model_index, added.model_index[kept]]),
        **{name: join(name) for name in ("budgets", "quality", "tokens", "cost", "risk")},
        doubt=None if scores.doubt is None else join("doubt"),
        ahead=None if scores.ahead is None else join("ahead"),
        between=[added.between[i] for i in kept],
    )


# -- what was filtered out, and why --------------------------------------------------------------------------


def exclusions(
    table: CandidateTable, scores: Scores, input_tokens: float | Floats, limits: Limits, ranked: Indices = _NONE
) -> list[Excluded]:
    """Every measured candidate the filters took out, with all its reasons, in the checkpoint's order; `ranked` are
    those that they left."""
    blocked = table.allowed(limits).reasons
    reads = np.broadcast_to(input_tokens, scores.model_index[: scores.measured].shape)
    found: list[Excluded] = []
    kept = set(ranked.tolist())
    for i in range(scores.measured):
        if i in kept:
            continue
        candidate = scores.candidate(i)
        why = blocked[int(scores.model_index[i])]
        over = _over(table, candidate, i, float(reads[i]), limits)
        reasons = ([why] if why else []) + [reason for reason, _ in over]
        if reasons:
            distance = float(sum(excess for _, excess in over))
            found.append(Excluded(candidate, usable=not why, reasons=tuple(reasons), distance=distance))
    return found


def _over(table: CandidateTable, c: Candidate, i: int, input_tokens: float, limits: Limits) -> list[tuple[str, float]]:
    """Each limit that candidate `i` does not keep, in words, and by how much of the limit it fails."""
    length = c.predicted_output_tokens if c.budget == UNLIMITED else float(c.budget)
    found: list[tuple[str, float]] = []
    cost, most = c.predicted_cost_usd, limits.max_cost_usd
    if most is not None and cost > most:
        found.append((words.over_cost(cost, most), _excess(cost, most)))
    if limits.max_tokens is not None and length > limits.max_tokens:
        found.append((words.over_tokens(length, limits.max_tokens), _excess(length, limits.max_tokens)))
    if limits.min_quality is not None and c.predicted_quality < limits.min_quality:
        missing = (limits.min_quality - c.predicted_quality) / limits.min_quality
        found.append((words.under_quality(c.predicted_quality, limits.min_quality), missing))
    if table.windows is not None and length + input_tokens > table.windows[i]:
        window = table.models[int(table.model_index[i])].context_window or 0
        found.append((words.over_window(length + input_tokens, window), _excess(length + input_tokens, window)))
    if length > table.longest_answer[i]:
        most = float(table.longest_answer[i])
        found.append((words.over_answer(length, most), _excess(length, most)))
    if input_tokens > table.longest_query[i]:
        most = float(table.longest_query[i])
        found.append((words.over_query(input_tokens, most), _excess(input_tokens, most)))
    if limits.budget not in (None, c.budget):
        whole = limits.budget == UNLIMITED and any(need.kind.startswith("json") for need in limits.needs)
        found.append((words.CUTS_JSON if whole else words.other_budget(limits.budget or UNLIMITED), 0.0))
    return found


def _excess(value: float, limit: float) -> float:
    return (value - limit) / limit if limit else value


def _nothing_left(excluded: list[Excluded], limits: Limits) -> str:
    """The message that names the nearest candidate: the one that misses its limits by least."""

    def order(e: Excluded) -> tuple[object, ...]:
        return (not e.usable, limits.budget not in (None, e.candidate.budget), e.distance, -e.candidate.risk)

    nearest = min(excluded, key=order)
    said = words.nothing_left(nearest.candidate.label, nearest.reasons)
    return f"{_hardest_need(excluded, limits)} {said}".strip()


def _hardest_need(excluded: list[Excluded], limits: Limits) -> str:
    """Of the needs that leave models out, the one that leaves out most, in a sentence; "" where none does."""
    models = {e.candidate.model: e.reasons for e in excluded}
    counts = {need: sum(need.refusal in " ".join(reasons) for reasons in models.values()) for need in limits.needs}
    hardest = max(counts, key=lambda need: counts[need], default=None)
    if hardest is None or not counts[hardest]:
        return ""
    return words.needs_most(hardest.refusal, counts[hardest], len(models))
