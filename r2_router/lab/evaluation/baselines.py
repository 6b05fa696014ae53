"""k nearest neighbours: what the most similar measured queries got, the baseline every learned router must beat."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.intp]

_KS = (5, 10, 20, 40, 80)
_REACH = 400  # neighbours looked at; a fifth of them may be held out
_JUDGES = 500  # queries by which their number is chosen
_BLOCK = 1024


class Neighbours:
    """For each of n queries its nearest others by cosine, nearest first, (n, m); equal texts count as well."""

    def __init__(self, vectors: Floats) -> None:
        rows = vectors.astype(np.float32)
        reach = min(_REACH, len(rows) - 1)
        self._order = np.empty((len(rows), reach), dtype=np.intp)
        for start in range(0, len(rows), _BLOCK):
            near = rows[start : start + _BLOCK] @ rows.T
            near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
            top = np.argpartition(-near, reach - 1, axis=1)[:, :reach]
            order = np.argsort(-np.take_along_axis(near, top, axis=1), axis=1, kind="stable")
            self._order[start : start + len(near)] = np.take_along_axis(top, order, axis=1)

    def expect(self, queries: Index, kept: NDArray[np.bool_], targets: Floats) -> Floats:
        """(q, C): the mean of `targets` (n, C) over the nearest of the `kept` (n,) queries, without NaN cells; over as
        many as foretold the kept ones best."""
        seen = np.flatnonzero(kept)
        blind = np.nanmean(targets[seen], axis=0)
        seen = seen[:: max(1, len(seen) // _JUDGES)]
        errors = [np.nanmean((self._means(seen, kept, targets, k, blind) - targets[seen]) ** 2) for k in _KS]
        return self._means(queries, kept, targets, _KS[int(np.argmin(errors))], blind)

    def _means(self, queries: Index, kept: NDArray[np.bool_], targets: Floats, k: int, blind: Floats) -> Floats:
        near = self._order[queries]
        usable = kept[near]
        usable &= np.cumsum(usable, axis=1) <= k
        means = np.empty((len(queries), targets.shape[1]))
        for i, (row, used) in enumerate(zip(near, usable, strict=True)):
            found = targets[row[used]]
            known = ~np.isnan(found)
            counts = known.sum(axis=0)
            sums = np.where(known, found, 0.0).sum(axis=0)
            means[i] = np.where(counts > 0, sums / np.maximum(counts, 1), blind)
        return means
