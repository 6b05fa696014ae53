"""Where to begin when no model can be asked: the smallest one whose weights are all that is missing."""

from __future__ import annotations

from collections.abc import Iterable

from r2_router.local.readiness import can_serve
from r2_router.local.weights import Weights, find_weights, known_weights
from r2_router.pools.model import Model


def smallest_missing(models: Iterable[Model], models_dir: str = "") -> Weights | None:
    """The weights of the smallest local model among `models`; None where they are here, or cannot be served."""
    known = known_weights()
    local = [known[m.weights] for m in models if m.weights in known and not m.base_url and m.available]
    if not local or not can_serve():
        return None
    smallest = min(local, key=lambda weights: weights.size_bytes)
    return None if find_weights(smallest.name, models_dir) else smallest
