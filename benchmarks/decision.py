"""Vector -> ranked decision: ours, the seed release's own `route`, and the physical floor.

The floor is one float32 matrix-vector product over the same heads (for a batch: one matrix-matrix product).

    R2_RELEASE_DIR=DIR python benchmarks/decision.py [--release-code FILE]

DIR holds the released config.json and checkpoints/ (`r2-router import release` fetches them); FILE is
r2_router/router.py of a checkout of UCF-ML-Research/R2-Router. Without FILE its loop is rebuilt here: one
scikit-learn predict a head, one dict a candidate, one sort.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import duration, interleaved, publish, spread, table, timed

from r2_router import R2Router

BATCH = 10_000


def release_router(folder: Path, code: Path | None) -> Callable[[np.ndarray], dict[str, Any]]:
    """The release's own route() if its code is at hand, else the same work written out."""
    warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
    if code is not None:
        spec = importlib.util.spec_from_file_location("released_router", code)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.R2Router.from_pretrained(str(folder)).route
    import joblib

    config = json.loads((folder / "config.json").read_text())["models"]
    heads = {}
    for name, model in config.items():
        where = folder / "checkpoints" / model["checkpoint_dir"]
        heads[name] = [joblib.load(where / f"{part}.joblib") for part in RELEASED_PARTS]

    def route(embedding: np.ndarray) -> dict[str, Any]:
        row, options = embedding.reshape(1, -1), []
        for name, (limited, unlimited, tokens) in heads.items():
            price_in, price_out = (config[name][f"{side}_price_per_million"] / 1e6 for side in ("input", "output"))
            scored = [(int(key.split("_")[0]), head, None) for key, head in limited.items()]
            for budget, head, length in [*scored, ("unlimited", unlimited, tokens)]:
                quality = float(np.clip(head.predict(row)[0], 0, 1))
                used = budget if length is None else max(0.0, float(length.predict(row)[0]))
                cost = 100 * price_in + used * price_out
                options.append(
                    {
                        "model": name,
                        "budget": budget,
                        "quality": quality,
                        "cost": cost,
                        "risk": 1e-5 * quality - cost,
                    }
                )
        return sorted(options, key=lambda option: -option["risk"])[0]

    return route


RELEASED_PARTS = ("limited_score_predictors", "unlimited_score_predictor", "unlimited_token_predictor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release-code", type=Path)
    args = parser.parse_args()
    folder = Path(os.environ["R2_RELEASE_DIR"])
    router = R2Router.from_pretrained(folder)
    heads = router.checkpoint.weights
    vectors = np.random.default_rng(0).normal(size=(BATCH, heads.shape[1])).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = vectors[0]
    released = release_router(folder, args.release_code)

    single = interleaved(
        {
            "matrix-vector product": lambda: heads @ one,
            "ours, ranked decision": lambda: router.route(one),
            "ours, and the best candidate read": lambda: router.route(one).model,
            "ours, and all candidates read": lambda: list(router.route(one).candidates),
        },
        rounds=200,
        calls=20,
    )
    single["release, route()"] = timed(lambda: released(one), rounds=40)
    transposed = np.ascontiguousarray(heads.T)
    batch = interleaved(
        {
            "matrix-matrix product": lambda: vectors @ transposed,
            "ours, all choices": lambda: router.route_batch(vectors).choices,
        },
        rounds=15,
    )
    report(single, batch, code=args.release_code is not None, heads=heads.shape)


def report(
    single: dict[str, list[float]], batch: dict[str, list[float]], *, code: bool, heads: tuple[int, ...]
) -> None:
    one, many = ({k: spread(v) for k, v in series.items()} for series in (single, batch))
    floor, ours = one["matrix-vector product"]["median_s"], one["ours, ranked decision"]["median_s"]
    many_floor, many_ours = many["matrix-matrix product"]["median_s"], many["ours, all choices"]["median_s"]
    theirs = one["release, route()"]["median_s"]
    print(f"{heads[0]} heads x {heads[1]} dimensions; release: {'its own code' if code else 'rebuilt loop'}\n")
    table(
        [("one vector", "median", "p99", "x product")]
        + [(k, duration(v["median_s"]), duration(v["p99_s"]), f"{v['median_s'] / floor:.1f}") for k, v in one.items()]
    )
    print()
    table(
        [(f"{BATCH} vectors", "median", "a vector", "x product")]
        + [
            (k, duration(v["median_s"]), duration(v["median_s"] / BATCH), f"{v['median_s'] / many_floor:.2f}")
            for k, v in many.items()
        ]
    )
    ratios = {
        "faster_than_release": theirs / ours,
        "times_matrix_vector_product": ours / floor,
        "batch_times_matrix_product": many_ours / many_floor,
    }
    print("\nfaster than the release: {:.0f}x (goal 100x)".format(ratios["faster_than_release"]))
    print(f"times the product: {ours / floor:.1f} (goal 5), batch {many_ours / many_floor:.2f} (goal 2)")
    command = "python benchmarks/decision.py" + (" --release-code r2_router/router.py" if code else "")
    publish("decision", command, {"one": one, "batch": many, **ratios, "release_code": code})


if __name__ == "__main__":
    main()
