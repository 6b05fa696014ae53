"""What heads get wrong, as a Gaussian process: measured answers shift heads as far as they deserve, and no further.

The error of C heads at a query's vector x is f_c(x) = a_c + w_c·(x − x̄), with Cov(a) = A and Cov(w) = B ⊗ I: the
linear model of coregionalization (Alvarez, Rosasco & Lawrence 2012, section 4) in two parts. A and B (C, C) are sums of
what all candidates share, what those of a model share, those of a budget, and what is each one's own, so that ten
answers of a model at one length say something of its every length, and of other models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats, Singles
from r2_router.records import Budget

Candidates: TypeAlias = Sequence[tuple[str, Budget]]
Link: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]  # what heads give -> expected quality, and its slope there

_NEWTON_STEPS = 25
_SETTLED = 1e-3  # Newton's steps end where none moves a head by more
_EXACT = 1e-3  # of the right side: where conjugate gradients end
_MOST_STEPS = 200
LEAST_VARIANCE = 0.02  # of one label: graders err, and no answer is certain


@dataclass(frozen=True, slots=True)
class Spread:
    """How wrong heads may be: the standard deviation of what all candidates share, and of what a model, a budget and
    each candidate (`own`) add to it."""

    shared: float
    model: float
    budget: float
    own: float

    def times(self, factor: float) -> Spread:
        """All of it so many times as wide."""
        return Spread(self.shared * factor, self.model * factor, self.budget * factor, self.own * factor)

    def covariance(self, candidates: Candidates) -> Floats:
        """(C, C)."""
        models = np.array([model for model, _ in candidates])
        budgets = np.array([str(budget) for _, budget in candidates])
        model, budget = models[:, None] == models, budgets[:, None] == budgets
        alone = model & budget
        return self.shared**2 + self.model**2 * model + self.budget**2 * budget + self.own**2 * alone


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of the errors of heads before an answer is seen, on the heads' scale: `levels` the spread of
    a_c, `slopes` that of w_c, `query` what all answers to one query share besides."""

    levels: Spread
    slopes: Spread
    query: float

    def times(self, factor: float) -> Beliefs:
        """For heads whose scale is so many times as fine."""
        return Beliefs(self.levels.times(factor), self.slopes.times(factor), self.query * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """What is added to heads: weights (C, d) and bias (C,)."""

    weights: Floats
    bias: Floats

    def __call__(self, vectors: Floats) -> Floats:
        """(n, d) -> (n, C)."""
        return vectors @ self.weights.T + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Answers of `candidates` to n queries: their vectors (n, d) and the middle (d,) slopes turn about, what the heads
    gave (n, C), what came (n, C), NaN where nobody measured, and how much each query counts (n,), 1 in full."""

    candidates: Candidates
    vectors: Floats
    middle: Floats
    given: Floats
    came: Floats
    weights: Floats

    def shift_of_values(self, beliefs: Beliefs, noise: float) -> Shift:
        """The posterior mean of f, where `came` scatters by `noise` about what heads give."""
        process = _Process.of(self, beliefs)
        given, came, counted = process.seen(self)
        root = counted / noise
        off = np.where(counted > 0, came - given, 0.0)
        return process.shift(root * process.solve(root, root * off))

    def shift_of_shares(self, beliefs: Beliefs, link: Link) -> Shift:
        """The posterior mode of f, where `came`, 0..1, is on average what `link` makes of what heads give, with the
        variance of a coin's fall. By Newton's method (Rasmussen & Williams 2006, algorithm 3.1)."""
        process = _Process.of(self, beliefs)
        given, came, counted = process.seen(self)
        share = np.where(counted > 0, came, 0.0)
        f, scaled, dual = (np.zeros_like(share) for _ in range(3))
        for _ in range(_NEWTON_STEPS):
            expected, slope = link(given + f)
            scale = counted / np.sqrt(np.maximum(expected * (1 - expected), LEAST_VARIANCE))
            root = scale * slope
            scaled = process.solve(root, scale * (share - expected) + root * f, scaled)
            dual = root * scaled
            f, before = process(dual), f
            if np.abs((f - before)[counted > 0]).max(initial=0.0) < _SETTLED:
                break
        return process.shift(dual)


@dataclass(frozen=True, slots=True, eq=False)
class _Process:
    """The covariance of f over the cells of the m queries and the K columns (`rows`, `columns`) somebody measured: X
    (m, d) the queries' offsets from the middle, levels and slopes (C, K) of every candidate with those columns, query a
    variance."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    X: Singles
    levels: Floats
    slopes: Floats
    query: float
    middle: Floats

    @classmethod
    def of(cls, cells: Cells, beliefs: Beliefs) -> _Process:
        known = ~np.isnan(cells.came)
        rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
        levels, slopes = (part.covariance(cells.candidates)[:, columns] for part in (beliefs.levels, beliefs.slopes))
        offsets = (cells.vectors[rows] - cells.middle).astype(np.float32)
        return cls(rows, columns, offsets, levels, slopes, beliefs.query**2, cells.middle)

    def seen(self, cells: Cells) -> tuple[Floats, Floats, Floats]:
        """What was given, what came, and the root of how much it counts, 0 where nobody measured: (m, K) each."""
        here = np.ix_(self.rows, self.columns)
        came = cells.came[here]
        return cells.given[here], came, ~np.isnan(came) * np.sqrt(cells.weights[self.rows])[:, None]

    def __call__(self, dual: Floats) -> Floats:
        """The covariance times `dual` (m, K)."""
        levels, slopes = self.levels[self.columns], self.slopes[self.columns]
        together = self.query * dual.sum(axis=1, keepdims=True)
        sloped = self.X @ ((self.X.T @ dual.astype(np.float32)) @ slopes.astype(np.float32))
        return dual.sum(axis=0) @ levels + sloped + together

    def solve(self, root: Floats, right: Floats, start: Floats | None = None) -> Floats:
        """u (m, K), where v = root·u solves (covariance + N)·v = r; `root` is N^-½, 0 where nothing was measured, and
        `right` root·r. By conjugate gradients from `start` on (I + root·covariance·root)·u = right, which has no
        eigenvalue under 1.
        """
        scaled = np.zeros_like(right) if start is None else start.copy()
        residual = right.copy() if start is None else right - scaled - root * self(root * scaled)
        direction, size = residual.copy(), float((residual**2).sum())
        enough = _EXACT**2 * float((right**2).sum())
        for _ in range(_MOST_STEPS):
            if size <= enough:
                break
            ahead = direction + root * self(root * direction)
            step = size / float((direction * ahead).sum())
            scaled += step * direction
            residual -= step * ahead
            before, size = size, float((residual**2).sum())
            direction = residual + (size / before) * direction
        return scaled

    def shift(self, dual: Floats) -> Shift:
        """f of every candidate, from the solution `dual`."""
        weights = self.slopes @ (dual.T @ self.X)
        return Shift(weights, self.levels @ dual.sum(axis=0) - weights @ self.middle)
