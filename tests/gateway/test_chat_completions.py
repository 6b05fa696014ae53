"""OpenAI's own client against the gateway: change the address, nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from support.chat_server import ChatServer, completion, delta, fails, hangs, resets, says, sends
from support.gateway import KEY, TOOLS, serving

from r2_router import R2Router

pytestmark = pytest.mark.anyio

ASKED: list[Any] = [{"role": "user", "content": "Where is the colosseum?"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"where": "Rome"}'}}


@asynccontextmanager
async def client(router: R2Router, **options: Any) -> AsyncGenerator[AsyncOpenAI]:
    async with serving(router) as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="any", **options) as made:
        yield made


async def test_an_answer_and_what_it_took(router: R2Router, provider: ChatServer) -> None:
    provider.then(says("In ", "Rome."))
    async with client(router) as ask:
        raw = await ask.chat.completions.with_raw_response.create(model="r2", messages=ASKED)
    answer = raw.parse()
    assert answer.choices[0].message.content == "In Rome."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 5, 15)
    told = answer.usage.model_extra["r2"]
    entry = router.ledger.find(told["id"])
    assert entry is not None
    assert (entry.face, entry.model) == ("gateway", answer.model)
    assert entry.cost_usd == pytest.approx(told["cost_usd"])
    assert raw.headers["x-r2-model"] == told["model"] == answer.model
    assert raw.headers["x-r2-id"] == told["id"]
    assert float(raw.headers["x-r2-predicted-cost-usd"]) == pytest.approx(told["predicted_cost_usd"], rel=1e-3)


async def test_piece_by_piece(router: R2Router, provider: ChatServer) -> None:
    provider.then(says("In ", "Rome."))
    async with client(router) as ask:
        stream = await ask.chat.completions.create(
            model="r2", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "In Rome."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 15
    assert len({c.id for c in chunks}) == 1


async def test_a_text_is_what_the_model_wrote_whatever_is_in_it(router: R2Router, provider: ChatServer) -> None:
    pieces = ["the text", '"the text"', '", "content": "', "\\", "\n\n", "data: [DONE]", "\u2028 \U0001f600", "é"]
    provider.then(says(*pieces))
    async with client(router) as ask:
        stream = await ask.chat.completions.create(model="r2", messages=ASKED, stream=True)
        came = [c.choices[0].delta.content async for c in stream]
    assert [text for text in came if text] == pieces


async def test_usage_is_told_where_it_was_asked_for(router: R2Router) -> None:
    async with client(router) as ask:
        chunks = [c async for c in await ask.chat.completions.create(model="r2", messages=ASKED, stream=True)]
    assert all(c.usage is None and c.choices for c in chunks)


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_of_tools(router: R2Router, provider: ChatServer, stream: bool) -> None:
    whole = completion(None, "tool_calls")
    whole["choices"][0]["message"]["tool_calls"] = [CALL]
    provider.then(sends(whole))
    async with client(router) as ask:
        if stream:
            pieces = await ask.chat.completions.create(model="r2", messages=ASKED, tools=TOOLS, stream=True)  # type: ignore[call-overload]
            chunks = [c async for c in pieces]
            calls = [call for c in chunks for call in c.choices[0].delta.tool_calls or ()]
            name, arguments = calls[0].function.name, "".join(c.function.arguments or "" for c in calls)
            reason = chunks[-1].choices[0].finish_reason
        else:
            answer = await ask.chat.completions.create(model="r2", messages=ASKED, tools=TOOLS)  # type: ignore[call-overload]
            function = answer.choices[0].message.tool_calls[0].function
            name, arguments, reason = function.name, function.arguments, answer.choices[0].finish_reason
    assert (name, json.loads(arguments), reason) == ("look", {"where": "Rome"}, "tool_calls")
    assert provider.bodies[0]["tools"] == TOOLS


async def test_what_nobody_here_knows_is_sent_on_and_what_the_router_says_goes_first(
    router: R2Router, provider: ChatServer
) -> None:
    async with client(router) as ask:
        await ask.chat.completions.create(
            model="r2:economy",
            messages=ASKED,
            temperature=0.2,
            seed=7,
            user="me",
            extra_body={"new_field": {"a": 1}, "r2": {"models": ["model-1"]}},
        )
    body = provider.bodies[0]
    assert body["model"] == "vendor/model-1"
    assert (body["temperature"], body["seed"], body["user"], body["new_field"]) == (0.2, 7, "me", {"a": 1})
    assert "r2" not in body
    assert body["stream"] is True


async def test_a_model_of_the_pool_is_asked_as_it_is(router: R2Router, provider: ChatServer) -> None:
    async with client(router) as ask:
        raw = await ask.chat.completions.with_raw_response.create(model="model-2", messages=ASKED)
    assert (raw.headers["x-r2-model"], raw.headers["x-r2-budget"]) == ("model-2", "unlimited")
    assert provider.bodies[0]["messages"] == ASKED


async def test_wishes_come_in_headers_and_go_before_the_name(router: R2Router) -> None:
    async with client(router) as ask:
        raw = await ask.chat.completions.with_raw_response.create(
            model="r2:economy",
            messages=ASKED,
            extra_headers={"x-r2-worth-usd": "0.5", "X-R2-Exclude": "model-0,model-1"},
        )
    assert (raw.headers["x-r2-worth-usd"], raw.headers["x-r2-model"]) == ("0.5", "model-2")


@pytest.mark.parametrize(("name", "cap"), [("max_tokens", 20), ("max_completion_tokens", 20), ("max_tokens", 1)])
async def test_the_callers_cap_is_kept_whatever_the_budget(
    router: R2Router, provider: ChatServer, name: str, cap: int
) -> None:
    async with client(router) as ask:
        raw = await ask.chat.completions.with_raw_response.create(model="r2", messages=ASKED, **{name: cap})
    assert provider.bodies[0]["max_tokens"] <= cap
    budget = raw.headers["x-r2-budget"]
    assert cap == 1 or budget == "unlimited" or int(budget) <= cap


async def test_the_models_are_listed(router: R2Router) -> None:
    async with client(router) as ask:
        names = [model.id async for model in await ask.models.list()]
        assert (await ask.models.retrieve("r2:quality")).id == "r2:quality"
        with pytest.raises(openai.NotFoundError):
            await ask.models.retrieve("nobody")
    assert names == ["r2", "r2:economy", "r2:balanced", "r2:quality", "model-0", "model-1", "model-2"]


# -- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"model": "nope"}, openai.NotFoundError, "No model is called 'nope'"),
        ({"model": "r2:best"}, openai.BadRequestError, "No preset 'best'. Choose one of"),
        ({"n": 2}, openai.BadRequestError, "n is 1"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens is a whole number"),
        ({"messages": []}, openai.BadRequestError, "messages is a string, or a list"),
        ({"extra_headers": {"x-r2-wort": "1"}}, openai.BadRequestError, "x-r2-worth-usd"),
        ({"extra_headers": {"x-r2-worth-usd": "much"}}, openai.BadRequestError, "x-r2-worth-usd is a number"),
        ({"extra_body": {"r2": {"worth": 1}}}, openai.BadRequestError, "knows no wish 'worth'"),
        ({"extra_body": {"r2": 1}}, openai.BadRequestError, "is an object of wishes"),
        ({"extra_body": {"r2": {"max_cost_usd": 0}}}, openai.BadRequestError, "No candidate is left"),
    ],
)
async def test_what_cannot_be_asked_is_said_in_the_callers_form_and_nobody_is_asked(
    router: R2Router, provider: ChatServer, asked: dict[str, Any], error: type[openai.APIStatusError], said: str
) -> None:
    async with client(router) as ask:
        with pytest.raises(error, match=said) as raised:
            await ask.chat.completions.create(**{"model": "r2", "messages": ASKED, **asked})
    assert raised.value.body["type"] in ("invalid_request_error", "not_found_error")  # type: ignore[index]
    assert provider.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_who_gives_no_answer_is_told_once_and_the_client_does_not_ask_again(
    router: R2Router, provider: ChatServer, stream: bool
) -> None:
    provider.then(fails(401, f"bad key {KEY}"))
    async with client(router, max_retries=2) as ask:
        with pytest.raises(openai.InternalServerError, match="PROVIDER_API_KEY") as raised:
            await ask.chat.completions.create(model="r2", messages=ASKED, stream=stream)
    assert raised.value.status_code == 502
    assert len(provider.requests) == 1  # one key, one provider: the others would be refused as well
    assert KEY not in str(raised.value)


async def test_an_answer_that_breaks_off_ends_in_an_error(router: R2Router, provider: ChatServer) -> None:
    provider.then(resets("In ", "Ro"))
    async with client(router) as ask:
        stream = await ask.chat.completions.create(model="r2", messages=ASKED, stream=True)
        came = ""
        with pytest.raises(openai.APIError, match="broke off"):
            async for chunk in stream:
                came += chunk.choices[0].delta.content or ""
        whole = await ask.chat.completions.create(model="r2", messages=ASKED)
    assert came == whole.choices[0].message.content == "In Ro"
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.model_extra["r2"]["error"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_stops_the_call_to_the_provider(
    router: R2Router, provider: ChatServer, stream: bool
) -> None:
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    async def behave(exchange: Any) -> None:
        loop.call_soon_threadsafe(asked.set)
        await hangs("In ")(exchange)

    provider.then(behave)

    async def talk(ask: AsyncOpenAI) -> None:
        answer = await ask.chat.completions.create(model="r2", messages=ASKED, stream=stream)  # type: ignore[call-overload]
        async for _ in answer:
            pass

    async with client(router) as ask:
        talking = asyncio.create_task(talk(ask))
        await asyncio.wait_for(asked.wait(), 20)
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
        assert await asyncio.to_thread(provider.wait_closed)


async def test_a_chunk_that_holds_half_a_character_is_no_broken_stream(router: R2Router, provider: ChatServer) -> None:
    async def behave(exchange: Any) -> None:
        await exchange.start()
        call = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"where": "\ud83d'}}
        await exchange.event(delta(tool_calls=[call]))
        await exchange.event(delta(tool_calls=[{"index": 0, "function": {"arguments": '\ude00"}'}}]))
        await exchange.finish("tool_calls")

    provider.then(behave)
    async with client(router) as ask:
        stream = await ask.chat.completions.create(model="r2", messages=ASKED, tools=TOOLS, stream=True)  # type: ignore[call-overload]
        calls = [call async for c in stream for call in c.choices[0].delta.tool_calls or ()]
    assert json.loads("".join(c.function.arguments for c in calls).encode("utf-16", "surrogatepass").decode("utf-16"))
