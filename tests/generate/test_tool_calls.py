"""Calls of tools: none is lost, whatever the form in which a provider sends them."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import Behaviour, ChatServer, Exchange, chat_server, completion, delta, says, sends
from support.generations import answer, candidate, generation, options
from support.made_up import LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router
from r2_router.errors import ProviderError
from r2_router.generate import ToolCallDelta
from r2_router.generate.tool_calls import ToolCalls
from r2_router.pools.pool import Pool
from r2_router.routing.needs import check_form

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
FORM = check_form(tools=TOOLS)
ASKED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"where": "Rome"}'}}
OTHER = {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def piece(index: int | None, call_id: str = "", name: str = "", arguments: str | None = None) -> dict[str, Any]:
    stated: dict[str, Any] = {} if index is None else {"index": index}
    if call_id:
        stated |= {"id": call_id, "type": "function"}
    return {**stated, "function": {**({"name": name} if name else {}), "arguments": arguments}}


def calls(*pieces: dict[str, Any], text: str = "", reason: str = "tool_calls") -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        if text:
            await exchange.say(text)
        for each in pieces:
            await exchange.event(delta(tool_calls=[each]))
        await exchange.finish(reason)

    return behave


IN_PIECES = (
    piece(0, "c1", "look", ""),
    piece(0, arguments='{"where": '),
    piece(0, arguments='"Rome"}'),
    piece(1, "c2", "look", "{}"),
)


@pytest.mark.parametrize(
    "behaviour",
    [
        calls(*IN_PIECES),
        sends(
            {**completion(None), "choices": [{"index": 0, "message": {"content": None, "tool_calls": [ASKED, OTHER]}}]}
        ),
        # Gemini gives each call index 0, and whole
        calls(piece(0, "c1", "look", '{"where": "Rome"}'), piece(0, "c2", "look", "{}")),
        # no index at all
        calls(piece(None, "c1", "look", '{"where": "Rome"}'), piece(None, "c2", "look", "{}")),
        # the id and the name are said again with every piece
        calls(piece(0, "c1", "look", '{"where": '), piece(0, "c1", "look", '"Rome"}'), piece(1, "c2", "look", "{}")),
    ],
)
def test_the_calls_are_in_the_answer_in_whatever_form_they_come(behaviour: Behaviour) -> None:
    with chat_server(behaviour) as server:
        got = answer(server, form=FORM)
        assert server.bodies[0]["tools"] == TOOLS
    assert (got.text, got.tool_calls, got.partial) == ("", (ASKED, OTHER), False)
    assert got.message == {"role": "assistant", "content": None, "tool_calls": [ASKED, OTHER]}
    assert json.loads(json.dumps(got.to_dict()))["tool_calls"] == [ASKED, OTHER]


def test_calls_told_apart_by_their_names_alone_get_ids() -> None:
    found = ToolCalls()
    for each in (piece(None, name="look", arguments="{"), piece(None, arguments="}"), piece(None, name="go")):
        found.take({"tool_calls": [each]})
    assert [(c["id"], c["function"]) for c in found.finished(whole=True)] == [
        ("call_0", {"name": "look", "arguments": "{}"}),
        ("call_1", {"name": "go", "arguments": ""}),
    ]


def test_the_older_function_call_is_a_call() -> None:
    found = ToolCalls()
    found.take({"function_call": {"name": "look", "arguments": ""}})
    found.take({"function_call": {"arguments": "{}"}})
    assert [c["function"] for c in found.finished(whole=True)] == [{"name": "look", "arguments": "{}"}]


def test_text_and_calls_are_streamed_in_their_order() -> None:
    async def parts(server: ChatServer) -> list[str | ToolCallDelta]:
        return [part async for part in generation(server, form=FORM).parts()]

    with chat_server(calls(*IN_PIECES, text="Looking.")) as server:
        got = asyncio.run(parts(server))
    text = "".join(part for part in got if isinstance(part, str))
    deltas = [part for part in got if isinstance(part, ToolCallDelta)]
    assert got[0] == text == "Looking."
    assert deltas[0].to_openai() == {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "look", "arguments": ""},
    }
    assert deltas[1].to_openai() == {"index": 0, "function": {"arguments": '{"where": '}}
    by_call = {i: "".join(d.arguments for d in group) for i, group in itertools.groupby(deltas, lambda d: d.index)}
    assert by_call == {0: '{"where": "Rome"}', 1: "{}"}


async def breaks(exchange: Exchange) -> None:
    await exchange.start()
    for each in IN_PIECES[:2]:
        await exchange.event(delta(tool_calls=[each]))
    exchange.reset()


def test_a_call_that_broke_off_is_asked_again_but_not_once_it_was_shown() -> None:
    async def parts(server: ChatServer) -> tuple[list[Any], Any]:
        asked = generation(server, form=FORM)
        return [part async for part in asked.parts()], asked.answer

    with chat_server(breaks, calls(*IN_PIECES)) as server:
        got = answer(server, form=FORM)
        assert (got.tool_calls, len(got.attempts)) == ((ASKED, OTHER), 2)
    with chat_server(breaks, calls(*IN_PIECES)) as server:
        shown, cut = asyncio.run(parts(server))
        assert len(server.bodies) == 1
    assert len(shown) == 2
    assert (cut.partial, cut.tool_calls) == (True, ())  # half a call is none


def test_a_call_that_nobody_offered_is_no_answer() -> None:
    with chat_server(calls(*IN_PIECES)) as server, pytest.raises(ProviderError, match="called a tool"):
        answer(server)


def test_tools_lift_the_cut_and_json_the_instruction_too() -> None:
    with chat_server(says("{}")) as server:
        plain, tools, json_ = (
            (answer(server, [candidate(budget=24)], form=form), server.bodies[-1])[1]
            for form in (check_form(), FORM, check_form(response_format={"type": "json_object"}))
        )
    assert plain["max_tokens"] == 24 < tools["max_tokens"]
    assert "words" in plain["messages"][-1]["content"]
    assert plain["messages"] == tools["messages"]
    assert json_["messages"] == [{"role": "user", "content": "What is the capital of Italy?"}]
    assert json_["response_format"] == {"type": "json_object"}


def test_what_a_server_says_against_tools_never_takes_them_out_in_silence() -> None:
    complaint = {"error": {"message": "`tools` is not supported", "param": "tools"}}
    with chat_server(sends(complaint, 400), says("Rome")) as server:
        with pytest.raises(ProviderError, match="not supported"):
            answer(server, form=FORM, options=options(tries=2))
        assert [body["tools"] for body in server.bodies] == [TOOLS]


def test_tools_given_to_the_router_reach_the_model_and_its_calls_come_back(tmp_path: Path) -> None:

    def at(url: str) -> Pool:
        return Pool("here", {m.name: replace(m, base_url=url) for m in make_pool()})

    saved = make_checkpoint().save(tmp_path / "ckpt")
    with chat_server(calls(*IN_PIECES)) as server:
        router = R2Router.from_pretrained(saved, pool=at(server.url), embedder=LetterEmbedder())
        got = router.route_and_generate("Where is it?", tools=TOOLS, tool_choice="required")
        assert (server.bodies[0]["tools"], server.bodies[0]["tool_choice"]) == (TOOLS, "required")
        talk = [{"role": "user", "content": "Where is it?"}, got.message]
        talk += [{"role": "tool", "tool_call_id": c["id"], "content": "here"} for c in got.tool_calls]
        router.route_and_generate(talk, tools=TOOLS)
        sent = server.bodies[1]["messages"]
        assert [m["role"] for m in sent if m["role"] != "system"] == ["user", "assistant", "tool", "tool"]
    assert got.tool_calls == (ASKED, OTHER)
