"""What labels add to the prior, from none to many: `R2_DATA_DIR=FOLDER python benchmarks/learning.py [TABLE ...]`.

On each table the prior is composed for its models without having seen the table; `train --base` then goes on from 5 to
500 queries, with labels of every candidate or (one answer each, as a ledger has it) of one drawn at random. Beside it:
heads learned from labels alone, and the blind mix. Five folds, SEEDS times; areas are padded AUDC, `surprise` the mean
negative log-likelihood of labels in nats. Results go into benchmarks/results/learning.json.
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
from common import RESULTS, publish
from common import table as shown
from prior_data import embedded, everything, measured_table
from routing import listed_pool
from sweep_table import sweep_table

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.checkpoints.prior import compose
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.table import Table
from r2_router.lab.learning.from_base import learn_from
from r2_router.pools.ability import Ability, abilities
from r2_router.pools.pool import Pool, load_pool
from r2_router.pools.ratings import load_ratings
from r2_router.records import UNLIMITED, Budget
from r2_router.routing.predict import Predictor

SEEDS = 2
LABELS = (5, 20, 50, 200, 500)
NEW_LABELS = (0, 5, 20, 50, 200)
MOST_QUERIES = 1500


def among_models(name: str, data: Path) -> tuple[Table, Floats, Checkpoint, Pool]:
    """The rated models of a public table, each at its natural length, and the prior of them."""
    source, prices, ratings = everything(data)[name], listed_pool(), load_ratings()
    rated = {model: rating for model in source.models if (rating := ratings.find(model))}
    table = measured_table(name, data).among([source.models.index(model) for model in rated])
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(table.complete))[:MOST_QUERIES]
    known = {
        m: Ability(rating=r.overall, by_category=r.by_category, source="rated", said="", error=r.error)
        for m, r in rated.items()
    }
    pool = Pool("rated", {m: prices.models[m] for m in rated})
    base = compose(tp.build(data, (name,)), pool, known)
    return table.take(drawn), source.vectors[drawn], at_budgets(base, table), pool


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
    drawn = rng.integers(len(table.candidates), size=len(table))
    other = np.arange(len(table.candidates)) != drawn[:, None]
    blank = {name: np.where(other, np.nan, getattr(table, name)) for name in ("quality", "output_tokens")}
    kept = replace(table, **blank)
    return kept.among(np.flatnonzero(kept.measured.any(axis=0)).tolist())


def learned(table: Table, vectors: Floats, base: Checkpoint, seed: int) -> dict[str, tuple[Floats, Floats]]:
    """What is foretold of each query from labels of others, for each count of them."""
    found = {"prior": Predictor(base).foretell(vectors)}
    for kept, out in random_folds(table, 5, seed):
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(kept)
        for count in LABELS:
            rows = drawn[:count]
            whole = table.take(rows)
            ways = {"labels of every candidate": whole, "one answer each": one_each(whole, rng)}
            for way, few in ways.items():
                empty = np.empty(table.quality.shape), np.empty(table.quality.shape)
                pair = found.setdefault(f"prior, {count} queries, {way}", empty)
                got = Predictor(learn_from(base, few, vectors[rows])).foretell(vectors[out])
                for part, values in zip(pair, got, strict=True):
                    part[out] = values
    return found


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
}


def rows_of(result: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    yield "way", "area", "prior's above it", "surprise"
    for way, of in result["curve"]["ways"].items():
        over = of["prior_over"]
        yield (
            way,
            f"{of['audc_padded'][0]:.3f}",
            "-" if over is None else f"{over['mean']:+.3f}",
            f"{of['surprise']:.3f}" if "surprise" in of else "-",
        )


def main() -> None:
    stated, names = os.environ.get("R2_DATA_DIR", ""), sys.argv[1:] or list(TABLES)
    if not stated or not set(names) <= set(TABLES):
        sys.exit(__doc__)
    file = RESULTS / "learning.json"
    for name in names:
        table, vectors, base, pool = TABLES[name](Path(stated))
        result = {"curve": curve(table, vectors, base, pool), "new_model": new_model(table, vectors, base)}
        print(f"== {name}: {len(table)} queries, {len(table.candidates)} candidates")
        shown(list(rows_of(result)))
        print(json.dumps(result["new_model"], indent=1))
        before = json.loads(file.read_text()).get("results", {}) if file.is_file() else {}
        publish("learning", "R2_DATA_DIR=FOLDER python benchmarks/learning.py", {"results": {**before, name: result}})


if __name__ == "__main__":
    main()
