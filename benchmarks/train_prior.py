"""Trains checkpoints/prior: `R2_DATA_DIR=FOLDER python benchmarks/train_prior.py [OUTPUT]`.

FOLDER holds the public tables; none of their texts is in what comes out. On one machine the same files come out, byte
for byte. The constants were chosen by benchmarks/prior.py, or are said to be assumed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from common import table
from prior_data import Source, embedded, everything, plain
from rewordings import covariance, reworded
from sweep_table import sweep_table

from r2_router.arrays import Floats
from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.checkpoints.prior import Head, Prior
from r2_router.config import toml_file
from r2_router.config.folders import shipped
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.probes import PROBES
from r2_router.lab.data.table import Table
from r2_router.pools.ability import CEILING, HALFWAY, LOGITS_PER_POINT
from r2_router.pools.ratings import load_ratings
from r2_router.records import UNLIMITED
from r2_router.routing.stated_length import stated_length

Linear = tuple[Floats, Floats]  # weights (k, d), bias (k,)

BUDGETS = (30, 80, 200, 500, 1500, 4000, UNLIMITED)
LIMITED = np.array([budget for budget in BUDGETS if budget != UNLIMITED], dtype=np.float64)
INSTRUCTION = Instruction("Keep the whole reply under {words} words and give the final answer.")
CARD = Path(__file__).with_name("prior_card.toml")

# Difficulty: which sources, whether their kinds of query are compared with each other, and the penalty.
ACROSS_KINDS = ("mmlu_pro", "diverse", "routerarena_part")
WITHIN_KINDS = ("zeroeval", "sweep")  # a kind of exam is easy or hard for reasons of its own
ALPHA = 100.0
LOGITS = 12.0  # for a unit of what the ridge foretells: left-out sources ask for more, the shrinkage being hard
PLAIN_WEIGHT = 20.0

# Every head is held back where a query's vector moves when only its wording does, as if each row stood there in so many
# other wordings (Bishop 1995: to train with noise is Tikhonov regularization).
WORDINGS = 4.0
LENGTH_WORDINGS = 0.3  # how long an answer is hangs on single words: held back as much, a proof is a short answer
REWORDED = {"mmlu_pro": 500, "diverse": 600, "everyday": 600, "zeroeval": 200, "plain": 320}

CATEGORY_ALPHA = 10.0
LENGTH_ALPHA = 1.0
LENGTH_WEIGHTS = {
    **{"everyday": 1500.0, "mmlu_pro": 400.0, "zeroeval": 500.0, "routerarena_part": 100.0},
    **{"sweep": 400.0, "diverse": 600.0, "plain": 1200.0},
}
GAIN_ALPHA = 30.0
CURVE_LOGITS = 2.5  # for a unit of quality a small model gains from length: half of what it would be for itself
EXAM_LOSS, OPEN_LOSS = (
    0.3,
    0.6,
)  # logits lost for each e-fold that an answer must be shorter than it naturally is: assumed
SHARE_USED = 0.7  # of a limited budget, by an answer that would naturally be longer: assumed

# The Arena's categories, and the kinds of query that are of them. What is of none is of "overall".
CATEGORY_OF: Mapping[str, Sequence[str]] = {
    "coding": (
        *("everyday:arena-hard-v2.0/coding", "diverse:MBPP", "sweep:made-functions", "sweep:made-code"),
        *("zeroeval:crux", "plain:function", "plain:program", "plain:script", "plain:debugging"),
    ),
    "math": (
        *("everyday:arena-hard-v2.0/math", "everyday:bbh/multistep_arithmetic_two", "diverse:GSM8k", "diverse:MATH"),
        *(
            "zeroeval:gsm",
            "zeroeval:math-l5",
            "mmlu_pro:math",
            "plain:sum",
            "plain:proof",
            "plain:school",
            "plain:puzzle",
        ),
    ),
    "creative_writing": ("everyday:arena-hard-v2.0/creative_writing", "plain:text", "plain:verse"),
    "instruction_following": ("everyday:ifeval/instructions",),
    "science": ("mmlu_pro:physics", "mmlu_pro:chemistry", "mmlu_pro:biology", "diverse:ARC", "diverse:OpenBookQA"),
    "medicine": ("mmlu_pro:health", "sweep:medmcqa"),
    "legal": ("mmlu_pro:law",),
    "business": ("mmlu_pro:business", "mmlu_pro:economics"),
}


@cache
def wording() -> Floats:
    """(d, d): what the vector of a query varies by with its words."""
    texts = [text for source in everything(data_folder()).values() for text in some(source)]
    return covariance(embedded(tuple(texts)), embedded(tuple(reworded(texts))))


def held_back(dim: int, rows: float, wordings: float | None = None) -> Floats:
    """(dim, dim): the penalty that `rows` rows' wordings are; nothing for what is beside the vector, after it."""
    found = np.zeros((dim, dim))
    known = wording()
    found[: len(known), : len(known)] = (WORDINGS if wordings is None else wordings) * rows * known
    return found


