"""Anthropic's own client against the gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from support.chat_server import ChatServer, completion, delta, fails, resets, says, sends
from support.gateway import KEY, serving

from r2_router import R2Router
from r2_router.errors import InputError
from r2_router.gateway.anthropic_messages import AnthropicMessages

pytestmark = pytest.mark.anyio

ASKED: list[Any] = [{"role": "user", "content": "Where is the colosseum?"}]
TOOLS: list[Any] = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}]
CALLS = [
    {"id": f"c{i}", "type": "function", "function": {"name": "look", "arguments": f'{{"where": "{where}"}}'}}
    for i, where in enumerate(("Rome", "Oslo"))
]
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


@asynccontextmanager
async def client(router: R2Router, **options: Any) -> AsyncGenerator[AsyncAnthropic]:
    async with serving(router) as url, AsyncAnthropic(base_url=url, api_key="any", **options) as made:
        yield made


async def test_an_answer_and_what_it_took(router: R2Router, provider: ChatServer) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60}}
    provider.then(says("In ", "Rome.", usage=usage))
    async with client(router) as ask:
        answer = await ask.messages.create(model="r2", max_tokens=500, messages=ASKED, system="Be brief.")
    assert [block.to_dict() for block in answer.content] == [{"type": "text", "text": "In Rome."}]
    assert (answer.stop_reason, answer.role, answer.type) == ("end_turn", "assistant", "message")
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (40, 60, 5)
    sent = provider.bodies[0]["messages"]
    assert sent[0]["role"] == "system"
    assert sent[0]["content"].startswith("Be brief.")


async def test_piece_by_piece_with_calls_of_tools_side_by_side(router: R2Router, provider: ChatServer) -> None:
    async def behave(exchange: Any) -> None:
        await exchange.start()
        await exchange.say("I ")
        await exchange.say("look.")
        pieces = [
            (0, "c0", "look", ""),
            (0, "", "", '{"where": '),
            (1, "c1", "look", '{"where"'),
            (0, "", "", '"Rome"}'),
        ]
        for index, call_id, name, arguments in [*pieces, (1, "", "", ': "Oslo"}')]:
            function = {"arguments": arguments, **({"name": name} if name else {})}
            call = {"index": index, "function": function, **({"id": call_id} if call_id else {})}
            await exchange.event(delta(tool_calls=[call]))
        await exchange.finish("tool_calls")

    provider.then(behave)
    async with (
        client(router) as ask,
        ask.messages.stream(model="r2", max_tokens=500, messages=ASKED, tools=TOOLS) as stream,
    ):
        events = [event.type async for event in stream]
        answer = await stream.get_final_message()
    text, rome, oslo = answer.content
    assert (text.type, rome.type, oslo.type) == ("text", "tool_use", "tool_use")
    assert text.text == "I look."  # type: ignore[union-attr]
    assert [(c.id, c.input) for c in (rome, oslo)] == [("c0", {"where": "Rome"}), ("c1", {"where": "Oslo"})]  # type: ignore[union-attr]
    assert answer.stop_reason == "tool_use"
    assert answer.usage.output_tokens == 5
    assert [e for e in events if e.startswith("content_block_st")] == ["content_block_start", "content_block_stop"] * 3
    assert provider.bodies[0]["tools"][0]["function"]["parameters"] == {"type": "object"}


async def test_calls_of_tools_in_one_piece(router: R2Router, provider: ChatServer) -> None:
    whole = completion("I look.", "tool_calls")
    whole["choices"][0]["message"]["tool_calls"] = CALLS
    provider.then(sends(whole))
    async with client(router) as ask:
        answer = await ask.messages.create(
            model="r2", max_tokens=500, messages=ASKED, tools=TOOLS, tool_choice={"type": "any"}
        )
    assert [block.type for block in answer.content] == ["text", "tool_use", "tool_use"]
    assert provider.bodies[0]["tool_choice"] == "required"


async def test_tokens_are_counted_without_asking_anybody(router: R2Router, provider: ChatServer) -> None:
    async with client(router) as ask:
        short = await ask.messages.count_tokens(model="r2", messages=ASKED)
        long = await ask.messages.count_tokens(model="r2", messages=ASKED, tools=TOOLS, system="Be brief. " * 100)
    assert 0 < short.input_tokens < long.input_tokens
    assert provider.requests == []


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"model": "claude-nobody"}, anthropic.NotFoundError, "No model is called 'claude-nobody'"),
        ({"messages": [{"role": "user", "content": []}]}, anthropic.BadRequestError, "blank"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError, "web_search"),
        ({"extra_body": {"mcp_servers": [{"url": "x"}]}}, anthropic.BadRequestError, "mcp_servers"),
    ],
)
async def test_what_cannot_be_asked_is_said_in_anthropics_form(
    router: R2Router, provider: ChatServer, asked: dict[str, Any], error: type[anthropic.APIStatusError], said: str
) -> None:
    async with client(router) as ask:
        with pytest.raises(error, match=said) as raised:
            await ask.messages.create(**{"model": "r2", "max_tokens": 50, "messages": ASKED, **asked})
    assert raised.value.body["type"] == "error"  # type: ignore[index]
    assert provider.requests == []


async def test_who_gives_no_answer_is_told_once(router: R2Router, provider: ChatServer) -> None:
    provider.then(fails(401, f"bad key {KEY}"))
    async with client(router, max_retries=2) as ask:
        with pytest.raises(anthropic.InternalServerError, match="PROVIDER_API_KEY") as raised:
            await ask.messages.create(model="r2", max_tokens=50, messages=ASKED)
    assert KEY not in str(raised.value)
    assert len(provider.requests) == 1


async def test_an_answer_that_breaks_off_ends_in_an_error(router: R2Router, provider: ChatServer) -> None:
    provider.then(resets("In ", "Ro"))
    async with client(router) as ask:
        with pytest.raises(anthropic.APIStatusError, match="broke off"):
            async with ask.messages.stream(model="r2", max_tokens=500, messages=ASKED) as stream:
                async for _ in stream:
                    pass


# -- how a request reads as one of chat completions --------------------------------------------------------------


def chat(**body: Any) -> dict[str, Any]:
    return AnthropicMessages().chat({"model": "r2", "messages": ASKED, "max_tokens": 9, **body})


def test_a_conversation_with_tools_and_images() -> None:
    marked = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    read = chat(
        system=[{"type": "text", "text": "You help."}, marked],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "source": PNG}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a cat"}]},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
    )
    assert read["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "You help."}, marked]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
        {"role": "user", "content": "And now?"},
    ]


def test_an_image_that_a_tool_gave_back_stands_in_a_message_of_the_user() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "image", "source": PNG}]}
    *_, tool, user = chat(messages=[*ASKED, {"role": "user", "content": [result]}])["messages"]
    assert tool == {"role": "tool", "tool_call_id": "t1", "content": ""}
    assert [part["type"] for part in user["content"]] == ["image_url"]


@pytest.mark.parametrize(
    ("choice", "ours"),
    [
        (None, {}),
        ({"type": "auto"}, {}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "look"}, {"tool_choice": {"type": "function", "function": {"name": "look"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"parallel_tool_calls": False}),
    ],
)
def test_the_choice_among_tools(choice: Any, ours: dict[str, Any]) -> None:
    read = chat(tools=TOOLS, tool_choice=choice)
    assert {name: read[name] for name in ("tool_choice", "parallel_tool_calls") if name in read} == ours


def test_fields_with_other_names() -> None:
    read = chat(
        stop_sequences=["END"], temperature=0.1, top_k=5, metadata={"user_id": "x"}, thinking={"type": "enabled"}
    )
    assert read == {
        **{"model": "r2", "max_tokens": 9, "temperature": 0.1, "top_k": 5, "stop": ["END"], "messages": ASKED}
    }
    schema = {"type": "object"}
    asked = chat(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert asked["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (None, "messages is a list of objects"),
        ("hello", "messages is a list of objects"),
        ([1], "messages is a list of objects"),
        ([{"role": "user", "content": 5}], r"messages\[0\].content is a list of objects"),
        ([{"role": "user", "content": [{"type": "video"}]}], r"messages\[0\] holds a block of type 'video'"),
        ([{"role": "user", "content": [{"type": "tool_result", "content": 7}]}], "is a list of objects"),
    ],
)
def test_what_cannot_be_read_says_where(messages: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        AnthropicMessages().chat({"model": "r2", "max_tokens": 5, "messages": messages})
