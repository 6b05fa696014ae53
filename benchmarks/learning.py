"""What labels add to the prior, from none to many: `R2_DATA_DIR=FOLDER python benchmarks/learning.py [PART|TABLE ...]`.

On each table the prior is composed for its models without having seen the table; `train --base` then goes on from 5 to
500 queries, with labels of every candidate or (one answer each, as a ledger has it) of one drawn at random. Beside it:
heads learned from labels alone, and the blind mix. Five folds, SEEDS times; areas are padded AUDC, `surprise` the mean
negative log-likelihood of labels in nats. `preferences` says of two answers to a query which was right, where one was,
and nothing else: as the difference of two qualities, and as a label of each. Results go into
benchmarks/results/learning.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import prior as of_prior
import train_prior as tp
from common import publish_part
from common import table as shown
from numpy.typing import NDArray
from prior_data import embedded
from sweep_table import sweep_table

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.checkpoints.prior import compose
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.table import Table
from r2_router.lab.learning.from_base import Preference, learn_from
from r2_router.pools.ability import abilities
from r2_router.pools.pool import Pool, load_pool
from r2_router.pools.ratings import load_ratings
from r2_router.records import UNLIMITED, Budget
from r2_router.routing.explore import drawn_offsets
from r2_router.routing.predict import Predictor

SEEDS = 2
LABELS = (5, 20, 50, 200, 500)
NEW_LABELS = (0, 5, 20, 50, 200)
MOST_QUERIES = 1500


def among_models(name: str, data: Path) -> tuple[Table, Floats, Checkpoint, Pool]:
    """The rated models of a public table, each at its natural length, and the prior of them."""
    table, vectors, pool, known = of_prior.rated_models(name, data)
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(table.complete))[:MOST_QUERIES]
    base = compose(tp.build(data, (name,)), pool, known)
    return table.take(drawn), vectors[drawn], at_budgets(base, table), pool


def sweep(data: Path) -> tuple[Table, Floats, Checkpoint, Pool]:
    """The own sweep of three local models at six budgets, and the prior of them, their abilities guessed from size."""
    table, whole = sweep_table(data), load_pool("local", user_file=False)
    table = table.take(np.flatnonzero(table.complete))
    models = dict.fromkeys(model for model, _ in table.candidates)
    pool = Pool("local", {model: whole.models[model] for model in models})
    base = compose(tp.build(data, ("sweep",)), pool, abilities(pool, load_ratings()))
    return table, embedded(table.queries), at_budgets(base, table), pool


def at_budgets(base: Checkpoint, table: Table) -> Checkpoint:
    """`base` for the table's candidates, each with the heads of the nearest budget."""

    def nearest(budget: Budget) -> Budget:
        if budget == UNLIMITED:
            return budget
        limited = [known for known in base.budgets if known != UNLIMITED]
        return min(limited, key=lambda known: abs(np.log(float(known) / float(budget))))

    rows = [base.candidates.index((model, nearest(budget))) for model, budget in table.candidates]
    heads = [*rows, *(len(base.candidates) + row for row in rows)]
    return replace(
        base,
        candidates=table.candidates,
        weights=base.weights[heads],
        bias=base.bias[heads],
        token_heads=tuple(range(len(rows))),
        token_floor=base.token_floor[rows],
        token_ceiling=base.token_ceiling[rows],
        quality_error=None if base.quality_error is None else base.quality_error[rows],
    )


def one_each(table: Table, rng: np.random.Generator) -> Table:
    """One answer of each query, of a candidate drawn at random."""
    return answered(table, rng.integers(len(table.candidates), size=len(table)))


def learned(table: Table, vectors: Floats, base: Checkpoint, seed: int) -> dict[str, tuple[Floats, Floats]]:
    """What is foretold of each query from labels of others, for each count of them."""
    found = {"prior": Predictor(base).foretell(vectors)}
    unread = np.full(vectors.shape, np.nan)
    for kept, out in random_folds(table, 5, seed):
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(kept)
        for count in (count for count in LABELS if count <= len(drawn)):
            rows = drawn[:count]
            whole = table.take(rows)
            single = one_each(whole, rng)
            for way, few, seen, told in (
                ("labels of every candidate", whole, vectors[rows], None),
                ("one answer each", single, vectors[rows], None),
                ("one answer each, its query not kept", single, unread[rows], foretold(base, single, vectors[rows])),
            ):
                empty = np.empty(table.quality.shape), np.empty(table.quality.shape)
                pair = found.setdefault(f"prior, {count} queries, {way}", empty)
                got = Predictor(learn_from(base, few, seen, foretold=told)).foretell(vectors[out])
                for part, values in zip(pair, got, strict=True):
                    part[out] = values
    return found


