"""How long `r2-router learn` takes beside the embedding: `python benchmarks/learn_speed.py`.

A ledger of 10,000 answers, one to each query, drawn over all candidates; three in ten have a label. The vectors are
made up, about the middle of the checkpoint's own and as far from it. Results go into
benchmarks/results/learn_speed.json.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from common import publish, spread, timed
from common import table as shown

from r2_router.arrays import Singles
from r2_router.checkpoints.find import composed, load_checkpoint
from r2_router.checkpoints.format import Checkpoint
from r2_router.lab.data.table import Table
from r2_router.lab.learning.from_ledger import learn
from r2_router.ledger import Entry, Ledger
from r2_router.pools.pool import load_pool
from r2_router.routing.predict import Predictor

ANSWERS = 10_000
LABELLED = 0.3


def queries(base: Checkpoint, rng: np.random.Generator) -> Singles:
    """Unit vectors (ANSWERS, d)."""
    middle = Predictor(base).middle
    centre = np.zeros(base.embedder.dim) if middle is None else middle
    apart = rng.normal(size=(ANSWERS, base.embedder.dim)) * rng.gamma(0.5, size=base.embedder.dim)
    apart *= np.sqrt(1 - centre @ centre) / np.linalg.norm(apart, axis=1, keepdims=True)
    vectors = centre + apart
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fill(ledger: Ledger, base: Checkpoint, vectors: Singles, rng: np.random.Generator) -> None:
    quality, tokens = Predictor(base).foretell(vectors)
    for row, column in enumerate(rng.integers(len(base.candidates), size=ANSWERS)):
        model, budget = base.candidates[column]
        good = float(rng.random() < quality[row, column]) if rng.random() < LABELLED else None
        length = int(tokens[row, column] * np.exp(rng.normal(0, 0.5))) + 1
        said = {"checkpoint": base.name, "query": str(row), "output_tokens": length, "quality": good}
        ledger.record(Entry(face="python", outcome="answered", model=model, budget=budget, **said))
        if row % 1000 == 0:
            ledger.flush()


def measured(base: Checkpoint) -> dict[str, float]:
    rng = np.random.default_rng(0)
    vectors = queries(base, rng)

    def embed(table: Table) -> Singles:
        return vectors[[int(query) for query in table.queries]]

    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3", log_text=True) as ledger:
        fill(ledger, base, vectors, rng)
        clocks = time.perf_counter, time.process_time
        waited, worked = (
            timed(lambda: learn(ledger, base, embed, half_life_days=90), rounds=5, clock=clock) for clock in clocks
        )
    processor_s = statistics.median(worked)
    return {
        "models": len(base.models),
        "candidates": len(base.candidates),
        **spread(waited),
        "processor_s": processor_s,
    }


def main() -> None:
    found = {"local": measured(load_checkpoint("local")), "prior": measured(composed(load_pool("paper")))}
    head = ("checkpoint", "candidates", "seconds, median", "fastest", "of processor time")
    rows = [
        (n, str(f["candidates"]), f"{f['median_s']:.2f}", f"{f['min_s']:.2f}", f"{f['processor_s']:.2f}")
        for n, f in found.items()
    ]
    shown([head, *rows])
    publish("learn_speed", "python benchmarks/learn_speed.py", {"answers": ANSWERS, "results": found})


if __name__ == "__main__":
    main()
