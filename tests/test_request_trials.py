"""Real requests, in the cases of public reports: tools, images, prefill, formats. Others: tests/test_warm_trials.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.caching_server import TABLES, rules
from support.chat_server import Behaviour, ChatServer, Exchange, chat_server, completion, delta, fails, says, sends
from support.made_up import LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router
from r2_router.errors import InputError, NoCandidateError, ProviderError
from r2_router.generate import AnswerStream, Options
from r2_router.pools import prompt_caches
from r2_router.pools.pool import Pool
from r2_router.pools.profiles import forget as forget_profiles

QUICK = Options(backoff_s=0.001, tries=2)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"where": "Rome"}'}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
WITH_IMAGE: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
    {"role": "assistant", "content": "A dog."},
    {"role": "user", "content": "And which breed is it, what do you think?"},
]
BEGUN = [{"role": "user", "content": "Name a city of Italy."}, {"role": "assistant", "content": "The city is"}]


@pytest.fixture
def server() -> Generator[ChatServer]:
    with chat_server(says("Rome")) as running:
        yield running


def router(server: ChatServer, tmp_path: Path, **said: dict[str, Any]) -> R2Router:
    """Three models at `server`; `said` are changes of theirs: m0={...}."""
    saved = make_checkpoint().save(tmp_path / "ckpt")
    pool = Pool(
        "here",
        {m.name: replace(m, base_url=server.url, **said.get(f"m{m.name[-1]}", {})) for m in make_pool()},
    )
    return R2Router.from_pretrained(saved, pool=pool, embedder=LetterEmbedder())


def asked(server: ChatServer) -> list[str]:
    return [body["model"].rpartition("/")[2] for body in server.bodies]


# -- trial 8: calls of tools -----------------------------------------------------------------------------------


def test_trial_8_a_call_of_a_tool_is_the_answer(server: ChatServer, tmp_path: Path) -> None:
    whole = completion(None, "tool_calls")
    whole["choices"][0]["message"]["tool_calls"] = [CALL]
    server.then(sends(whole))
    answer = router(server, tmp_path).route_and_generate("Where is it?", tools=TOOLS)
    assert (answer.text, answer.tool_calls, answer.finish_reason) == ("", (CALL,), "tool_calls")
    assert len(answer.attempts) == 1


def test_trial_7_a_tail_of_tools_is_routed_as_the_turn_it_belongs_to(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path)
    turn = [{"role": "user", "content": "Where is the colosseum, and since when?"}]
    tail = [*turn, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    tail += [{"role": "tool", "tool_call_id": "c1", "content": "Rome"}]
    one, other = made.route_messages(turn, tools=TOOLS), made.route_messages(tail, tools=TOOLS)
    assert other.query == one.query
    assert other.best.predicted_quality == next(
        c.predicted_quality for c in one.candidates if (c.model, c.budget) == (other.model, other.budget)
    )


def test_the_first_request_of_an_agent_is_marked_for_those_that_follow(
    server: ChatServer, tmp_path: Path, home: Path
) -> None:
    (home / "providers.toml").write_text(TABLES)
    (home / "prompt_caches.toml").write_text(rules(marked=True, asks="cache_control"))
    forget_profiles()
    prompt_caches.forget()
    first = [{"role": "system", "content": "You help. " * 500}, {"role": "user", "content": "Where is it?"}]
    made = router(server, tmp_path)
    made.route_and_generate(first, tools=TOOLS, options=QUICK)
    made.route_and_generate(first, options=QUICK)
    with_tools, alone = (json.dumps(body["messages"]) for body in server.bodies)
    assert "cache_control" in with_tools
    assert "cache_control" not in alone


# -- trial 9: images -------------------------------------------------------------------------------------------


def test_trial_9_an_image_goes_to_who_can_read_it_and_only_while_it_is_there(
    server: ChatServer, tmp_path: Path
) -> None:
    blind = {"cannot": ("images",)}
    made = router(server, tmp_path, m0=blind, m1=blind)
    seen = made.route_messages(WITH_IMAGE)
    assert {c.model for c in seen.candidates} == {"model-2"}
    reasons = {e.candidate.model: e.reasons for e in made.explain(WITH_IMAGE).excluded}
    assert reasons == dict.fromkeys(("model-0", "model-1"), ("cannot read images (messages[0])",))
    gone = made.route_messages(WITH_IMAGE[2:])
    assert len({c.model for c in gone.candidates}) == 3
    made.route_and_generate(WITH_IMAGE)
    sent = next(message for message in server.bodies[0]["messages"] if message["role"] == "user")
    assert sent["content"][1] == IMAGE


def test_an_image_counts_tokens_as_each_model_counts_them(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path, m0={"id": "openai/gpt-4o"}, m1={"id": "anthropic/claude-opus-5"})
    counts = {}
    for name in ("model-0", "model-1", "model-2"):
        parts = made.route_messages(WITH_IMAGE, model=name)
        text = made.route_messages([{**WITH_IMAGE[0], "content": "What is this?"}, *WITH_IMAGE[1:]], model=name)
        counts[name] = parts.input_tokens - text.input_tokens
        price = next(m.input_usd_per_million for m in made.models if m.name == name)
        assert price is not None
        costs = {c.budget: c.predicted_cost_usd for c in text.candidates}
        for c in parts.candidates:
            assert c.predicted_cost_usd - costs[c.budget] == pytest.approx(counts[name] * price / 1e6)
    assert counts == {"model-0": 765, "model-1": 1369, "model-2": 1000}
    low = {"type": "image_url", "image_url": {"url": "x", "detail": "low"}}
    chat = [{"role": "user", "content": [{"type": "text", "text": "What?"}, low]}]
    plain = made.route_text("What?", model="model-0")
    assert made.route_messages(chat, model="model-0").input_tokens - plain.input_tokens == 85


def test_your_own_counts_go_before_the_shipped_ones(server: ChatServer, tmp_path: Path, home: Path) -> None:
    (home / "part_tokens.toml").write_text('[mine]\nmodels = ["vendor/*"]\nimage = 5\n')
    from r2_router.pools import part_tokens

    part_tokens.forget()
    made = router(server, tmp_path)
    chat = [{"role": "user", "content": [{"type": "text", "text": "What?"}, IMAGE]}]
    assert made.route_messages(chat).input_tokens - made.route_text("What?").input_tokens == 5


def test_an_image_may_be_too_long_for_a_window(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path, m0={"context_window": 900}, m1={"context_window": 900})
    decision = made.route_messages(WITH_IMAGE)
    assert {c.model for c in decision.candidates} == {"model-2"}
    assert any("context window of 900" in reason for e in decision.excluded for reason in e.reasons)


# -- trial 11: a doomed request ----------------------------------------------------------------------------------


def test_trial_11_who_refuses_a_begun_answer_is_not_asked_for_one_again(server: ChatServer, tmp_path: Path) -> None:
    refusal = "This model does not support assistant message prefill. The conversation must end with a user message."
    server.then(fails(400, refusal), says(" Rome."))
    made = router(server, tmp_path)
    first = made.route_and_generate(BEGUN, options=QUICK)
    assert first.text == " Rome."
    assert len(set(asked(server))) == 2
    assert "does not support assistant message prefill" in first.attempts[0].reason
    made.route_and_generate(BEGUN, options=QUICK)
    assert asked(server)[2] == asked(server)[1]
    reasons = [e.reasons for e in made.route_messages(BEGUN).excluded]
    assert reasons == [("cannot go on with a begun answer (messages[1])",)] * len(reasons) != []
    assert len({c.model for c in made.route_text("Name a city of Italy.").candidates}) == 3


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "No endpoints found that support tool use."),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (500, "tools param requires --jinja flag; function calling is not supported"),
    ],
)
def test_a_refusal_that_names_tools_is_remembered(status: int, words: str, server: ChatServer, tmp_path: Path) -> None:
    server.then(fails(status, words), says("Rome"))
    made = router(server, tmp_path)
    answer = made.route_and_generate("Where is it?", tools=TOOLS, options=QUICK)
    refused = asked(server)[0]
    assert answer.model != refused
    assert len(server.bodies) == 2
    assert refused not in {c.model for c in made.route_text("Where is it?", tools=TOOLS).candidates}
    assert refused in {c.model for c in made.route_text("Where is it?").candidates}


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported image format: image/bmp. Use PNG or JPEG.",
        "Failed to download image from the URL",
        "image is too large: at most 5 MB are supported",
        "Invalid schema for response_format 'place': 'minLength' is not permitted.",
    ],
)
def test_a_complaint_about_what_was_sent_is_not_held_against_the_model(
    words: str, server: ChatServer, tmp_path: Path
) -> None:
    server.then(fails(400, words))
    made = router(server, tmp_path)
    with pytest.raises(ProviderError):
        made.route_and_generate(WITH_IMAGE, response_format=FORMAT, options=QUICK)
    assert len({c.model for c in made.route_messages(WITH_IMAGE, response_format=FORMAT).candidates}) == 3


# -- trial 12: formats -------------------------------------------------------------------------------------------


def test_trial_12_a_schema_is_a_limit_and_no_budget_stands_in_its_way(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path, m0={"cannot": ("json_schema",)})
    decision = made.route_text("Which city?", response_format=FORMAT)
    assert {c.budget for c in decision.candidates} == {"unlimited"}
    assert "model-0" not in {c.model for c in decision.candidates}
    assert {e.reasons for e in decision.excluded if e.candidate.model == "model-1"} == {
        ("could cut the JSON that is asked for",)
    }
    made.route_and_generate("Which city?", response_format=FORMAT, budget=10)
    body = server.bodies[0]
    assert body["response_format"] == FORMAT
    assert body["messages"] == [{"role": "user", "content": "Which city?"}]
    assert body["max_tokens"] > 1000


def test_a_wrong_answer_asks_the_next_model_once(server: ChatServer, tmp_path: Path) -> None:
    right = '{"city": "Rome"}'
    made = router(server, tmp_path)
    server.then(says('{"town": ', '"Rome"}'), says(right))
    pieces: list[str] = []
    answer = made.route_and_generate(
        "Which city?", response_format=FORMAT, check_format=True, on_text=pieces.append, options=QUICK
    )
    assert (answer.text, "".join(pieces), len(set(asked(server)))) == (right, right, 2)
    assert "does not fit the schema at $: 'city' is a required property" in answer.attempts[0].reason
    assert answer.cost_usd == pytest.approx(sum(a.cost_usd for a in answer.attempts))
    assert answer.attempts[0].cost_usd > 0


def test_two_wrong_answers_are_an_error_and_a_third_model_is_not_asked(server: ChatServer, tmp_path: Path) -> None:
    server.then(says("Rome"))
    with pytest.raises(ProviderError, match="not JSON"):
        router(server, tmp_path).route_and_generate(
            "Which city?", response_format={"type": "json_object"}, check_format=True, options=QUICK
        )
    assert len(server.bodies) == 2


def test_nothing_is_fetched_for_a_schema_and_a_broken_one_is_told_before_anybody_is_asked(
    server: ChatServer, tmp_path: Path
) -> None:
    made = router(server, tmp_path)
    for schema in ({"type": "no such type"}, "text"):
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        with pytest.raises(InputError):
            made.route_and_generate("Which city?", response_format=bad, check_format=True)
    assert server.bodies == []
    far = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": f"{server.url}/schema"}}}
    server.then(says("{}"))
    with pytest.raises(ProviderError, match="cannot be checked"):
        made.route_and_generate("Which city?", response_format=far, check_format=True)
    assert {request.path for request in server.requests} == {"/v1/chat/completions"}


# -- what is said ------------------------------------------------------------------------------------------------


def test_the_error_names_the_need_that_leaves_out_most(server: ChatServer, tmp_path: Path) -> None:
    made = router(
        server, tmp_path, m0={"cannot": ("images", "tools")}, m1={"cannot": ("images",)}, m2={"cannot": ("images",)}
    )
    with pytest.raises(NoCandidateError, match=r"^3 of 3 models cannot read images \(messages\[0\]\)"):
        made.route_messages(WITH_IMAGE, tools=TOOLS)


def test_what_is_not_known_is_allowed_and_said(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path, m0={"can": ("tools",)})
    unknown = " ".join(made.route_text("Where?", tools=TOOLS, model="model-1").warnings())
    known = " ".join(made.route_text("Where?", tools=TOOLS, model="model-0").warnings())
    assert "not known whether model-1 takes tools (tools)" in unknown
    assert "not known whether" not in known
    assert "Not measured for tools" in known
    assert "Not measured" not in " ".join(made.route_text("Where?").warnings())


def test_tools_among_the_sampling_fields_are_needs_too(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path, m0={"cannot": ("tools",)}, m1={"cannot": ("tools",)})
    made.route_and_generate("Where?", options=Options(sampling={"tools": TOOLS, "seed": 1}))
    assert (asked(server), server.bodies[0]["tools"], server.bodies[0]["seed"]) == (["model-2"], TOOLS, 1)


def test_tools_and_formats_are_counted_in_the_price(server: ChatServer, tmp_path: Path) -> None:
    made = router(server, tmp_path)
    many = [{"type": "function", "function": {"name": f"tool_{i}", "description": "x " * 50}} for i in range(20)]
    assert made.route_text("Where?", tools=many).input_tokens > made.route_text("Where?").input_tokens + 1000
    json.dumps(made.route_text("Where?", tools=many).to_dict())


async def _calls_in_pieces(exchange: Exchange) -> None:
    await exchange.start()
    for arguments in ("", '{"where": ', '"Rome"}'):
        first = {"id": "c1", "type": "function"} if not arguments else {}
        named = {"name": "look"} if first else {}
        await exchange.event(delta(tool_calls=[{"index": 0, **first, "function": {**named, "arguments": arguments}}]))
    await exchange.finish("tool_calls")


def test_a_stream_of_calls_without_a_word_is_recorded_as_an_answer(server: ChatServer, tmp_path: Path) -> None:
    behaviour: Behaviour = _calls_in_pieces
    server.then(behaviour)
    made = router(server, tmp_path)
    answer = made.route_and_generate("Where is it?", tools=TOOLS)
    assert answer.tool_calls == (CALL,)
    assert answer.cost_usd > 0


def test_parts_of_a_stream_are_recorded_when_it_ends_and_when_it_is_left(server: ChatServer, tmp_path: Path) -> None:
    server.then(_calls_in_pieces)
    made = router(server, tmp_path)

    async def follow(most: int) -> tuple[list[Any], AnswerStream]:
        stream = made.stream("Where is it?", tools=TOOLS)
        got: list[Any] = []
        async with aclosing(stream.parts()) as parts:
            async for part in parts:
                got.append(part)
                if len(got) == most:
                    break
        return got, stream

    whole, stream = asyncio.run(follow(100))
    assert "".join(part.arguments for part in whole) == CALL["function"]["arguments"]
    assert stream.answer is not None
    assert (stream.answer.tool_calls, stream.answer.partial) == ((CALL,), False)
    left, cut = asyncio.run(follow(1))
    assert len(left) == 1
    assert cut.answer is not None
    assert (cut.answer.tool_calls, cut.answer.partial) == ((), True)
    assert [made.ledger.find(each.id) is not None for each in (stream, cut)] == [True, True]
