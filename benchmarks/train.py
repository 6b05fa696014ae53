"""How long training takes: `R2_DATA_DIR=FOLDER python benchmarks/train.py`, FOLDER holding mmlu_pro.parquet.

From vectors and a table in memory to a saved checkpoint, and the most memory the process held meanwhile.
The vectors are random unit ones of d = 512: what is learned differs, the work does not.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import duration, publish, spread, table, timed

from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.lab.data.read import read_table
from r2_router.lab.learning.training import train

SIZES = (200, 1000, 4000, 12_032)


def peak_bytes() -> int | None:
    """The most memory this process held, None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    if not data:
        sys.exit("R2_DATA_DIR is not set; point it at the folder that holds mmlu_pro.parquet.")
    whole = read_table(Path(data) / "mmlu_pro.parquet")
    vectors = np.random.default_rng(0).normal(size=(len(whole), 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [["queries", "models", "median", "fastest", "peak memory"]]
    results: list[dict[str, Any]] = []
    for size in SIZES:
        part = whole.take(np.arange(min(size, len(whole))))
        rows_of = vectors[: len(part)]

        def run() -> None:
            checkpoint = train(
                part,  # noqa: B023  # run at once
                rows_of,  # noqa: B023
                embedder=EmbedderInfo("random", 512),
                instruction=Instruction(""),
                name="speed",
            )
            with tempfile.TemporaryDirectory() as folder:
                checkpoint.save(folder)

        figures = spread(timed(run, rounds=3))
        peak = peak_bytes()
        models = len({model for model, _ in part.candidates})
        results.append({"queries": len(part), "models": models, **figures, "peak_bytes": peak})
        shown = "unknown" if peak is None else f"{peak / 2**30:.2f} GiB"
        rows.append([f"{len(part):,}", str(models), duration(figures["median_s"]), duration(figures["min_s"]), shown])
    table(rows)
    publish("train", "R2_DATA_DIR=FOLDER python benchmarks/train.py", {"dim": 512, "sizes": results})


if __name__ == "__main__":
    main()
