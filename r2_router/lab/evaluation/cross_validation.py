"""Cross-validation of the whole pipeline: do choices by query beat the ones that do not look at it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import InputError
from r2_router.lab.data.folds import Folds, Index, random_folds
from r2_router.lab.data.table import MIN_QUERIES, Table
from r2_router.lab.evaluation.baselines import Neighbours, paper_heads
from r2_router.lab.evaluation.compare import Comparison, Expectation, compare
from r2_router.lab.evaluation.second_try import cascades
from r2_router.lab.learning.regressors import Regressed
from r2_router.lab.learning.targets import unit_rows
from r2_router.lab.untyped import isotonic, joblib, model_selection, threadpoolctl
from r2_router.lab.untyped import metrics as sk_metrics
from r2_router.pools.model import Model, answer_usd
from r2_router.pools.pool import Pool
from r2_router.routing.predict import Predictor

Pair: TypeAlias = tuple[Floats, Floats]  # quality and output tokens, (n, C) each
Learned: TypeAlias = Checkpoint | Regressed
Learn: TypeAlias = Callable[[Table, Floats], Learned]
Progress: TypeAlias = Callable[[int, int], None]  # folds done, folds in all
_BINS = 5
_DIGITS = 4  # of every number kept
_NOTHING = 1e-12  # a smaller number is rounding


def cross_validate(
    table: Table,
    embeddings: ArrayLike,
    learn: Learn,
    pool: Pool,
    *,
    folds: int = 5,
    seeds: int = 5,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Learn on all folds but one, choose for the one left out, at the prices of `pool`; metrics as JSON.

    `learn` makes heads of a table and its (n, d) unit vectors, as `train` and `regress` do. See `validate`.
    """
    splits = [random_folds(table, folds, seed) for seed in range(seeds)]
    return validate(table, embeddings, pool, learn, splits, jobs=jobs, progress=progress).metrics


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """`metrics` as JSON, rounded, with the verdict; the comparison behind them; the table of the queries compared."""

    metrics: dict[str, Any]
    comparison: Comparison
    truth: Table


def validate(
    table: Table,
    embeddings: ArrayLike,
    pool: Pool,
    learn: Learn | Learned,
    splits: Sequence[Folds],
    *,
    rivals: Mapping[str, Learn] | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Compare ways to choose on the queries every candidate answered, by what was expected of each query from the
    folds it is not in: `splits` has the folds of each seed, `jobs` of which are learned from at once (None: one for
    each processor). What comes out is the same for any number. `progress` is told (done, total) folds.

    "router": what `learn` makes of each fold's rest, or the given checkpoint; "reactive", the same heads choosing among
    unlimited answers only; "knn", nearest neighbours; "paper", ridge heads as the paper's; "mix", the best that can be
    had without looking at the query, and "mix_unlimited", the same without budgets; "oracle", which knows the truth.
    `rivals` are further ways to learn, by name. Raises InputError where too few queries are complete, or a price is
    missing.
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
    # One thread in each job: sums do not depend on how many there are, and jobs do not wait for each other.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        expected = [
            {way: (quality[complete], tokens[complete]) for way, (quality, tokens) in seed.items()}
            for seed in _held_out(table, vectors, {"router": learn, **(rivals or {})}, splits, jobs, progress)
        ]
        priced = [_priced_ways(truth, pool, seed) for seed in expected]
        comparison = compare(table.candidates, truth.quality, cost, priced)
    qualities, tokens = (np.array([seed["router"][i] for seed in expected]) for i in (0, 1))
    count = {"folds": len(splits[0]), "seeds": len(splits), "queries": len(complete), "pool": pool.name}
    metrics: dict[str, Any] = {
        "protocol": count,
        "cascade": cascades(truth, cost, priced, comparison.worths),
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


def _held_out(
    table: Table,
    vectors: Floats,
    ways: Mapping[str, Learn | Learned],
    splits: Sequence[Folds],
    jobs: int | None,
    progress: Progress | None,
) -> list[dict[str, Pair]]:
    """Of each seed what each way to expect says of the queries left out, (n, C) each."""
    # Threads: what takes time runs outside the interpreter's lock, and nothing is copied.
    parallel = joblib.Parallel(n_jobs=jobs or -1, backend="threading", return_as="generator")
    task = joblib.delayed(_expected)
    parts = parallel(task(table, vectors, ways, *fold) for folds in splits for fold in folds)
    done, total = 0, sum(len(folds) for folds in splits)
    found: list[dict[str, Pair]] = []
    for folds in splits:
        seed: dict[str, Pair] = {}
        for _, out in folds:
            for way, pair in next(parts).items():
                whole = seed.setdefault(way, (np.empty(table.quality.shape), np.empty(table.quality.shape)))
                for array, part in zip(whole, pair, strict=True):
                    array[out] = part
            done += 1
            if progress:
                progress(done, total)
        found.append(seed)
    return found


def _expected(
    table: Table, vectors: Floats, ways: Mapping[str, Learn | Learned], kept: Index, out: Index
) -> dict[str, Pair]:
    """Quality and tokens (q, C) of the queries `out`, by what is learned in each of `ways` from those `kept`, by
    neighbours, by the paper's heads and by plain means."""
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):  # which is each thread's own
        seen, known, others = table.take(kept), vectors[kept], vectors[out]
        foretold: dict[str, Pair] = {}
        for way, learn in ways.items():
            learned = learn(seen, known) if callable(learn) else learn
            columns = _columns(learned, table)
            quality, tokens = _foretold(learned, others)
            foretold[way] = quality[:, columns], tokens[:, columns]
        near = Neighbours(known, others)
        targets = seen.quality, seen.output_tokens
        return {
            **foretold,
            "blind": _pair(np.broadcast_to(np.nanmean(each, axis=0), (len(out), each.shape[1])) for each in targets),
            "knn": _pair(near.expect(each) for each in targets),
            "paper": _pair(paper_heads(known, others, each) for each in targets),
        }