def some(source: Source) -> list[str]:
    """The queries of a source that are reworded: as many as REWORDED says, evenly spread."""
    count = min(REWORDED.get(source.name, 0), len(source.texts))
    return [source.texts[i * len(source.texts) // count] for i in range(count)]


def ridge(vectors: Floats, targets: Floats, alpha: float, counted: Floats, wordings: float | None = None) -> Linear:
    """The ridge of `targets` (n, k), row i counted `counted[i]` times, with an unpenalised bias."""
    share = counted[:, None] / counted.sum()
    center, mean = (share * vectors).sum(axis=0), (share * targets).sum(axis=0)
    X, Y = vectors - center, targets - mean
    weighted = (counted[:, None] * X).T
    penalty = alpha * np.eye(X.shape[1]) + held_back(X.shape[1], counted.sum(), wordings)
    found = np.linalg.solve(weighted @ X + penalty, weighted @ Y).T
    return found, mean - found @ center


# -- how hard it is ------------------------------------------------------------------------------------------


def ease(source: Source, *, within_kinds: bool) -> Floats:
    """(n,): the mean quality of each query over the models, less that of the source, or of the query's kind there."""
    quality = np.nanmean(source.quality, axis=1)
    if not within_kinds:
        return quality - np.nanmean(quality)
    found = np.empty(len(quality))
    for kind in set(source.kinds):
        rows = source.kinds == kind
        found[rows] = quality[rows] - np.nanmean(quality[rows])
    return found


def difficulty(
    sources: Mapping[str, Source],
    without: Collection[str] = (),
    alpha: float = ALPHA,
    across: Sequence[str] = ACROSS_KINDS,
    within: Sequence[str] = WITHIN_KINDS,
    assumed: bool = True,
) -> Floats:
    """(d,): what tells easy from hard, in units of quality as the ridge shrinks them. Level is another matter.

    Each source is centred, so that the ridge does not learn which table a query is from.
    """
    left, right = alpha * np.eye(512), np.zeros(512)
    parts = [(sources[name], ease(sources[name], within_kinds=name in within), 1.0) for name in (*across, *within)]
    if assumed:
        requests, logits = plain()
        parts.append((requests, logits / LOGITS, PLAIN_WEIGHT))
    for source, y, counted in parts:
        if source.name not in without:
            rows = ~np.isnan(y)
            X = source.vectors[rows] - source.vectors[rows].mean(axis=0)
            left += counted * X.T @ X + held_back(X.shape[1], counted * len(X))
            right += counted * X.T @ y[rows]
    return np.linalg.solve(left, right)


def rated(source: Source) -> tuple[Floats, Floats]:
    """The source's models that are rated: their quality (n, M), and what the rating alone expects, (M,) logits."""
    ratings = load_ratings()
    found = [(j, rating.overall) for j, name in enumerate(source.models) if (rating := ratings.find(name))]
    points = np.array([overall for _, overall in found])
    return source.quality[:, [j for j, _ in found]], LOGITS_PER_POINT * (points - HALFWAY)


def level(source: Source) -> float:
    """How many logits easier the source is than its models' ratings alone would have it: the mean over models."""
    quality, expected = rated(source)
    share = np.clip(np.nanmean(quality, axis=0) / CEILING, 0.01, 0.99)
    return float(np.mean(np.log(share / (1 - share)) - expected))


def unexplained(source: Source, head: Floats) -> float:
    """Standard deviation, in logits, of what queries differ by and the head does not foretell.

    What two models' residuals share is the query's, not chance: their covariance, over the squared slope of quality.
    """
    quality, _ = rated(source)
    foretold = source.vectors @ head
    residual = quality - np.nanmean(quality, axis=0)
    mean = np.nanmean(quality, axis=0)
    slope = mean * (1 - mean / CEILING)
    residual = residual / slope - (foretold - foretold.mean())[:, None]
    shared = np.ma.cov(np.ma.masked_invalid(residual), rowvar=False).filled(np.nan)
    return float(np.sqrt(np.nanmean(shared[~np.eye(len(shared), dtype=bool)])))


# -- what it is about, how long its answer is ----------------------------------------------------------------


def stacked(parts: Sequence[tuple[Floats, Floats, float]], alpha: float, wordings: float | None = None) -> Linear:
    """The ridge of several sources (vectors, targets, how many rows they count for together)."""
    counted = [np.full(len(y), total / len(y)) for _, y, total in parts]
    X, Y = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return ridge(X, Y, alpha, np.concatenate(counted), wordings)


def mixture(sources: Mapping[str, Source]) -> Linear:
    """Ridge of the category's indicator, each source counting for as much."""
    parts: list[tuple[Floats, Floats, float]] = []
    for source in sources.values():
        names = np.array([f"{source.name}:{kind}" for kind in source.kinds])
        labels = np.stack([np.isin(names, kinds) for kinds in CATEGORY_OF.values()], axis=1).astype(np.float64)
        parts.append((source.vectors, labels, 1500.0 if source.name != "plain" else 300.0))
    return stacked(parts, CATEGORY_ALPHA)


# Kinds of diverse_queries that were answered freely; the others ask for a letter and got one.
FREE = ("TriviaQA", "DROP", "GSM8k", "MATH", "BBH", "AGIEval")


def natural_logs(source: Source) -> tuple[Floats, Floats]:
    """Vectors (n, d) and the middle logarithm (n,) of the natural lengths of a source, over its models.

    What a query asks of its answer's length is read from its words when it is routed; a head that learned from such
    queries would take the shortness of "within 3 sentences" for that of its subject.
    """
    logs = np.log(np.maximum(source.tokens, 1.0))
    if source.name == "sweep":  # a model of 135M babbles
        logs = logs[:, [name.startswith("Qwen") for name in source.models]]
    if source.name == "diverse":
        logs = np.where(np.isin(source.kinds, FREE)[:, None], logs, np.nan)
    known = ~np.isnan(logs).all(axis=1) & np.array([stated_length(text) is None for text in source.texts])
    return source.vectors[known], np.nanmedian(logs[known], axis=1)


def natural(sources: Mapping[str, Source], without: Collection[str] = (), alpha: float = LENGTH_ALPHA) -> Linear:
    """Logarithm of the natural length, so that its exponential is the mean of the tokens (Duan 1983)."""
    known = {name: natural_logs(source) for name, source in sources.items() if name not in without}
    parts = [(X, y[:, None], LENGTH_WEIGHTS[name]) for name, (X, y) in known.items()]
    weights, bias = stacked(parts, alpha, LENGTH_WORDINGS)
    spread = [np.mean(np.exp(np.clip(y - X @ weights[0] - bias[0], -2, 2))) for X, y in known.values()]
    return weights, bias + np.log(np.mean(spread))


# -- what is lost when the answer is short -------------------------------------------------------------------


def curve(sweep: Table, models: Collection[str], budgets: Floats) -> Floats:
    """(n, B): quality at each budget over unlimited, mean over `models`; between measured budgets along the logarithm,
    beyond the longest towards none at twice the natural length."""
    index = {candidate: j for j, candidate in enumerate(sweep.candidates)}
    measured = sorted({budget for _, budget in sweep.candidates if budget != UNLIMITED})
    over = np.stack(
        [
            np.mean(
                [sweep.quality[:, index[name, b]] - sweep.quality[:, index[name, UNLIMITED]] for name in models], axis=0
            )
            for b in measured
        ],
        axis=1,
    )
    knots = np.log([*measured, 500.0])
    return np.array([np.interp(np.log(budgets), knots, [*row, 0.0]) for row in over])


def gain(sources: Mapping[str, Source], sweep: Table, lengths: Linear) -> Linear:
    """Logits at each budget over unlimited: small models' centred curves, and what an answer loses that must be shorter
    than it naturally is; never more than unlimited, for a strong model does not get better by being brief."""
    models = [name for name in dict.fromkeys(name for name, _ in sweep.candidates) if name.startswith("Qwen")]
    curves = curve(sweep, models, LIMITED)
    shaped = CURVE_LOGITS * (curves - curves.mean(axis=0)) - EXAM_LOSS * shortfall(sources["sweep"].vectors, lengths)
    parts = [(sources["sweep"].vectors, np.minimum(0.0, shaped), 734.0)]
    asked = sources["everyday"].vectors[[not kind.startswith("bbh") for kind in sources["everyday"].kinds]]
    for vectors, counted in ((asked, 700.0), (sources["plain"].vectors, 300.0)):
        parts.append((vectors, -OPEN_LOSS * shortfall(vectors, lengths), counted))
    weights, bias = stacked(parts, GAIN_ALPHA)
    return np.concatenate([weights, np.zeros((1, 512))]), np.append(bias, 0.0)


def shortfall(vectors: Floats, lengths: Linear) -> Floats:
    """(n, B): by how many e-folds the natural length exceeds what a budget leaves room for, 0 where it does not."""
    logs = vectors @ lengths[0][0] + lengths[1][0]
    return np.maximum(0.0, logs[:, None] - np.log(SHARE_USED * LIMITED))


def thinking_slope(everyday: Source, ease_logits: Floats) -> float:
    """How the logarithm of what a thinking model writes falls with the logits of ease."""
    tokens = everyday.tokens[:, [name.startswith("o3") for name in everyday.models]][:, 0]
    known = ~np.isnan(tokens)
    return float(np.polyfit(ease_logits[known], np.log(tokens[known]), 1)[0])


# -- all together --------------------------------------------------------------------------------------------


def data_folder() -> Path:
    """Where the public tables are."""
    stated = os.environ.get("R2_DATA_DIR", "")
    if not stated:
        sys.exit("R2_DATA_DIR is not set; point it at the folder that holds the public tables.")
    return Path(stated)


def head(linear: Linear) -> Head:
    return Head(linear[0].astype(np.float32), linear[1].astype(np.float32))


def build(data: Path, without: Collection[str] = ()) -> Prior:
    """The prior; difficulty and lengths learned from all sources but those in `without`."""
    sources, sweep = everything(data), sweep_table(data)
    direction = LOGITS * difficulty(sources, without)
    anchors = [sources[name] for name in ACROSS_KINDS if name not in without]
    offset = float(np.mean([level(source) - (source.vectors @ direction).mean() for source in anchors]))
    lengths = natural(sources, without)
    slope = thinking_slope(sources["everyday"], sources["everyday"].vectors @ direction)
    typical = float((sources["everyday"].vectors @ direction).mean())
    judged = [name for name in ACROSS_KINDS if len(rated(sources[name])[1]) > 1]
    errors = [unexplained(sources[name], direction) for name in judged]
    many, probes = len(BUDGETS), UseEmbedder().embed(PROBES)
    return Prior(
        name="prior",
        budgets=BUDGETS,
        categories=tuple(CATEGORY_OF),
        mixture=head(mixture(sources)),
        difficulty=head((direction[None], np.array([offset]))),
        gain=head(gain(sources, sweep, lengths)),
        length=head((np.repeat(lengths[0], many, axis=0), np.repeat(lengths[1], many))),
        thoughts=head((slope * direction[None], np.array([-slope * typical]))),
        token_floor=np.full(many, 3.0, dtype=np.float32),
        token_ceiling=np.array([*(SHARE_USED * LIMITED), 8000.0], dtype=np.float32),
        error=float(np.mean(errors)),
        embedder=EmbedderInfo(UseEmbedder.id, UseEmbedder.dim, "0.2.1"),
        instruction=INSTRUCTION,
        probe_texts=PROBES,
        probe_vectors=probes,
        data_card=dict(toml_file.read_config(CARD).data),
        metrics={
            "offset_logits": offset,
            "thinking_slope": slope,
            "unexplained_logits": dict(zip(judged, errors, strict=True)),
            "level_logits": {name: level(sources[name]) for name in (*ACROSS_KINDS, "zeroeval")},
        },
    )


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped("checkpoints") / "prior"
    prior = build(data_folder())
    prior.save(output)
    table([["", ""], *([name, str(value)] for name, value in prior.metrics.items()), ["error", f"{prior.error:.2f}"]])
    print(f"\nwrote {output}")


if __name__ == "__main__":
    main()
