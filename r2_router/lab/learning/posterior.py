"""What heads get wrong, as a Gaussian process: measured answers shift heads as far as they deserve, and no further.

The error of C heads at a query's vector x is f_c(x) = a_c + w_c·(x − x̄), with Cov(a) = A and Cov(w) = B ⊗ I: the
linear model of coregionalization (Alvarez, Rosasco & Lawrence 2012, section 4) in two parts. A and B (C, C) are sums of
what all candidates share, what those of a model share, those of a budget, and what is each one's own, so that ten
answers of a model at one length say something of its every length, and of other models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats, Singles
from r2_router.records import Budget

Candidates: TypeAlias = Sequence[tuple[str, Budget]]
Indices: TypeAlias = NDArray[np.intp]
Link: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]  # what heads give -> expected quality, and its slope there

_NEWTON_STEPS = 25
_SETTLED = 2e-3  # logits: Newton's steps end where they move heads by no more, root mean square
_EXACT = 1e-3  # of the right side: where conjugate gradients end, and
_LOOSE = 0.1  # of the step before, where they end while Newton's steps are far from their end
_SWINGS = 0.5  # of the move before, when taken back: the steps swing about the mode, and half a one lands nearer
_FARTHEST = 4.0  # steps at once, where each goes on as the one before it did
_MOST_STEPS = 200
_DIRECTIONS = 64  # in which answers vary most: there, what all candidates share is solved for at once,
_SKETCHED = 2048  # and so many queries tell which they are
_SURE = 12.0  # logits beyond which a preference is as good as certain
LEAST_VARIANCE = 0.02  # of one label: graders err, and no answer is certain


def no_preferences() -> Indices:
    """None, as an array of them (0, 3)."""
    return np.empty((0, 3), np.intp)


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

    @property
    def variance(self) -> float:
        """Of one candidate."""
        return self.shared**2 + self.model**2 + self.budget**2 + self.own**2

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
    gave (n, C), what came (n, C), NaN where nobody measured, and how much each query counts (n,), 1 in full.
    `preferred` (p, 3): a query, the candidate whose answer to it was preferred, and to whose. `unread` (n,): the square
    of how far from the middle a query may lie of which nobody knows more; 0, and that is its place, for the others."""

    candidates: Candidates
    vectors: Floats
    middle: Floats
    given: Floats
    came: Floats
    weights: Floats
    unread: Floats
    preferred: Indices = field(default_factory=no_preferences)

    def shift_of_values(self, beliefs: Beliefs, noise: float) -> Shift:
        """The posterior mean of f, where `came` scatters by `noise` about what heads give."""
        process = _Process.of(self, beliefs)
        root = process.counted / noise
        return process.shift(root * process.solve(root, root * (process.came - process.given)))

    def shift_of_shares(self, beliefs: Beliefs, link: Link, unit: float = 1.0) -> Shift:
        """The posterior mode of f, where `came`, 0..1, is on average what `link` makes of what heads give, with the
        variance of a coin's fall. By Newton's method (Rasmussen & Williams 2006, algorithm 3.1).

        A preference says which of two was right where one of them was, the better one with the odds of the logits'
        difference (Bradley & Terry 1952); of how good both are it says nothing. `unit`: a logit, on the heads' scale.
        """
        process = _Process.of(self, beliefs)
        f, scaled, dual = (np.zeros(len(process.came)) for _ in range(3))
        exact, before = _LOOSE, np.zeros_like(f)
        for _ in range(_NEWTON_STEPS):
            expected, slope, variance = process.expected(f, link, unit)
            scale = process.counted / np.sqrt(variance)
            root = scale * slope
            scaled = process.solve(root, scale * (process.came - expected) + root * f, scaled, exact)
            change = root * scaled - dual
            move = process(change)
            step = _step(move, before)
            dual += step * change
            f += step * move
            before = move
            if move @ move <= (_SETTLED * unit) ** 2 * len(move):
                break
            exact = max(_EXACT, exact * _LOOSE)
        return process.shift(dual)


