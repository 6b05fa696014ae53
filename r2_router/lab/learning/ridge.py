"""Ridge regression with an intercept, for many α at once, with its exact leave-one-out predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from r2_router.arrays import Floats

_NULL = 1e-6  # singular values under this part of the largest are rounding


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """The centred rows X (n, d), of rank r, as U·diag(s)·Vᵀ, which gives the fit for any α.

    center (d,) is the mean of the rows, left (n, r) is U, values (r,) is s, right (r, d) is Vᵀ.
    """

    center: Floats
    left: Floats
    values: Floats
    right: Floats

    @classmethod
    def of(cls, rows: Floats) -> Ridge:
        """Decompose (n, d) rows."""
        center = rows.mean(axis=0)
        X = rows - center
        if X.shape[0] > X.shape[1]:  # XᵀX is the small one; the digits it loses drown in α
            squares, vectors = np.linalg.eigh(X.T @ X)
            values, right = np.sqrt(np.maximum(squares, 0.0))[::-1], vectors.T[::-1]
        else:
            _, values, right = np.linalg.svd(X, full_matrices=False)
        kept = values > values[0] * _NULL
        values, right = values[kept], right[kept]
        return cls(center, X @ (right.T / values), values, right)

    def shrinkage(self, alpha: float) -> Floats:
        """(r,): the part of each principal direction the penalty leaves, s²/(s²+α)."""
        return self.values**2 / (self.values**2 + alpha)

    def weights(self, targets: Floats, alpha: float) -> tuple[Floats, Floats]:
        """Weights (k, d) and biases (k,) for targets (n, k)."""
        mean = targets.mean(axis=0)
        inner = (self.left.T @ (targets - mean)) * (self.shrinkage(alpha) / self.values)[:, None]
        weights = inner.T @ self.right
        return weights, mean - weights @ self.center

    def leverage(self, alphas: Sequence[float]) -> Floats:
        """(A, n): how far each row's own target moves its fitted value, the diagonal of the hat matrix."""
        parts = np.array([self.shrinkage(alpha) for alpha in alphas])
        return 1 / len(self.left) + parts @ (self.left**2).T

    def left_out(self, targets: Floats, alphas: Sequence[float]) -> Floats:
        """(A, n, k): each row predicted by the fit to all the others, in closed form (Allen 1974)."""
        mean = targets.mean(axis=0)
        projected = self.left.T @ (targets - mean)
        leverages = self.leverage(alphas)
        predictions = np.empty((len(alphas), *targets.shape))
        for a, alpha in enumerate(alphas):
            fitted = mean + self.left @ (self.shrinkage(alpha)[:, None] * projected)
            predictions[a] = targets - (targets - fitted) / (1 - leverages[a])[:, None]
        return predictions
