"""Checkpoint: the stacked heads and what they were trained on; load, save, verify.

A checkpoint is a directory of two files: checkpoint.json (what the numbers mean) and heads.safetensors (the
numbers). Loading runs nothing that is in them: JSON and safetensors hold data only, and every name, shape and
value is checked before use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Singles
from r2_router.checkpoints.sealed import SealedFolder
from r2_router.errors import CheckpointError
from r2_router.records import MAX_BUDGET, UNLIMITED, Budget, Record

FORMAT = "r2-checkpoint"
VERSION = 2  # 1 knew one scale of quality, the linear one
JSON_NAME = "checkpoint.json"
HEADS_NAME = "heads.safetensors"

FILES = SealedFolder(
    JSON_NAME,
    HEADS_NAME,
    FORMAT,
    VERSION,
    what="checkpoint",
    missing="`r2-router import release --output DIR` fetches the released one; without --checkpoint the embedded "
    "default is used.",
)
_MAX_CANDIDATES = 100_000
_MAX_DIM = 65_536
_PROBE_TOLERANCE = 0.99  # cosine; another model, pooling or normalisation falls far below it


@dataclass(frozen=True, slots=True)
class Instruction(Record):
    """How a chosen LLM is told its budget, where it is cut, and how its answer is drawn.

    `text` may hold {budget} (tokens) and {words}, the budget times `words_per_token`, rounded down.
    An unlimited budget has no instruction. A limited one is cut at budget + `cap_extra` tokens. `temperature` is the
    one the answers were measured at, None where that is not known (the provider's own is used then).
    """

    text: str
    place: Literal["system", "suffix"] = "suffix"
    words_per_token: float = 0.7
    cap_extra: int = 0
    temperature: float | None = None

    def __post_init__(self) -> None:
        known = isinstance(cast("object", self.text), str) and self.place in ("system", "suffix")
        _need(known and 0 < self.words_per_token <= 10, "has an instruction that cannot be used")
        _need(self.temperature is None or 0 <= self.temperature <= 2, f"has temperature {self.temperature}")
        _need(0 <= self.cap_extra <= 1_000_000, f"has a cap of budget {self.cap_extra:+} tokens")

    def render(self, budget: Budget) -> str:
        """The sentence for `budget`, "" for "unlimited"."""
        if budget == UNLIMITED:
            return ""
        words = max(1, int(budget * self.words_per_token))
        return self.text.replace("{budget}", str(budget)).replace("{words}", str(words))

    def cap(self, budget: Budget) -> int | None:
        """Output tokens at which the answer is cut; None for "unlimited"."""
        return None if budget == UNLIMITED else budget + self.cap_extra


@dataclass(frozen=True, slots=True)
class EmbedderInfo(Record):
    """The embedder the heads were trained with: its id, dimension d and revision."""

    id: str
    dim: int
    revision: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """What ridge knows of its own ignorance, from the n training vectors X (centred) and α.

    With A = XᵀX + αI and rows F chosen so that A⁻¹ = (I − FᵀF)/α, the leverage of e is
    1/n + (‖e−c‖² − ‖F(e−c)‖²)/α, c the training mean. `factor` F is (r, d), r <= min(n, d); `center` c is (d,).
    `leverage_limit` is the 99 % quantile of the training rows' leave-one-out leverages: above it a query is
    unlike anything seen in training.
    """

    factor: Singles
    center: Singles
    alpha: float
    n: int
    leverage_limit: float

    def leverage(self, vector: Singles) -> float:
        """How far (d,) `vector` lies from the training vectors."""
        offset = vector.astype(np.float64) - self.center
        inside = self.factor.astype(np.float64) @ offset
        return 1.0 / self.n + max(0.0, float(offset @ offset - inside @ inside)) / self.alpha


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Heads for C candidates over d-dimensional embeddings, stacked for one matrix product.

    weights (H, d) and bias (H,): the first C rows predict quality, one per candidate in order; row C+j predicts
    output tokens (in `token_scale`) of candidate token_heads[j]. A candidate without a token head is expected
    to use its whole budget. token_floor, token_ceiling (C,): bounds of the expected tokens.
    Quality is what its head gives, within 0..1, or, on the "logit" scale, quality_ceiling / (1 + exp(−z)) of what
    its head gives. quality_error (C,): residual standard deviation of each quality head, on its scale, or its whole
    standard error where there is no `precision`; None where unknown. tenfold_gain: how much more quality a tenfold
    price must promise before it is believed; more than 0 where qualities are guesses.
    """

    name: str
    candidates: tuple[tuple[str, Budget], ...]
    weights: Singles
    bias: Singles
    token_heads: tuple[int, ...]
    token_scale: Literal["log", "linear"]
    token_floor: Singles
    token_ceiling: Singles
    embedder: EmbedderInfo
    instruction: Instruction
    quality_scale: Literal["linear", "logit"] = "linear"
    quality_ceiling: float = 1.0
    tenfold_gain: float = 0.0
    quality_error: Singles | None = None
    precision: Precision | None = None
    probe_texts: tuple[str, ...] = ()
    probe_vectors: Singles | None = None
    pool: str = ""  # the pool it was measured on, used when the caller names none
    strongest: str = ""  # the model of the highest mean quality in the training data, "" if unknown
    release: Mapping[str, Any] | None = None  # a released checkpoint's own config, for compat mode
    data_card: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        _check(self)

    @property
    def estimated_from(self) -> str:
        """What stands in for measured answers of these models, "" where they were measured."""
        return str(self.data_card.get("estimated_from", ""))

    @property
    def models(self) -> tuple[str, ...]:
        """Model names in order of first appearance."""
        return tuple(dict.fromkeys(model for model, _ in self.candidates))

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """All budgets, rising, "unlimited" last."""
        return tuple(sorted({budget for _, budget in self.candidates}, key=budget_key))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read and verify the directory at `path`.

        Raises CheckpointError, naming file and fault, for anything missing, damaged, too new or out of shape.
        """
        folder = Path(path)
        return _build(*FILES.read(folder), folder)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the directory at `path`; each file is replaced whole, the JSON (which seals both) last."""
        return FILES.write(Path(path), _meta(self), _tensors(self))

    def check_probes(self, vectors: Singles, source: str) -> None:
        """Compare `vectors` (P, d), what the embedder in use made of probe_texts, with what was recorded.

        Raises CheckpointError if it is another embedder, pooling or normalisation.
        """
        if self.probe_vectors is None:
            return
        if vectors.shape != self.probe_vectors.shape:
            raise CheckpointError(
                f"{source} gives {vectors.shape[1]} dimensions; checkpoint '{self.name}' needs "
                f"{self.embedder.dim} from {self.embedder.id}."
            )
        worst = float(np.einsum("pd,pd->p", vectors, self.probe_vectors).min())
        if worst < _PROBE_TOLERANCE:
            raise CheckpointError(
                f"{source} is not the embedder checkpoint '{self.name}' was trained with ({self.embedder.id}): "
                f"the probe sentences agree only to cosine {worst:.3f}. Check the model, its pooling and that "
                f"nothing is added to the text."
            )


def budget_key(budget: Budget) -> float:
    """Sorts budgets: numbers rise, "unlimited" comes last."""
    return float("inf") if budget == UNLIMITED else float(budget)


# -- checks ------------------------------------------------------------------------------------------------


def _check(c: Checkpoint) -> None:
    """Refuse a checkpoint whose parts do not fit together; nothing later needs to look again."""
    count, heads, dim = len(c.candidates), len(c.bias), c.embedder.dim
    _need(isinstance(cast("object", c.name), str) and 0 < len(c.name) <= 200, "has no name")
    _need(_is_pool_name(c.pool), f"names its pool by something that is no name: {c.pool[:80]!r}")
    _need(0 < count <= _MAX_CANDIDATES, f"has {count} candidates")
    _need(0 < dim <= _MAX_DIM, f"has embedding dimension {dim}")
    for model, budget in c.candidates:
        _check_candidate(model, budget)
    _need(len(set(c.candidates)) == count, "names a candidate twice")
    _need(heads == count + len(c.token_heads), f"has {heads} heads for {count} candidates")
    _need(c.token_scale in ("log", "linear"), f"has token scale {c.token_scale!r}")
    _need(c.quality_scale in ("linear", "logit"), f"has quality scale {c.quality_scale!r}")
    _need(0 <= c.tenfold_gain <= 1, f"has a tenfold gain of {c.tenfold_gain}")
    _need(0 < c.quality_ceiling <= 1, f"has quality ceiling {c.quality_ceiling}")
    _need(all(0 <= j < count for j in c.token_heads), "has a token head without candidate")
    _need(len(set(c.token_heads)) == len(c.token_heads), "has two token heads for one candidate")
    with_tokens = {c.candidates[j] for j in c.token_heads}
    for candidate in c.candidates:
        _need(
            candidate[1] != UNLIMITED or candidate in with_tokens,
            f"has no token head for {candidate[0]}, unlimited",
        )
    shapes: list[tuple[str, Singles | None, tuple[int, ...]]] = [
        ("weights", c.weights, (heads, dim)),
        ("bias", c.bias, (heads,)),
        ("token_floor", c.token_floor, (count,)),
        ("token_ceiling", c.token_ceiling, (count,)),
        ("quality_error", c.quality_error, (count,)),
        ("probe_vectors", c.probe_vectors, (len(c.probe_texts), dim)),
    ]
    if c.precision:
        shapes += [
            ("precision_factor", c.precision.factor, (len(c.precision.factor), dim)),
            ("precision_center", c.precision.center, (dim,)),
        ]
        _need(c.precision.alpha > 0 and c.precision.n > 0, "has a precision without α or n")
        _need(0 < c.precision.leverage_limit < float("inf"), "has no finite leverage limit")
    for name, array, shape in shapes:
        if array is None:
            continue
        _need(array.dtype == np.float32, f"has {name} of type {array.dtype}, not float32")
        _need(array.shape == shape, f"has {name} of shape {array.shape}, not {shape}")
        _need(bool(np.isfinite(array).all()), f"has a number in {name} that is not finite")
    _need(bool((c.token_floor > 0).all()), "has a token floor that is not positive")
    _need(bool((c.token_ceiling >= c.token_floor).all()), "has a token ceiling under its floor")
    _need(c.quality_error is None or bool((c.quality_error >= 0).all()), "has a negative error")
    if c.probe_vectors is not None:
        _need(
            bool(np.abs(np.linalg.norm(c.probe_vectors, axis=1) - 1).max() < 1e-3),
            "has probes not of unit length",
        )


def _is_pool_name(pool: str) -> bool:
    """Which file is read is the user's to say, not a checkpoint's."""
    return pool.isprintable() and len(pool) <= 200 and not set(pool) & set("/\\:") and pool not in (".", "..")


def _check_candidate(model: object, budget: object) -> None:
    named = isinstance(model, str) and 0 < len(model) <= 200 and model.isprintable() and model == model.strip()
    _need(named, f"has a model name that cannot be used: {str(model)[:80]!r}")
    number = isinstance(budget, int) and not isinstance(budget, bool) and 0 < budget <= MAX_BUDGET
    _need(number or budget == UNLIMITED, f"has budget {str(budget)[:80]} for {model}")


def _need(condition: bool, fault: str) -> None:
    if not condition:
        raise CheckpointError(f"The checkpoint {fault}.")


# -- reading and writing -------------------------------------------------------------------------------------


def _build(meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], folder: Path) -> Checkpoint:
    try:
        precision = meta.get("precision")
        return Checkpoint(
            name=meta["name"],
            candidates=tuple((model, budget) for model, budget in meta["candidates"]),
            weights=tensors["weights"],
            bias=tensors["bias"],
            token_heads=tuple(int(j) for j in meta["token_heads"]),
            token_scale=meta["token_scale"],
            token_floor=tensors["token_floor"],
            token_ceiling=tensors["token_ceiling"],
            embedder=EmbedderInfo(**meta["embedder"]),
            instruction=Instruction(**meta["instruction"]),
            quality_scale=meta.get("quality_scale", "linear"),
            quality_ceiling=meta.get("quality_ceiling", 1.0),
            tenfold_gain=meta.get("tenfold_gain", 0.0),
            quality_error=tensors.get("quality_error"),
            precision=precision
            and Precision(factor=tensors["precision_factor"], center=tensors["precision_center"], **precision),
            probe_texts=tuple(str(text) for text in meta.get("probe_texts", ())),
            probe_vectors=tensors.get("probe_vectors"),
            pool=str(meta.get("pool", "")),
            strongest=str(meta.get("strongest", "")),
            release=meta.get("release"),
            data_card=dict(meta.get("data_card", {})),
            metrics=dict(meta.get("metrics", {})),
        )
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{folder / JSON_NAME} lacks or misstates a field: {error!r}.") from None


