"""Warm prompts: what the input of a chat's next turn costs where its beginning lies in a provider's prompt cache.

Of a prompt of n tokens of which k are cached, found again with probability h, each token at p dollars:

    input = p · (h·k·read + (n − h·k)·write)      read, write: multiples of p, by rule of the provider

A switch buys a cache too: candidates are compared at the mean of the next TURNS turns, in which n tokens are cached.
Nothing here holds for a single prompt, nor for a model of whose provider no rule is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from r2_router.arrays import Floats
from r2_router.pools.model import Model
from r2_router.pools.prompt_caches import CacheRule, cache_rule, multiples
from r2_router.routing.candidates import CandidateTable, largest
from r2_router.routing.warm import Cached, Warmth

TURNS = 3  # of a chat, this one included, that a decision is taken for
HIT = 0.95  # how often a provider finds what it should have kept, before its answers say otherwise


def warmth(
    table: CandidateTable,
    input_tokens: float | Floats,
    cached: Sequence[Sequence[Cached]],
    hits: Mapping[str, float],
    *,
    marks: bool = False,
    last: bool = False,
) -> Warmth | None:
    """What caches change in a chat whose prompt has `input_tokens`, one count or one a candidate, (C,); None where no
    provider's rule is known.

    `cached` has a list for each candidate (C,), the longest beginning first; `hits` are the rates learned, of models
    by name, and of chats that go on in time (`within`).
    `marks`: the prompt says itself what of it is to be kept. `last`: no turn is expected to follow this one.
    """
    rules = [cache_rule(model) for model in table.models]
    if not has_rules(table):
        return None
    count = len(table.model_index)
    now, then, kept = np.zeros(count), np.zeros(count), np.zeros(count)
    reads = np.broadcast_to(np.asarray(input_tokens, dtype=np.float64), (count,))
    for i, m in enumerate(map(int, table.model_index)):
        rule, model = rules[m], table.models[m]
        if rule is None:
            continue
        read, write = multiples(model, rule)
        n = float(reads[i])
        k = min(_found(cached[i], rule), n)
        keeps = n >= rule.min_tokens and (not rule.marked or marks or k > 0 or (not last and marks_pay(model, n, hits)))
        kept[i] = k
        found = (hits.get(model.name, HIT) * k, _found_again(model, rule, hits) * n if keeps else 0.0)
        now[i], then[i] = (_dearer(n, tokens, read, write if keeps else 1.0) for tokens in found)
    price = table.prices(largest(input_tokens))[0] / 1e6
    ahead = 0.0 if last else (TURNS - 1) / TURNS
    return Warmth(now * price, ahead * (then - now) * price, kept, reads)


def marks_pay(model: Model, input_tokens: float, hits: Mapping[str, float]) -> bool:
    """Whether the prompt of a chat is marked for the user where only what is marked is kept: where writing it now and
    finding it in the next turns, as often as `hits` say, costs less than sending it plain each time."""
    rule = cache_rule(model)
    if rule is None or not rule.marked or rule.asks != "cache_control" or input_tokens < rule.min_tokens:
        return False
    read, write = multiples(model, rule)
    found = _found_again(model, rule, hits)
    return write + (TURNS - 1) * (found * read + (1 - found) * write) < TURNS


def within(ttl_s: float) -> str:
    """The name of the rate at which chats go on while a cache with this time to live still holds them."""
    return f"within {ttl_s:g} s"


def usual(rate: str) -> float:
    """What a rate is taken for before anything is learned. That of finding a prompt counts late turns in."""
    return 1.0 if rate.startswith("within ") else HIT


def _found_again(model: Model, rule: CacheRule, hits: Mapping[str, float]) -> float:
    """How often the next turn of a chat comes in time and finds what is kept now."""
    return hits.get(model.name, HIT) * hits.get(within(rule.ttl_s), 1.0)


def has_rules(table: CandidateTable) -> bool:
    """Whether it is known of any model how its provider keeps prompts."""
    return any(cache_rule(model) for model in table.models)


def _found(cached: Sequence[Cached], rule: CacheRule) -> float:
    """The most tokens that are still in a cache of `rule`."""
    kept = [c.kept if rule.marked and c.kept is not None else c.tokens for c in cached if c.seconds_ago < rule.ttl_s]
    return max((tokens for tokens in kept if tokens >= rule.min_tokens), default=0)


def _dearer(tokens: float, cached: float, read: float, write: float) -> float:
    """By how many plain tokens such an input is dearer than one of which nothing is kept."""
    return cached * read + (tokens - cached) * write - tokens
