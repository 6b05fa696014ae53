"""OpenAI's own client, its newer API, against the gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from support.chat_server import ChatServer, completion, resets, says, sends
from support.gateway import serving

from r2_router import R2Router
from r2_router.errors import InputError
from r2_router.gateway.responses import Responses

pytestmark = pytest.mark.anyio

LOOK: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
SPACE: Any = {"type": "namespace", "name": "agents", "tools": [{**LOOK, "name": "close"}]}
PATCH: Any = {"type": "custom", "name": "patch", "description": "Edits a file.", "format": GRAMMAR}
PNG = "data:image/png;base64,iVBORw0KGgo="


def calls(*named: tuple[str, str]) -> Any:
    """A provider's answer that calls tools."""
    whole = completion("Let me see.", "tool_calls")
    whole["choices"][0]["message"]["tool_calls"] = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(named)
    ]
    return sends(whole)


@asynccontextmanager
async def client(router: R2Router, **options: Any) -> AsyncGenerator[AsyncOpenAI]:
    async with serving(router) as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="any", **options) as made:
        yield made


async def test_an_answer_and_what_it_took(router: R2Router, provider: ChatServer) -> None:
    provider.then(says("In ", "Rome."))
    async with client(router) as ask:
        answer = await ask.responses.create(model="r2", input="Where is the colosseum?", instructions="Be brief.")
    assert (answer.output_text, answer.status, answer.instructions) == ("In Rome.", "completed", "Be brief.")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (10, 5, 15)
    assert router.ledger.find(answer.usage.model_extra["r2"]["id"]) is not None
    assert provider.bodies[0]["messages"][0]["content"].startswith("Be brief.")


async def test_piece_by_piece(router: R2Router, provider: ChatServer) -> None:
    provider.then(says("In ", "Rome."))
    async with client(router) as ask, ask.responses.stream(model="r2", input="Where is the colosseum?") as stream:
        events = [event async for event in stream]
        answer = await stream.get_final_response()
    assert answer.output_text == "In Rome."
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    assert [event.type for event in events if "delta" not in event.type] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_of_tools_also_of_one_that_takes_text_as_it_is(
    router: R2Router, provider: ChatServer, stream: bool
) -> None:
    provider.then(calls(("look", '{"where": "Rome"}'), ("patch", '{"input": "*** Begin"}'), ("look", "{}")))
    asked: Any = {"model": "r2", "input": "Where is it?", "tools": [LOOK, PATCH]}
    async with client(router) as ask:
        if stream:
            async with ask.responses.stream(**asked) as events:
                answer: Any = await events.get_final_response()
        else:
            answer = await ask.responses.create(**asked)
    text, rome, patch, last = answer.output
    assert text.content[0].text == "Let me see."
    assert (rome.type, rome.call_id, json.loads(rome.arguments)) == ("function_call", "c0", {"where": "Rome"})
    assert (patch.type, patch.name, patch.input) == ("custom_tool_call", "patch", "*** Begin")
    assert (last.type, last.call_id, last.arguments) == ("function_call", "c2", "{}")
    told = provider.bodies[0]["tools"][1]["function"]
    assert told["parameters"]["required"] == ["input"]
    assert "start: /.+/" in told["description"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_in_a_namespace_is_one_function_to_the_model(
    router: R2Router, provider: ChatServer, stream: bool
) -> None:
    provider.then(calls(("agents__close", "{}")))
    asked: Any = {"model": "r2", "input": "Close it.", "tools": [LOOK, SPACE]}
    async with client(router) as ask:
        if stream:
            async with ask.responses.stream(**asked) as events:
                answer: Any = await events.get_final_response()
        else:
            answer = await ask.responses.create(**asked)
        told = {"type": "function_call", "call_id": "c0", "name": "close", "namespace": "agents", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c0", "output": "done"}
        await ask.responses.create(**{**asked, "input": [{"role": "user", "content": "Close it."}, told, result]})
    call = answer.output[-1]
    assert (call.type, call.name, call.namespace) == ("function_call", "close", "agents")
    first, second = provider.bodies
    assert [tool["function"]["name"] for tool in first["tools"]] == ["look", "agents__close"]
    assert second["messages"][1]["tool_calls"][0]["function"]["name"] == "agents__close"


async def test_an_answer_cut_short_says_so(router: R2Router, provider: ChatServer) -> None:
    provider.then(says("In Ro", reason="length"))
    async with client(router) as ask:
        answer = await ask.responses.create(model="r2", input="Where is the colosseum?", max_output_tokens=20)
    assert (answer.status, answer.output_text) == ("incomplete", "In Ro")
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert provider.bodies[0]["max_tokens"] <= 20


async def test_an_answer_that_breaks_off_fails(router: R2Router, provider: ChatServer) -> None:
    provider.then(resets("In ", "Ro"))
    async with client(router) as ask:
        stream = await ask.responses.create(model="r2", input="Where is the colosseum?", stream=True)
        events = [event async for event in stream]
    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert "broke off" in events[-1].response.error.message


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}]}, "mcp"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, r"input\[0\] is of type 'item_reference'"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input_image"),
        ({"input": []}, "messages is a string, or a list"),
    ],
)
async def test_what_rests_on_openai_is_refused(
    router: R2Router, provider: ChatServer, asked: dict[str, Any], said: str
) -> None:
    async with client(router) as ask:
        with pytest.raises(openai.BadRequestError, match=said):
            await ask.responses.create(**{"model": "r2", "input": "Where?", **asked})
    assert provider.requests == []


# -- how a request reads as one of chat completions --------------------------------------------------------------


def typed(text: str, kind: str = "input_text") -> dict[str, str]:
    return {"type": kind, "text": text}


def test_a_conversation_with_tools_and_images() -> None:
    read = Responses().chat(
        {
            "model": "r2",
            "instructions": "You help.",
            "input": [
                {"role": "developer", "content": [typed("Rules")]},
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": PNG}],
                },
                {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
                {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "c2",
                    "output": [{"type": "input_text", "text": "done"}],
                },
            ],
            "tools": [LOOK, {"type": "web_search"}],
            "tool_choice": {"type": "function", "name": "look"},
            "reasoning": {"effort": "low"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
    )
    called = [("c1", "look", "{}"), ("c2", "patch", '{"input": "*** Begin"}')]
    assert read["messages"] == [
        {"role": "system", "content": "You help."},
        {"role": "developer", "content": "Rules"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PNG}}],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in called
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "c2", "content": "done"},
    ]
    assert [tool["function"]["name"] for tool in read["tools"]] == ["look"]
    assert read["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert read["reasoning_effort"] == "low"
    assert not {"store", "include", "input", "instructions"} & read.keys()


def test_a_format() -> None:
    stated = {"type": "json_schema", "name": "place", "schema": {"type": "object"}, "strict": True}
    read = Responses().chat({"model": "r2", "input": "Where?", "text": {"format": stated}})
    assert read["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": {"type": "object"}, "strict": True},
    }


@pytest.mark.parametrize("given", [None, 5, [1], {"role": "user"}])
def test_an_input_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="input is a list of objects"):
        Responses().chat({"model": "r2", "input": given})