def _pair(arrays: Iterable[Floats]) -> Pair:
    quality, tokens = arrays
    return quality, tokens


def _foretold(learned: Learned, vectors: Floats) -> Pair:
    """Expected quality and tokens (q, C') of each candidate that was learned."""
    if isinstance(learned, Regressed):
        return learned.expect(vectors)
    return Predictor(learned).foretell(vectors)


def _priced_ways(truth: Table, pool: Pool, seed: Mapping[str, Pair]) -> Expectation:
    priced = {way: (quality, cost_usd(truth, pool, tokens)) for way, (quality, tokens) in seed.items()}
    return Expectation(*priced.pop("router"), *priced.pop("blind"), others=priced)


def _columns(learned: Learned, table: Table) -> list[int]:
    """Where the table's candidates stand in what was learned. Raises InputError for one that is not there."""
    places = {candidate: j for j, candidate in enumerate(learned.candidates)}
    missing = [f"{model} @ {budget}" for model, budget in table.candidates if (model, budget) not in places]
    if missing:
        name = learned.name if isinstance(learned, Checkpoint) else learned.spec
        raise InputError(f"'{name}' has no heads for {', '.join(missing)}.")
    return [places[candidate] for candidate in table.candidates]


# -- are the predictions themselves any good ---------------------------------------------------------------


def _head_metrics(truth: Table, qualities: Floats, tokens: Floats) -> list[dict[str, Any]]:
    """Of each candidate, from (seeds, n, C) predictions: both R², the first also after isotonic calibration, and
    expected over real tokens."""
    columns = {
        "quality_r2": _r2(truth.quality, qualities),
        "quality_r2_calibrated": _r2(truth.quality, _calibrated(truth, qualities.mean(axis=0))[None]),
        "tokens_r2": _r2(truth.output_tokens, tokens),
        "tokens_expected_over_real": (
            tokens.mean(axis=(0, 1)) / np.maximum(truth.output_tokens.mean(axis=0), 1.0)
        ).tolist(),
    }
    return [
        {"model": model, "budget": budget, **{name: values[j] for name, values in columns.items()}}
        for j, (model, budget) in enumerate(truth.candidates)
    ]


def _r2(true: Floats, predicted: Floats) -> list[float | None]:
    """Of each column of (n, C) by (seeds, n, C); None where the truth does not vary."""
    count = true.shape[1]
    every = np.broadcast_to(true, predicted.shape).reshape(-1, count)
    scores = sk_metrics.r2_score(every, predicted.reshape(-1, count), multioutput="raw_values")
    return [float(r2) if spread > _NOTHING else None for r2, spread in zip(scores, true.var(axis=0), strict=True)]


def _calibrated(truth: Table, qualities: Floats) -> Floats:
    """(n, C): predictions brought by each column's isotonic regression to what such predictions turned out to be on
    other queries: how much better than `qualities` they are says how far off those are."""
    monotone, folds = isotonic.IsotonicRegression(out_of_bounds="clip"), random_folds(truth, 5, 0)
    columns = zip(qualities.T, truth.quality.T, strict=True)
    return np.stack([model_selection.cross_val_predict(monotone, x, y, cv=folds) for x, y in columns], axis=1)


def _calibration(true: Floats, predicted: Floats) -> list[dict[str, float]]:
    """Mean predicted and mean true values in groups of equally many predictions, from low to high. (scikit-learn's
    calibration_curve takes labels of 0 and 1 only.)"""
    flat, truths = predicted.ravel(), np.broadcast_to(true, predicted.shape).ravel()
    groups: Sequence[Index] = np.array_split(np.argsort(flat, kind="stable"), _BINS)
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
