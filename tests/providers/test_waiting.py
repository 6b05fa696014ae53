"""How long is waited: as long as a server asks, for a model that is loaded, for one that thinks in silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from support.chat_server import Behaviour, Exchange, chat_server, fails, says, sends
from support.generations import answer, candidate, model, options

from r2_router.errors import ProviderError
from r2_router.generate import generation
from r2_router.net.retry_after import asked_wait


@pytest.mark.parametrize(
    ("headers", "said", "wait_s"),
    [
        ({}, "", None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),  # OpenAI, Azure
        ({"retry-after": "4"}, "try again in 9s", 4.0),
        ({}, "Rate limit reached for gpt-4o. Please try again in 4s.", 4.0),  # OpenAI
        ({}, "Please try again in 6m0.5s. Visit ...", 360.5),
        ({}, "try again in 250ms", 0.25),
        ({}, "Please retry in 34.074824224s.", 34.074824224),  # Gemini
        ({}, '{"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]}', 34.0),
        ({}, "Please retry after 20 seconds.", 20.0),  # Azure
        ({}, "wait 2 minutes and 3 seconds", 123.0),
        ({}, "try again in a while", None),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "17ms"}, "", 0.017),
        ({"x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-remaining-requests": "0"}, "", 179.56),  # Groq
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "17ms",
                "x-ratelimit-remaining-tokens": "12",
            },
            "",
            360.0,
        ),
        ({"ratelimit-reset": "20"}, "", 20.0),
        ({"x-ratelimit-reset": "soon"}, "", None),
    ],
)
def test_a_server_asks_to_wait_in_many_ways(headers: dict[str, str], said: str, wait_s: float | None) -> None:
    assert asked_wait(headers, said) == wait_s


@pytest.mark.parametrize(
    ("header", "written"),
    [
        ("x-ratelimit-reset", lambda moment: str(int(moment.timestamp() * 1000))),  # OpenRouter
        ("x-ratelimit-reset", lambda moment: str(int(moment.timestamp()))),
        ("anthropic-ratelimit-tokens-reset", datetime.isoformat),
    ],
)
def test_a_server_names_the_moment(header: str, written: Callable[[datetime], str]) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    assert asked_wait({header: written(moment)}, "") == pytest.approx(3600, abs=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    "behaviour",
    [
        fails(429, retry_after_ms="300"),
        fails(429, "Please try again in 0.3s."),
        fails(503, x_ratelimit_reset_requests="300ms"),
        sends([{"error": {"code": 429, "message": "slow", "details": [{"retryDelay": "0.3s"}]}}], 429),
        sends({"error": {"code": 429, "message": "Please try again in 300ms"}}),
    ],
)
def test_the_wait_that_was_asked_for_is_kept(behaviour: Behaviour) -> None:
    with chat_server(behaviour, says("Rome")) as server:
        start = time.monotonic()
        assert answer(server).text == "Rome"
    assert time.monotonic() - start >= 0.3


@pytest.mark.slow
def test_a_model_that_is_loaded_gets_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp's words; more looks than tries, none of them at a price."""
    monkeypatch.setattr(generation, "_LOADING_SECONDS", 0.01)
    loading = sends({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, 503)
    with chat_server(*[loading] * 9, says("Rome")) as server:
        got = answer(server, options=options(tries=1))
        assert (got.text, len(server.requests)) == ("Rome", 10)
        assert got.cost_usd == got.attempts[-1].cost_usd
        server.then(loading)
        with pytest.raises(ProviderError, match="Loading model"):
            answer(server, options=options(tries=1, loading_s=0.2))


async def silent_thinker(exchange: Exchange) -> None:
    await asyncio.sleep(0.6)
    await says("Rome")(exchange)


async def comments_then_text(exchange: Exchange) -> None:
    await exchange.start()
    for _ in range(12):
        await exchange.chunk(b": OPENROUTER PROCESSING\n\n")
        await asyncio.sleep(0.1)
    await exchange.say("Rome")
    await exchange.finish()


@pytest.mark.slow
def test_patience_follows_the_thinking_tokens() -> None:
    short = options(first_token_s=0.3, tries=1)
    with chat_server(silent_thinker) as server:
        with pytest.raises(ProviderError, match=r"no token came within 0\.3 s"):
            answer(server, options=short)
        thinker = model("a", server.url, thinking_tokens=500)
        assert answer(server, models={"a": thinker}, options=short).text == "Rome"


@pytest.mark.slow
def test_a_comment_says_that_somebody_is_at_work() -> None:
    with chat_server(comments_then_text) as server:
        assert answer(server, [candidate()], options=options(first_token_s=0.5, tries=1)).text == "Rome"
