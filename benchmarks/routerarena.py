"""RouterArena: the files that its leaderboard takes, and its score S, robustness and latency for what is at hand.

    R2_DATA_DIR=FOLDER python benchmarks/routerarena.py
    python benchmarks/routerarena.py --arena DIR --name NAME [--pool POOL] [--preset NAME] [--split full] [--answer]

The first measures on routerarena_part.parquet (489 of the open split's queries, graded answers of two models, 100
paraphrases) and writes benchmarks/results/routerarena.json. The second routes the benchmark's queries, which its own
script has put into DIR/dataset (DIR is a checkout of RouteWorks/RouterArena), and writes NAME's configuration and
predictions there. With --answer the models are asked too, at the length that the router chose, and paid for; run it
again to go on where it stopped. docs/routerarena.md says how to submit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import publish, spread, table

from r2_router import Decision, Model, Pool, R2Router, Request
from r2_router.config.safe_files import replace_file
from r2_router.errors import R2Error
from r2_router.pools.pool import load_pool
from r2_router.records import UNLIMITED

COMMAND = "R2_DATA_DIR=FOLDER python benchmarks/routerarena.py"
POOL = Path(__file__).with_name("routerarena_pool.toml")
PRESETS = ("economy", "balanced", "quality")
SPLITS = {"sub_10": "router_data_10.json", "full": "router_data.json", "robustness": "router_robustness.json"}
DEAREST, CHEAPEST = 200.0, 0.0044  # USD per 1,000 queries: the ends of the scale
BETA = 0.1
AT_ONCE = 8  # models asked at the same time

# Who was measured, as RouterArena prices them: USD per million tokens.
MEASURED = {"claude-3-haiku-20240307": (0.25, 1.25), "gemini-2.0-flash-001": (0.10, 0.40)}


def arena_score(accuracy: float, usd_per_1000: float) -> float:
    """S = (1 + β)·A·C / (β·A + C): A is the accuracy, C the cost on a log scale, 1 for the cheapest, 0 for the dearest.

    arXiv 2510.00202, with β, DEAREST and CHEAPEST as its evaluation has them.
    """
    usd = min(max(usd_per_1000, CHEAPEST), DEAREST)
    C = math.log2(DEAREST / usd) / math.log2(DEAREST / CHEAPEST)
    below = BETA * accuracy + C
    return (1 + BETA) * accuracy * C / below if below else 0.0


# -- measured here ---------------------------------------------------------------------------------------------


def measured(data: Path) -> tuple[list[str], list[str | None], np.ndarray, np.ndarray]:
    """The queries (n), a paraphrase of each or None, quality (n, m) and USD (n, m) of the models of MEASURED."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "routerarena_part.parquet").to_pylist()
    by_query: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_query.setdefault(row["query_id"], {})[row["model"]] = row
    whole = [found for found in by_query.values() if found.keys() >= MEASURED.keys()]
    quality = np.array([[found[model]["quality"] for model in MEASURED] for found in whole])
    usd = np.array(
        [
            [
                (found[model]["input_tokens"] * p_in + found[model]["output_tokens"] * p_out) / 1e6
                for model, (p_in, p_out) in MEASURED.items()
            ]
            for found in whole
        ]
    )
    first = [next(iter(found.values())) for found in whole]
    return [row["query"] for row in first], [row["paraphrase"] for row in first], quality, usd


def scored(quality: np.ndarray, usd: np.ndarray) -> dict[str, float]:
    """What comes of choices: accuracy, USD per 1,000 queries, S."""
    accuracy, cost = float(quality.mean()), float(usd.mean() * 1000)
    return {"accuracy": accuracy, "usd_per_1000": cost, "score": 100 * arena_score(accuracy, cost)}


def scores(checkpoint: str, queries: Sequence[str], quality: np.ndarray, usd: np.ndarray) -> dict[str, Any]:
    """S of each model alone, of chance, of the router at each preset, and of whoever knows the answers before."""
    names, rows = list(MEASURED), np.arange(len(queries))
    found = {name: scored(quality[:, i], usd[:, i]) for i, name in enumerate(names)}
    found["chance"] = scored(quality.mean(axis=1), usd.mean(axis=1))
    pool = Pool("measured", {name: Model(name, name, *MEASURED[name], base_url="http://localhost") for name in names})
    router = R2Router.from_pretrained(checkpoint, pool=pool)
    for preset in PRESETS:
        decisions = router.route_text(queries, preset=preset, budget=UNLIMITED)
        chosen = np.array([names.index(decision.best.model) for decision in decisions])
        found[f"router, {preset}"] = {
            **scored(quality[rows, chosen], usd[rows, chosen]),
            "shares": {name: float(np.mean(chosen == i)) for i, name in enumerate(names)},
        }
    best = np.lexsort((usd, -quality), axis=1)[:, 0]  # right, and the cheaper of two that are
    return {**found, "oracle": scored(quality[rows, best], usd[rows, best])}


