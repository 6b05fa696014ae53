"""Prior: what is known of a query before any model of the pool was measured; composed with a pool, a checkpoint.

How hard a query is, what it is about, how long its answer naturally is and what it loses when the answer must be brief
were learned from public tables and are shared by all models; what tells models apart is their public rating. All of
it is linear in the query's vector on a logit scale, so that it composes into the heads of an ordinary checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats, Singles
from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
from r2_router.checkpoints.sealed import SealedFolder
from r2_router.errors import CheckpointError, InputError
from r2_router.pools.ability import CEILING, HALFWAY, LOGITS_PER_POINT, Ability
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.pools.ratings import OVERALL
from r2_router.pools.thoughts import expected_thoughts
from r2_router.records import Budget

PRIOR_JSON = "prior.json"
TENFOLD_GAIN = 0.01  # quality that a tenfold price must promise: of a guess, the small differences are the least sure
ESTIMATED_FROM = "public ratings"
NEED_CATEGORIES = ("instruction_following", "longer_query")  # of requests, whatever their text: routing/need_quality.py

_FILES = SealedFolder(
    PRIOR_JSON, "prior.safetensors", "r2-prior", 1, what="prior", missing="One ships with r2-mcp: reinstall it."
)
_BLOCKS = ("mixture", "difficulty", "gain", "length", "thoughts")


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Linear functions of a query's vector: weights (r, d), bias (r,)."""

    weights: Singles
    bias: Singles

    def __call__(self, vectors: Singles) -> Singles:
        """(n, d) -> (n, r)."""
        return vectors @ self.weights.T + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Heads for d-dimensional vectors that all models share, for K categories of the ratings and B budgets.

    mixture (K rows): how much of the query each category is; the rest is OVERALL. difficulty (1 row): logits of quality
    over the typical exam question of the ratings' scale, more for an easy query. gain (B rows): logits of quality that
    an answer of each budget has over an unlimited one. length (B rows): logarithm of the answer's tokens at each
    budget, for a model of verbosity 1; thoughts (1 row): the same of what is thought, over what a model thinks of a
    typical query.
    token_floor, token_ceiling (B,): bounds of the answer's tokens. error: standard error, in logits, of one query's
    quality for a model whose ability is certain.
    """

    name: str
    budgets: tuple[Budget, ...]
    categories: tuple[str, ...]
    mixture: Head
    difficulty: Head
    gain: Head
    length: Head
    thoughts: Head
    token_floor: Singles
    token_ceiling: Singles
    error: float
    embedder: EmbedderInfo
    instruction: Instruction
    probe_texts: tuple[str, ...] = ()
    probe_vectors: Singles | None = None
    data_card: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Prior:
        """Read and verify the folder at `path`; CheckpointError, naming file and fault, as `Checkpoint.load`."""
        folder = Path(path)
        meta, tensors = _FILES.read(folder)
        try:
            return cls(
                name=meta["name"],
                budgets=tuple(meta["budgets"]),
                categories=tuple(str(name) for name in meta["categories"]),
                **{block: Head(tensors[block], tensors[f"{block}_bias"]) for block in _BLOCKS},
                token_floor=tensors["token_floor"],
                token_ceiling=tensors["token_ceiling"],
                error=float(meta["error"]),
                embedder=EmbedderInfo(**meta["embedder"]),
                instruction=Instruction(**meta["instruction"]),
                probe_texts=tuple(str(text) for text in meta.get("probe_texts", ())),
                probe_vectors=tensors.get("probe_vectors"),
                data_card=dict(meta.get("data_card", {})),
                metrics=dict(meta.get("metrics", {})),
            )
        except CheckpointError as error:
            raise CheckpointError(f"{folder}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(f"{folder / PRIOR_JSON} lacks or misstates a field: {error!r}.") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the folder at `path`, as `Checkpoint.save`."""
        meta = {
            **{name: getattr(self, name) for name in ("name", "budgets", "categories", "error", "probe_texts")},
            "embedder": self.embedder.to_dict(),
            "instruction": self.instruction.to_dict(),
            "data_card": dict(self.data_card),
            "metrics": dict(self.metrics),
        }
        tensors: dict[str, NDArray[Any]] = {"token_floor": self.token_floor, "token_ceiling": self.token_ceiling}
        for block in _BLOCKS:
            head: Head = getattr(self, block)
            tensors |= {block: head.weights, f"{block}_bias": head.bias}
        if self.probe_vectors is not None:
            tensors["probe_vectors"] = self.probe_vectors
        return _FILES.write(Path(path), meta, {name: np.ascontiguousarray(array) for name, array in tensors.items()})