def foretold(base: Checkpoint, table: Table, vectors: Floats) -> tuple[Floats, Floats]:
    """What `base` foretells of the table's cells, as a ledger has it."""
    quality, tokens = Predictor(base).foretell(vectors)
    columns = [base.candidates.index(candidate) for candidate in table.candidates]
    return quality[:, columns], tokens[:, columns]


def preferences(table: Table, vectors: Floats, base: Checkpoint, pool: Pool) -> dict[str, Any]:
    """What preferences between the answers of two candidates teach, by how they are read."""
    seeds = [preferred(table, vectors, base, seed) for seed in range(SEEDS)]
    for seed in seeds:
        seed["blind"] = seed["prior"]  # `judged` wants one
    result = of_prior.judged(table, pool, seeds)
    for way, of in result["ways"].items():
        if way in seeds[0]:
            of["surprise"] = float(np.mean([surprise(table.quality, seed[way][0]) for seed in seeds]))
    return result


def preferred(table: Table, vectors: Floats, base: Checkpoint, seed: int) -> dict[str, tuple[Floats, Floats]]:
    """What is foretold of each query from preferences of others, for each count of them and way to read them."""
    found = {"prior": Predictor(base).foretell(vectors)}
    for kept, out in random_folds(table, 5, seed):
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(kept)
        sides = np.array([rng.permutation(len(table.candidates))[:2] for _ in drawn])
        first, second = (table.quality[drawn, side] for side in sides.T)
        better = np.where((first > second)[:, None], sides, sides[:, ::-1])[first != second]
        drawn = drawn[first != second]
        for count in (count for count in LABELS if count <= len(drawn)):
            rows, pairs = drawn[:count], better[:count]
            for way, few, told in read_as(table.take(rows), pairs):
                asked = few.among(np.flatnonzero(~np.isnan(few.output_tokens).all(axis=0)).tolist())
                got = Predictor(learn_from(base, asked, vectors[rows], preferred=told)).foretell(vectors[out])
                empty = np.empty(table.quality.shape), np.empty(table.quality.shape)
                pair = found.setdefault(f"prior, {count} preferences, {way}", empty)
                for part, values in zip(pair, got, strict=True):
                    part[out] = values
    return found


def read_as(table: Table, pairs: NDArray[np.intp]) -> Iterator[tuple[str, Table, list[Preference]]]:
    """The queries of `table`, what is said of their answers, and which was better: `pairs` (n, 2) of candidates."""
    rows = np.arange(len(table))
    tokens = np.full(table.quality.shape, np.nan)
    tokens[rows[:, None], pairs] = table.output_tokens[rows[:, None], pairs]
    nothing = np.full(table.quality.shape, np.nan)
    seen = replace(table, quality=nothing, output_tokens=tokens)
    names = table.candidates
    told = [(int(row), names[better], names[worse]) for row, (better, worse) in zip(rows, pairs, strict=True)]
    yield "as a difference", seen, told
    for way, label in (("labels 1 and 0", 1.0), ("labels .75 and .25", 0.75)):
        quality = nothing.copy()
        quality[rows, pairs[:, 0]], quality[rows, pairs[:, 1]] = label, 1 - label
        yield way, replace(seen, quality=quality), []


def surprise(quality: Floats, expected: Floats) -> float:
    """The mean negative log-likelihood of labels, in nats."""
    p = np.clip(expected, 1e-3, 1 - 1e-3)
    return float(-np.mean(quality * np.log(p) + (1 - quality) * np.log(1 - p)))


def curve(table: Table, vectors: Floats, base: Checkpoint, pool: Pool) -> dict[str, Any]:
    seeds = [
        {**learned(table, vectors, base, seed), **of_prior.own_heads(table, vectors, seed)} for seed in range(SEEDS)
    ]
    result = of_prior.judged(table, pool, seeds)
    for way, of in result["ways"].items():
        name = "blind" if way == "blind mix" else way
        if name in seeds[0]:
            of["surprise"] = float(np.mean([surprise(table.quality, seed[name][0]) for seed in seeds]))
    return result