def robustness(router: R2Router, queries: Sequence[str], paraphrases: Sequence[str]) -> dict[str, Any]:
    """How often a paraphrase goes to the same model, and to the same model at the same length; bits of the choices."""
    found = {}
    for preset in PRESETS:
        pairs = [router.route_text(texts, preset=preset) for texts in (queries, paraphrases)]
        (models, others), (lengths, other_lengths) = (
            [[pick(decision) for decision in decisions] for decisions in pairs] for pick in (_model, _pair)
        )
        found[preset] = {
            "same_model": float(np.mean([a == b for a, b in zip(models, others, strict=True)])),
            "same_pair": float(np.mean([a == b for a, b in zip(lengths, other_lengths, strict=True)])),
            "models": {name: models.count(name) for name in sorted(set(models))},
            "entropy_of_pairs_bits": _entropy(lengths),
        }
    return found


def _model(decision: Decision) -> str:
    return decision.best.model


def _pair(decision: Decision) -> str:
    return decision.best.label


def _entropy(choices: Sequence[str]) -> float:
    shares = np.array([choices.count(choice) for choice in set(choices)]) / len(choices)
    return float(-(shares * np.log2(shares)).sum())


def latency(router: R2Router, queries: Sequence[str]) -> dict[str, float]:
    """Seconds from text to decision, the embedding included, one query at a time."""
    seconds = []
    router.route_text(queries[0])
    for query in queries:
        start = time.perf_counter()
        router.route_text(query)
        seconds.append(time.perf_counter() - start)
    return spread(seconds)


def measure(data: Path, checkpoint: str) -> None:
    queries, paraphrases, quality, usd = measured(data)
    pairs = [(query, other) for query, other in zip(queries, paraphrases, strict=True) if other]
    router = R2Router.from_pretrained(checkpoint, pool=load_pool(POOL))
    result = {
        "checkpoint": checkpoint,
        "queries": len(queries),
        "scores": scores(checkpoint, queries, quality, usd),
        "paraphrases": len(pairs),
        "pool": {model.name: model.id for model in router.models},
        "robustness": robustness(router, *map(list, zip(*pairs, strict=True))),
        "latency": latency(router, queries),
    }
    table(
        [
            ("who answers", "accuracy", "USD per 1,000", "S"),
            *(
                (name, f"{each['accuracy']:.3f}", f"{each['usd_per_1000']:.4f}", f"{each['score']:.2f}")
                for name, each in result["scores"].items()
            ),
        ]
    )
    for preset, each in result["robustness"].items():
        print(f"{preset}: same model {each['same_model']:.0%}, same pair {each['same_pair']:.0%}, {each['models']}")
    print(f"a decision takes {result['latency']['median_s'] * 1000:.2f} ms (median)")
    publish("routerarena", COMMAND, result)


# -- files to submit -------------------------------------------------------------------------------------------


def read_split(arena: Path, split: str) -> list[tuple[str, str]]:
    """(global index, prompt) of each query of a split, as the benchmark's own script prepared it."""
    file = arena / "dataset" / SPLITS[split]
    entries = json.loads(file.read_text(encoding="utf-8"))
    return [(str(entry["global index"]), entry.get("prompt_formatted") or entry["prompt"]) for entry in entries]


def predict(router: R2Router, queries: Sequence[tuple[str, str]], preset: str | None) -> list[dict[str, Any]]:
    """An entry for each query, in the benchmark's form; `choice` is ours, and no field of theirs."""
    decisions = router.route_text([prompt for _, prompt in queries], preset=preset)
    return [
        {
            "global index": index,
            "prompt": prompt,
            "prediction": router.pool.models[decision.best.model].id,
            "generated_result": None,
            "cost": None,
            "accuracy": None,
            "choice": decision.best.label,
        }
        for (index, prompt), decision in zip(queries, decisions, strict=True)
    ]


