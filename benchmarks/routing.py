"""Does routing pay? Every table we have: `R2_DATA_DIR=FOLDER python benchmarks/routing.py [NAME ...]`.

Names: pilot (local_sweep.parquet), sweep (benchmarks/results/sweep.parquet), transfer (heads learned on the sweep,
judged by the pilot), zeroeval (28 LLMs), mmlu_pro (15 LLMs). Each as `r2-router evaluate` does it: 5 folds x 5 seeds,
the sweep also with each category left out; results go into benchmarks/results/routing.json. Minutes for the last two.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

from common import RESULTS
from sweep_table import sweep_table

from r2_router.checkpoints.format import EmbedderInfo
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.read import read_table
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.evaluation.assessment import evaluate
from r2_router.lab.learning.training import train
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool, load_pool

FILE = RESULTS / "routing.json"

# USD per million tokens in and out: list prices of late 2024 as far as remembered; what matters here is their ratio.
LISTED = {
    "claude-3-5-sonnet-20241022": (3, 15), "claude-3-5-sonnet-20240620": (3, 15), "claude-3-opus-20240229": (15, 75),
    "claude-3-5-haiku-20241022": (0.8, 4), "claude-3-haiku-20240307": (0.25, 1.25), "gpt-4o-2024-08-06": (2.5, 10),
    "gpt-4o-2024-05-13": (5, 15), "gpt-4o-mini-2024-07-18": (0.15, 0.6), "gpt-3.5-turbo-0125": (0.5, 1.5),
    "gemini-1.5-pro": (1.25, 5), "gemini-1.5-pro-002": (1.25, 5), "gemini-1.5-flash": (0.075, 0.3),
    "gemini-2.0-flash-001": (0.1, 0.4),
    "gemini-1.5-flash-002": (0.075, 0.3), "jamba-1.5-large": (2, 8), "reka-core-20240501": (2, 6),
    "Mistral-Large-2": (2, 6), "c4ai-command-r-v01": (0.5, 1.5), "deepseek-v2.5": (0.14, 0.28),
    "DeepSeek-Coder-V2": (0.14, 0.28),
}  # fmt: skip
# Open weights without a list price: by billions of parameters, $0.03 + $0.01 a billion, in and out alike.
BILLIONS = {
    "Llama-3.1-405B-Instruct": 405, "Meta-Llama-3.1-70B-Instruct": 70, "Meta-Llama-3_1-70B-Instruct": 70,
    "Meta-Llama-3-70B-Instruct": 70, "Athene-70B": 70, "Qwen2-72B-Instruct": 72, "Qwen1.5-72B-Chat": 72,
    "Yi-1.5-34B-Chat": 34, "gemma-2-27b-it": 27, "Mixtral-8x7B-Instruct-v0.1": 13, "Yi-1.5-9B-Chat": 9,
    "gemma-2-9b-it": 9, "Meta-Llama-3.1-8B-Instruct": 8, "Meta-Llama-3_1-8B-Instruct": 8,
    "Meta-Llama-3-8B-Instruct": 8, "Qwen2-7B-Instruct": 7, "Qwen1.5-7B-Chat": 7, "mathstral-7B": 7,
    "Mistral-7B-Instruct-v0.1": 7, "Mistral-7B-Instruct-v0.2": 7, "Yi-6b-Chat": 6, "Phi-3.5-mini-instruct": 4,
    "Phi-3-mini-4k-instruct": 4, "gemma-2-2b-it": 2,
}  # fmt: skip
NAMES = ("pilot", "sweep", "transfer", "zeroeval", "mmlu_pro")
KEPT = (
    *("verdict", "protocol", "methods", "random", "constants", "best_constants", "gain_over_best_constant"),
    *("audc_gain_over_mix", "audc_gains", "gain_by_category", "choices", "calibration"),
)


def listed_pool() -> Pool:
    prices = {**{name: (0.03 + 0.01 * b,) * 2 for name, b in BILLIONS.items()}, **LISTED}
    return Pool("listed", {name: Model(name, name, *map(float, price)) for name, price in prices.items()})


def measure(name: str, data: Path) -> dict:
    embedder, pool = UseEmbedder(), load_pool("local", user_file=False)
    files = {"pilot": "local_sweep", "transfer": "local_sweep", "zeroeval": "zeroeval", "mmlu_pro": "mmlu_pro"}
    if name in files:
        table = read_table(data / f"{files[name]}.parquet")
    if name in ("sweep", "transfer"):
        sweep = sweep_table(data)
        table = sweep if name == "sweep" else table
    if name in ("zeroeval", "mmlu_pro"):
        pool = listed_pool()
    start = time.perf_counter()
    vectors = embed_cached(embedder, table.queries)
    embedded = time.perf_counter()
    learn = partial(
        train, embedder=EmbedderInfo(embedder.id, vectors.shape[1]), instruction=table.instruction, name=name
    )
    if name == "transfer":
        learn = learn(sweep, embed_cached(embedder, sweep.queries))
        table = table.among([j for j, c in enumerate(table.candidates) if c in set(learn.candidates)])
    report = evaluate(table, vectors, pool, learn, ood=name == "sweep").report
    seconds = {"embed": round(embedded - start, 1), "evaluate": round(time.perf_counter() - embedded, 1)}
    found = {key: report[key] for key in KEPT}
    if report["ood"] is not None:
        found["ood"] = {key: report["ood"][key] for key in KEPT if key in report["ood"]}
    return {**found, "seconds": seconds}


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    names = sys.argv[1:] or NAMES
    if not data or not set(names) <= set(NAMES):
        sys.exit(__doc__)
    for name in names:
        found = measure(name, Path(data))
        results = json.loads(FILE.read_text()) if FILE.is_file() else {}
        FILE.write_text(json.dumps({**results, name: found}, indent=1, ensure_ascii=False) + "\n")
        print(f"== {name}: {found['protocol']['queries']:,} queries, {found['seconds']}")
        for way, m in found["methods"].items():
            qnc = "-" if m["qnc"] is None else f"{m['qnc'][0]:.3f}"
            audc, spread = m["audc_padded"]
            print(f"{way:<14} AUDC padded {audc:.3f} ±{spread:.3f}, paper {m['audc_paper'][0]:.3f}, QNC {qnc}")
        print(found["verdict"])


if __name__ == "__main__":
    main()
