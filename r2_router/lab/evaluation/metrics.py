"""Deferral curves and what is read off them: AUDC, QNC, peak, the frontier of constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from r2_router.arrays import Floats

Convention: TypeAlias = Literal["paper", "own", "padded"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A deferral curve: mean true cost (USD) and quality at P trade-offs, (P,) each, by rising cost."""

    cost: Floats
    quality: Floats

    @classmethod
    def of(cls, cost: ArrayLike, quality: ArrayLike) -> Curve:
        """The curve through these points, in whatever order they come."""
        x, y = np.asarray(cost, dtype=np.float64), np.asarray(quality, dtype=np.float64)
        order = np.lexsort((y, x))
        return cls(x[order], y[order])

    @property
    def best_so_far(self) -> Floats:
        """(P,): the highest quality at this cost or less; nobody need pay more to get less."""
        return np.maximum.accumulate(self.quality)

    @property
    def peak(self) -> float:
        """The highest quality."""
        return float(self.quality.max())


def audc(curve: Curve, cost_range: tuple[float, float], convention: Convention) -> float:
    """Area under the deferral curve over normalised cost, by trapezoids. Conventions differ widely:

    "paper": the points as they are, cost normalised by `cost_range`, the least and greatest cost of all
    methods compared; costs the curve does not reach count nothing. "own": normalised by the curve's own
    costs; a single point scores its quality. "padded": the non-decreasing curve, continued flat to both
    ends of `cost_range`. Where nothing costs more than anything else, each is the peak.
    """
    low, high = (float(curve.cost[0]), float(curve.cost[-1])) if convention == "own" else cost_range
    if high <= low:
        return curve.peak
    if convention != "padded":
        return float(np.trapezoid(curve.quality, curve.cost)) / (high - low)
    inside = (curve.cost > low) & (curve.cost < high)
    cost = np.concatenate(([low], curve.cost[inside], [high]))
    ends = np.interp([low, high], curve.cost, curve.best_so_far)
    quality = np.concatenate((ends[:1], curve.best_so_far[inside], ends[1:]))
    return float(np.trapezoid(quality, cost)) / (high - low)


def qnc(curve: Curve, quality: float, cost: float) -> float | None:
    """Quality-neutral cost: the least cost at which `curve` reaches `quality`, over `cost`, what the best
    single model takes for it.

    Between two points the curve is a mix of both. None if it never gets there, or only for money to what is free.
    """
    best = curve.best_so_far
    if curve.peak < quality:
        return None
    i = int(np.argmax(best >= quality))
    share = (quality - best[i - 1]) / (best[i] - best[i - 1]) if i else 1.0
    least = float(curve.cost[i - 1] + share * (curve.cost[i] - curve.cost[i - 1])) if i else float(curve.cost[0])
    if cost == 0:
        return 1.0 if least == 0 else None
    return least / cost


def choose(quality: Floats, cost: Floats, worth_usd: float) -> NDArray[np.intp]:
    """(n,): the candidate of highest net_usd = worth·quality − cost in each row of (n, C)."""
    return np.argmax(worth_usd * quality - cost, axis=1)


def frontier(cost: Floats, quality: Floats) -> list[int]:
    """The candidates that are the best constant for some worth, cheapest first: the upper convex hull of
    their mean costs and qualities (C,), up to its peak."""
    kept: list[int] = []
    for i in np.lexsort((-quality, cost)).tolist():
        if kept and quality[i] <= quality[kept[-1]]:
            continue
        while len(kept) > 1 and (
            flip_worth(cost, quality, kept[-2], i) <= flip_worth(cost, quality, kept[-2], kept[-1])
        ):
            kept.pop()
        kept.append(i)
    return kept


def flip_worth(cost: Floats, quality: Floats, cheaper: int, better: int) -> float:
    """The worth (USD) from which `better` pays for being dearer than `cheaper`."""
    return float((cost[better] - cost[cheaper]) / (quality[better] - quality[cheaper]))


def worth_range(cost: Floats, quality: Floats, hull: Sequence[int]) -> tuple[float, float]:
    """The worths (USD) between which the choice matters: from a third of the first flip along the frontier
    `hull` to three times the last.

    With one candidate on it, a decade each side of the worth at which its answers break even.
    """
    flips = [flip_worth(cost, quality, a, b) for a, b in pairwise(hull)]
    if flips:
        return flips[0] / 3, flips[-1] * 3
    even = max(float(cost[hull[0]]), 1e-12) / max(float(quality[hull[0]]), 0.01)
    return even / 10, even * 10
