"""What a model that sees only the schemas tries first: each works, or says in one line how."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from support.chat_server import ChatServer, says
from support.mcp_client import KEY, KEY_VARIABLE, QUERY, make_router, provided, serve, words

from r2_router import R2Router
from r2_router.pools.pool import Pool
from r2_router.routing.tokens import estimate_tokens

pytestmark = pytest.mark.anyio

ASK, ROUTE, EXPLAIN, RATE = "route_and_generate", "route", "explain_candidates", "rate_answer"
HI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, HI[1]]

WORKS: list[tuple[str, dict[str, Any]]] = [
    (ROUTE, {"prompt": QUERY}),
    (ROUTE, {"text": QUERY}),
    (ROUTE, {"question": QUERY}),
    (ROUTE, {"task": QUERY}),
    (ROUTE, {"query": QUERY, "models": ["model-1", "model-2"]}),
    (ROUTE, {"query": QUERY, "models": "model"}),
    (ROUTE, {"query": QUERY, "models": "model-1, model-2"}),
    (ROUTE, {"query": QUERY, "models": "model-*"}),
    (ROUTE, {"query": QUERY, "model": "model-1"}),
    (ROUTE, {"query": QUERY, "candidates": ["model-1"]}),
    (ROUTE, {"query": QUERY, "exclude_models": ["model-1"]}),
    (ROUTE, {"query": QUERY, "max_cost": 0.5}),
    (ROUTE, {"query": QUERY, "max_usd": "0.5"}),
    (ROUTE, {"query": QUERY, "worth": 0.01}),
    (ROUTE, {"query": QUERY, "lambda": 0.5}),
    (ROUTE, {"query": QUERY, "max_output_tokens": 400}),
    (ROUTE, {"query": QUERY, "max_tokens": "400"}),
    (ROUTE, {"query": QUERY, "min_accuracy": 0.1}),
    (ROUTE, {"query": QUERY, "k": 2}),
    (ROUTE, {"query": QUERY, "history": HI}),
    (ROUTE, {"query": QUERY, "messages": PARTS}),
    (ROUTE, {"query": QUERY, "worth_usd": None, "models": None}),
    (ROUTE, {"query": QUERY, "ready_only": False}),
    (EXPLAIN, {"prompt": QUERY, "compare": "model-1"}),
    (EXPLAIN, {"query": QUERY, "why_not": "model-2 @ unlimited"}),
    (EXPLAIN, {"query": QUERY, "compare": "provider/model-1"}),
    (ASK, {"prompt": QUERY}),
    (ASK, {"query": QUERY, "model_id": "provider/model-1"}),
    (ASK, {"query": QUERY, "budget": 40}),
    (ASK, {"query": QUERY, "budget": "Unlimited"}),
    (ASK, {"query": QUERY, "system_prompt": "Be brief."}),
    (ASK, {"query": QUERY, "messages": PARTS}),
]
SAYS: list[tuple[str, dict[str, Any], str]] = [
    (ROUTE, {}, "query: Field required"),
    (ROUTE, {"query": QUERY, "prompt": QUERY}, "no argument 'prompt'"),
    (ROUTE, {"query": QUERY, "models": "gpt-9"}, "model-1"),
    (ROUTE, {"query": QUERY, "temperature": 0.2}, "no argument 'temperature'"),
    (ROUTE, {"query": QUERY, "min_quality": 90}, "between 0 and 1"),
    (EXPLAIN, {"query": QUERY, "compare": "gpt-9"}, "none of the candidates. Models: "),
    (RATE, {"id": "nothing", "quality": "good"}, "no answer 'nothing'"),
]


@pytest.fixture
def answering(tmp_path: Path, provider: ChatServer, monkeypatch: pytest.MonkeyPatch) -> R2Router:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    pool = provided(provider.url)
    return make_router(tmp_path, Pool(pool.name, {m.name: replace(m, id=f"provider/{m.name}") for m in pool}))


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "arguments"), WORKS)
async def test_it_works(answering: R2Router, tool: str, arguments: dict[str, Any]) -> None:
    async with Client(serve(answering)) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, words(result)


@pytest.mark.parametrize(("tool", "arguments", "said"), SAYS)
async def test_it_says_how_in_one_line(answering: R2Router, tool: str, arguments: dict[str, Any], said: str) -> None:
    async with Client(serve(answering)) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert said in words(result)
    assert "\n" not in words(result)


# -- results one can act on ----------------------------------------------------------------------------------


async def test_a_choice_comes_with_all_it_takes_to_ask_it(answering: R2Router, provider: ChatServer) -> None:
    async with Client(serve(answering)) as client:
        limited = (await client.call_tool(ROUTE, {"query": QUERY, "max_tokens": 60})).structured_content
        said = words(await client.call_tool(ROUTE, {"query": QUERY, "max_tokens": 60}))
    assert limited is not None
    instruction = answering.checkpoint.instruction
    assert limited["base_url"] == provider.url
    assert limited["max_tokens"] == instruction.cap(limited["budget"])
    assert limited["instruction"] == instruction.render(limited["budget"])
    for part in (limited["model_id"], provider.url, str(limited["max_tokens"]), limited["instruction"]):
        assert part in said


async def test_only_what_can_be_asked_is_chosen_unless_all_is_wanted(
    tmp_path: Path, provider: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    best = make_router(tmp_path / "a").route_text(QUERY).model
    pool = provided(provider.url)
    keys = {m.name: "NO_SUCH_KEY" if m.name == best else KEY_VARIABLE for m in pool}
    away = Pool(pool.name, {m.name: replace(m, api_key_env=keys[m.name]) for m in pool})
    async with Client(serve(make_router(tmp_path / "b", away))) as client:
        ready = (await client.call_tool(ROUTE, {"query": QUERY})).structured_content
        whole = (await client.call_tool(ROUTE, {"query": QUERY, "ready_only": False})).structured_content
    assert ready is not None
    assert whole is not None
    assert ready["model"] != best == whole["model"]
    assert (ready["ready"], whole["ready"]) == (True, False)
    assert "NO_SUCH_KEY" in "".join(whole["warnings"])
    assert whole["best_ready"].startswith(ready["model"])


async def test_why_not_another_is_told(answering: R2Router) -> None:
    decision = answering.route_text(QUERY)
    last, rank = decision.candidates[-1], len(decision.candidates)
    async with Client(serve(answering)) as client:
        ranked = await client.call_tool(EXPLAIN, {"query": QUERY, "compare": last.label})
        out = await client.call_tool(EXPLAIN, {"query": QUERY, "compare": last.label, "exclude": last.model})
        itself = await client.call_tool(EXPLAIN, {"query": QUERY, "compare": decision.best.label})
    assert ranked.structured_content is not None
    assert f"ranks {rank} of {rank}" in ranked.structured_content["compared"]
    assert "Filtered out:" in words(out)
    assert "is the choice" in words(itself)


async def test_a_verdict_reaches_the_ledger(answering: R2Router, provider: ChatServer) -> None:
    provider.then(says("Packets in the rain"))
    async with Client(serve(answering)) as client:
        answer = await client.call_tool(ASK, {"query": QUERY})
        assert answer.structured_content is not None
        answer_id = answer.structured_content["id"]
        assert answer_id in words(answer)
        for verdict, noted in (("good", 1.0), (0.25, 0.25), ("bad", 0.0)):
            rated = await client.call_tool(RATE, {"answer_id": answer_id, "rating": verdict})
            assert not rated.is_error, words(rated)
            entry = answering.ledger.find(answer_id)
            assert entry is not None
            assert entry.quality == noted


async def test_results_are_short(tmp_path: Path) -> None:
    """A choice under 400 tokens, a whole explanation under 700."""
    async with Client(serve(make_router(tmp_path, budgets=(30, 80, 200, 500, 1500)))) as client:
        route = await client.call_tool(ROUTE, {"query": QUERY})
        explained = await client.call_tool(EXPLAIN, {"query": QUERY})
    for result, most in ((route, 400), (explained, 700)):
        assert estimate_tokens(json.dumps(result.structured_content, separators=(",", ":"))) < most
