"""Cross-validation of the whole pipeline: do choices by query beat the ones that do not look at it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import InputError
from r2_router.lab.data.table import Table
from r2_router.lab.evaluation.baselines import Neighbours
from r2_router.lab.evaluation.compare import Comparison, Expectation, compare
from r2_router.lab.learning.training import MIN_QUERIES, unit_rows
from r2_router.pools.model import Model, answer_usd
from r2_router.pools.pool import Pool
from r2_router.routing.predict import Predictor

Floats: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.intp]
Learn: TypeAlias = Callable[[Table, Floats], Checkpoint]
_BINS = 5
_DIGITS = 4  # of every number kept
_NOTHING = 1e-12  # a smaller number is rounding


def cross_validate(
    table: Table, embeddings: ArrayLike, learn: Learn, pool: Pool, *, folds: int = 5, seeds: int = 5
) -> dict[str, Any]:
    """Learn on all folds but one, choose for the one left out, at the prices of `pool`; metrics as JSON.

    `learn` makes a checkpoint of a table and its (n, d) unit vectors, as `train` does. See `validate`.
    """
    return validate(table, embeddings, pool, learn, random_folds(table, folds, seeds)).metrics


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """`metrics` as JSON, rounded, with the verdict; the comparison behind them; the table of the queries compared."""

    metrics: dict[str, Any]
    comparison: Comparison
    truth: Table


def validate(
    table: Table, embeddings: ArrayLike, pool: Pool, learn: Learn | Checkpoint, folds: Sequence[Index]
) -> Validation:
    """Compare ways to choose on the queries every candidate answered, by what was expected of each query from the
    folds it is not in: `folds` (n,) for each seed.

    "router": checkpoints that `learn` makes of each fold's rest, or the given one; "reactive", the same heads
    choosing among unlimited answers only; "knn", nearest neighbours; "mix", the best that can be had without looking
    at the query, and "mix_unlimited", the same without budgets; "oracle", which knows the truth. Raises InputError
    where too few queries are complete, or a price is missing.
    """
    vectors = unit_rows(table, embeddings)
    complete = np.flatnonzero(table.complete)
    if len(complete) < 2 * MIN_QUERIES:
        raise InputError(
            f"Only {len(complete)} queries were answered by every candidate; comparing choices needs "
            f"{2 * MIN_QUERIES}. Measure the missing cells, or leave a sparse candidate out."
        )
    truth = table.take(complete)
    cost = cost_usd(truth, pool, truth.output_tokens)
    near = Neighbours(vectors)
    expected = [
        {name: array[complete] for name, array in _held_out(table, vectors, learn, near, fold_of).items()}
        for fold_of in folds
    ]
    priced = [
        Expectation(
            quality=each["quality"],
            cost=cost_usd(truth, pool, each["tokens"]),
            blind_quality=each["blind_quality"],
            blind_cost=cost_usd(truth, pool, each["blind_tokens"]),
            others={"knn": (each["knn_quality"], cost_usd(truth, pool, each["knn_tokens"]))},
        )
        for each in expected
    ]
    qualities = np.array([each["quality"] for each in expected])
    tokens = np.array([each["tokens"] for each in expected])
    comparison = compare(table.candidates, truth.quality, cost, priced)
    count = {"folds": int(folds[0].max()) + 1, "seeds": len(folds), "queries": len(complete), "pool": pool.name}
    metrics: dict[str, Any] = {
        "protocol": count,
        "usd_per_million": {m.name: [m.input_usd_per_million, m.output_usd_per_million] for m in _priced(table, pool)},
        **comparison.metrics,
        "heads": _head_metrics(truth, qualities, tokens),
        "calibration": _calibration(truth.quality, qualities),
        "token_calibration": _calibration(truth.output_tokens, tokens),
    }
    rounded = cast("dict[str, Any]", as_json(metrics))
    return Validation({"verdict": verdict(rounded), **rounded}, comparison, truth)


def cost_usd(table: Table, pool: Pool, output_tokens: Floats) -> Floats:
    """(n, C) dollars of answers of `output_tokens` (n, C) at the pool's prices.

    Input tokens the table does not record cost nothing. Raises InputError for a model without a price.
    """
    prices = np.array([(m.input_usd_per_million, m.output_usd_per_million) for m in _priced(table, pool)])
    return answer_usd(np.nan_to_num(table.input_tokens), prices[:, 0], output_tokens, prices[:, 1])


def verdict(metrics: Mapping[str, Any]) -> str:
    """Does choosing by query pay, and what to do instead if not: a plain sentence or two."""
    gain = metrics["gain_over_best_constant"]
    low, high = gain["interval_95"]
    size = f"{gain['mean']:+.3f} of a perfect answer, 95 % interval {low:+.3f} to {high:+.3f}"
    if low > 0:
        return f"Choosing by query beats the best constant of each worth: {size}."
    judged = "is worse than" if high < 0 else "is not shown to beat"
    constants = ", ".join(
        f"{c['model']} @ {c['budget']} from ${c['from_worth_usd']:.2g}" for c in metrics["best_constants"]
    )
    return (
        f"Choosing by query {judged} the best constant of each worth: {size}. "
        f"Instead use, by what a perfect answer is worth: {constants}."
    )


def _priced(table: Table, pool: Pool) -> list[Model]:
    """The model of each candidate; InputError if one has no price."""
    models = [pool.get(name) or Model(name, "", None, None) for name, _ in table.candidates]
    for model in models:
        if not model.priced:
            raise InputError(f"Pool '{pool.name}' has no price for {model.name}: add it to the pool.")
    return models


# -- predictions for queries left out ----------------------------------------------------------------------


def random_folds(table: Table, folds: int, seeds: int) -> list[Index]:
    """The fold (n,) of each query, for each seed. Equal texts share one, or the router would be asked what it was
    told."""
    places: dict[str, int] = {}
    text_of = np.array([places.setdefault(text, len(places)) for text in table.queries], dtype=np.intp)
    orders = [np.random.default_rng(seed).permutation(len(places)) for seed in range(seeds)]
    return [(order % folds)[text_of] for order in orders]


def category_folds(table: Table) -> list[Index]:
    """One seed whose folds are the categories, so that each is foretold from the others. Raises InputError where the
    table has fewer than two."""
    names = sorted(set(table.categories))
    if len(names) < 2:
        raise InputError("Leaving categories out needs a column `category` with at least two of them.")
    place = {name: i for i, name in enumerate(names)}
    return [np.array([place[name] for name in table.categories], dtype=np.intp)]


def _held_out(
    table: Table, vectors: Floats, learn: Learn | Checkpoint, near: Neighbours, fold_of: Index
) -> dict[str, Floats]:
    """(n, C) expectations of each query, by a checkpoint learned without its fold, by neighbours and plain means."""
    names = ("quality", "tokens", "blind_quality", "blind_tokens", "knn_quality", "knn_tokens")
    expected = {name: np.empty(table.quality.shape) for name in names}
    for fold in range(int(fold_of.max()) + 1):
        out, kept = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        seen = table.take(kept)
        predictor = Predictor(learn if isinstance(learn, Checkpoint) else learn(seen, vectors[kept]))
        outputs = predictor.outputs(vectors[out].astype(np.float32))
        columns = _columns(predictor.checkpoint, table)
        expected["quality"][out] = predictor.quality(outputs)[:, columns]
        expected["tokens"][out] = np.array([predictor.tokens(row) for row in outputs])[:, columns]
        expected["blind_quality"][out] = np.nanmean(seen.quality, axis=0)
        expected["blind_tokens"][out] = np.nanmean(seen.output_tokens, axis=0)
        expected["knn_quality"][out] = near.expect(out, fold_of != fold, table.quality)
        expected["knn_tokens"][out] = near.expect(out, fold_of != fold, table.output_tokens)
    return expected


def _columns(checkpoint: Checkpoint, table: Table) -> list[int]:
    """Where the table's candidates stand in the checkpoint. Raises InputError for one that is not there."""
    places = {candidate: j for j, candidate in enumerate(checkpoint.candidates)}
    missing = [f"{model} @ {budget}" for model, budget in table.candidates if (model, budget) not in places]
    if missing:
        raise InputError(f"Checkpoint '{checkpoint.name}' has no heads for {', '.join(missing)}.")
    return [places[candidate] for candidate in table.candidates]


