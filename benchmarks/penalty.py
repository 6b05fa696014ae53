"""Penalties chosen by whole kinds left out, or by single queries: `R2_DATA_DIR=FOLDER python benchmarks/penalty.py`.

Both ways to choose the penalty of `train`, on the same folds: queries left out by chance, whose kinds were seen, and
whole kinds left out. Mean squared error of the expected quality, and what the answers were worth above those of the
best constant, in perfect answers. Of mmlu_pro, 600 queries by chance.
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import publish, table
from routing import listed_pool
from sweep_table import sweep_table

from r2_router.checkpoints.format import EmbedderInfo
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.folds import category_folds, random_folds
from r2_router.lab.data.read import read_table
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.evaluation.cross_validation import validate
from r2_router.lab.learning.training import train
from r2_router.pools.pool import load_pool

NAMES = ("sweep", "mmlu_pro")
QUERIES, SEEDS = 600, 3


def measure(name: str, data: Path) -> dict:
    whole = sweep_table(data) if name == "sweep" else read_table(data / f"{name}.parquet")
    pool = load_pool("local", user_file=False) if name == "sweep" else listed_pool()
    whole = whole.take(np.flatnonzero(whole.complete))
    if name != "sweep":
        whole = whole.take(np.sort(np.random.default_rng(0).permutation(len(whole))[:QUERIES]))
    vectors = embed_cached(UseEmbedder(), whole.queries)
    instruction = whole.instruction
    ways = {"by chance": [random_folds(whole, 5, seed) for seed in range(SEEDS)], "kinds": [category_folds(whole)]}
    found = {}
    for left_out, splits in ways.items():
        for penalty_by in ("queries", "kinds"):
            learn = partial(
                train,
                embedder=EmbedderInfo("e", vectors.shape[1]),
                instruction=instruction,
                name="penalty",
                penalty_by=penalty_by,
            )
            metrics = validate(whole, vectors, pool, learn, splits).metrics
            r2 = [head["quality_r2"] for head in metrics["heads"] if head["quality_r2"] is not None]
            found[f"{left_out} left out, penalty by {penalty_by}"] = {
                "quality_r2": float(np.mean(r2)),
                "audc_padded": metrics["methods"]["router"]["audc_padded"][0],
                "gain_over_best_constant": metrics["gain_over_best_constant"]["mean"],
                "gain_interval_95": metrics["gain_over_best_constant"]["interval_95"],
            }  # fmt: skip
    return {"queries": len(whole), "kinds": len(set(whole.categories)), "ways": found}


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    if not data:
        sys.exit(__doc__)
    results = {}
    for name in sys.argv[1:] or NAMES:
        results[name] = measure(name, Path(data))
        print(f"== {name}: {results[name]['queries']:,} queries of {results[name]['kinds']} kinds")
        table([
            ["", "R² quality", "AUDC", "gain over constant"],
            *(
                [way, f"{w['quality_r2']:+.4f}", f"{w['audc_padded']:.4f}", f"{w['gain_over_best_constant']:+.4f}"]
                for way, w in results[name]["ways"].items()
            ),
        ])  # fmt: skip
    publish("penalty", "R2_DATA_DIR=FOLDER python benchmarks/penalty.py", {"results": results})


if __name__ == "__main__":
    main()
