"""What a provider says it counted and billed, in whatever spelling: tokens read, cached, thought and written; dollars.

Providers differ in what a count holds. Ours hold everything: what was read from the cache or written to it is part
of the prompt, what was thought is part of the completion. Anthropic counts the cache beside the input; xAI and
Gemini count thoughts beside the completion, where only the total, or the count itself, gives them away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from r2_router.records import as_dict

Document: TypeAlias = dict[str, Any]

_MAX_TOKENS = 10**9  # what is more is not a count
_XAI_TICKS = 10**10  # in a dollar

_PROMPT = ("prompt_tokens", "input_tokens", "promptTokenCount")
_COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount")
_TOTAL = ("total_tokens", "totalTokenCount")
_THOUGHT = ("reasoning_tokens", "thoughtsTokenCount")
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details")
# Of the cache: inside the prompt's details, beside the prompt but part of it, beside it and not part of it.
_READ_IN_DETAILS = ("cached_tokens",)
_WRITTEN_IN_DETAILS = ("cache_write_tokens", "cache_creation_tokens", "cached_creation_tokens")
_READ_INSIDE = ("cached_tokens", "cachedContentTokenCount", "prompt_cache_hit_tokens")
_READ_BESIDE = ("cache_read_input_tokens",)
_WRITTEN_BESIDE = ("cache_creation_input_tokens",)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider counted. prompt_tokens holds those of the cache, completion_tokens the reasoning_tokens.

    None where it did not say. `cost_usd` is what it says it bills.
    """

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int | None
    cost_usd: float | None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def merged(self, later: Usage | None) -> Usage:
        """This one and a later one of the same answer. Counts run up, so the larger ones hold."""
        if later is None:
            return self
        return Usage(
            max(self.prompt_tokens, later.prompt_tokens),
            max(self.completion_tokens, later.completion_tokens),
            _largest(self.reasoning_tokens, later.reasoning_tokens),
            _largest(self.cost_usd, later.cost_usd),
            max(self.cache_read_tokens, later.cache_read_tokens),
            max(self.cache_write_tokens, later.cache_write_tokens),
        )


def find_usage(document: Document) -> Usage | None:
    """The usage in a chunk or an answer, wherever it stands: beside the choices, in x_groq, or in the first choice."""
    choices: object = document.get("choices")
    first: object = cast("list[object]", choices)[0] if isinstance(choices, list) and choices else None
    places = (document, as_dict(document.get("x_groq")), as_dict(first))
    for stated in (*(place.get("usage") for place in places), document.get("usageMetadata")):
        if stated and (usage := read_usage(stated)) is not None:
            return usage
    return None


def read_usage(value: object) -> Usage | None:
    """A usage object as providers write it; None if it does not say what was read and written."""
    if not isinstance(value, dict) or not value:
        return None
    usage = cast("Document", value)
    prompt, completion, total = (_first(usage, names) for names in (_PROMPT, _COMPLETION, _TOTAL))
    if prompt is None or (completion is None and total is None):
        return None
    inside, beside = as_dict(_any(usage, _PROMPT_DETAILS)), as_dict(_any(usage, _COMPLETION_DETAILS))
    read, written, apart = _cache(usage, inside, prompt, completion, total)
    prompt += apart
    thought = _first(beside, _THOUGHT)
    if thought is None:
        thought = _first(usage, _THOUGHT)
    if completion is None:
        completion = max(0, (total or 0) - prompt)
    completion += _hidden(prompt, completion, total, thought or 0)
    return Usage(
        prompt,
        completion,
        None if thought is None else min(thought, completion),
        _cost(usage),
        min(read, prompt),
        min(written, prompt),
    )


def _cache(
    usage: Document, details: Document, prompt: int, completion: int | None, total: int | None
) -> tuple[int, int, int]:
    """Tokens read from the cache and written to it, and how many of them the prompt leaves out."""
    read, written = _first(details, _READ_IN_DETAILS), _first(details, _WRITTEN_IN_DETAILS)
    if read is None:
        read = _first(usage, _READ_INSIDE)
    beside_read, beside_written = _first(usage, _READ_BESIDE) or 0, _first(usage, _WRITTEN_BESIDE) or 0
    apart = beside_read + beside_written
    if not apart or read:  # a gateway that says it both ways counts as OpenAI does
        return read or 0, written if written is not None else beside_written, 0
    counted = "prompt_tokens" in usage and apart <= prompt and (total or 0) < prompt + (completion or 0) + apart
    return beside_read, beside_written, 0 if counted else apart


def _hidden(prompt: int, completion: int, total: int | None, thought: int) -> int:
    """How many thoughts the completion leaves out: what the total has on top, or what it cannot hold."""
    if total is not None and total > prompt + completion:
        return total - prompt - completion
    return thought if thought > completion else 0


def _cost(usage: Document) -> float | None:
    """Dollars as the provider states them: a number, a table with a total, or xAI's ticks."""
    stated: object = usage.get("cost")
    cost = _amount(as_dict(stated).get("total_cost", stated))
    if cost is None and (ticks := _amount(usage.get("cost_in_usd_ticks"))) is not None:
        cost = ticks / _XAI_TICKS
    if cost is None:
        return _amount(usage.get("estimated_cost"))
    if usage.get("is_byok") is not True:
        return cost
    upstream = _amount(as_dict(usage.get("cost_details")).get("upstream_inference_cost"))
    return None if upstream is None else cost + upstream  # the gateway's fee; the provider bills beside it


def _largest(a: Any, b: Any) -> Any:
    return max((value for value in (a, b) if value is not None), default=None)


def _any(usage: Document, names: tuple[str, ...]) -> object:
    return next((usage[name] for name in names if usage.get(name)), None)


def _first(usage: Document, names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := _count(usage.get(name))) is not None), None)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_TOKENS else None


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < math.inf else None