def new_model(table: Table, vectors: Floats, base: Checkpoint) -> dict[str, float]:
    """A model that joins a pool whose others are labelled: surprise by its answers, rated alone and after labels of its
    own; and of heads from all its labels. Mean over the models, each in turn."""
    half = np.random.default_rng(0).permutation(len(table))
    known, rest = half[: len(half) // 2], half[len(half) // 2 :]
    found: dict[str, list[float]] = {}
    for model in dict.fromkeys(name for name, _ in table.candidates):
        own = [j for j, (name, _) in enumerate(table.candidates) if name == model]
        others = [j for j in range(len(table.candidates)) if j not in own]
        before = learn_from(base, table.among(others).take(known[:200]), vectors[known[:200]])
        for count in NEW_LABELS:
            rows = known[200 : 200 + count]
            after = learn_from(before, table.among(own).take(rows), vectors[rows]) if count else before
            got = Predictor(after).foretell(vectors[rest])[0][:, own]
            found.setdefault(f"{count} labels", []).append(surprise(table.quality[np.ix_(rest, own)], got))
        unknown = Predictor(base).foretell(vectors[rest])[0][:, own]
        found.setdefault("prior alone", []).append(surprise(table.quality[np.ix_(rest, own)], unknown))
        fit = of_prior.Ridge.of(vectors[known])
        weights, bias = fit.weights(table.quality[np.ix_(known, own)], of_prior.OWN_ALPHA)
        whole = vectors[rest] @ weights.T + bias
        found.setdefault("heads of all its labels", []).append(surprise(table.quality[np.ix_(rest, own)], whole))
    return {name: float(np.mean(values)) for name, values in found.items()}


TABLES: dict[str, Callable[[Path], tuple[Table, Floats, Checkpoint, Pool]]] = {
    "sweep": sweep,
    "zeroeval": lambda data: among_models("zeroeval", data),
    "mmlu_pro": lambda data: among_models("mmlu_pro", data),
    "routerarena_part": lambda data: among_models("routerarena_part", data),
}


EXPLORED = (0.0, 0.02, 0.1, 1.0)
ASKED, LEARNED_EVERY = 700, 50


def exploration(table: Table, vectors: Floats, base: Checkpoint, pool: Pool) -> dict[str, Any]:
    """What a stream of ASKED queries is worth, in perfect answers each, where every answer gets a label and what is
    learned goes on after each LEARNED_EVERY, by the share that explores; mean over SEEDS, at two worths."""
    cost = of_prior.cost_usd(table, pool, table.output_tokens)
    dearest = float(cost.mean(axis=0).max())
    return {
        f"{times} x, explore {share:g}": float(
            np.mean([stream(table, vectors, base, pool, cost, times * dearest, share, seed) for seed in range(SEEDS)])
        )
        for times in (20, 200)
        for share in EXPLORED
    }


def stream(
    table: Table, vectors: Floats, base: Checkpoint, pool: Pool, cost: Floats, worth: float, share: float, seed: int
) -> float:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(table))[:ASKED]
    predictor, chosen, value = Predictor(base), np.empty(len(rows), np.intp), 0.0
    for k, row in enumerate(rows):
        if k and k % LEARNED_EVERY == 0:
            predictor = Predictor(learn_from(base, answered(table.take(rows[:k]), chosen[:k]), vectors[rows[:k]]))
        vector = vectors[row].astype(np.float32)
        quality, tokens = (part[0] for part in predictor.foretell(vector[None]))
        errors = predictor.quality_errors(vector)
        if rng.random() < share and errors is not None:
            quality = np.clip(quality + errors * drawn_offsets(table.candidates, rng), 0.0, 1.0)
        expected = of_prior.cost_usd(table.take(np.array([row])), pool, tokens[None])[0]
        chosen[k] = np.argmax(worth * quality - expected)
        value += table.quality[row, chosen[k]] - cost[row, chosen[k]] / worth
    return value / len(rows)


def answered(table: Table, chosen: NDArray[np.intp]) -> Table:
    """The answers of the candidates chosen (n,), and no others."""
    other = np.arange(len(table.candidates)) != chosen[:, None]
    blank = {name: np.where(other, np.nan, getattr(table, name)) for name in ("quality", "output_tokens")}
    kept = replace(table, **blank)
    return kept.among(np.flatnonzero(kept.measured.any(axis=0)).tolist())


PARTS: dict[str, Callable[[Table, Floats, Checkpoint, Pool], dict[str, Any]]] = {
    "curve": curve,
    "preferences": preferences,
    "exploration": exploration,
    "new_model": lambda table, vectors, base, _: new_model(table, vectors, base),
}


def rows_of(ways: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    yield "way", "area", "prior's above it", "surprise"
    for way, of in ways.items():
        over = of["prior_over"]
        yield (
            way,
            f"{of['audc_padded'][0]:.3f}",
            "-" if over is None else f"{over['mean']:+.3f}",
            f"{of['surprise']:.3f}" if "surprise" in of else "-",
        )


def main() -> None:
    stated, asked = os.environ.get("R2_DATA_DIR", ""), set(sys.argv[1:])
    if not stated or not asked <= {*TABLES, *PARTS}:
        sys.exit(__doc__)
    for name in asked & {*TABLES} or TABLES:
        table, vectors, base, pool = TABLES[name](Path(stated))
        print(f"== {name}: {len(table)} queries, {len(table.candidates)} candidates")
        for part in asked & {*PARTS} or PARTS:
            result = PARTS[part](table, vectors, base, pool)
            if "ways" in result:
                shown(list(rows_of(result["ways"])))
            else:
                print(json.dumps(result, indent=1))
            publish_part("learning", "R2_DATA_DIR=FOLDER python benchmarks/learning.py", [name, part], result)


if __name__ == "__main__":
    main()
