from __future__ import annotations

import asyncio
import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from support.made_up import make_pool
from support.mcp_client import ERAS, QUERY, Letters, make_router, serve, words
from support.offers import KEY, KEY_VARIABLE, Offers
from support.snapshots import assert_snapshot

from r2_router import R2Router
from r2_router.errors import ConfigError
from r2_router.router import router_for
from r2_router.routing.tokens import estimate_tokens

SNAPSHOTS = Path(__file__).parent / "snapshots"
TOOLS = ("route", "route_and_generate", "explain_candidates", "rate_answer")
ASKING = TOOLS[:3]

pytestmark = pytest.mark.anyio


async def _listed(router: R2Router) -> dict[str, Any]:
    tools = await serve(router).list_tools()
    return {tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools}


# -- schemas -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOOLS)
async def test_a_tools_schema_is_the_snapshot(router: R2Router, name: str) -> None:
    shown = (await _listed(router))[name]
    assert_snapshot(SNAPSHOTS / f"{name}.json", json.dumps(shown, indent=2) + "\n")


async def test_arguments_are_flat_with_plain_defaults_and_no_null(router: R2Router) -> None:
    for tool in (await _listed(router)).values():
        schema = tool["inputSchema"]
        assert schema["additionalProperties"] is False
        assert schema["required"] == (["query"] if tool["name"] in ASKING else ["id", "quality"])
        assert "$ref" not in json.dumps(schema)
        for name, argument in schema["properties"].items():
            assert argument["type"] in ("string", "number", "integer", "boolean", "array"), name
            assert argument["description"]
            assert name in schema["required"] or argument["default"] is not None


async def test_every_field_of_every_result_is_described(router: R2Router) -> None:
    for tool in (await _listed(router)).values():
        schema = tool["outputSchema"]
        for part in (schema, *schema.get("$defs", {}).values()):
            for name, field in part["properties"].items():
                assert "description" in field or "$ref" in field, f"{tool['name']}: {name}"


async def test_the_list_of_tools_costs_a_conversation_less_than_3000_tokens(router: R2Router) -> None:
    shown = json.dumps([*(await _listed(router)).values()], separators=(",", ":"))
    assert estimate_tokens(shown) < 3000


async def test_hints_say_what_spends_and_what_only_reads(router: R2Router) -> None:
    tools = await _listed(router)
    assert [tools[name]["annotations"]["readOnlyHint"] for name in TOOLS] == [True, False, True, False]
    assert [tools[name]["annotations"]["openWorldHint"] for name in TOOLS] == [False, True, False, False]


