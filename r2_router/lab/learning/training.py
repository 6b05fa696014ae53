"""Training table and embeddings -> Checkpoint: ridge heads, shrunk as far as left-out queries ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction, Precision
from r2_router.lab.data.table import Table
from r2_router.lab.learning.heads import Heads, Index
from r2_router.lab.learning.ridge import Ridge
from r2_router.lab.learning.targets import check_counts, left_out_error, log_tokens, smearing, token_bounds, unit_rows
from r2_router.records import UNLIMITED

if TYPE_CHECKING:
    from r2_router.lab.learning.regressors import Regressor

PenaltyBy: TypeAlias = Literal["kinds", "queries"]

_MIN_KINDS = 5  # of fewer, what the others say of the one left out tells more of that kind than of new ones
_MAX_KINDS = 20  # more are put together by the name's place: each is a fit of its own
_ALPHAS = tuple(2.0**k for k in range(12, -3, -1))  # the largest leaves little but each candidate's mean
_FAMILIAR_QUANTILE = 0.99
_LEAST_SHARE = 1e-3
_LEAST_PART = 1e-3  # a principal direction that keeps less than this moves no leverage by more


def train(
    table: Table,
    embeddings: ArrayLike,
    *,
    embedder: EmbedderInfo,
    instruction: Instruction,
    name: str,
    pool: str = "",
    probe_texts: Sequence[str] = (),
    probe_vectors: ArrayLike | None = None,
    data_card: Mapping[str, Any] | None = None,
    heads: Regressor | None = None,
    penalty_by: PenaltyBy = "kinds",
) -> Checkpoint:
    """Learn a quality head and a head of log output tokens for each candidate of `table`.

    `embeddings` (n, d) are unit vectors of the queries, in the table's order; `pool` names the pool the
    table was measured on; `heads` a regressor to learn with instead of ours. `penalty_by` says what is left out to
    choose the penalty: whole kinds of queries (categories), where the table has five or more, or single queries. The
    data card gets the table's counts, the metrics the chosen α. Raises InputError for embeddings that do not fit the
    table, a candidate with fewer than MIN_QUERIES queries, or heads that are not linear.
    """
    vectors = unit_rows(table, embeddings)
    check_counts(table)
    quality, tokens, quality_error, metrics = (
        _regressed(table, vectors, heads, instruction) if heads else _own(table, vectors, penalty_by)
    )
    floor, ceiling = token_bounds(table, instruction)
    stacked = np.concatenate((quality, tokens)).astype(np.float32)
    return Checkpoint(
        name=name,
        candidates=table.candidates,
        weights=np.ascontiguousarray(stacked[:, :-1]),
        bias=np.ascontiguousarray(stacked[:, -1]),
        token_heads=tuple(range(len(table.candidates))),
        token_scale="log",
        token_floor=floor.astype(np.float32),
        token_ceiling=ceiling.astype(np.float32),
        embedder=embedder,
        instruction=instruction,
        quality_error=quality_error.astype(np.float32),
        precision=_precision(Ridge.of(vectors), metrics["alpha"]["quality"]),
        probe_texts=tuple(probe_texts),
        probe_vectors=None if probe_vectors is None else np.asarray(probe_vectors, dtype=np.float32),
        pool=pool,
        strongest=_strongest(table),
        data_card={**(data_card or {}), "counts": table.counts()},
        metrics=metrics,
    )


def _own(table: Table, vectors: Floats, penalty_by: PenaltyBy) -> tuple[Floats, Floats, Floats, dict[str, Any]]:
    """Heads of quality and of log tokens (C, d+1), the deviations of the first (C,), and each α by name.

    "quality" among the α is the one that suits level and differences together best, and gives the standard errors.
    Measured in benchmarks/heads.py: a smaller error than RidgeCV over the same penalties, and faster.
    """
    heads, logs = Heads(vectors, table.measured), log_tokens(table)
    residuals = heads.left_out(table.quality, _ALPHAS) - table.quality
    kinds = kinds_of(table) if penalty_by == "kinds" else None
    quality, expected, alphas = _in_two_parts(heads, table.quality, residuals, kinds)
    tokens, expected_logs, token_alphas = _in_two_parts(heads, logs, heads.left_out(logs, _ALPHAS) - logs, kinds)
    tokens[:, -1] += smearing(logs, expected_logs)
    alphas = {
        "quality": _ALPHAS[_least(residuals)],
        **alphas,
        **{f"tokens_{name}": alpha for name, alpha in token_alphas.items()},
    }
    metrics = {"alpha": alphas, **({} if kinds is None else {"penalty_by": "kinds"})}
    return quality, tokens, left_out_error(table.quality, expected), metrics


def kinds_of(table: Table) -> Index | None:
    """(n,): the number of each query's category, None where there are fewer than five. Of many, several share one."""
    names = sorted(set(table.categories))
    number = {name: place % _MAX_KINDS for place, name in enumerate(names)}
    return np.array([number[name] for name in table.categories]) if len(names) >= _MIN_KINDS else None


