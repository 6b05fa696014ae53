"""What a model thinks before it writes: whether it is asked to, and how much."""

from __future__ import annotations

from r2_router.pools.model import Model
from r2_router.records import as_dict

_THOUGHT_SHARE = 0.25  # of the allowance: what a typical query makes a model think
_TYPICAL_THOUGHTS = 800.0  # tokens, of a model that is asked to think and states no allowance


def expected_thoughts(model: Model) -> float:
    """Tokens that `model` thinks over a typical query: a part of what it is allowed; 0 for one that does not think."""
    if model.thinking_tokens:
        return _THOUGHT_SHARE * model.thinking_tokens
    return _TYPICAL_THOUGHTS if thinking(model) else 0.0


def thinking(model: Model) -> bool | None:
    """Whether the model is asked to think, by its `request`; None where that does not say."""
    request = model.request
    for holder in (request, as_dict(request.get("chat_template_kwargs"))):
        for key in ("enable_thinking", "think", "thinking"):
            if isinstance(holder.get(key), bool):
                return bool(holder[key])
    kind = as_dict(request.get("thinking")).get("type")
    if isinstance(kind, str):
        return kind != "disabled"
    reasoning = as_dict(request.get("reasoning"))
    if isinstance(reasoning.get("enabled"), bool):
        return bool(reasoning["enabled"])
    effort = request.get("reasoning_effort", reasoning.get("effort"))
    if isinstance(effort, str):
        return effort not in ("none", "minimal")
    return True if reasoning.get("max_tokens") else None