async def test_a_remote_embedder_opens_the_world(router: R2Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_EMBED_URL", "http://localhost:8000")
    assert (await _listed(router))["route"]["annotations"]["openWorldHint"] is True


@pytest.mark.parametrize("era", ERAS)
async def test_the_instructions_are_under_2_kb(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        assert 200 < len((client.instructions or "").encode()) < 2048


@pytest.mark.parametrize("era", ERAS)
async def test_the_icon_is_a_uri_of_a_picture(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        info = client.server_info
    assert info is not None
    assert info.website_url
    [icon] = info.icons or []
    kind, _, data = icon.src.partition(";base64,")
    assert (kind, icon.mime_type) == ("data:image/svg+xml", "image/svg+xml")
    assert base64.b64decode(data, validate=True).startswith(b"<svg ")


# -- route ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
async def test_route_gives_the_routers_own_decision(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        result = await client.call_tool("route", {"query": QUERY, "worth_usd": 0.5, "exclude": "model-2", "top_k": 3})
    decision = router.route_text(QUERY, worth_usd=0.5, exclude="model-2")
    found = result.structured_content
    assert not result.is_error
    assert found is not None
    assert (found["model"], found["model_id"], found["budget"]) == (decision.model, decision.model_id, decision.budget)
    assert found["predicted_cost_usd"] == pytest.approx(decision.predicted_cost_usd, rel=5e-3)
    assert found["worth_usd"] == 0.5
    assert [c["model"] for c in found["others"]] == [c.model for c in decision.candidates[1:3]]
    assert found["candidates_total"] == len(decision.candidates) > 3
    assert decision.best.label in words(result)


@pytest.mark.parametrize("tool", ["route", "explain_candidates"])
async def test_earlier_turns_are_read_with_a_query_that_leans_on_them(tmp_path: Path, tool: str) -> None:
    router = make_router(tmp_path, precision=None)
    before = [{"role": "user", "content": QUERY}, {"role": "assistant", "content": "Packets flow"}]
    async with Client(serve(router)) as client:
        result = await client.call_tool(tool, {"query": "again", "messages": before})
    decision = router.route_messages([*before, {"role": "user", "content": "again"}])
    found = result.structured_content
    assert found is not None
    chosen = found if tool == "route" else found["candidates"][0]
    assert chosen["predicted_quality"] == pytest.approx(decision.predicted_quality, rel=5e-3)
    assert f"Read together with '{QUERY}'." in words(result)


async def test_route_says_when_the_choice_cannot_be_asked(router: R2Router) -> None:
    async with Client(serve(router)) as client:
        result = await client.call_tool("route", {"query": QUERY})
    assert result.structured_content is not None
    assert result.structured_content["ready"] is False
    assert any("cannot be asked now" in w and w in words(result) for w in result.structured_content["warnings"])


async def test_route_is_recorded_as_a_decision_of_this_face(router: R2Router) -> None:
    from r2_router.ledger import stats

    async with Client(serve(router)) as client:
        await client.call_tool("route", {"query": QUERY})
    assert stats(router.ledger).decided == 1


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_200_calls_at_once_are_all_answered(router: R2Router, era: Any) -> None:
    queries = [f"question {i}" for i in range(200)]
    async with Client(serve(router), mode=era) as client:
        results = await asyncio.gather(*(client.call_tool("route", {"query": q}) for q in queries))
    for query, result in zip(queries, results, strict=True):
        assert not result.is_error
        assert result.structured_content is not None
        assert result.structured_content["model"] == router.route_text(query).model


@pytest.mark.parametrize(
    "query", ["x" * 1_000_000, "为什么天空是蓝色的？", "🦊\u202e\x00 \u0301", "half \ud83d a pair"]
)
async def test_any_text_is_a_query(router: R2Router, query: str) -> None:
    async with Client(serve(router)) as client:
        for tool in ("route", "explain_candidates"):
            result = await client.call_tool(tool, {"query": query})
            assert not result.is_error, words(result)
            assert result.structured_content is not None
            cut = [w for w in result.structured_content["warnings"] if "beginning and end" in w]
            assert bool(cut) is (len(query) > Letters.max_chars)
            assert len(json.dumps(result.structured_content)) < 20_000


# -- arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "query: Field required"),
        ({"query": " "}, "blank"),
        ({"query": 7}, "query: Input should be a valid string"),
        ({"query": QUERY, "wort_usd": 1}, "no argument 'wort_usd'. Did you mean worth_usd?"),
        ({"query": QUERY, "zzz": 1}, "Arguments: query, worth_usd"),
        ({"query": QUERY, "top_k": 0}, "top_k: Input should be greater than or equal to 1"),
        ({"query": QUERY, "max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
        ({"query": QUERY, "worth_usd": -3}, "worth_usd is dollars"),
        ({"query": QUERY, "lambda_val": 2}, "lambda_val lies between 0"),
        ({"query": QUERY, "worth_usd": 1, "lambda_val": 0.5}, "Give one of"),
        ({"query": QUERY, "models": "modle-1"}, "Did you mean model-1?"),
        ({"query": QUERY, "max_cost_usd": 1e-12}, "Nearest:"),
    ],
)
@pytest.mark.parametrize("tool", ["route", "explain_candidates"])
async def test_a_wrong_argument_is_told_so_that_a_model_can_mend_it(
    router: R2Router, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async with Client(serve(router)) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert said in words(result)
    assert "pydantic" not in words(result)


@pytest.mark.parametrize("era", ERAS)
async def test_null_and_the_stated_default_mean_not_given(router: R2Router, era: Any) -> None:
    defaults = {
        name: argument["default"]
        for name, argument in (await _listed(router))["route"]["inputSchema"]["properties"].items()
        if name != "query"
    }
    async with Client(serve(router), mode=era) as client:
        plain = await client.call_tool("route", {"query": QUERY})
        spelt = await client.call_tool("route", {"query": QUERY, **defaults})
        null = await client.call_tool("route", {"query": QUERY, **dict.fromkeys(defaults)})
    assert plain.structured_content == spelt.structured_content == null.structured_content


async def test_worth_zero_is_given_and_takes_the_cheapest(router: R2Router) -> None:
    async with Client(serve(router)) as client:
        result = await client.call_tool("route", {"query": QUERY, "worth_usd": 0})
    cheapest = min(router.route_text(QUERY).candidates, key=lambda c: c.predicted_cost_usd)
    assert result.structured_content is not None
    assert result.structured_content["predicted_cost_usd"] == pytest.approx(cheapest.predicted_cost_usd, rel=5e-3)


# -- explain -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
async def test_explain_gives_every_reason(router: R2Router, era: Any) -> None:
    arguments = {"query": QUERY, "worth_usd": 0.001, "max_tokens": 60, "top_k": 1000}
    async with Client(serve(router), mode=era) as client:
        result = await client.call_tool("explain_candidates", arguments)
    explanation = router.explain(QUERY, worth_usd=0.001, max_tokens=60)
    found = result.structured_content
    assert found is not None
    assert len(found["candidates"]) == len(explanation.decision.candidates) == found["candidates_total"]
    choosable = [p for p in explanation.frontier if p.from_worth_usd is not None]
    assert [p["choice"] for p in found["frontier"]] == [p.candidate.label for p in choosable]
    assert [p["from_worth_usd"] for p in found["frontier"]] == pytest.approx(
        [p.from_worth_usd for p in choosable], rel=5e-3
    )
    assert found["excluded_total"] == len(explanation.excluded)
    for said in ("Runner-up:", "Worth at which the choice flips:"):
        assert said in words(result)
    assert "over max_tokens 60" in json.dumps(found["excluded"])


async def test_explaining_187_candidates_stays_far_under_25000_tokens(tmp_path: Path) -> None:
    budgets = tuple(range(100, 1700, 100))
    router = make_router(tmp_path, make_pool(11), models=11, budgets=budgets)
    async with Client(serve(router)) as client:
        result = await client.call_tool("explain_candidates", {"query": QUERY, "min_quality": 0.5})
        whole = await client.call_tool("explain_candidates", {"query": QUERY, "top_k": 1000})
    assert result.structured_content is not None
    assert whole.structured_content is not None
    assert len(result.structured_content["candidates"]) < result.structured_content["candidates_total"]
    assert len(whole.structured_content["candidates"]) == 187
    assert estimate_tokens(json.dumps(result.structured_content) + words(result)) < 5000


async def test_at_lambda_0_there_is_no_worth(router: R2Router) -> None:
    async with Client(serve(router)) as client:
        result = await client.call_tool("explain_candidates", {"query": QUERY, "lambda_val": 0})
    assert result.structured_content is not None
    assert "worth_usd" not in result.structured_content
    assert "only quality counts" in words(result)


# -- loading -------------------------------------------------------------------------------------------------


async def test_the_handshake_and_the_tools_do_not_wait_for_the_weights(router: R2Router) -> None:
    loaded = threading.Event()

    def make() -> R2Router:
        assert loaded.wait(20)
        return router

    async with Client(serve(make)) as client:
        early = asyncio.create_task(client.call_tool("route", {"query": QUERY}))
        assert len((await client.list_tools()).tools) == len(TOOLS)
        assert not early.done()
        loaded.set()
        assert not (await early).is_error


async def test_a_slow_embedder_does_not_block_the_loop(tmp_path: Path) -> None:
    released = threading.Event()

    class Slow(Letters):
        def embed(self, texts: Any) -> Any:
            assert released.wait(20)
            return super().embed(texts)

    async with Client(serve(make_router(tmp_path, embedder=Slow()))) as client:
        slow = asyncio.create_task(client.call_tool("route", {"query": QUERY}))
        await client.list_tools()
        assert (await client.call_tool("route", {"query": QUERY, "top_k": 0})).is_error
        assert not slow.done()
        released.set()
        assert not (await slow).is_error


async def test_a_broken_configuration_is_told_and_once_mended_needs_no_restart(router: R2Router) -> None:
    faults = ["config.toml, line 3: no"]

    def make() -> R2Router:
        if faults:
            raise ConfigError(faults[0])
        return router

    async with Client(serve(make)) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        broken = await client.call_tool("route", {"query": QUERY})
        assert words(broken) == "config.toml, line 3: no"
        faults.clear()
        assert not (await client.call_tool("route", {"query": QUERY})).is_error


async def test_a_crash_tells_the_client_nothing_of_the_inside() -> None:
    def make() -> R2Router:
        raise RuntimeError("the secret is 42")

    async with Client(serve(make)) as client:
        crashed = await client.call_tool("route", {"query": QUERY})
    assert crashed.is_error
    assert "42" not in words(crashed)


@pytest.mark.slow
async def test_a_key_that_nobody_has_set_up_is_a_warning_of_the_result(here: Offers) -> None:
    async with Client(serve(router_for("mcp"))) as client:
        routed = await client.call_tool("route", {"query": QUERY})
        answered = await client.call_tool("route_and_generate", {"query": QUERY})
    assert routed.structured_content is not None
    assert any(f"{KEY_VARIABLE} is set and unused" in warning for warning in routed.structured_content["warnings"])
    assert answered.is_error
    assert f"{KEY_VARIABLE} is set and unused" in words(answered)
    assert KEY not in words(answered)
