"""What a few labels of a new model are worth: `R2_DATA_DIR=FOLDER python benchmarks/add_model.py`.

Leaves out each of six models of zeroeval.parquet and mmlu_pro.parquet in turn, trains the others on half the queries,
adds the model from 50, 100 or 200 of 400 queries the base never saw, and judges its expected quality on the rest: R²
against plain means of those labels. Beside `add_model`: heads learned from the labels alone, and UniRouter's way, the
mean quality of the labels in each cluster of queries (k-means on the base's queries, shrunk to the overall mean).
"""

import os
import sys
from pathlib import Path

import numpy as np
from common import publish

from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.read import read_table
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.learning.new_model import add_model
from r2_router.lab.learning.training import train
from r2_router.routing.predict import Predictor

MODELS, LABELS, FRESH, SHRINK = 6, (50, 100, 200), 400, 4
WAYS = ("mean of the labels", "ridge alone", "clusters", "add_model")


def learn(table, vectors):
    return train(table, vectors, embedder=EmbedderInfo("e", vectors.shape[1]), instruction=Instruction(""), name="base")


def expected(checkpoint, vectors, column):
    predictor = Predictor(checkpoint)
    return predictor.quality(predictor.outputs(vectors))[:, column]


def centers(vectors, k, rng, rounds=15):
    found = vectors[rng.choice(len(vectors), k, replace=False)]
    for _ in range(rounds):
        nearest = (vectors @ found.T).argmax(axis=1)
        means = [vectors[nearest == j].mean(axis=0) if (nearest == j).any() else found[j] for j in range(k)]
        found = np.array([mean / np.linalg.norm(mean) for mean in means])
    return found


def by_cluster(vectors, labels, others, found):
    """The shrunk mean of the labels in the cluster of each of `others`."""
    own, theirs = (vectors @ found.T).argmax(axis=1), (others @ found.T).argmax(axis=1)
    sums = np.array([labels[own == j].sum() + SHRINK * labels.mean() for j in range(len(found))])
    return (sums / (np.bincount(own, minlength=len(found)) + SHRINK))[theirs]


def measure(file: Path, embedder) -> dict:
    table = read_table(file)
    table = table.take(np.flatnonzero(table.complete))
    vectors = embed_cached(embedder, table.queries)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(table))
    half = len(order) // 2
    known, fresh, rest = order[:half], order[half : half + FRESH], order[half + FRESH :]
    found = centers(vectors[known].astype(np.float64), min(64, half // 20), rng)
    count = len(table.candidates)
    scores = {n: {way: [] for way in WAYS} for n in LABELS}
    for left_out in range(0, count, max(1, count // MODELS))[:MODELS]:
        base = learn(table.among([j for j in range(count) if j != left_out]).take(known), vectors[known])
        truth = table.quality[rest, left_out]
        for n in LABELS:
            rows = fresh[:n]
            new = table.among([left_out]).take(rows)
            labels = new.quality[:, 0]
            guesses = (
                np.full(len(rest), labels.mean()),
                expected(learn(new, vectors[rows]), vectors[rest], 0),
                by_cluster(vectors[rows], labels, vectors[rest], found),
                expected(add_model(base, new, vectors[rows]), vectors[rest], count - 1),
            )
            for way, guess in zip(WAYS, guesses, strict=True):
                scores[n][way].append(1 - float(((guess - truth) ** 2).mean() / truth.var()))
    return {str(n): {way: round(float(np.mean(r2)), 4) for way, r2 in ways.items()} for n, ways in scores.items()}


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    if not data:
        sys.exit(__doc__)
    found = {name: measure(Path(data) / f"{name}.parquet", UseEmbedder()) for name in ("zeroeval", "mmlu_pro")}
    for name, by_labels in found.items():
        for n, ways in by_labels.items():
            print(f"{name:<9} {n:>4} labels  " + "  ".join(f"{way} {r2:+.3f}" for way, r2 in ways.items()))
    publish("add_model", "R2_DATA_DIR=FOLDER python benchmarks/add_model.py", {"r2": found})


if __name__ == "__main__":
    main()
