"""What a model can do beside answering a text with a text: the words for it, and what is known of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from r2_router.pools.model import Capability, Model

CAPABILITIES: tuple[Capability, ...] = get_args(Capability)

# What is said of a model that cannot.
CANNOT: Mapping[Capability, str] = {
    "images": "cannot read images",
    "audio": "cannot read audio",
    "video": "cannot read video",
    "files": "cannot read files",
    "tools": "cannot call tools",
    "json_schema": "cannot keep to a JSON schema",
    "json_object": "cannot be held to JSON",
    "prefill": "cannot go on with a begun answer",
}

_refused: dict[tuple[str, str], frozenset[Capability]] = {}  # by base URL and id: what a model turned out to refuse


def lacks(model: Model, capability: Capability) -> bool:
    """Whether `model` is known not to have a capability: its pool says so, or it refused while this process lives."""
    if capability in _refused.get((model.base_url, model.id), ()):
        return True
    return capability in model.cannot


def is_known(model: Model, capability: Capability) -> bool:
    """Whether anything is known of a model's capability."""
    return capability in model.can or lacks(model, capability)


def remember_refusal(model: Model, capability: Capability) -> None:
    """`model` refused a request because of what it needs: it is not asked for that again."""
    key = (model.base_url, model.id)
    _refused[key] = frozenset([*_refused.get(key, ()), capability])


def refusals() -> int:
    """How many refusals are remembered: what was decided with fewer is out of date."""
    return sum(map(len, _refused.values()))


def forget() -> None:
    """Remember no refusal."""
    _refused.clear()
