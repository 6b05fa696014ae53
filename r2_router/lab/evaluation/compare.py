"""Ways to choose, side by side on the same queries: their deferral curves, and what the router gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats
from r2_router.lab.evaluation.metrics import Curve, audc, choose, flip_worth, frontier, qnc, worth_range
from r2_router.records import UNLIMITED, Budget

_WORTHS = 17  # points of the decision value, evenly in log worth
_CURVE_POINTS = 81
_RESAMPLES = 1000
_NO_RIVALS = frozenset({"router", "oracle"})  # nobody beats the oracle


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What one seed's checkpoints expected of n queries they had not learned from, (n, C) each, with and
    without looking at the query; costs in USD. `others` are further ways to expect, as (quality, cost) by name."""

    quality: Floats
    cost: Floats
    blind_quality: Floats
    blind_cost: Floats
    others: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict[str, tuple[Floats, Floats]])


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """`metrics` as JSON; `curves` of each way to choose, mean over seeds; `gain` (n,) of the router over the best
    constant, by query; `worths` (W,), in USD, and at each the `shares` (W, C) of the router's choices."""

    metrics: dict[str, Any]
    curves: Mapping[str, Curve]
    gain: Floats
    worths: Floats
    shares: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What a way to choose paid and got, and its choices: (seeds, worths, n)."""

    cost: Floats
    quality: Floats
    index: NDArray[np.intp]

    def curves(self) -> list[Curve]:
        """The deferral curve of each seed."""
        pairs = zip(self.cost.mean(axis=2), self.quality.mean(axis=2), strict=True)
        return [Curve.of(cost, quality) for cost, quality in pairs]


def compare(
    candidates: Sequence[tuple[str, Budget]], quality: Floats, cost: Floats, seeds: Sequence[Expectation]
) -> Comparison:
    """Every way to choose, given the true quality and cost (n, C)."""
    mean_quality, mean_cost = quality.mean(axis=0), cost.mean(axis=0)
    hull = frontier(mean_cost, mean_quality)
    low, high = worth_range(mean_cost, mean_quality, hull)
    inner = np.geomspace(low, high, _WORTHS)
    outer = np.concatenate(([0.0], np.geomspace(low / 100, high * 100, _CURVE_POINTS), [high * 1e6]))

    unlimited = np.array([budget == UNLIMITED for _, budget in candidates])
    ways = _ways(seeds, quality, cost, unlimited)
    runs = {name: _run(pairs, quality, cost, outer) for name, pairs in ways.items()}
    curves = {name: run.curves() for name, run in runs.items()}
    costs = np.concatenate([mean_cost, *(curve.cost for each in curves.values() for curve in each)])
    cost_range = float(costs.min()), float(costs.max())
    strongest = _strongest(mean_quality, unlimited)
    reference = float(mean_quality[strongest]), float(mean_cost[strongest])

    within = {name: _run(ways[name], quality, cost, inner) for name in ways}
    gain = (_net(within["router"], inner) - _net(within["mix"], inner)).mean(axis=0)  # (worths, n), seeds averaged
    shares = {name: _shares(run.index, len(candidates)) for name, run in within.items()}
    gains = _audc_gains(runs, cost_range)
    metrics: dict[str, Any] = {
        "cost_range_usd": cost_range,
        "worth_range_usd": (low, high),
        "qnc_reference": _constant(candidates, mean_quality, mean_cost, strongest),
        "methods": {
            name: {**_summary(each, cost_range, reference), "entropy_bits": _entropy(shares[name])}
            for name, each in curves.items()
        },
        "random": {"quality": float(mean_quality.mean()), "cost_usd": float(mean_cost.mean())},
        "constants": [_constant(candidates, mean_quality, mean_cost, j) for j in range(len(candidates))],
        "best_constants": _best_constants(candidates, mean_quality, mean_cost, hull),
        "gain_over_best_constant": {
            **interval(gain.mean(axis=0)),
            "by_worth_usd": [[float(w), float(g)] for w, g in zip(inner, gain.mean(axis=1), strict=True)],
        },
        "audc_gain_over_mix": gains.pop("mix"),
        "audc_gains": gains,
    }
    together = {name: _mean_curve(runs[name]) for name in runs}
    return Comparison(metrics, together, gain.mean(axis=0), inner, shares["router"])


# -- ways to choose ----------------------------------------------------------------------------------------


def _ways(
    seeds: Sequence[Expectation], quality: Floats, cost: Floats, unlimited: NDArray[np.bool_]
) -> dict[str, list[tuple[Floats, Floats]]]:
    """The quality and cost each way to choose believes in, for each seed."""

    def without_budgets(believed: Floats) -> Floats:
        return np.where(unlimited, believed, np.inf)  # never worth it

    ways = {
        "router": [(s.quality, s.cost) for s in seeds],
        "mix": [(s.blind_quality, s.blind_cost) for s in seeds],
        "oracle": [(quality, cost) for _ in seeds],
        **{name: [s.others[name] for s in seeds] for name in seeds[0].others},
    }
    if unlimited.any() and not unlimited.all():
        ways["reactive"] = [(s.quality, without_budgets(s.cost)) for s in seeds]
        ways["mix_unlimited"] = [(s.blind_quality, without_budgets(s.blind_cost)) for s in seeds]
    return ways


def _run(pairs: Sequence[tuple[Floats, Floats]], quality: Floats, cost: Floats, worths: Floats) -> _Run:
    rows = np.arange(len(quality))
    picks = [[choose(believed, price, worth) for worth in worths] for believed, price in pairs]
    index = np.array(picks)
    return _Run(cost[rows, index], quality[rows, index], index)


def _net(run: _Run, worths: Floats) -> Floats:
    """(seeds, worths, n): quality − cost/worth, what an answer was worth after its cost, in perfect answers."""
    return run.quality - run.cost / worths[:, None]


def _shares(index: NDArray[np.intp], count: int) -> Floats:
    """(worths, C): how often each candidate is chosen, over queries and seeds."""
    return np.array(
        [np.bincount(index[:, w].ravel(), minlength=count) / index[:, w].size for w in range(index.shape[1])]
    )


def _entropy(shares: Floats) -> float:
    """Bits of a choice, the mean over worths; 0 for one that is always the same."""
    logs = np.log2(np.where(shares > 0, shares, 1.0))
    return float(-(shares * logs).sum(axis=1).mean() + 0.0)


def _mean_curve(run: _Run) -> Curve:
    return Curve.of(run.cost.mean(axis=(0, 2)), run.quality.mean(axis=(0, 2)))


def _strongest(mean_quality: Floats, unlimited: NDArray[np.bool_]) -> int:
    """The unlimited candidate of the highest mean quality; the best of all where none is unlimited."""
    eligible = unlimited if unlimited.any() else np.ones_like(unlimited)
    return int(np.argmax(np.where(eligible, mean_quality, -1.0)))


# -- numbers -----------------------------------------------------------------------------------------------


def _summary(
    curves: Sequence[Curve], cost_range: tuple[float, float], reference: tuple[float, float]
) -> dict[str, Any]:
    """AUDC under both conventions, QNC and peak: [mean, standard deviation] over seeds. QNC is None unless
    every seed reaches the reference."""
    ratios = [qnc(curve, *reference) for curve in curves]
    return {
        "audc_padded": _spread([audc(curve, cost_range, "padded") for curve in curves]),
        "audc_paper": _spread([audc(curve, cost_range, "paper") for curve in curves]),
        "qnc": None if None in ratios else _spread([ratio for ratio in ratios if ratio is not None]),
        "peak": _spread([curve.peak for curve in curves]),
    }


def _spread(values: Sequence[float]) -> list[float]:
    return [float(np.mean(values)), float(np.std(values))]


def _constant(candidates: Sequence[tuple[str, Budget]], quality: Floats, cost: Floats, j: int) -> dict[str, Any]:
    model, budget = candidates[j]
    return {"model": model, "budget": budget, "quality": float(quality[j]), "cost_usd": float(cost[j])}


def _best_constants(
    candidates: Sequence[tuple[str, Budget]], quality: Floats, cost: Floats, hull: Sequence[int]
) -> list[dict[str, Any]]:
    """The constants on the frontier, each with the worth from which it is the best one."""
    worths = [0.0, *(flip_worth(cost, quality, a, b) for a, b in pairwise(hull))]
    return [
        {"from_worth_usd": worth, **_constant(candidates, quality, cost, j)}
        for worth, j in zip(worths, hull, strict=True)
    ]


def _resamples(n: int) -> Floats:
    """(resamples, n): the share of each query in a sample of n drawn with replacement."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n


