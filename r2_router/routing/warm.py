"""Warm prompts: what is said to lie in prompt caches, what that changes, and what it means for a decision."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from r2_router.arrays import Floats
from r2_router.errors import InputError
from r2_router.records import Record


@dataclass(frozen=True, slots=True)
class Cached(Record):
    """`tokens` from the beginning of a prompt that `model` read `seconds_ago`."""

    model: str
    tokens: int
    seconds_ago: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Warmth:
    """What prompt caches change for each candidate, (C,): `usd` is added to the cost of this turn, `ahead_usd` makes
    of that the mean of the next turns, `tokens` of the prompt lie in a cache, as far as known."""

    usd: Floats
    ahead_usd: Floats
    tokens: Floats


@dataclass(frozen=True, slots=True)
class PromptCache(Record):
    """What the prompt caches mean for a decision. `stays`: the chosen model has `cached_tokens` of the `input_tokens`
    in its cache; else `model`, which has them, is left. `cost_usd` is what an answer of `model` costs now, `other_usd`
    that of the best candidate (stays: without a cache; else the one chosen), None where there is none.
    """

    stays: bool
    model: str
    cached_tokens: int
    input_tokens: int
    cost_usd: float
    other_usd: float | None


def check_cached(cache: object) -> tuple[Cached, ...]:
    """What a caller says is cached: (model, tokens) or (model, tokens, seconds ago), or Cached. Raises InputError."""
    if cache is None:
        return ()
    form = "cache is a list of (model, tokens, seconds ago)"
    if isinstance(cache, str) or not isinstance(cache, Iterable):
        raise InputError(f"{form}; got {str(cache)[:40]!r}.")
    return tuple(_cached(entry, form) for entry in cast("Iterable[object]", cache))


def _cached(entry: object, form: str) -> Cached:
    if isinstance(entry, Cached):
        parts: list[object] = [entry.model, entry.tokens, entry.seconds_ago]
    else:
        parts = list(cast("Iterable[object]", entry)) if isinstance(entry, (list, tuple)) else []
    name = parts[0] if parts else None
    if len(parts) not in (2, 3) or not isinstance(name, str):
        raise InputError(f"{form}; got {str(cast('object', entry))[:40]!r}.")
    numbers = [_number(part, form) for part in parts[1:]]
    return Cached(name, int(numbers[0]), *numbers[1:])


def _number(value: object, form: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InputError(f"{form}, numbers of at least 0; got {str(value)[:40]!r}.")
    return float(value)
