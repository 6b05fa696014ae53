"""Adds a model to a checkpoint from a few labelled queries; the heads of the others stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import InputError
from r2_router.lab.data.table import Table
from r2_router.lab.learning.heads import Heads
from r2_router.lab.learning.targets import base_rows, check_counts, left_out_error, log_tokens, smearing, token_bounds
from r2_router.lab.learning.training import shares
from r2_router.records import UNLIMITED

_ALPHAS = tuple(2.0**k for k in range(12, -6, -1))
_SHARES = (0.0, 0.03, 0.3, 3.0, 30.0)  # how much more is believed of what the base knows than of the vector itself
_NOTHING = 1e-9


def add_model(
    base: Checkpoint, table: Table, embeddings: ArrayLike, *, data_card: Mapping[str, Any] | None = None
) -> Checkpoint:
    """`base` with the model of `table` besides; every head it had stays bit for bit.

    `embeddings` (n, d) are unit vectors of the table's queries, from the embedder of `base`. What the base expects of
    its own models on a query says most of what there is to know about the query; a new head is learned from those
    expectations and from the vector, by ridge, each believed as far as left-out queries ask. Both are linear in the
    vector, so the new head is one more row. Where the queries are some that the base was trained on, its
    expectations of them are better than of new ones: label others if you can.

    Raises InputError for a table of no or several models, a model that is known, another dimension or instruction,
    or a (model, budget) with fewer than MIN_QUERIES queries.
    """
    _check_fits(base, table)
    vectors = base_rows(base, table, embeddings)
    check_counts(table)
    count, added = len(base.candidates), len(table.candidates)
    log = base.token_scale == "log"
    quality = _fit(vectors, table, table.quality, base.weights[:count], base.bias[:count])
    targets = log_tokens(table) if log else table.output_tokens
    tokens = _fit(vectors, table, targets, base.weights[count:], base.bias[count:])
    if log:
        tokens.heads[:, -1] += smearing(targets, tokens.left_out)
    floor, ceiling = token_bounds(table, base.instruction)
    error = left_out_error(table.quality, quality.left_out)
    parts = (base.weights[:count], quality.heads[:, :-1], base.weights[count:], tokens.heads[:, :-1])
    biases = (base.bias[:count], quality.heads[:, -1], base.bias[count:], tokens.heads[:, -1])
    return replace(
        base,
        candidates=(*base.candidates, *table.candidates),
        weights=np.concatenate([part.astype(np.float32) for part in parts]),
        bias=np.concatenate([part.astype(np.float32) for part in biases]),
        token_heads=(*base.token_heads, *range(count, count + added)),
        token_floor=np.concatenate([base.token_floor, floor.astype(np.float32)]),
        token_ceiling=np.concatenate([base.token_ceiling, ceiling.astype(np.float32)]),
        quality_error=None
        if base.quality_error is None
        else np.concatenate([base.quality_error, error.astype(np.float32)]),
        strongest=_strongest(base, table, vectors),
        data_card=_card(base, table, data_card, quality, error),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Heads (k, d+1), what they expect of each query when it is left out (n, k), and how much of them comes from the
    base, 0..1."""

    heads: Floats
    left_out: Floats
    from_base: float


def _fit(vectors: Floats, table: Table, targets: Floats, weights: NDArray[Any], bias: NDArray[Any]) -> _Fit:
    """Ridge on [√share · what the base expects, the vector], averaged over share and α as training averages over α,
    and written as one head over the vector."""
    known = weights.astype(np.float64)
    expected = vectors @ known.T + bias
    center = expected.mean(axis=0)
    size = max(float(np.sqrt(((expected - center) ** 2).sum(axis=1).mean())), _NOTHING)
    scales = [np.sqrt(share) / size for share in _SHARES]
    fits = [Heads(np.concatenate((scale * (expected - center), vectors), axis=1), table.measured) for scale in scales]
    left_out = np.stack([heads.left_out(targets, _ALPHAS) for heads in fits])  # (S, A, n, k)
    flat = left_out.reshape(-1, *targets.shape)
    believed = shares(flat - targets).reshape(len(fits), len(_ALPHAS))
    total = np.zeros((targets.shape[1], known.shape[1] + 1))
    for s, a in np.argwhere(believed).tolist():
        stacked = fits[s].weights(targets, _ALPHAS[a])
        of_base = scales[s] * stacked[:, : len(known)]
        own = stacked[:, len(known) : -1] + of_base @ known
        total += believed[s, a] * np.concatenate((own, (stacked[:, -1] + of_base @ (bias - center))[:, None]), axis=1)
    return _Fit(total, np.einsum("a,ank->nk", believed.ravel(), flat), float(believed[1:].sum()))


def _check_fits(base: Checkpoint, table: Table) -> None:
    models = list(dict.fromkeys(model for model, _ in table.candidates))
    if len(models) != 1:
        raise InputError(f"One model is added at a time; the table has {', '.join(models)}.")
    if models[0] in base.models:
        raise InputError(f"{models[0]} is in '{base.name}' already. Train a new checkpoint to replace its heads.")
    if base.quality_scale != "linear":
        raise InputError(
            f"The heads of '{base.name}' are on the {base.quality_scale} scale: train a checkpoint instead."
        )
    asked = table.about.get("instruction")
    if asked is not None and any(budget != UNLIMITED for _, budget in table.candidates):
        here = base.instruction.to_dict()
        if any(asked.get(name) != here[name] for name in ("text", "place", "words_per_token", "cap_extra")):
            raise InputError(
                f"The answers were asked for with another instruction ({asked.get('text')!r}) than those of "
                f"'{base.name}' ({here['text']!r}). Collect them with --checkpoint of the base."
            )


def _strongest(base: Checkpoint, table: Table, vectors: Floats) -> str:
    """The model of the highest mean quality without a limit, on the new model's queries."""
    new = [j for j, (_, budget) in enumerate(table.candidates) if budget == UNLIMITED]
    old = [j for j, candidate in enumerate(base.candidates) if candidate == (base.strongest, UNLIMITED)]
    if not new:
        return base.strongest
    if not old:
        return base.strongest or table.candidates[0][0]
    expected = np.clip(vectors @ base.weights[old[0]].astype(np.float64) + float(base.bias[old[0]]), 0, 1).mean()
    return table.candidates[0][0] if np.nanmean(table.quality[:, new[0]]) > expected else base.strongest


def _card(
    base: Checkpoint, table: Table, data_card: Mapping[str, Any] | None, quality: _Fit, error: Floats
) -> dict[str, Any]:
    earlier: Sequence[Any] = base.data_card.get("added", ())
    entry = {
        **(data_card or {}),
        "model": table.candidates[0][0],
        "counts": table.counts(),
        "from_base": float(f"{quality.from_base:.3g}"),
        "left_out_quality_error": [float(f"{value:.3g}") for value in error],
        "note": "The metrics and the verdict of this checkpoint are those before the model was added.",
    }
    return {**base.data_card, "added": [*earlier, entry]}
