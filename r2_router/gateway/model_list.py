"""The models that clients may name: the router's choice, its presets, and those of the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2_router.gateway.api import Body
from r2_router.gateway.asked import model_names

if TYPE_CHECKING:
    from r2_router.router import R2Router

_SINCE = 1_767_225_600  # 2026-01-01: clients want a time, and there is none


def model_list(router: R2Router) -> Body:
    """The list, in a form that OpenAI's and Anthropic's clients both read."""
    entries = [_entry(name, router.pool.name) for name in _names(router)]
    return {
        "object": "list",
        "data": entries,
        "has_more": False,
        "first_id": entries[0]["id"],
        "last_id": entries[-1]["id"],
    }


def model_entry(router: R2Router, name: str) -> Body | None:
    """The entry of one of them, None for another."""
    return _entry(name, router.pool.name) if name in _names(router) else None


def _names(router: R2Router) -> list[str]:
    return [*model_names(router.presets), *(model.name for model in router.pool if not router.not_ready(model))]


def _entry(name: str, owner: str) -> Body:
    return {
        **{"id": name, "object": "model", "created": _SINCE, "owned_by": owner},
        **{"type": "model", "display_name": name, "created_at": "2026-01-01T00:00:00Z"},
    }