# -- are the predictions themselves any good ---------------------------------------------------------------


def _head_metrics(truth: Table, qualities: Floats, tokens: Floats) -> list[dict[str, Any]]:
    """Of each candidate, from (seeds, n, C) predictions: both R², and expected over real tokens."""
    quality_r2, tokens_r2 = _r2(truth.quality, qualities), _r2(truth.output_tokens, tokens)
    ratio = tokens.mean(axis=(0, 1)) / np.maximum(truth.output_tokens.mean(axis=0), 1.0)
    return [
        {
            "model": model,
            "budget": budget,
            "quality_r2": quality_r2[j],
            "tokens_r2": tokens_r2[j],
            "tokens_expected_over_real": float(ratio[j]),
        }
        for j, (model, budget) in enumerate(truth.candidates)
    ]


def _r2(true: Floats, predicted: Floats) -> list[float | None]:
    """Of each column; None where the truth does not vary."""
    residual, total = ((predicted - true) ** 2).mean(axis=(0, 1)), true.var(axis=0)
    return [float(1 - r / t) if t > _NOTHING else None for r, t in zip(residual, total, strict=True)]


def _calibration(true: Floats, predicted: Floats) -> list[dict[str, float]]:
    """Mean predicted and mean true values in groups of equally many predictions, from low to high."""
    flat, truths = predicted.ravel(), np.broadcast_to(true, predicted.shape).ravel()
    groups: Sequence[NDArray[np.intp]] = np.array_split(np.argsort(flat, kind="stable"), _BINS)
    return [{"predicted": float(flat[g].mean()), "real": float(truths[g].mean())} for g in groups]


def as_json(value: object) -> object:
    """JSON with every float cut to the digits it is worth."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if abs(value) > _NOTHING else 0.0
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in cast("Sequence[object]", value)]
    return value
