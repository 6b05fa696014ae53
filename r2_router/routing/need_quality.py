"""What the public ratings say of models for requests that are more than a text: quality, adjusted by category.

Only where quality is estimated from the ratings themselves (the prior), to the logits of model m is added
LOGITS_PER_POINT · mean_k(R_mk − R_m − D_k) over the categories k that a request falls into; D_k, the mean of R_mk − R_m
over the pool, is the level of a category, which says nothing of its models. Heads that were measured know better than a
rating, of text at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from r2_router.arrays import Singles
from r2_router.checkpoints.format import Checkpoint
from r2_router.pools.ability import LOGITS_PER_POINT
from r2_router.routing.needs import Need

# The ratings know no category for tools, images or sounds.
_OF_KIND = {"json_schema": "instruction_following", "json_object": "instruction_following"}
_LONG = "longer_query"
_LONG_TOKENS = 500  # from which on the ratings call a prompt long


def categories(needs: Iterable[Need], context_tokens: int) -> tuple[str, ...]:
    """The categories of the ratings that a request falls into, besides what its text is about."""
    found = dict.fromkeys(_OF_KIND[need.kind] for need in needs if need.kind in _OF_KIND)
    return (*found, *([_LONG] if context_tokens >= _LONG_TOKENS else []))


def rated(checkpoint: Checkpoint, named: Iterable[str]) -> tuple[str, ...]:
    """Those of the categories by which the checkpoint's quality can be adjusted."""
    return tuple(name for name in named if _over(checkpoint).get(name))


def shift(checkpoint: Checkpoint, named: Iterable[str]) -> Singles:
    """What is added to the logits of quality, (C,), for a request of the categories `named`."""
    tables = [_over(checkpoint)[name] for name in named]
    points = [[float(table.get(model, 0.0)) for table in tables] for model, _ in checkpoint.candidates]
    return (LOGITS_PER_POINT * np.mean(points, axis=1)).astype(np.float32)


def _over(checkpoint: Checkpoint) -> Mapping[str, Mapping[str, float]]:
    """Points of each model in a category over its overall rating, less their mean, by category; of a composed
    checkpoint alone."""
    stated: Any = checkpoint.data_card.get("over_overall") if checkpoint.quality_scale == "logit" else None
    return cast("Mapping[str, Mapping[str, float]]", stated) if isinstance(stated, Mapping) else {}
