"""What a warm prompt costs, in the cases of public reports; the others are in tests/routing/test_conversation.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.chat_server import chat_server, says
from support.generations import answer, candidate, model

from r2_router import R2Router
from r2_router.errors import NoCandidateError
from r2_router.pools.pool import Pool, load_pool

HARD = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
# Ten tokens, as they are estimated.
RULES = "You are a careful agent; follow every rule. "
SERVED = (
    ("anthropic/claude-haiku-4.5", 1.0, 5.0),
    ("anthropic/claude-sonnet-5", 2.0, 10.0),
    ("anthropic/claude-opus-5", 5.0, 25.0),
)


def chat(system: str, *turns: str) -> list[dict[str, Any]]:
    said = [{"role": "system", "content": system}]
    for turn in turns:
        said += [{"role": "user", "content": turn}, {"role": "assistant", "content": "An answer."}]
    return said[:-1]


@pytest.fixture
def frontier() -> R2Router:
    """The shipped heads, for Anthropic's models at OpenRouter."""
    served = {
        m.name: replace(
            m,
            id=model_id,
            base_url="https://openrouter.ai/api/v1",
            api_key_env="OPENROUTER_API_KEY",
            input_usd_per_million=price_in,
            output_usd_per_million=price_out,
            context_window=200_000,
        )
        for m, (model_id, price_in, price_out) in zip(load_pool("local", user_file=False), SERVED, strict=True)
    }
    return R2Router.from_pretrained(pool=Pool("frontier", served))


@pytest.mark.slow
def test_trial_1_commit_it_stays_with_the_strong_model_at_a_fifth_of_the_price(frontier: R2Router) -> None:
    system, strong = RULES * 930, frontier.checkpoint.strongest
    cold = frontier.route_messages(chat(system, HARD, "commit it"), worth_usd=0.1, model=strong)
    warm = frontier.route_messages(chat(system, HARD, "commit it"), worth_usd=0.1, cache=[(strong, 8400, 30)])
    assert warm.model == strong
    assert warm.prompt_cache is not None
    assert warm.prompt_cache.stays
    assert warm.predicted_cost_usd < cold.predicted_cost_usd - 8400 * 0.85 * 5 / 1e6


@pytest.mark.slow
def test_trial_2_thanks_goes_to_the_model_whose_cache_is_warm(frontier: R2Router) -> None:
    long, strong = chat(RULES * 2000, HARD, "thanks"), frontier.checkpoint.strongest
    cold = frontier.route_messages(long, worth_usd=0.1)
    assert cold.closing
    assert cold.model != strong
    kept = cold.input_tokens - 50
    warm = frontier.route_messages(long, worth_usd=0.1, cache=[(strong, kept, 30)])
    assert warm.model == strong
    assert warm.predicted_cost_usd < 0.9 * cold.predicted_cost_usd
    assert warm.best.ahead_usd == 0  # no turn is expected to follow
    assert frontier.route_messages(long, worth_usd=0.1, cache=[(strong, kept, 400)]).model == cold.model


@pytest.mark.slow
def test_trial_10_a_long_system_prompt_is_paid_for_once(frontier: R2Router) -> None:
    with pytest.raises(NoCandidateError, match="over its context window"):
        R2Router.from_pretrained(pool="local").route_messages(chat(RULES * 940, HARD))
    system, strong = RULES * 940, frontier.checkpoint.strongest
    turns = chat(system, HARD, "and in Rust?")
    costs = [
        frontier.route_messages(turns, model=strong, budget=40, cache=cache).predicted_cost_usd
        for cache in (None, [(strong, 8456, 30)])
    ]
    assert costs[1] < costs[0] / 4


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 20_000, "prompt_tokens_details": {"cached_tokens": 19_200}},
        {"prompt_tokens": 20_000, "prompt_cache_hit_tokens": 19_200, "prompt_cache_miss_tokens": 800},
        {"input_tokens": 800, "cache_read_input_tokens": 19_200, "cache_creation_input_tokens": 0},
    ],
    ids=["openai", "deepseek", "anthropic"],
)
def test_trial_13_cached_tokens_are_billed_at_their_price(usage: dict[str, Any]) -> None:
    counted = {**usage, "completion_tokens": 100} if "prompt_tokens" in usage else {**usage, "output_tokens": 100}
    with chat_server(says("Rome", usage=counted)) as server:
        cached = model("a", server.url, cache_read_usd_per_million=0.1)
        got = answer(server, [candidate(budget="unlimited")], models={"a": cached})
        plain = answer(server, [candidate(budget="unlimited")], models={"a": model("a", server.url)})
    assert got.prompt_tokens == 20_000
    assert got.cost_usd == pytest.approx((800 * 1.0 + 19_200 * 0.1 + 100 * 2.0) / 1e6)
    assert got.cache_saved_usd == pytest.approx(19_200 * 0.9 / 1e6)
    assert (plain.cost_usd, plain.cache_saved_usd) == (pytest.approx((20_000 + 200) / 1e6), 0)