def _regressed(
    table: Table, vectors: Floats, heads: Regressor, instruction: Instruction
) -> tuple[Floats, Floats, Floats, dict[str, Any]]:
    """The same by another regressor. The leverage stays that of the training vectors under ridge, with the α that
    suits them: it says how unlike them a query is, whoever learned from them."""
    from r2_router.lab.learning.regressors import regress

    learned = regress(table, vectors, heads=heads, instruction=instruction)
    residuals = Heads(vectors, table.measured).left_out(table.quality, _ALPHAS) - table.quality
    metrics = {"heads_by": heads.spec, "alpha": {"quality": _ALPHAS[_least(residuals)]}}
    return *learned.as_rows(vectors), learned.quality_error, metrics


def _in_two_parts(
    heads: Heads, targets: Floats, residuals: Floats, kinds: Index | None = None
) -> tuple[Floats, Floats, dict[str, float]]:
    """Heads (C, d+1) of `targets` (n, C), what they expect of each query when it is left out (n, C), and the α.

    What a query does to all candidates (the level, which says what to expect) is far easier to learn than how they
    differ on it (which alone decides the choice). Each part is an average over α, weighted by how well it foretold
    the queries left out, `residuals` (A, n, C): with few queries the best single α is mostly chance. With `kinds` it
    is how well it foretold the kinds left out: a penalty that suits neighbours of one's own kind is too small for
    others. An average of linear heads is a linear head.
    """
    judged = residuals if kinds is None else heads.kinds_left_out(targets, _ALPHAS, kinds) - targets
    judged = np.where(np.isnan(judged), residuals, judged)  # of a head that was measured on one kind alone
    judged_levels = np.nanmean(judged, axis=2, keepdims=True)
    by_level, by_difference = shares(judged_levels), shares(judged - judged_levels)
    levels = np.nanmean(residuals, axis=2, keepdims=True)
    differences = residuals - levels
    fits = {k: heads.weights(targets, _ALPHAS[k]) for k in np.flatnonzero(by_level + by_difference)}
    own = sum((by_difference[k] * fit for k, fit in fits.items()), np.zeros(1))
    shared = sum(((by_level[k] - by_difference[k]) * fit.mean(axis=0) for k, fit in fits.items()), np.zeros(1))
    expected: Floats = (
        targets + np.einsum("a,anc->nc", by_level, levels) + np.einsum("a,anc->nc", by_difference, differences)
    )
    return own + shared, expected, {"level": _mean_alpha(by_level), "difference": _mean_alpha(by_difference)}


def shares(residuals: Floats) -> Floats:
    """(A,): the weight of each α, proportional to the likelihood that normal errors of (A, n, C) size give the n
    queries left out; under a thousandth is nothing."""
    errors = np.nanmean(residuals**2, axis=(1, 2))
    if errors.min() <= 0:
        return np.eye(len(errors))[np.argmin(errors)]
    likelihood = np.exp(-0.5 * residuals.shape[1] * np.log(errors / errors.min()))
    kept = np.where(likelihood < _LEAST_SHARE, 0.0, likelihood)
    return kept / kept.sum()


def _mean_alpha(shares: Floats) -> float:
    """The geometric mean of the α, for the record."""
    return float(f"{2.0 ** float(shares @ np.log2(_ALPHAS)):.4g}")


def _least(residuals: Floats) -> int:
    """Which of (A, n, C) residuals has the least mean square; the first, of the largest α, of equals."""
    return int(np.argmin(np.nanmean(residuals**2, axis=(1, 2))))


def _precision(ridge: Ridge, alpha: float) -> Precision:
    """What the checkpoint keeps of XᵀX + αI. A row of leverage h has h/(1−h) in the fit without it."""
    own = ridge.leverage([alpha])[0]
    part = ridge.shrinkage(alpha)
    kept = part > _LEAST_PART
    return Precision(
        factor=(np.sqrt(part[kept])[:, None] * ridge.right[kept]).astype(np.float32),
        center=ridge.center.astype(np.float32),
        alpha=alpha,
        n=len(ridge.left),
        leverage_limit=float(np.quantile(own / (1 - own), _FAMILIAR_QUANTILE)),
    )


def _strongest(table: Table) -> str:
    """The model of the highest mean quality without a limit, "" if none was measured so."""
    means = zip(table.candidates, np.nanmean(table.quality, axis=0), strict=True)
    unlimited = {model: float(mean) for (model, budget), mean in means if budget == UNLIMITED}
    return max(unlimited, key=lambda model: unlimited[model], default="")
