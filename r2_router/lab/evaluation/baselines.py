"""What every learned router must beat: what the most similar measured queries got, and the paper's own heads."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats
from r2_router.lab.learning.regressors import fit
from r2_router.lab.untyped import linear_model, neighbors

Index: TypeAlias = NDArray[np.intp]

_PAPER_ALPHA = 10.0  # of the paper's released checkpoint
_KS = (5, 10, 20, 40, 80)
_JUDGES = 500  # queries by which their number is chosen


class Neighbours:
    """The nearest of (m, d) unit vectors to (q, d) others. One search serves every number of neighbours and every
    target, which a grid search over KNeighborsRegressor would repeat for each."""

    def __init__(self, known: Floats, others: Floats) -> None:
        reach = min(max(_KS), len(known) - 1)
        index = neighbors.NearestNeighbors(n_neighbors=reach, algorithm="brute").fit(known)
        self._near: Index = index.kneighbors(others, return_distance=False)
        self._judges = np.arange(0, len(known), max(1, len(known) // _JUDGES))
        found: Index = index.kneighbors(known[self._judges], n_neighbors=reach + 1, return_distance=False)
        own: NDArray[np.bool_] = found == self._judges[:, None]
        own[~own.any(axis=1), -1] = True  # among enough equal vectors a query need not be its own neighbour
        self._near_judges = found[~own].reshape(len(found), reach)

    def expect(self, targets: Floats) -> Floats:
        """(q, C): the mean of `targets` (m, C) over the nearest, without NaN cells; over as many as foretold the known
        ones best."""
        errors = [np.nanmean((_means(self._near_judges[:, :k], targets) - targets[self._judges]) ** 2) for k in _KS]
        return _means(self._near[:, : _KS[int(np.argmin(errors))]], targets)


def paper_heads(known: Floats, others: Floats, targets: Floats) -> Floats:
    """(q, C): what ridge heads as the paper's, each by itself, learn from `targets` (m, C), within what was seen."""
    learned = fit(linear_model.Ridge(alpha=_PAPER_ALPHA), known, targets).expect(others)
    return np.clip(learned, np.nanmin(targets, axis=0), np.nanmax(targets, axis=0))


def _means(near: Index, targets: Floats) -> Floats:
    """The means over each row's neighbours; of all where no neighbour was measured."""
    found = targets[near]
    known = ~np.isnan(found)
    counts = known.sum(axis=1)
    sums = np.where(known, found, 0.0).sum(axis=1)
    blind: Floats = np.nanmean(targets, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), blind)