def compose(prior: Prior, pool: Pool, abilities: Mapping[str, Ability]) -> Checkpoint:
    """The checkpoint of `pool`'s models at the prior's budgets; `abilities` by the model's name.

    With mix_k(q) the mixture (that of OVERALL is what is left of 1), R_mk the rating of model m in category k, e
    the difficulty and D_b the gain, the quality of m at budget b is CEILING / (1 + exp(−z)),
    z = LOGITS_PER_POINT·(Σ_k mix_k(q)·R_mk − HALFWAY) + e(q) + D_b(q): one row of weights, as all is linear in q.
    Raises InputError for a pool without models, or one whose ability is not given.
    """
    models = list(pool)
    lacking = [model.name for model in models if model.name not in abilities]
    if lacking or not models:
        raise InputError(f"Nothing is known of {', '.join(lacking)}." if lacking else f"Pool '{pool.name}' is empty.")
    quality = _quality_rows(prior, [abilities[model.name] for model in models])
    tokens, floor, ceiling = _token_rows(prior, models)
    errors = [float(np.hypot(prior.error, LOGITS_PER_POINT * abilities[model.name].error)) for model in models]
    candidates: tuple[tuple[str, Budget], ...] = tuple((m.name, budget) for m in models for budget in prior.budgets)
    return Checkpoint(
        name=prior.name,
        candidates=candidates,
        weights=np.concatenate([quality.weights, tokens.weights]),
        bias=np.concatenate([quality.bias, tokens.bias]),
        token_heads=tuple(range(len(candidates))),
        token_scale="log",
        token_floor=floor,
        token_ceiling=ceiling,
        embedder=prior.embedder,
        instruction=prior.instruction,
        quality_scale="logit",
        quality_ceiling=CEILING,
        tenfold_gain=TENFOLD_GAIN,
        quality_error=np.repeat(np.array(errors, dtype=np.float32), len(prior.budgets)),
        probe_texts=prior.probe_texts,
        probe_vectors=prior.probe_vectors,
        pool=pool.name,
        strongest=max(models, key=lambda model: abilities[model.name].rating).name,
        data_card={
            **prior.data_card,
            "estimated_from": ESTIMATED_FROM,
            "abilities": {model.name: abilities[model.name].said for model in models},
            "over_overall": {category: _over_overall(abilities, category) for category in NEED_CATEGORIES},
        },
        metrics=prior.metrics,
    )


def _over_overall(abilities: Mapping[str, Ability], category: str) -> dict[str, float]:
    """Points of each model in a category over its overall rating, where it was rated in it; less their mean, for a
    category has a level of its own, which says nothing of its models."""
    over = {name: a.by_category[category] - a.rating for name, a in abilities.items() if category in a.by_category}
    middle = sum(over.values()) / len(over) if over else 0.0
    return {name: points - middle for name, points in over.items()}


def _quality_rows(prior: Prior, abilities: Sequence[Ability]) -> Head:
    """One row for each model and budget, in that order."""
    overall = np.array([ability.rating for ability in abilities])
    over = np.array([[a.by_category.get(k, a.rating) - a.rating for k in prior.categories] for a in abilities])
    mixing = LOGITS_PER_POINT * over.reshape(len(abilities), len(prior.categories))
    weights = mixing @ prior.mixture.weights + prior.difficulty.weights  # (M, d)
    bias = mixing @ prior.mixture.bias + LOGITS_PER_POINT * (overall - HALFWAY) + prior.difficulty.bias
    return _rows(weights[:, None] + prior.gain.weights, bias[:, None] + prior.gain.bias)


def _token_rows(prior: Prior, models: Sequence[Model]) -> tuple[Head, Singles, Singles]:
    """One row for each model and budget, and the bounds of its tokens.

    The logarithm of answer and thoughts together is not linear; taken here is its tangent at a typical query, whose
    vector is the middle of the probes.
    """
    middle = np.zeros(prior.embedder.dim) if prior.probe_vectors is None else prior.probe_vectors.mean(axis=0)
    verbosity = np.log([max(model.verbosity, 1e-3) for model in models])[:, None]
    thought = np.array([expected_thoughts(model) for model in models])[:, None]
    thought = thought * np.exp(prior.thoughts.weights[0] @ middle + prior.thoughts.bias[0])
    typical = prior.length.weights @ middle + prior.length.bias + verbosity  # (M, B)
    answer = np.clip(np.exp(typical), prior.token_floor, prior.token_ceiling)
    share = (answer / (answer + thought))[:, :, None]
    weights = share * prior.length.weights + (1 - share) * prior.thoughts.weights[0]
    bias = np.where(thought > 0, np.log(answer + thought), typical) - weights @ middle
    floor, ceiling = prior.token_floor + 0.1 * thought, prior.token_ceiling + 10 * thought
    return _rows(weights, bias), *(each.astype(np.float32).ravel() for each in (floor, ceiling))


def _rows(weights: Floats, bias: Floats) -> Head:
    """(M, B, d) and (M, B) as the rows of one head."""
    return Head(weights.reshape(-1, weights.shape[-1]).astype(np.float32), bias.ravel().astype(np.float32))


def _check(p: Prior) -> None:
    """Refuse a prior whose parts do not fit together. What it shares with a checkpoint is checked when composed."""
    dim, count = p.embedder.dim, len(p.budgets)
    _need(isinstance(cast("object", p.name), str) and bool(p.name), "has no name")
    _need(count > 0 and len(set(p.budgets)) == count, "names no budgets, or one twice")
    _need(OVERALL not in p.categories and len(set(p.categories)) == len(p.categories), "names a category it may not")
    _need(0 <= p.error < float("inf"), f"has error {p.error}")
    shapes = {"mixture": len(p.categories), "difficulty": 1, "gain": count, "length": count, "thoughts": 1}
    for block, rows in shapes.items():
        head: Head = getattr(p, block)
        _array(block, head.weights, (rows, dim))
        _array(f"{block}_bias", head.bias, (rows,))
    _array("token_floor", p.token_floor, (count,))
    _array("token_ceiling", p.token_ceiling, (count,))
    if p.probe_vectors is not None:
        _array("probe_vectors", p.probe_vectors, (len(p.probe_texts), dim))


def _array(name: str, array: Singles, shape: tuple[int, ...]) -> None:
    _need(array.dtype == np.float32, f"has {name} of type {array.dtype}, not float32")
    _need(array.shape == shape, f"has {name} of shape {array.shape}, not {shape}")
    _need(bool(np.isfinite(array).all()), f"has a number in {name} that is not finite")


def _need(condition: bool, fault: str) -> None:
    if not condition:
        raise CheckpointError(f"The prior {fault}.")
