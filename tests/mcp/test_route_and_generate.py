from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp_types import (
    CallToolResult,
    CreateMessageRequestParams,
    CreateMessageResult,
    ErrorData,
    TextContent,
)
from support.chat_server import ChatServer, chat_server, fails, hangs, resets, says, sends, streams, thinks
from support.mcp_client import ERAS, KEY, KEY_VARIABLE, QUERY, make_router, provided, serve, words

from r2_router import R2Router

pytestmark = pytest.mark.anyio

TOOL = "route_and_generate"


def _found(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, words(result)
    assert result.structured_content is not None
    return result.structured_content


# -- the answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
async def test_the_answer_and_what_it_took(answering: R2Router, provider: ChatServer, era: Any) -> None:
    provider.then(says("Packets ", "in the ", "rain"))
    async with Client(serve(answering), mode=era) as client:
        result = await client.call_tool(TOOL, {"query": QUERY, "worth_usd": 1})
    found = _found(result)
    assert found["text"] == "Packets in the rain"
    assert words(result).startswith("Packets in the rain\n[")
    assert (found["prompt_tokens"], found["completion_tokens"]) == (10, 5)
    model = next(m for m in answering.models if m.name == found["model"])
    assert found["cost_usd"] == pytest.approx(
        (10 * model.input_usd_per_million + 5 * model.output_usd_per_million) / 1e6
    )  # type: ignore[operator]
    assert found["served_model"] == "served/model"
    assert found["answered_by"] == "provider"
    assert [a["reason"] for a in found["attempts"]] == [""]
    entry = answering.ledger.find(found["id"])
    assert entry is not None
    assert (entry.face, entry.outcome, entry.model) == ("mcp", "answered", found["model"])


async def test_model_and_budget_can_be_forced(answering: R2Router, provider: ChatServer) -> None:
    async with Client(serve(answering)) as client:
        for budget in ("40", 40):
            found = _found(await client.call_tool(TOOL, {"query": QUERY, "model": "model-1", "budget": budget}))
            assert (found["model"], found["budget"]) == ("model-1", 40)
        whole = _found(await client.call_tool(TOOL, {"query": QUERY, "model": "model-1", "budget": "Unlimited"}))
        assert whole["budget"] == "unlimited"
        wrong = await client.call_tool(TOOL, {"query": QUERY, "budget": "lots"})
        unmeasured = await client.call_tool(TOOL, {"query": QUERY, "budget": "7"})
        unknown = await client.call_tool(TOOL, {"query": QUERY, "model": "mdel-1"})
        endless = await client.call_tool(TOOL, {"query": QUERY, "budget": "99999999999999999999"})
    for refused in (wrong, endless):
        assert "budget is a number of output tokens, 1 to 10,000,000, or 'unlimited'" in words(refused)
    assert unmeasured.is_error
    assert "Did you mean model-1?" in words(unknown)
    assert len(provider.bodies) == 3


async def test_an_image_in_an_earlier_turn_reaches_the_model_as_it_is(
    answering: R2Router, provider: ChatServer
) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    turns = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    turns += [{"role": "assistant", "content": "A dog."}]
    async with Client(serve(answering)) as client:
        found = _found(await client.call_tool(TOOL, {"query": "Which breed?", "messages": turns}))
    assert provider.bodies[0]["messages"][:2] == turns
    assert any("images (messages[0])" in warning for warning in found["warnings"])
    assert any("Not measured for images" in warning for warning in found["warnings"])


async def test_system_text_and_earlier_turns_reach_the_model(answering: R2Router, provider: ChatServer) -> None:
    turns = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello Ada."}]
    arguments = {"query": "Who am I?", "system": "Be kind.", "messages": turns, "budget": "unlimited"}
    async with Client(serve(answering)) as client:
        _found(await client.call_tool(TOOL, arguments))
        wrong = await client.call_tool(TOOL, {"query": "x", "messages": [{"role": "pirate", "content": "arr"}]})
    sent = [(m["role"], m["content"]) for m in provider.bodies[0]["messages"]]
    assert sent == [
        ("system", "Be kind."),
        ("user", "My name is Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
    ]
    assert "role 'pirate'" in words(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_progress_is_told_while_the_answer_comes(answering: R2Router, provider: ChatServer, era: Any) -> None:
    told: list[tuple[float, str | None]] = []
    heard = asyncio.Event()

    async def on_progress(progress: float, _: float | None, message: str | None) -> None:
        told.append((progress, message))
        heard.set()

    provider.then(hangs("first "), says("whole"))
    async with Client(serve(answering), mode=era) as client:
        call = asyncio.create_task(client.call_tool(TOOL, {"query": QUERY}, progress_callback=on_progress))
        while not any("writing, 1 pieces" in (message or "") for _, message in told):
            heard.clear()
            await asyncio.wait_for(heard.wait(), 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [p for p, _ in told] == sorted({p for p, _ in told})
    assert all("model-" in (message or "") for _, message in told)


# -- cancelling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("pieces", [(), ("some ", "text")])
async def test_cancelling_stops_the_call_to_the_provider(
    answering: R2Router, provider: ChatServer, era: Any, pieces: tuple[str, ...]
) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    hanging = hangs(*pieces)

    async def behave(exchange: Any) -> None:
        loop.call_soon_threadsafe(asked.set)
        await hanging(exchange)

    provider.then(behave)
    async with Client(serve(answering), mode=era) as client:
        call = asyncio.create_task(client.call_tool(TOOL, {"query": QUERY}))
        await asyncio.wait_for(asked.wait(), 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(provider.wait_closed)
        assert len((await client.list_tools()).tools) == 4


# -- failures ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (fails(401, f"bad key {KEY}"), KEY_VARIABLE),
        (fails(402, "no credit"), "402"),
        (fails(404, "no such model"), "404"),
        (sends({"error": {"message": f"key {KEY} is over its quota", "code": 403}}), "403"),
        (streams(b"data: {broken\n\n"), ""),
        (thinks("hm", "hmm"), "think"),
    ],
)
async def test_a_failing_provider_is_a_readable_error_without_the_key(
    answering: R2Router, provider: ChatServer, behaviour: Any, said: str
) -> None:
    provider.then(behaviour)
    async with Client(serve(answering)) as client:
        result = await client.call_tool(TOOL, {"query": QUERY, "model": "model-0"})
    assert result.is_error
    assert said.lower() in words(result).lower()
    assert 20 < len(words(result)) < 1000
    assert KEY not in result.model_dump_json()
    assert not words(result).startswith("Error executing")


async def test_the_next_best_model_answers_where_the_first_does_not(answering: R2Router, provider: ChatServer) -> None:
    provider.then(fails(404, "no such model"), says("from the second"))
    async with Client(serve(answering)) as client:
        result = await client.call_tool(TOOL, {"query": QUERY})
    found = _found(result)
    assert found["text"] == "from the second"
    assert len(found["attempts"]) == 2
    assert "404" in found["attempts"][0]["reason"]
    assert "before it: " in words(result)


async def test_a_stream_that_breaks_leaves_a_partial_answer(answering: R2Router, provider: ChatServer) -> None:
    provider.then(resets("half an "))
    async with Client(serve(answering)) as client:
        result = await client.call_tool(TOOL, {"query": QUERY})
    found = _found(result)
    assert (found["text"], found["partial"]) == ("half an ", True)
    assert found["error"]
    assert "broken off: " in words(result)


async def test_a_filter_that_cuts_an_answer_is_said(answering: R2Router, provider: ChatServer) -> None:
    provider.then(says("Rome is ", reason="content_filter"))
    async with Client(serve(answering)) as client:
        result = await client.call_tool(TOOL, {"query": QUERY})
    found = _found(result)
    assert (found["text"], found["partial"]) == ("Rome is ", True)
    assert found["error"] == "the provider's content filter cut the answer off"
    assert "broken off: the provider's content filter cut the answer off" in words(result)


async def test_a_missing_key_names_the_variable(tmp_path: Path) -> None:
    with chat_server() as provider:
        async with Client(serve(make_router(tmp_path, provided(provider.url)))) as client:
            result = await client.call_tool(TOOL, {"query": QUERY})
            routed = await client.call_tool("route", {"query": QUERY})
        assert not provider.requests
    assert result.is_error
    assert KEY_VARIABLE in words(result)
    assert not routed.is_error
    assert KEY_VARIABLE in words(routed)


@pytest.mark.slow
async def test_no_output_and_no_log_holds_the_key(
    answering: R2Router, provider: ChatServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    provider.then(fails(500, f"key {KEY}"), fails(404, KEY), says("ok"))
    async with Client(serve(answering)) as client:
        shown = (await client.call_tool(TOOL, {"query": QUERY})).model_dump_json()
        for tool in ("route", "explain_candidates"):
            shown += (await client.call_tool(tool, {"query": QUERY})).model_dump_json()
        for uri in ("r2://models", "r2://models/model-1", "r2://checkpoint", "r2://stats"):
            shown += (await client.read_resource(uri)).model_dump_json()
    out = capfd.readouterr()
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in shown + caplog.text + out.out + out.err


# -- the client's own LLM ------------------------------------------------------------------------------------


class Sampler:
    """A client's LLM that says `text` and remembers what it was asked."""

    def __init__(self, text: str = "the client speaks") -> None:
        self.text = text
        self.asked: list[CreateMessageRequestParams] = []

    async def __call__(
        self, _: ClientRequestContext, params: CreateMessageRequestParams
    ) -> CreateMessageResult | ErrorData:
        self.asked.append(params)
        content = TextContent(type="text", text=self.text)
        return CreateMessageResult(role="assistant", content=content, model="client-llm", stop_reason="endTurn")


@pytest.mark.parametrize("era", ERAS)
async def test_the_clients_llm_answers_where_no_model_can_be_asked(tmp_path: Path, era: Any) -> None:
    router, sampler = make_router(tmp_path), Sampler()
    arguments = {"query": QUERY, "model": "model-1", "budget": "40", "system": "Be kind."}
    async with Client(serve(router), mode=era, sampling_callback=sampler) as client:
        result = await client.call_tool(TOOL, arguments)
    found = _found(result)
    assert (found["text"], found["answered_by"]) == ("the client speaks", "client")
    assert (found["model"], found["budget"], found["served_model"]) == ("model-1", 40, "client-llm")
    assert "cost_usd" not in found
    assert len(sampler.asked) == 1
    asked = sampler.asked[0]
    assert asked.max_tokens == router.checkpoint.instruction.cap(40)
    assert asked.model_preferences is not None
    assert asked.model_preferences.hints is not None
    assert asked.model_preferences.hints[0].name == "vendor/model-1"
    told = json.dumps(asked.model_dump(mode="json"))
    assert "Be kind." in told
    assert QUERY in told
    assert router.checkpoint.instruction.render(40) in told
    assert "client-llm" in words(result)


async def test_a_provider_goes_before_the_clients_llm(answering: R2Router) -> None:
    sampler = Sampler()
    async with Client(serve(answering), sampling_callback=sampler) as client:
        found = _found(await client.call_tool(TOOL, {"query": QUERY}))
    assert found["answered_by"] == "provider"
    assert not sampler.asked


@pytest.mark.parametrize("era", ERAS)
async def test_bad_arguments_are_told_before_the_client_is_asked(tmp_path: Path, era: Any) -> None:
    sampler = Sampler()
    async with Client(serve(make_router(tmp_path)), mode=era, sampling_callback=sampler) as client:
        for arguments in ({"query": " "}, {"query": QUERY, "budget": "7"}, {"query": QUERY, "model": "mdel-1"}):
            assert (await client.call_tool(TOOL, arguments)).is_error
    assert not sampler.asked
