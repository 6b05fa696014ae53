"""Would a cascade pay: ask a cheap candidate, look at how sure it was, and ask a stronger one where that pays?

After a, whose answer has the signal s, asking b pays iff its expected gain exceeds its price:

    E[q_b | s] - π(s) > c_b / worth          π(s) = q_a·r(s) / (q_a·r(s) + (1-q_a)·w(s))
    E[q_b | s] = q_b · (1-π + ρ·π) / (1-q_a + ρ·q_a)

r and w say how often right and wrong answers of a have such a signal, ρ how many times likelier b is right where a is:
both are learned from other queries of the table (learning/signal_fit.py). A cascade is begun only where what it is
expected to be worth, over both steps, exceeds that of the best single candidate by MARGIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.table import Table
from r2_router.lab.evaluation.compare import Expectation, interval
from r2_router.lab.learning.signal_fit import Signal, auroc, learn_signals, measured_rows

MARGIN = 0.02  # of a perfect answer: the best of many noisy pairs flatters itself

_FOLDS = 5
_NOTHING = 1e-12
_EVERY = 4  # of the worths at which ways to choose are compared, one in so many


def cascades(truth: Table, cost: Floats, seeds: Sequence[Expectation], worths: Floats) -> dict[str, Any] | None:
    """What the signals of `truth` tell, and what cascades gain over routing at some of the `worths` (USD), by true
    quality and `cost` (n, C), as JSON; None where no candidate's answers told enough of how sure their model was.

    Signals are learned from four fifths of the queries, with what each seed expected of them while they were left out,
    and used on the rest.
    """
    told = learn_signals(truth, np.mean([seed.quality for seed in seeds], axis=0))
    if not told:
        return None
    parts = [_ways(truth, cost, seed, number, worths[::_EVERY]) for number, seed in enumerate(seeds)]
    routed, gained, begun, up = (np.mean([part[i] for part in parts], axis=0) for i in range(4))  # (W, n) each
    by_worth = [
        {
            "worth_usd": float(worth),
            "routed": float(routed[w].mean()),
            **interval(gained[w]),
            "cascades": float(begun[w].mean()),
            "went_up": float(up[w].mean()),
        }
        for w, worth in enumerate(worths[::_EVERY])
    ]
    gain = interval(gained.mean(axis=0))
    signals = [_told(truth, seeds, signal) for signal in told]
    return {"verdict": _verdict(gain), "signals": signals, "gain": gain, "by_worth": by_worth}


def _told(truth: Table, seeds: Sequence[Expectation], signal: Signal) -> dict[str, Any]:
    """How well right answers of a candidate are told from wrong ones: by its signal alone, and by what was expected."""
    j = truth.candidates.index((signal.model, signal.budget))
    rows = measured_rows(truth, j)
    foretold = np.mean([seed.quality[rows, j] for seed in seeds], axis=0)
    return {
        "model": signal.model,
        "budget": signal.budget,
        "answers": signal.answers,
        "auroc": signal.auroc,
        "auroc_expected": auroc(truth.quality[rows, j], foretold),
    }


def _ways(
    truth: Table, cost: Floats, seed: Expectation, number: int, worths: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of one seed, at each worth for each query, (W, n): the value of routing in perfect answers, what cascading adds,
    whether a cascade was begun, and whether it went up."""
    shape = (len(worths), len(truth))
    routed, gained, begun, up = (np.zeros(shape) for _ in range(4))
    for kept, out in random_folds(truth, _FOLDS, number):
        signals = learn_signals(truth.take(kept), seed.quality[kept])
        part = truth.take(out)
        known = part, cost[out], seed.quality[out], seed.cost[out]
        for w, worth in enumerate(worths):
            for array, found in zip((routed, gained, begun, up), _at(*known, signals, 1 / worth), strict=True):
                array[w, out] = found
    return routed, gained, begun, up


def _at(
    part: Table, cost: Floats, quality: Floats, price: Floats, signals: Sequence[Signal], per_usd: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """As `_ways`, at one worth, for the queries of `part`: (n,) each."""
    rows = np.arange(len(part))
    hoped = quality - per_usd * price
    choice = hoped.argmax(axis=1)
    best = hoped[rows, choice] + MARGIN
    real = part.quality - per_usd * cost
    routed = value = real[rows, choice]
    begun, up = np.zeros(len(part)), np.zeros(len(part))
    places = {candidate: j for j, candidate in enumerate(part.candidates)}
    for signal in signals:
        a = places[signal.model, signal.budget]
        others = np.array([places[candidate] for candidate in signal.ratios])
        ratios = np.array([*signal.ratios.values()])
        told = expect(signal, quality[:, a], price[:, a], quality[:, others], price[:, others], ratios, per_usd)
        i = told.value.argmax(axis=1)
        better = told.value[rows, i] > best
        best = np.where(better, told.value[rows, i], best)
        place = np.searchsorted(signal.edges, part.mean_logprob[:, a])
        known = ~np.isnan(part.mean_logprob[:, a])
        goes = known & told.up[rows, np.minimum(place, len(signal.edges)), i]
        after = np.where(goes, real[rows, others[i]] - per_usd * cost[:, a], real[:, a])
        value = np.where(better, after, value)
        begun, up = np.where(better, 1.0, begun), np.where(better, goes, up)
    return routed, value - routed, begun, up


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Of n queries and B candidates to go up to: the `value` (n, B) of the cascade in perfect answers, whether each of
    K bins goes up (n, K, B), and how likely each bin is (n, K)."""

    value: Floats
    up: NDArray[np.bool_]
    chance: Floats


def expect(
    signal: Signal,
    quality: Floats,
    cost: Floats,
    then_quality: Floats,
    then_cost: Floats,
    ratios: Floats,
    per_usd: float,
) -> Expected:
    """What cascades from one candidate are worth: `quality` and `cost` (n,) are its own, `then_quality`, `then_cost`
    (n, B) and `ratios` (B,) those of the candidates to go up to; a dollar is `per_usd` perfect answers."""
    chance, sure = _posterior(quality, signal.right, signal.wrong)
    after = _after(sure, quality, then_quality, ratios)
    gain = after - sure[..., None] - per_usd * then_cost[:, None, :]
    alone = quality - per_usd * cost
    value = alone[:, None] + np.einsum("nk,nkb->nb", chance, np.maximum(gain, 0.0))
    return Expected(value, gain > 0, chance)


def _posterior(quality: Floats, right: Sequence[float], wrong: Sequence[float]) -> tuple[Floats, Floats]:
    """How likely each of K bins is, (n, K), and π, how likely an answer in it is right."""
    are_right = quality[:, None] * np.array(right)
    chance = are_right + (1 - quality)[:, None] * np.array(wrong)
    return chance, are_right / np.maximum(chance, _NOTHING)


def _after(sure: Floats, quality: Floats, then_quality: Floats, ratios: Floats) -> Floats:
    """E[q_b | s], (n, K, B), of π (n, K), q_a (n,), q_b (n, B) and ρ (B,)."""
    shift = 1 + (ratios - 1) * sure[..., None]
    usual = 1 + (ratios - 1) * quality[:, None, None]
    return np.minimum(1.0, then_quality[:, None, :] * shift / usual)


def _verdict(gain: dict[str, Any]) -> str:
    low, high = gain["interval_95"]
    size = f"{gain['mean']:+.4f} of a perfect answer, 95 % interval {low:+.4f} to {high:+.4f}"
    if low > 0:
        return f"A cascade would pay on this table: {size} over routing alone."
    return f"A cascade is not shown to pay on this table: {size} over routing alone."
