"""Trains checkpoints/prior: `R2_DATA_DIR=FOLDER python benchmarks/train_prior.py [OUTPUT]`.

FOLDER holds the public tables (their READMEs name source and licence); none of their texts is in what comes out. On one
machine the same files come out, byte for byte. Every constant here was chosen by benchmarks/prior.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from prior_data import Source, everything
from sweep_table import sweep_table

from r2_router.arrays import Floats
from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.checkpoints.prior import Head, Prior
from r2_router.config.folders import shipped
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.probes import PROBES
from r2_router.lab.learning.ridge import Ridge
from r2_router.records import UNLIMITED

BUDGETS = (30, 80, 200, 500, 1500, 4000, UNLIMITED)
INSTRUCTION = Instruction("Keep the whole reply under {words} words and give the final answer.")
DIFFICULTY_SOURCES = ("mmlu_pro", "diverse")
DIFFICULTY_ALPHA = 300.0
LOGIT_OF_QUALITY = 5.0  # logits for a unit of quality: 1/(p(1−p)) at p = .72


def ridge(vectors: Floats, targets: Floats, alpha: float, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Weights (k, d) and biases (k,) of a ridge of targets (n, k), each row counted `weights` times."""
    if weights is None:
        return Ridge.of(vectors).weights(targets, alpha)
    share = weights[:, None] / weights.sum()
    center, mean = (share * vectors).sum(axis=0), (share * targets).sum(axis=0)
    X, Y = vectors - center, targets - mean
    A = (weights[:, None] * X).T @ X + alpha * np.eye(X.shape[1])
    found = np.linalg.solve(A, (weights[:, None] * X).T @ Y).T
    return found, mean - found @ center


def difficulty(sources: dict[str, Source], names=DIFFICULTY_SOURCES, alpha=DIFFICULTY_ALPHA) -> tuple[Floats, Floats]:
    """Mean quality over models, centred a source: what tells easy from hard."""
    X = np.concatenate([sources[name].vectors for name in names])
    quality = [np.nanmean(sources[name].quality, axis=1) for name in names]
    y = np.concatenate([each - each.mean() for each in quality])
    return ridge(X, y[:, None], alpha)


CATEGORY_OF = {
    "coding": (
        "everyday:arena-hard-v2.0/coding",
        "diverse:MBPP",
        "sweep:made-functions",
        "sweep:made-code",
        "zeroeval:crux",
    ),
    "math": (
        *("everyday:arena-hard-v2.0/math", "diverse:GSM8k", "diverse:MATH", "zeroeval:gsm", "zeroeval:math-l5"),
        *("mmlu_pro:math", "everyday:bbh/multistep_arithmetic_two"),
    ),
    "creative_writing": ("everyday:arena-hard-v2.0/creative_writing",),
    "instruction_following": ("everyday:ifeval/instructions",),
    "science": ("mmlu_pro:physics", "mmlu_pro:chemistry", "mmlu_pro:biology", "diverse:ARC", "diverse:OpenBookQA"),
    "medicine": ("mmlu_pro:health", "sweep:medmcqa"),
    "legal": ("mmlu_pro:law",),
    "business": ("mmlu_pro:business", "mmlu_pro:economics"),
}


def mixture(sources: dict[str, Source], alpha: float = 10.0) -> tuple[tuple[str, ...], Floats, Floats]:
    names = tuple(CATEGORY_OF)
    X, Y, w = [], [], []
    for source in sources.values():
        labels = np.zeros((len(source.texts), len(names)))
        for k, kinds in enumerate(CATEGORY_OF.values()):
            labels[:, k] = [f"{source.name}:{kind}" in kinds for kind in source.kinds]
        X.append(source.vectors)
        Y.append(labels)
        w.append(np.full(len(labels), 1500 / len(labels)))
    weights, bias = ridge(np.concatenate(X), np.concatenate(Y), alpha, np.concatenate(w))
    return names, weights, bias


