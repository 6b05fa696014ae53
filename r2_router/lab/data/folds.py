"""Which queries are learned from, and which are left out to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.errors import InputError
from r2_router.lab.data.table import Table
from r2_router.lab.untyped import model_selection

Index: TypeAlias = NDArray[np.intp]
Folds: TypeAlias = Sequence[tuple[Index, Index]]  # of each fold the queries outside it, and those in it


def random_folds(table: Table, folds: int, seed: int) -> Folds:
    """The queries in `folds` parts by chance. Equal texts share one, or a router would be asked what it was told.

    Raises InputError where there are fewer texts than folds.
    """
    places = {text: place for place, text in enumerate(dict.fromkeys(table.queries))}
    texts = np.array([places[text] for text in table.queries])
    if len(places) < folds:
        raise InputError(f"{len(places)} different queries cannot be split into {folds} folds.")
    return list(model_selection.GroupKFold(folds, shuffle=True, random_state=seed).split(texts, groups=texts))


def category_folds(table: Table) -> Folds:
    """Each category left out in turn. Raises InputError where the table has fewer than two."""
    if len(set(table.categories)) < 2:
        raise InputError("Leaving categories out needs a column `category` with at least two of them.")
    return list(model_selection.LeaveOneGroupOut().split(table.categories, groups=table.categories))
