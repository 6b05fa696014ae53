"""Warm prompts: what is said to lie in prompt caches, what that changes, and what it means for a decision."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from r2_router.arrays import Floats
from r2_router.errors import InputError
from r2_router.records import Budget, Record


@runtime_checkable
class Answered(Protocol):
    """What an answer says of itself: who gave it, when it ended (seconds since 1970), the tokens that were read, and
    those of them that came from the provider's prompt cache and went into it."""

    @property
    def model(self) -> str: ...
    @property
    def budget(self) -> Budget: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def cache_read_tokens(self) -> int: ...
    @property
    def cache_write_tokens(self) -> int: ...
    @property
    def usage_estimated(self) -> bool: ...
    @property
    def ended_at(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Cached(Record):
    """`tokens` from the beginning of a prompt that `model` read `seconds_ago`. `kept`: how many of them it says it has
    in its cache, which counts where only what is marked is kept; None where it did not say."""

    model: str
    tokens: int
    seconds_ago: float = 0.0
    kept: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Warmth:
    """What prompt caches change for each candidate, (C,): `usd` is added to the cost of this turn, `ahead_usd` makes
    of that the mean of the next turns, `tokens` of the `reads` of the prompt lie in a cache, as far as known."""

    usd: Floats
    ahead_usd: Floats
    tokens: Floats
    reads: Floats


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


_FORM = "cache is the last answer, or a list of (model, tokens, seconds ago)"


def check_cached(cache: object) -> tuple[Cached, ...]:
    """What a caller says is cached: an answer, or a list of answers, (model, tokens) or (model, tokens, seconds ago).

    Raises InputError.
    """
    if cache is None:
        return ()
    if isinstance(cache, (Answered, Cached)):
        return (_cached(cast("object", cache)),)
    if isinstance(cache, str) or not isinstance(cache, Iterable):
        raise InputError(f"{_FORM}; got {str(cache)[:40]!r}.")
    return tuple(_cached(entry) for entry in cast("Iterable[object]", cache))


def _cached(entry: object) -> Cached:
    if isinstance(entry, Cached):
        return entry
    if isinstance(entry, Answered):
        kept = entry.cache_read_tokens + entry.cache_write_tokens
        return Cached(entry.model, entry.prompt_tokens, max(0.0, time.time() - entry.ended_at), kept)
    parts = list(cast("Iterable[object]", entry)) if isinstance(entry, (list, tuple)) else []
    name = parts[0] if parts else None
    if len(parts) not in (2, 3) or not isinstance(name, str):
        raise InputError(f"{_FORM}; got {str(cast('object', entry))[:40]!r}.")
    numbers = [_number(part) for part in parts[1:]]
    return Cached(name, int(numbers[0]), numbers[1] if len(numbers) > 1 else 0.0)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InputError(f"{_FORM}, numbers of at least 0; got {str(value)[:40]!r}.")
    return float(value)