def _meta(c: Checkpoint) -> dict[str, Any]:
    precision = c.precision and {
        "alpha": c.precision.alpha,
        "n": c.precision.n,
        "leverage_limit": c.precision.leverage_limit,
    }
    return {
        "name": c.name,
        "pool": c.pool,
        "models": c.models,
        "budgets": c.budgets,
        "embedder": c.embedder.to_dict(),
        "instruction": c.instruction.to_dict(),
        "token_scale": c.token_scale,
        "quality_scale": c.quality_scale,
        "quality_ceiling": c.quality_ceiling,
        "tenfold_gain": c.tenfold_gain,
        "strongest": c.strongest,
        "data_card": dict(c.data_card),
        "metrics": dict(c.metrics),
        "precision": precision,
        "probe_texts": c.probe_texts,
        "candidates": c.candidates,
        "token_heads": c.token_heads,
        "release": c.release and dict(c.release),
    }


def _tensors(c: Checkpoint) -> dict[str, NDArray[Any]]:
    optional: Sequence[tuple[str, Singles | None]] = (
        ("quality_error", c.quality_error),
        ("probe_vectors", c.probe_vectors),
        ("precision_factor", c.precision and c.precision.factor),
        ("precision_center", c.precision and c.precision.center),
    )
    tensors = {
        "weights": c.weights,
        "bias": c.bias,
        "token_floor": c.token_floor,
        "token_ceiling": c.token_ceiling,
    }
    tensors |= {name: array for name, array in optional if array is not None}
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}
