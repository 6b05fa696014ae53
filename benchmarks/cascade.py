"""How well must right answers be told from wrong ones for a cascade to pay?

    R2_DATA_DIR=FOLDER python benchmarks/cascade.py [--signals TABLE]

The shipped sweep (benchmarks/sweep_table.py), whose answers of the two larger models at 40 tokens get a made-up signal:
a normal one, which stands as much higher for right answers as a given AUROC asks for. What is learned from it on four
fifths of the queries, and what a cascade then adds to routing on the last fifth, is as `r2-router evaluate` finds it
(r2_router/lab/evaluation/second_try.py). `--signals TABLE` takes real ones instead, of a table of the same queries that
`r2-router collect` filled, with log-probabilities. Results go into benchmarks/results/cascade.json; a minute or two.
"""

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from common import publish, table
from sweep_table import sweep_table

from r2_router.arrays import Floats
from r2_router.checkpoints.format import EmbedderInfo
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.read import read_table
from r2_router.lab.data.table import Table
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.evaluation.compare import Expectation, compare
from r2_router.lab.evaluation.cross_validation import _held_out, _priced_ways, cost_usd
from r2_router.lab.evaluation.second_try import cascades
from r2_router.lab.learning.targets import unit_rows
from r2_router.lab.learning.training import train
from r2_router.pools.pool import load_pool

AUROCS = (0.6, 0.7, 0.8, 0.9, 0.95)
FIRST = (("Qwen2.5-Coder-0.5B-Instruct", 40), ("Qwen2.5-Coder-1.5B-Instruct", 40))
FOLDS, SEEDS, DRAWS = 5, 3, 3
WORTHS_SHOWN = (1e-4, 1e-2)  # from, to


def expectations(truth: Table) -> tuple[Floats, list[Expectation], Floats]:
    """The cost of each answer (n, C), what each seed expects of queries it left out, and the worths to compare at."""
    embedder, pool = UseEmbedder(), load_pool("local", user_file=False)
    vectors = unit_rows(truth, embed_cached(embedder, truth.queries))
    info = EmbedderInfo(embedder.id, vectors.shape[1])
    learn = partial(train, embedder=info, instruction=truth.instruction, name="sweep")
    splits = [random_folds(truth, FOLDS, seed) for seed in range(SEEDS)]
    cost = cost_usd(truth, pool, truth.output_tokens)
    priced = [
        _priced_ways(truth, pool, seed) for seed in _held_out(truth, vectors, {"router": learn}, splits, None, None)
    ]
    return cost, priced, compare(truth.candidates, truth.quality, cost, priced).worths


def made_up(truth: Table, auroc: float, draw: int) -> Table:
    """`truth` with a signal for the answers of FIRST."""
    higher = np.sqrt(2) * NormalDist().inv_cdf(auroc)
    chance = np.random.default_rng([draw, int(1000 * auroc)])
    signal = np.full_like(truth.quality, np.nan)
    for j in (truth.candidates.index(candidate) for candidate in FIRST):
        signal[:, j] = higher * truth.quality[:, j] + chance.standard_normal(len(truth))
    return replace(truth, mean_logprob=signal)


def measured(truth: Table, signals: Table) -> Table:
    """`truth` with the log-probabilities that `signals` holds of the same queries and candidates."""
    rows = {query_id: i for i, query_id in enumerate(signals.query_ids)}
    signal = np.full_like(truth.quality, np.nan)
    for theirs, candidate in enumerate(signals.candidates):
        for i, query_id in enumerate(truth.query_ids):
            if candidate in truth.candidates and query_id in rows:
                signal[i, truth.candidates.index(candidate)] = signals.mean_logprob[rows[query_id], theirs]
    return replace(truth, mean_logprob=signal)


def mean_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What several draws of one signal gave, on average: over all worths, and by worth; the AUROC that came out."""
    worths = [at["worth_usd"] for at in found[0]["by_worth"]]
    shown = [i for i, worth in enumerate(worths) if WORTHS_SHOWN[0] <= worth <= WORTHS_SHOWN[1]]
    ends = np.mean([one["gain"]["interval_95"] for one in found], axis=0)
    return {
        "auroc": float(np.mean([s["auroc"] for one in found for s in one["signals"]])),
        "gain": float(np.mean([one["gain"]["mean"] for one in found])),
        "interval_95": ends.tolist(),
        "by_worth": {
            f"{worths[i]:.2g}": {
                name: float(np.mean([one["by_worth"][i][name] for one in found]))
                for name in ("mean", "cascades", "went_up")
            }
            for i in shown
        },
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--signals", type=Path, metavar="TABLE")
    told = options.parse_args()
    if not os.environ.get("R2_DATA_DIR"):
        options.error("R2_DATA_DIR names no folder")
    truth = sweep_table(Path(os.environ["R2_DATA_DIR"]))
    known = expectations(truth)

    def gains(tables: list[Table]) -> dict[str, Any]:
        found = [cascades(table, known[0], known[1], known[2]) for table in tables]
        return mean_of([one for one in found if one is not None])

    if told.signals is not None:
        signals = {"measured": gains([measured(truth, read_table(told.signals))])}
    else:
        signals = {f"{auroc:g}": gains([made_up(truth, auroc, draw) for draw in range(DRAWS)]) for auroc in AUROCS}
    rows = [
        ["signal", "AUROC", "adds, points", *(f"at ${worth}" for worth in next(iter(signals.values()))["by_worth"])]
    ]
    for name, of in signals.items():
        added = [f"{100 * at['mean']:+.2f}" for at in of["by_worth"].values()]
        rows.append([name, f"{of['auroc']:.3f}", f"{100 * of['gain']:+.2f}", *added])
    table(rows)
    if told.signals is None:
        about = {"queries": len(truth), "seeds": SEEDS, "draws": DRAWS}
        publish("cascade", "R2_DATA_DIR=FOLDER python benchmarks/cascade.py", {**about, "signals": signals})


if __name__ == "__main__":
    main()