def interval(differences: Floats) -> dict[str, Any]:
    """The mean of paired differences (n,), and its 95 % bootstrap interval over queries."""
    low, high = np.quantile(_resamples(len(differences)) @ differences, [0.025, 0.975])
    return {"mean": float(differences.mean()), "interval_95": [float(low), float(high)]}


def _audc_gains(runs: Mapping[str, _Run], cost_range: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """The router's padded AUDC less that of each rival, and its 95 % paired bootstrap interval over queries."""
    n = runs["router"].cost.shape[2]
    shares = np.concatenate((np.full((1, n), 1 / n), _resamples(n)))
    areas = {name: _areas(run, shares, cost_range) for name, run in runs.items() if name != "oracle"}
    found: dict[str, dict[str, Any]] = {}
    for name in areas.keys() - _NO_RIVALS:
        mean, *drawn = (areas["router"] - areas[name]).tolist()
        low, high = np.quantile(drawn, [0.025, 0.975])
        found[name] = {"mean": mean, "interval_95": [float(low), float(high)]}
    return {name: found[name] for name in runs if name in found}


def _areas(run: _Run, shares: Floats, cost_range: tuple[float, float]) -> Floats:
    """(r,): the padded AUDC, the mean over seeds, for each weighting (r, n) of the queries."""
    pairs = zip(run.cost @ shares.T, run.quality @ shares.T, strict=True)  # (worths, r) of each seed
    return np.mean(
        [[audc(Curve.of(x, y), cost_range, "padded") for x, y in zip(c.T, q.T, strict=True)] for c, q in pairs], axis=0
    )
