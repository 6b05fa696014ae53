"""What providers say they counted, each in its own way, and what that comes to.

Each case imitates a documented answer or a public report; the figures are theirs, or follow from their rule.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chat_server import Exchange, chat_server, completion, delta, says, sends
from support.generations import answer, model

from r2_router.generate.usage import Usage, read_usage

READS = {"cache_read_usd_per_million": 0.1, "cache_write_usd_per_million": 1.25}

USAGES: dict[str, tuple[dict[str, Any], Usage]] = {
    "OpenAI: cached and thought tokens are inside": (
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920},
            "completion_tokens_details": {"reasoning_tokens": 192},
        },
        Usage(2006, 300, 192, None, 1920),
    ),
    "xAI: thoughts are on top, ticks tell the cost (sub2api 5771)": (
        {
            "prompt_tokens": 10120,
            "completion_tokens": 1499,
            "total_tokens": 14428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2809},
            "cost_in_usd_ticks": 232856000,
        },
        Usage(10120, 4308, 2809, 0.0232856, 128),
    ),
    "xAI: thoughts are on top, 32 + 9 + 94 = 135 (omni-llm-provider 49)": (
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
        Usage(32, 103, 94, None),
    ),
    "thoughts that are inside are not counted twice (promptfoo 9507)": (
        {
            "prompt_tokens": 500,
            "completion_tokens": 500,
            "total_tokens": 1000,
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        Usage(500, 500, 200, None),
    ),
    "Gemini, OpenAI-compatible: only the total holds the thoughts": (
        {"prompt_tokens": 9, "completion_tokens": 30, "total_tokens": 839},
        Usage(9, 830, None, None),
    ),
    "Gemini behind a proxy: none written, 60 thought (CLIProxyAPI 5733)": (
        {
            "prompt_tokens": 21,
            "completion_tokens": 0,
            "total_tokens": 81,
            "completion_tokens_details": {"reasoning_tokens": 60},
        },
        Usage(21, 60, 60, None),
    ),
    "thoughts that a count cannot hold, and no total": (
        {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 300}},
        Usage(10, 305, 300, None),
    ),
    "Gemini's own words": (
        {"promptTokenCount": 21, "thoughtsTokenCount": 60, "totalTokenCount": 81, "cachedContentTokenCount": 7},
        Usage(21, 60, 60, None, 7),
    ),
    "Anthropic: the cache is beside the input": (
        {
            "input_tokens": 50,
            "output_tokens": 503,
            "cache_read_input_tokens": 100_000,
            "cache_creation_input_tokens": 248,
        },
        Usage(100_298, 503, None, None, 100_000, 248),
    ),
    "Anthropic's words beside OpenAI's, more than the prompt holds": (
        {"prompt_tokens": 50, "completion_tokens": 5, "cache_read_input_tokens": 19_200},
        Usage(19_250, 5, None, None, 19_200),
    ),
    "a gateway that says it both ways (langwatch 7018)": (
        {
            "prompt_tokens": 20_000,
            "completion_tokens": 5,
            "total_tokens": 20_005,
            "prompt_tokens_details": {"cached_tokens": 19_200},
            "cache_read_input_tokens": 19_200,
            "cache_creation_input_tokens": 500,
        },
        Usage(20_000, 5, None, None, 19_200, 500),
    ),
    "DeepSeek: hits and misses": (
        {
            "prompt_tokens": 20_000,
            "completion_tokens": 5,
            "total_tokens": 20_005,
            "prompt_cache_hit_tokens": 19_200,
            "prompt_cache_miss_tokens": 800,
        },
        Usage(20_000, 5, None, None, 19_200),
    ),
    "Moonshot: cached_tokens beside the counts": (
        {"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 60},
        Usage(100, 5, None, None, 60),
    ),
    "OpenRouter: written to the cache, and the cost": (
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "cost": 0.95,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        Usage(194, 2, 0, 0.95, 0, 100),
    ),
    "OpenRouter with a key of one's own, and no word of what the provider bills": (
        {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.001, "is_byok": True},
        Usage(1, 2, None, None),
    ),
    "Perplexity: the cost is a table": (
        {
            "prompt_tokens": 8,
            "completion_tokens": 439,
            "total_tokens": 447,
            "cost": {
                "input_tokens_cost": 0.0,
                "output_tokens_cost": 0.0066,
                "request_cost": 0.006,
                "total_cost": 0.0126,
            },
        },
        Usage(8, 439, None, 0.0126),
    ),
    "DeepInfra: an estimated cost": (
        {"prompt_tokens": 15, "completion_tokens": 16, "total_tokens": 31, "estimated_cost": 1.84e-06},
        Usage(15, 16, None, 1.84e-06),
    ),
    "what was written is told by the total alone": (
        {"prompt_tokens": 15, "total_tokens": 31},
        Usage(15, 16, None, None),
    ),
}


@pytest.mark.parametrize("name", USAGES)
def test_a_usage_is_read_as_its_provider_means_it(name: str) -> None:
    said, meant = USAGES[name]
    assert read_usage(said) == meant
    with chat_server(says("Rome", usage=said)) as server:
        got = answer(server, models={"a": model("a", server.url, **READS)})
    assert (got.prompt_tokens, got.completion_tokens) == (meant.prompt_tokens, meant.completion_tokens)
    plain = meant.prompt_tokens - meant.cache_read_tokens - meant.cache_write_tokens
    tokens = meant.cache_read_tokens * 0.1 + meant.cache_write_tokens * 1.25 + plain + 2 * meant.completion_tokens
    assert got.cost_usd == pytest.approx(tokens / 1e6 if meant.cost_usd is None else meant.cost_usd)
    assert not got.usage_estimated


NUMBERS = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
# Where the usage stands: beside the choices is everybody's place, these are others.
PLACES: dict[str, list[dict[str, Any]]] = {
    "Groq: in x_groq of the last chunk (Portkey 1072)": [
        delta(content="Rome"),
        {**delta(finish_reason="stop"), "x_groq": {"id": "req_1", "usage": {"queue_time": 0.1, **NUMBERS}}},
    ],
    "Moonshot: in the first choice": [
        delta(content="Rome"),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": NUMBERS}]},
    ],
    "xAI: in the chunk of the finish_reason (litellm 17136)": [
        delta(content="Rome"),
        {**delta(finish_reason="stop"), "usage": NUMBERS},
    ],
    "vLLM: running up in every chunk (atoma-proxy 534)": [
        {**delta(content="Ro"), "usage": {"prompt_tokens": 10, "completion_tokens": 2}},
        {**delta(content="me"), "usage": {"prompt_tokens": 10, "completion_tokens": 4}},
        {**delta(finish_reason="stop"), "usage": NUMBERS},
    ],
    "the last chunk says nothing again": [
        {**delta(content="Rome"), "usage": NUMBERS},
        {**delta(finish_reason="stop"), "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
    ],
}


@pytest.mark.parametrize("name", PLACES)
def test_usage_is_found_wherever_it_stands(name: str) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        for chunk in PLACES[name]:
            await exchange.event(chunk)
        await exchange.chunk(b"data: [DONE]\n\n")
        await exchange.end()

    with chat_server(behave) as server:
        got = answer(server)
    assert (got.text, got.prompt_tokens, got.completion_tokens, got.usage_estimated) == ("Rome", 10, 5, False)


def test_thoughts_that_were_seen_and_not_counted_are_counted() -> None:
    """A count of the text alone, beside thoughts that came in full: 68 times too little in one report."""
    thoughts = "Let me think about the capital of Italy once more. " * 40

    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.event(delta(reasoning_content=thoughts))
        await exchange.say("Rome")
        await exchange.finish(usage={"prompt_tokens": 10, "completion_tokens": 1})

    with chat_server(behave) as server:
        got = answer(server, models={"a": model("a", server.url, thinking_tokens=2000)})
    assert got.completion_tokens > 300
    assert got.usage_estimated
    assert got.cost_usd > 600e-6


def test_a_fee_and_a_price_for_thoughts() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}}
    with chat_server(sends(completion("Rome", usage=usage))) as server:
        dear = model("a", server.url, request_usd=0.005, thinking_usd_per_million=8.0)
        got = answer(server, models={"a": dear})
    assert got.cost_usd == pytest.approx(0.005 + (10 + 4 * 8 + 1 * 2) / 1e6)


counts = st.integers(-5, 10**10) | st.none() | st.booleans() | st.floats() | st.text(max_size=3)
SPELLINGS = [
    *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "prompt_cache_hit_tokens", "reasoning_tokens"),
    *("cost", "cost_in_usd_ticks", "is_byok"),
]
flat = st.dictionaries(st.sampled_from(SPELLINGS), counts)
nested = st.dictionaries(st.sampled_from(["prompt_tokens_details", "completion_tokens_details", "cost_details"]), flat)


@pytest.mark.slow
@given(flat, nested)
def test_no_usage_is_negative_or_contradicts_itself(said: dict[str, Any], details: dict[str, Any]) -> None:
    usage = read_usage({**said, **details})
    if usage is None:
        return
    assert usage.prompt_tokens >= usage.cache_read_tokens >= 0
    assert usage.prompt_tokens >= usage.cache_write_tokens >= 0
    assert usage.completion_tokens >= (usage.reasoning_tokens or 0) >= 0
    assert usage.cost_usd is None or usage.cost_usd >= 0
    assert usage.merged(usage) == usage