def natural(sources: dict[str, Source], alpha: float = 3.0) -> tuple[Floats, Floats]:
    """Logarithm of the natural length: mean over models."""
    X, y, w = [], [], []
    for name, source in sources.items():
        with np.errstate(all="ignore"):
            logs = np.log(np.maximum(source.tokens, 1.0))
            if name == "everyday":
                logs = logs[:, [not m.startswith("o3") for m in source.models]]
            if name == "sweep":
                logs = logs[:, [m.startswith("Qwen") for m in source.models]]
        known = ~np.isnan(logs).all(axis=1)
        X.append(source.vectors[known])
        y.append(np.nanmean(logs[known], axis=1))
        w.append(np.full(known.sum(), {"everyday": 2000, "mmlu_pro": 500}.get(name, 700) / known.sum()))
    return ridge(np.concatenate(X), np.concatenate(y)[:, None], alpha, np.concatenate(w))


def gain(sources: dict[str, Source], data: Path, natural_head, alpha: float = 5.0) -> tuple[Floats, Floats]:
    """Logits over unlimited, by budget."""
    table = sweep_table(data)
    index = {c: j for j, c in enumerate(table.candidates)}
    models = [m for m in dict.fromkeys(m for m, _ in table.candidates) if m.startswith("Qwen")]
    known = [12, 24, 40, 120, 240]
    curve = np.stack(
        [
            np.mean([table.quality[:, index[m, b]] - table.quality[:, index[m, UNLIMITED]] for m in models], axis=0)
            for b in known
        ],
        axis=1,
    )
    curve = 0.5 * LOGIT_OF_QUALITY * (curve - curve.mean(axis=0))
    limited = [b for b in BUDGETS if b != UNLIMITED]
    targets = np.zeros((len(curve), len(BUDGETS)))
    for i, b in enumerate(limited):
        if b <= 240:
            targets[:, i] = [np.interp(np.log(b), np.log(known), row) for row in curve]
        targets[:, i] -= max(0.0, 0.25 * np.log(200 / b))
    # open questions: an answer that must be shorter than it naturally is loses
    open_ = sources["everyday"]
    rows = np.array([k.startswith(("arena", "ifeval")) for k in open_.kinds])
    logs = open_.vectors[rows] @ natural_head[0][0] + natural_head[1][0]
    loss = np.stack([-0.6 * np.maximum(0, logs - np.log(0.8 * b)) for b in limited] + [0 * logs], axis=1)
    X = np.concatenate([sources["sweep"].vectors, open_.vectors[rows]])
    Y = np.concatenate([targets, loss])
    w = np.concatenate([np.ones(len(targets)), np.full(len(loss), 700 / len(loss))])
    return ridge(X, Y, alpha, w)


def head(pair: tuple[Floats, Floats]) -> Head:
    return Head(pair[0].astype(np.float32), pair[1].astype(np.float32))


def main() -> None:
    stated = os.environ.get("R2_DATA_DIR", "")
    if not stated:
        sys.exit("R2_DATA_DIR is not set; point it at the folder that holds the public tables.")
    data, output = Path(stated), Path(sys.argv[1]) if len(sys.argv) > 1 else shipped("checkpoints") / "prior"
    sources = everything(data)
    probes = UseEmbedder().embed(PROBES)
    categories, *mixed = mixture(sources)
    e, offset = difficulty(sources)
    typical = sources["everyday"].vectors.mean(axis=0)
    e, offset = LOGIT_OF_QUALITY * e, -LOGIT_OF_QUALITY * (e @ typical)
    lengths = natural(sources)
    many = len(BUDGETS)
    prior = Prior(
        name="prior",
        budgets=BUDGETS,
        categories=categories,
        mixture=head((mixed[0], mixed[1])),
        difficulty=head((e, offset)),
        gain=head(gain(sources, data, lengths)),
        length=head((np.repeat(lengths[0], many, axis=0), np.repeat(lengths[1], many))),
        thoughts=head((-0.5 * e, -0.5 * offset)),
        token_floor=np.full(many, 3.0, dtype=np.float32),
        token_ceiling=np.array([8000 if b == UNLIMITED else 0.8 * b for b in BUDGETS], dtype=np.float32),
        error=1.0,
        embedder=EmbedderInfo(UseEmbedder.id, UseEmbedder.dim, "0.2.1"),
        instruction=INSTRUCTION,
        probe_texts=PROBES,
        probe_vectors=probes,
        data_card={},
    )
    prior.save(output)
    print(output)


if __name__ == "__main__":
    main()
