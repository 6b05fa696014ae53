"""A generation against a server that behaves."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from support.chat_server import chat_server, completion, says, sends, thinks
from support.generations import INSTRUCTION, Books, answer, candidate, generation, model, options

from r2_router.checkpoints.format import Instruction
from r2_router.errors import ConfigError, InputError, ProviderError
from r2_router.generate import Endpoint, Event
from r2_router.generate.generation import Generation


def test_text_comes_in_pieces_and_the_answer_after_them() -> None:
    async def read(generation: Generation) -> list[str]:
        assert generation.answer is None
        return [piece async for piece in generation]

    with chat_server(says("Ro", "me", ".")) as server:
        asked = generation(server)
        assert asyncio.run(read(asked)) == ["Ro", "me", "."]
    got = asked.answer
    assert got is not None
    assert (got.text, str(got), got["response"], got["openrouter_id"]) == ("Rome.", "Rome.", "Rome.", "vendor/a")
    assert (got.model, got.model_id, got.served_model, got.budget) == ("a", "vendor/a", "served/model", 100)
    assert (got.prompt_tokens, got.completion_tokens, got.reasoning_tokens, got.usage_estimated) == (10, 5, 0, False)
    assert got.usage == {"prompt_tokens": 10, "completion_tokens": 5}
    assert (got.finish_reason, got.request_id, got.partial, got.error) == ("stop", "gen-1", False, "")
    assert got.cost_usd == pytest.approx((10 * 1 + 5 * 2) / 1e6)
    assert (got.predicted_quality, got.predicted_cost_usd, got.risk) == (0.8, 0.001, 0.7)
    assert got.first_token_s is not None
    assert 0 < got.first_token_s <= got.latency_s
    assert [(a.model, a.budget, a.reason, a.status) for a in got.attempts] == [("a", 100, "", 200)]
    assert got.attempts[0].cost_usd == got.cost_usd
    assert json.loads(json.dumps(got.to_dict()))["attempts"][0]["status"] == 200


def test_what_is_asked_for() -> None:
    with chat_server() as server:
        answer(server)
        [exchange] = server.requests
    assert exchange.path == "/v1/chat/completions"
    assert exchange.body == {
        "model": "vendor/a",
        "messages": [{"role": "user", "content": "What is the capital of Italy?\n\nUnder 70 words."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 100,
    }
    assert "authorization" not in exchange.headers


@pytest.mark.parametrize(
    ("budget", "thinking", "max_tokens", "expected"),
    [(100, 0, None, 110), (100, 500, 7, 610), ("unlimited", 500, None, 8692), ("unlimited", 500, 77, 77)],
)
def test_the_cap(budget: Any, thinking: int, max_tokens: int | None, expected: int | None) -> None:
    with chat_server() as server:
        answer(
            server,
            [candidate(budget=budget)],
            instruction=Instruction("Short.", cap_extra=10),
            models={"a": model("a", server.url, thinking_tokens=thinking)},
            options=options(max_tokens=max_tokens),
        )
        assert server.bodies[0].get("max_tokens") == expected


def test_sampling_is_passed_on_and_cannot_take_our_place() -> None:
    with chat_server() as server:
        answer(server, options=options(sampling={"temperature": 0, "seed": 7}))
        assert (server.bodies[0]["temperature"], server.bodies[0]["seed"]) == (0, 7)
    with pytest.raises(InputError, match="max_tokens, stream"):
        options(sampling={"stream": False, "max_tokens": 1})


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"idle_s": 0}, {"total_s": float("nan")}, {"max_tokens": 0}])
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        options(**wrong)


def test_a_conversation_is_sent_whole() -> None:
    conversation = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    with chat_server() as server:
        answer(server, messages=conversation, instruction=Instruction("{budget} tokens.", place="system"))
        assert server.bodies[0]["messages"] == [
            {"role": "system", "content": "Be kind.\n\n100 tokens."},
            {"role": "user", "content": "Hi"},
        ]


def test_an_answer_in_one_piece() -> None:
    with chat_server(sends(completion([{"type": "text", "text": "Rome"}]))) as server:
        got = answer(server)
    assert (got.text, got.partial, got.prompt_tokens) == ("Rome", False, 10)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_counted_and_not_shown(field: str) -> None:
    events: list[Event] = []

    async def think_then_say(exchange: Any) -> None:
        from support.chat_server import delta

        await exchange.start()
        for _ in range(3):
            await exchange.event(delta(**{field: "hm, let me see now"}))
        await exchange.say("Rome")
        await exchange.finish(usage={"prompt_tokens": 10, "completion_tokens": 20})

    with chat_server(think_then_say) as server:
        got = answer(server, on_event=events.append)
    assert got.text == "Rome"
    assert 0 < got.reasoning_tokens <= 20
    assert got.cost_usd == pytest.approx((10 * 1 + 20 * 2) / 1e6)
    assert [(event.kind, event.pieces) for event in events] == [
        ("asking", 0),
        ("thinking", 1),
        ("thinking", 2),
        ("thinking", 3),
    ]


def test_the_providers_own_cost_counts() -> None:
    with chat_server(says("Rome", usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.125})) as server:
        assert answer(server).cost_usd == 0.125


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 10, "completion_tokens": 0}, {"prompt_tokens": None}])
def test_usage_that_is_missing_is_estimated_and_said_to_be(usage: object) -> None:
    with chat_server(says("The capital of Italy is Rome.", usage=usage)) as server:
        got = answer(server)
    assert got.usage_estimated
    assert got.prompt_tokens > 5
    assert 4 <= got.completion_tokens <= 12
    plain = (got.prompt_tokens * 1 + got.completion_tokens * 2) / 1e6
    assert plain < got.cost_usd < (100 + 100 * 2) / 1e6  # on the safe side, and below the worst case


def test_an_unlimited_answer_has_a_cap_that_fits_the_window() -> None:
    with chat_server() as server:
        small = model("a", server.url, context_window=4096)
        answer(server, [candidate(budget="unlimited")], models={"a": small})
        answer(server, [candidate(budget="unlimited", tokens=5000.0)])
        assert 3900 < server.bodies[0]["max_tokens"] < 4096
        assert server.bodies[1]["max_tokens"] == 20_000


def test_an_empty_answer_is_no_success() -> None:
    books = Books()
    with (
        chat_server(says()) as server,
        pytest.raises(ProviderError, match="a @ 100 gave no answer: the model wrote no"),
    ):
        answer(server, guard=books)
    assert books.spent == pytest.approx(20e-6)


def test_a_cut_answer_is_whole_as_far_as_the_provider_is_concerned() -> None:
    with chat_server(says("Rome is", reason="length")) as server:
        got = answer(server)
    assert (got.finish_reason, got.partial) == ("length", False)


def test_connections_are_used_again_and_closed_with_the_loop() -> None:
    async def thrice(url: str) -> None:
        for _ in range(3):
            await generation(url).result()

    with chat_server() as server:
        asyncio.run(thrice(server.url))
        assert (len(server.requests), server.connections) == (3, 1)
        assert server.wait_closed()
        asyncio.run(thrice(server.url))
        assert (len(server.requests), server.connections) == (6, 2)


def test_the_guard_is_asked_for_the_worst_and_told_the_real_cost() -> None:
    books = Books()
    with chat_server() as server:
        got = answer(server, guard=books)
        unlimited = answer(server, [candidate(budget="unlimited", tokens=1000)], guard=books)
    assert books.balanced
    assert books.spent == pytest.approx(got.cost_usd + unlimited.cost_usd)
    assert books.reserved[0] == pytest.approx(100 * 2 / 1e6, rel=0.3)
    assert books.reserved[0] > 100 * 2 / 1e6
    assert books.reserved[1] == pytest.approx(8192 * 2 / 1e6, rel=0.02)


def test_an_asynchronous_resolver() -> None:
    async def resolve(asked: Any) -> Endpoint:
        await asyncio.sleep(0)
        return Endpoint(asked.base_url)

    with chat_server() as server:
        assert answer(server, resolve=resolve).text == "Hello"


def test_a_resolver_that_takes_too_long() -> None:
    async def resolve(_: Any) -> Endpoint:
        await asyncio.Event().wait()
        raise AssertionError

    with chat_server() as server, pytest.raises(ProviderError, match=r"a was not ready after 0\.05 s"):
        answer(server, resolve=resolve, options=options(total_s=0.05))


def test_a_model_without_a_price_is_not_called() -> None:
    with chat_server() as server:
        free = model("a", server.url, input_usd_per_million=0.0, output_usd_per_million=0.0)
        assert answer(server, models={"a": free}).cost_usd == 0
        unpriced = model("a", server.url, output_usd_per_million=None)
        with pytest.raises(ConfigError, match="a has no price"):
            answer(server, models={"a": unpriced})
        with pytest.raises(ConfigError, match="not in the pool"):
            answer(server, models={})
        assert len(server.requests) == 1


def test_no_candidate_and_bad_messages_are_said_at_once() -> None:
    with pytest.raises(InputError, match="no candidate"):
        generation("http://127.0.0.1:9/v1", [])
    with pytest.raises(InputError, match="blank"):
        generation("http://127.0.0.1:9/v1", messages=" ")


def test_a_generation_closed_before_it_began() -> None:
    async def close() -> None:
        async with aclosing(generation("http://127.0.0.1:9/v1")) as asked:
            pass
        assert asked.answer is None
        with pytest.raises(ProviderError, match="ended before any text came"):
            await asked.result()

    asyncio.run(close())


def test_a_models_own_fields_are_sent_with_every_request() -> None:
    with chat_server(says("Rome")) as server:
        own = model(
            "a", server.url, request={"reasoning_effort": "low", "temperature": 1, "provider": {"sort": "price"}}
        )
        answer(server, models={"a": own}, options=options(sampling={"temperature": 0, "seed": 7}))
        (body,) = server.bodies
    assert (body["reasoning_effort"], body["provider"], body["seed"]) == ("low", {"sort": "price"}, 7)
    assert body["temperature"] == 1  # price and ability are those of the pool's way of asking
    assert (body["model"], body["stream"], body["max_tokens"]) == ("vendor/a", True, 100)


def test_a_models_own_fields_never_take_the_routers_place() -> None:
    with chat_server(says("Rome")) as server:
        own = model("a", server.url, request={"model": "other", "messages": [], "stream": False, "max_tokens": 1})
        answer(server, models={"a": own})
        (body,) = server.bodies
    assert (body["model"], body["stream"], body["max_tokens"]) == ("vendor/a", True, 100)
    assert body["messages"]


def test_thinking_asked_for_is_taken_back_when_the_answer_is_empty() -> None:
    with chat_server(thinks("hm"), says("Rome")) as server:
        own = model("a", server.url, request={"reasoning": {"effort": "high"}})
        assert answer(server, models={"a": own}).text == "Rome"
        first, second = server.bodies
    assert first["reasoning"] == {"effort": "high"}
    assert "reasoning" not in second
    assert second["reasoning_effort"] == "none"


def test_thinking_off_is_asked_once_when_the_answer_is_empty() -> None:
    with chat_server(thinks("hm", "hm"), says("Rome")) as server:
        got = answer(server)
        first, second = server.bodies
    assert got.text == "Rome"
    assert "reasoning_effort" not in first
    assert (second["reasoning_effort"], second["chat_template_kwargs"]) == ("none", {"enable_thinking": False})
    assert second["max_tokens"] == first["max_tokens"]
    assert [bool(attempt.reason) for attempt in got.attempts] == [True, False]
    assert got.cost_usd == pytest.approx(2 * (10 * 1 + 5 * 2) / 1e6)
    assert INSTRUCTION.render(100) in first["messages"][0]["content"]