def write_submission(arena: Path, name: str, router: R2Router, split: str, preset: str | None) -> list[dict[str, Any]]:
    """Write configuration, predictions, robustness predictions and missing prices; the predictions of `split`.

    Answers that an earlier run of the same choices has paid for are kept.
    """
    folder = arena / "router_inference"
    config = {
        "pipeline_params": {
            "router_name": name,
            "router_cls_name": "R2McpRouter",
            "models": sorted({model.id for model in router.models if model.available}),
        }
    }
    _write(folder / "config" / f"{name}.json", config)
    predictions = predict(router, read_split(arena, split), preset)
    file = folder / "predictions" / f"{name}.json"
    paid = {entry["global index"]: entry for entry in _read(file, [])}
    for entry in predictions:
        before = paid.get(entry["global index"], {})
        if (before.get("prompt"), before.get("choice")) == (entry["prompt"], entry["choice"]):
            entry.update(before)
    _write(file, predictions)
    if (arena / "dataset" / SPLITS["robustness"]).is_file():
        rephrased = predict(router, read_split(arena, "robustness"), preset)
        _write(folder / "predictions" / f"{name}-robustness.json", rephrased)
    _write_prices(arena, router.models)
    return predictions


def _write_prices(arena: Path, models: Sequence[Model]) -> None:
    """Add the prices of models that the benchmark's list does not know."""
    names = ("model_cost.json", "cost.json")
    file = next((f for f in (arena / "model_cost" / n for n in names) if f.is_file()), arena / "model_cost" / names[0])
    prices = _read(file, {})
    for model in models:
        if model.available and model.id not in prices:
            prices[model.id] = {
                "input_token_price_per_million": model.input_usd_per_million,
                "output_token_price_per_million": model.output_usd_per_million,
            }
    _write(file, prices)


def _read(file: Path, default: Any) -> Any:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else default


def _write(file: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    replace_file(file, text.encode(), private=False)


async def answer_all(router: R2Router, entries: Sequence[dict[str, Any]], preset: str | None) -> dict[str, int]:
    """Ask for every answer that is missing, and put it into its entry; how many came and how many did not."""
    counts, gate = {"answered": 0, "failed": 0}, asyncio.Semaphore(AT_ONCE)

    async def answer(entry: dict[str, Any]) -> None:
        async with gate:
            try:
                got = await router.ask(Request.read(entry["prompt"], preset=preset)).result()
            except R2Error as error:
                entry["generated_result"] = {
                    "generated_answer": "",
                    "success": False,
                    "token_usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
                    "error": str(error),
                }
                counts["failed"] += 1
                return
        usage = {"input_tokens": got.prompt_tokens, "output_tokens": got.completion_tokens}
        entry["prediction"] = got.model_id  # another than the choice may have had to answer
        entry["generated_result"] = {
            "generated_answer": got.text,
            "success": True,
            "token_usage": {**usage, "total_tokens": sum(usage.values())},
            "error": None,
        }
        counts["answered"] += 1

    missing = [entry for entry in entries if not (entry["generated_result"] or {}).get("success")]
    await asyncio.gather(*map(answer, missing))
    return counts


def submit(args: argparse.Namespace) -> None:
    arena = Path(args.arena)
    router = R2Router.from_pretrained(args.checkpoint, pool=args.pool)
    predictions = write_submission(arena, args.name, router, args.split, args.preset)
    if args.answer:
        file = arena / "router_inference" / "predictions" / f"{args.name}.json"
        try:
            print(asyncio.run(answer_all(router, predictions, args.preset)))
        finally:
            _write(file, predictions)
    print(f"{len(predictions):,} predictions for {args.name} in {arena / 'router_inference'}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="prior")
    parser.add_argument("--arena", metavar="DIR", help="a checkout of RouteWorks/RouterArena with its dataset/")
    parser.add_argument("--name", default="r2-mcp", help="the router's name on the leaderboard")
    parser.add_argument("--pool", default=str(POOL), help="a pool's name or TOML file")
    parser.add_argument("--preset", choices=PRESETS, help="default: the one of your settings")
    parser.add_argument("--split", choices=("sub_10", "full"), default="sub_10")
    parser.add_argument("--answer", action="store_true", help="ask the models too: this costs money")
    args = parser.parse_args(argv)
    if args.arena:
        submit(args)
    elif folder := os.environ.get("R2_DATA_DIR"):
        measure(Path(folder), args.checkpoint)
    else:
        parser.error("give --arena DIR, or set R2_DATA_DIR to measure here")


if __name__ == "__main__":
    main()
