"""What heads learn from: unit vectors, enough queries a candidate, tokens in log space and their bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint, Instruction
from r2_router.errors import InputError
from r2_router.lab.data.table import MIN_QUERIES, Table

_FLOOR_QUANTILE = 0.05


def unit_rows(table: Table, embeddings: ArrayLike) -> Floats:
    """`embeddings` checked to be one unit vector a query of `table`, as (n, d) float64; else InputError."""
    array = np.asarray(embeddings, dtype=np.float64)
    if array.ndim != 2 or len(array) != len(table):
        raise InputError(f"The table has {len(table)} queries; embeddings of shape {array.shape} do not fit it.")
    lengths = np.sqrt(np.einsum("ij,ij->i", array, array))  # none of a row with NaN, infinite with infinity
    if not (np.abs(lengths - 1) <= 1e-2).all():
        raise InputError("Embeddings must be finite and of unit length, one row a query.")
    return array


def base_rows(base: Checkpoint, table: Table, embeddings: ArrayLike) -> Floats:
    """As `unit_rows`, of the dimension that `base` was trained on; else InputError."""
    vectors = unit_rows(table, embeddings)
    if vectors.shape[1] != base.embedder.dim:
        raise InputError(
            f"Embeddings of {vectors.shape[1]} dimensions do not fit '{base.name}', which has {base.embedder.dim} from "
            f"{base.embedder.id}."
        )
    return vectors


def check_counts(table: Table) -> None:
    """Raise InputError for a candidate with fewer than MIN_QUERIES queries."""
    for (model, budget), count in zip(table.candidates, table.measured.sum(axis=0), strict=True):
        if count < MIN_QUERIES:
            raise InputError(
                f"{model} @ {budget} has {count} measured queries; training needs {MIN_QUERIES} of each "
                f"candidate, and hundreds to gain much. Measure more, or leave that candidate out."
            )


def log_tokens(table: Table) -> Floats:
    """(n, C): the logarithm of the output tokens, NaN where not measured."""
    return np.log(np.maximum(table.output_tokens, 1.0))


def smearing(logs: Floats, left_out: Floats) -> Floats:
    """(C,): what is added to an expected logarithm so that its exponential is the mean of the tokens.

    The mean of a skewed count lies above the exponential of its mean logarithm by the mean exponential residual (Duan
    1983). Fitted residuals are too small for that: it takes the left-out ones, (n, C) as `logs`.
    """
    return np.log(np.nanmean(np.exp(logs - left_out), axis=0))


def left_out_error(quality: Floats, left_out: Floats) -> Floats:
    """(C,): the residual deviations of what was expected of the queries left out, (n, C) as `quality`."""
    return np.sqrt(np.nanmean((np.clip(left_out, 0.0, 1.0) - quality) ** 2, axis=0))


def token_bounds(table: Table, instruction: Instruction) -> tuple[Floats, Floats]:
    """Floor and ceiling (C,) of expected tokens: the 5 % quantile; the cut, or the longest answer seen."""
    floor = np.maximum(np.nanquantile(table.output_tokens, _FLOOR_QUANTILE, axis=0), 1.0)
    longest = np.nanmax(table.output_tokens, axis=0)
    caps = [instruction.cap(budget) for _, budget in table.candidates]
    ceiling = np.array([seen if cap is None else cap for seen, cap in zip(longest, caps, strict=True)])
    return floor, np.maximum(ceiling, floor)
