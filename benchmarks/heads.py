"""Do our heads earn their place? `R2_DATA_DIR=FOLDER python benchmarks/heads.py [NAME ...]`.

Names: sweep, zeroeval, mmlu_pro (see routing.py); minutes for the last two.
Ours (level and differences apart, each an average over penalties weighted by exact left-out errors) beside
scikit-learn's ridge regressors on the same folds: the mean squared error of the expected quality, AUDC (padded), what
the answers were worth above those of the best constant, and seconds a fit of quality and tokens on one thread. Besides:
isotonic calibration of our quality heads on their left-out expectations, by head and by one map for all; and each part
exchanged alone, quality heads or token heads, to see where a difference comes from.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
from common import publish, table
from routing import listed_pool
from sweep_table import sweep_table
from threadpoolctl import threadpool_limits

from r2_router.checkpoints.format import EmbedderInfo
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.read import read_table
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.evaluation.baselines import Neighbours, paper_heads
from r2_router.lab.evaluation.compare import Expectation, compare
from r2_router.lab.evaluation.cross_validation import cost_usd
from r2_router.lab.learning.heads import Heads
from r2_router.lab.learning.regressors import make_regressor, regress
from r2_router.lab.learning.training import _ALPHAS, _in_two_parts, train
from r2_router.lab.untyped import isotonic
from r2_router.pools.pool import load_pool
from r2_router.routing.predict import Predictor

SEEDS = {"sweep": 5, "zeroeval": 1, "mmlu_pro": 1}
SLOW = ("RidgeCV", "RidgeCV, by head")  # where there are many queries: timed and judged on one fold
PENALTIES = list(_ALPHAS)
OTHERS = {
    "RidgeCV": f"RidgeCV(alphas={PENALTIES})",
    "RidgeCV, by head": f"RidgeCV(alphas={PENALTIES}, alpha_per_target=True)",
    "Ridge(alpha=10)": "Ridge(alpha=10)",
}


def ours(seen, known, others, instruction):
    checkpoint = train(seen, known, embedder=EmbedderInfo("e", known.shape[1]), instruction=instruction, name="heads")
    return Predictor(checkpoint).foretell(others)


def calibrated(seen, known, quality):
    """Our quality through isotonic regressions of the left-out expectations: by head, and by one map for all."""
    heads = Heads(known, seen.measured)
    expected = _in_two_parts(heads, seen.quality, heads.left_out(seen.quality, _ALPHAS) - seen.quality)[1]
    rows = ~np.isnan(seen.quality)
    new = isotonic.IsotonicRegression(out_of_bounds="clip")
    pairs = [(expected[rows[:, j], j], seen.quality[rows[:, j], j]) for j in range(quality.shape[1])]
    by_head = [new.fit(x, y).predict(quality[:, j]) for j, (x, y) in enumerate(pairs)]
    one = new.fit(*(np.concatenate(side) for side in zip(*pairs, strict=True)))
    return np.stack(by_head, axis=1), one.predict(quality.ravel()).reshape(quality.shape)


def fold(seen, known, others, instruction, names):
    """(quality, tokens) of each way, and the seconds of those that were fitted."""
    found, seconds = {}, {}

    def timed(name, make):
        start = time.perf_counter()
        found[name] = make()
        seconds[name] = time.perf_counter() - start

    timed("ours", lambda: ours(seen, known, others, instruction))
    for name in names:
        heads = make_regressor(OTHERS[name])
        timed(name, lambda heads=heads: regress(seen, known, heads=heads, instruction=instruction).expect(others))
    (quality, tokens), (theirs, _) = found["ours"], found["Ridge(alpha=10)"]
    raw = paper_heads(known, others, seen.output_tokens)
    by_head, one = calibrated(seen, known, quality)
    found["ours, isotonic by head"], found["ours, one isotonic map"] = (by_head, tokens), (one, tokens)
    found["ours, tokens by Ridge(alpha=10) of tokens"] = quality, raw
    found["Ridge(alpha=10), our tokens"] = theirs, tokens
    found["Ridge(alpha=10), also of tokens (paper)"] = theirs, raw
    near = Neighbours(known, others)
    found["nearest neighbours"] = near.expect(seen.quality), near.expect(seen.output_tokens)
    found["blind"] = tuple(
        np.broadcast_to(np.nanmean(each, axis=0), (len(others), each.shape[1]))
        for each in (seen.quality, seen.output_tokens)
    )
    return found, seconds


def measure(name: str, data: Path) -> dict:
    whole = sweep_table(data) if name == "sweep" else read_table(data / f"{name}.parquet")
    pool = load_pool("local", user_file=False) if name == "sweep" else listed_pool()
    whole = whole.take(np.flatnonzero(whole.complete))
    vectors = embed_cached(UseEmbedder(), whole.queries).astype(np.float64)
    instruction = whole.instruction
    few = name == "sweep"
    seeds, seconds = [], {}
    for seed in range(SEEDS[name]):
        expected: dict = {}
        for number, (kept, out) in enumerate(random_folds(whole, 5, seed)):
            names = [way for way in OTHERS if few or way not in SLOW]
            found, took = fold(whole.take(kept), vectors[kept], vectors[out], instruction, names)
            if seed == number == 0:
                seconds = took
            for way, pair in found.items():
                pair_of = expected.setdefault(way, (np.empty(whole.quality.shape), np.empty(whole.quality.shape)))
                for array, part in zip(pair_of, pair, strict=True):
                    array[out] = part
        seeds.append(expected)
    if not few:
        kept, out = random_folds(whole, 5, 0)[0]
        for way in SLOW:
            start = time.perf_counter()
            learned = make_regressor(OTHERS[way]).unfitted.fit(vectors[kept], whole.quality[kept])
            seconds[f"{way}, one fit of quality alone"] = time.perf_counter() - start
            error = np.clip(learned.predict(vectors[out]), 0, 1) - whole.quality[out]
            seconds[f"{way}, mse on that fold"] = float((error**2).mean())
        error = seeds[0]["ours"][0][out] - whole.quality[out]
        seconds["ours, mse on that fold"] = float((error**2).mean())
    return {"queries": len(whole), "seeds": len(seeds), "first_fold": seconds, "ways": judged(whole, pool, seeds)}


def judged(whole, pool, seeds) -> dict:
    cost = cost_usd(whole, pool, whole.output_tokens)
    ways: dict = {}
    for way in seeds[0]:
        pairs = [(each[way], each["blind"]) for each in seeds]
        metrics = compare(
            whole.candidates,
            whole.quality,
            cost,
            [
                Expectation(quality, cost_usd(whole, pool, tokens), blind, cost_usd(whole, pool, blind_tokens),
                            {"ours": (each["ours"][0], cost_usd(whole, pool, each["ours"][1]))})
                for ((quality, tokens), (blind, blind_tokens)), each in zip(pairs, seeds, strict=True)
            ],
        ).metrics  # fmt: skip
        error = [np.clip(quality, 0, 1) - whole.quality for (quality, _), _ in pairs]
        ways[way] = {
            "mse": float(np.mean(np.square(error))),
            "audc_padded": metrics["methods"]["router"]["audc_padded"],
            "audc_over_ours": metrics["audc_gains"]["ours"],
            "gain_over_best_constant": metrics["gain_over_best_constant"]["mean"],
            "gain_interval_95": metrics["gain_over_best_constant"]["interval_95"],
        }
    return ways


def main() -> None:
    data, names = os.environ.get("R2_DATA_DIR", ""), sys.argv[1:] or list(SEEDS)
    if not data or not set(names) <= set(SEEDS):
        sys.exit(__doc__)
    results = {}
    for name in names:
        with threadpool_limits(1):
            results[name] = measure(name, Path(data))
        print(f"== {name}: {results[name]['queries']:,} queries x {results[name]['seeds']} seeds")
        table([
            ["", "mse", "AUDC", "over ours", "gain over constant"],
            *(
                [way, f"{w['mse']:.5f}", f"{w['audc_padded'][0]:.4f}", f"{w['audc_over_ours']['mean']:+.4f}",
                 f"{w['gain_over_best_constant']:+.4f}"]
                for way, w in results[name]["ways"].items()
            ),
        ])  # fmt: skip
        print(results[name]["first_fold"])
        publish("heads", "R2_DATA_DIR=FOLDER python benchmarks/heads.py", {"results": results})


if __name__ == "__main__":
    main()
