"""Ridge heads of every candidate of a table, whatever queries each was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats
from r2_router.lab.learning.ridge import Ridge

Index: TypeAlias = NDArray[np.intp]


def alike(measured: NDArray[np.bool_]) -> list[tuple[Index, Index]]:
    """The columns of (n, C) that are measured on the same rows, together, and those rows."""
    patterns, pattern_of = np.unique(measured.T, axis=0, return_inverse=True)
    return [(np.flatnonzero(pattern_of == k), np.flatnonzero(pattern)) for k, pattern in enumerate(patterns)]


class Heads:
    """The fits of C heads to (n, d) unit vectors, for any α, where head j learns only from the queries i
    that `measured` (n, C) marks.

    Heads measured on the same queries share one decomposition. Nothing is put into a cell nobody measured.
    """

    def __init__(self, vectors: Floats, measured: NDArray[np.bool_]) -> None:
        self._vectors = vectors
        self._groups = [(heads, rows, Ridge.of(vectors[rows])) for heads, rows in alike(measured)]

    def weights(self, targets: Floats, alpha: float) -> Floats:
        """(C, d+1): the weights of each head for its column of `targets` (n, C), and its bias last."""
        stacked = np.empty((targets.shape[1], self._vectors.shape[1] + 1))
        for heads, rows, ridge in self._groups:
            stacked[heads, :-1], stacked[heads, -1] = ridge.weights(targets[np.ix_(rows, heads)], alpha)
        return stacked

    def left_out(self, targets: Floats, alphas: Sequence[float]) -> Floats:
        """(A, n, C): each query's targets as learned from the other queries; NaN where not measured."""
        predictions = np.full((len(alphas), *targets.shape), np.nan)
        for heads, rows, ridge in self._groups:
            cells = np.ix_(rows, heads)
            predictions[:, cells[0], cells[1]] = ridge.left_out(targets[cells], alphas)
        return predictions

    def kinds_left_out(self, targets: Floats, alphas: Sequence[float], kinds: Index) -> Floats:
        """(A, n, C): each query's targets as learned from the queries of other `kinds` (n,); NaN where not measured,
        and where a head was measured on one kind alone."""
        predictions = np.full((len(alphas), *targets.shape), np.nan)
        for heads, rows, _ in self._groups:
            for kind in np.unique(kinds[rows]):
                out = rows[kinds[rows] == kind]
                kept = rows[kinds[rows] != kind]
                if len(kept) == 0:
                    continue
                ridge, theirs = Ridge.of(self._vectors[kept]), targets[np.ix_(kept, heads)]
                for a, alpha in enumerate(alphas):
                    weights, bias = ridge.weights(theirs, alpha)
                    predictions[(a, *np.ix_(out, heads))] = self._vectors[out] @ weights.T + bias
        return predictions
