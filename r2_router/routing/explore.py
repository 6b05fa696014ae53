"""Exploration: now and then a choice by a draw of what may be true, so that what is not known can be learned.

Thompson sampling (Thompson 1933): the qualities are drawn as they may be, and the best of the draw is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import ConfigError
from r2_router.records import Budget, Later
from r2_router.routing.considered import Candidate
from r2_router.routing.decision import Decision, Explored, Ranking

# Of the variance of an expected quality: what is the model's, the budget's and the candidate's own. The rest is shared
# by all, and moves no choice. They are those of the levels learned from use: lab/learning/from_base.py.
OF_MODEL, OF_BUDGET, OF_ONE = 0.13, 0.13, 0.033


def check_explores(checkpoint: Checkpoint, share: float) -> None:
    """Raise ConfigError where a share of requests is to explore, and the checkpoint does not say what is not known."""
    if share and checkpoint.quality_error is None:
        raise ConfigError(
            f"explore = {share:g} draws from what is not known of each model, and checkpoint '{checkpoint.name}' "
            "records no standard errors. Train it anew (`r2-router train`), name another one, or set explore = 0."
        )


def explored(decision: Decision, rng: np.random.Generator, share: float) -> Decision:
    """`decision`, or one for the candidate that is best in a draw: among those that keep the limits, and only where
    a worth says what quality is worth."""
    worth, ranking = decision.worth_usd, decision.candidates
    if worth is None or decision.closing or len(ranking) < 2:
        return decision
    qualities = _drawn(list(ranking), rng)
    values = [worth * (quality - c.doubt) - c.weighed_usd for c, quality in zip(ranking, qualities, strict=True)]
    chosen = int(np.argmax(values))
    if chosen == 0:
        return decision
    order = np.concatenate([ranking.order[chosen : chosen + 1], np.delete(ranking.order, chosen)])
    best, other = ranking[0], ranking[chosen]
    given_up = max(0.0, (best.net_usd or 0.0) - (other.net_usd or 0.0))
    return replace(
        decision,
        candidates=Ranking(ranking.scores, order),
        readiness=Later.known(decision.readiness() if other.model == best.model else ""),
        explored=Explored(best.model, best.budget, given_up, share),
    )


def _drawn(candidates: list[Candidate], rng: np.random.Generator) -> list[float]:
    """A quality for each, 0..1, as it may be."""
    offsets = drawn_offsets([(c.model, c.budget) for c in candidates], rng)
    return [
        min(max(c.predicted_quality + (c.quality_error or 0.0) * off, 0.0), 1.0)
        for c, off in zip(candidates, offsets, strict=True)
    ]


def drawn_offsets(candidates: Sequence[tuple[str, Budget]], rng: np.random.Generator) -> list[float]:
    """By how many of its standard errors each (model, budget) is off, in one draw: what moves a choice of it."""
    named = dict.fromkeys(model for model, _ in candidates), dict.fromkeys(budget for _, budget in candidates)
    models = dict(zip(named[0], rng.standard_normal(len(named[0])).tolist(), strict=True))
    budgets = dict(zip(named[1], rng.standard_normal(len(named[1])).tolist(), strict=True))
    own = rng.standard_normal(len(candidates)).tolist()
    return [
        OF_MODEL**0.5 * models[model] + OF_BUDGET**0.5 * budgets[budget] + OF_ONE**0.5 * one
        for (model, budget), one in zip(candidates, own, strict=True)
    ]