def _step(move: Floats, before: Floats) -> float:
    """How much of Newton's `move` to make, by how much of the one `before` comes again: steps that swing are halved,
    those that creep, as they do where the variance changes with the mode, are made in one (Aitken's extrapolation)."""
    size = float(before @ before)
    again = float(move @ before) / size if size else 0.0
    if again < -_SWINGS:
        return 0.5
    return min(1.0 / (1.0 - again), _FARTHEST) if _SWINGS < again < 1 else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Process:
    """The covariance of f over what was seen, n labels and p preferences: each is the f of one cell, or the difference
    of two. The cells, `ends`, are sorted by their candidate: `seen` (e,) names the label or preference an end belongs
    to, `sign` (e,) is -1 for the worse of two, `rows` (e,) its query. `blocks`: for each candidate met, its column, its
    ends and their queries' offsets from the middle. Levels and slopes (C, C) of all candidates; query a variance.

    `given`, `came` and `counted` (n + p,): what heads gave, what came, 1 for a preference, and the root of how much it
    counts. `common` (n + p, k) and `alone` (n + p,) are most of the covariance: common·commonᵀ is what all candidates
    share, nothing of a preference, and `alone` the diagonal of what a label has of its query.
    """

    seen: Indices
    sign: Floats
    rows: Indices
    blocks: list[tuple[int, slice, Singles]]
    levels: Floats
    slopes: Floats
    query: Floats
    middle: Floats
    given: Floats
    came: Floats
    counted: Floats
    common: Singles
    alone: Floats
    labels: int

    @classmethod
    def of(cls, cells: Cells, beliefs: Beliefs) -> _Process:
        rows, columns = np.nonzero(~np.isnan(cells.came))
        asked, better, worse = cells.preferred.T
        n, p = len(rows), len(asked)
        ends = np.concatenate([columns, better, worse])
        order = np.argsort(ends, kind="stable")
        ends, at = ends[order], np.concatenate([rows, asked, asked])[order]
        offsets = cells.vectors.astype(np.float32) - cells.middle.astype(np.float32)
        bounds = [*np.flatnonzero(np.diff(ends, prepend=-1)).tolist(), len(ends)]
        pieces = [slice(start, end) for start, end in pairwise(bounds)]
        everywhere = np.arange(len(offsets))
        given = cells.given
        levels, slopes = (part.covariance(cells.candidates) for part in (beliefs.levels, beliefs.slopes))
        query = beliefs.query**2 + cells.unread * beliefs.slopes.variance
        wide = np.sqrt(slopes.min()) * (offsets @ _widest(offsets))
        common = np.zeros((n + p, wide.shape[1] + 1), np.float32)
        common[:n, 0], common[:n, 1:] = np.sqrt(levels.min()), wide[rows]
        return cls(
            seen=np.concatenate([np.arange(n + p), np.arange(n, n + p)])[order],
            sign=np.concatenate([np.ones(n + p), -np.ones(p)])[order],
            rows=at,
            blocks=[
                (int(ends[i.start]), i, offsets if np.array_equal(at[i], everywhere) else offsets[at[i]])
                for i in pieces
            ],
            levels=levels,
            slopes=slopes,
            query=query,
            middle=cells.middle,
            given=np.concatenate([given[rows, columns], given[asked, better] - given[asked, worse]]),
            came=np.concatenate([cells.came[rows, columns], np.ones(p)]),
            counted=np.sqrt(cells.weights[np.concatenate([rows, asked])]),
            common=common,
            alone=np.concatenate([query[rows], np.zeros(p)]),
            labels=n,
        )

    def expected(self, f: Floats, link: Link, unit: float) -> tuple[Floats, Floats, Floats]:
        """What is expected of each label and preference (n + p,), how steeply it rises with f, and the variance."""
        z = self.given + f
        quality, slope = link(z[: self.labels])
        prefers = 1 / (1 + np.exp(-np.clip(z[self.labels :] / unit, -_SURE, _SURE)))
        even = prefers * (1 - prefers)
        parts = (quality, prefers), (slope, even / unit), (np.maximum(quality * (1 - quality), LEAST_VARIANCE), even)
        expected, slopes, variance = map(np.concatenate, parts)
        return expected, slopes, variance

    def __call__(self, dual: Floats) -> Floats:
        """The covariance times `dual` (n + p,)."""
        ends = self.sign * dual[self.seen]
        sums, sloped = self._summed(ends)
        levels, slopes = self.levels @ sums, self.slopes.astype(np.float32) @ sloped
        found = (self.query * np.bincount(self.rows, ends, minlength=len(self.query)))[self.rows]
        for column, piece, X in self.blocks:
            found[piece] += levels[column] + X @ slopes[column]
        return np.bincount(self.seen, self.sign * found, minlength=len(dual)).astype(np.float64)

    def _summed(self, ends: Floats) -> tuple[Floats, Singles]:
        """By candidate, the sum of `ends` (C,), and that of the offsets times them (C, d)."""
        sums, sloped = np.zeros(len(self.levels)), np.zeros((len(self.levels), len(self.middle)), np.float32)
        single = ends.astype(np.float32)
        for column, piece, X in self.blocks:
            sums[column], sloped[column] = ends[piece].sum(), single[piece] @ X
        return sums, sloped

    def solve(self, root: Floats, right: Floats, start: Floats | None = None, exact: float = _EXACT) -> Floats:
        """u (n + p,), where v = root·u solves (covariance + N)·v = r; `root` is N^-½ and `right` root·r. By conjugate
        gradients from `start` on (I + root·covariance·root)·u = right, which has no eigenvalue under 1, until `exact`
        of the right side is left; each step is bent by what `_eased` makes of it.
        """
        scaled = np.zeros_like(right) if start is None else start.copy()
        residual = right.copy() if start is None else right - scaled - root * self(root * scaled)
        eased, enough = self._eased(root), exact**2 * float(right @ right)
        direction, size = np.zeros_like(right), 1.0
        for _ in range(_MOST_STEPS):
            if residual @ residual <= enough:
                break
            bent = eased(residual)
            before, size = size, float(residual @ bent)
            direction = bent + (size / before) * direction
            ahead = direction + root * self(root * direction)
            step = size / float(direction @ ahead)
            scaled += step * direction
            residual -= step * ahead
        return scaled

    def _eased(self, root: Floats) -> Callable[[Floats], Floats]:
        """About the inverse of I + root·covariance·root: that of the part of it in `common` and `alone` (Woodbury)."""
        own = 1 / (1 + root**2 * self.alone)
        common = root.astype(np.float32)[:, None] * self.common
        bent = own.astype(np.float32)[:, None] * common
        inner = np.linalg.inv(np.eye(common.shape[1]) + common.T @ bent).astype(np.float32)

        def eased(residual: Floats) -> Floats:
            return own * residual - bent @ (inner @ (residual.astype(np.float32) @ bent))

        return eased

    def shift(self, dual: Floats) -> Shift:
        """f of every candidate, from the solution `dual`."""
        sums, sloped = self._summed(self.sign * dual[self.seen])
        weights = self.slopes @ sloped
        return Shift(weights, self.levels @ sums - weights @ self.middle)


def _widest(offsets: Singles) -> Singles:
    """(d, k): orthonormal directions in which offsets (n, d) vary most, or nearly so, by one step of subspace iteration
    from random ones (Halko, Martinsson & Tropp 2011)."""
    some = offsets[:: len(offsets) // _SKETCHED + 1]
    start = np.random.default_rng(0).standard_normal((offsets.shape[1], _DIRECTIONS), np.float32)
    return np.linalg.qr(some.T @ (some @ start))[0]
