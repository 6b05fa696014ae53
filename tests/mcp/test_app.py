"""The MCP App, but for what only a browser shows (tests/mcp/browser): who gets its data, and what its page may do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.extension import advertise
from support.chat_server import ChatServer
from support.mcp_client import ERAS, QUERY, make_router, serve

from r2_mcp.app import URI, page
from r2_router import R2Router

pytestmark = pytest.mark.anyio

HTML = "text/html;profile=mcp-app"
UI = advertise("io.modelcontextprotocol/ui", {"mimeTypes": [HTML]})
RANKING = "io.github.r2-mcp/ranking"
SHOWN = ("route_and_generate", "explain_candidates")


async def _called(router: R2Router, era: Any, tool: str, *extensions: Any) -> dict[str, Any]:
    async with Client(serve(router), mode=era, extensions=extensions) as client:
        result = await client.call_tool(tool, {"query": QUERY, "worth_usd": 0.01})
    assert not result.is_error
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", SHOWN)
async def test_only_a_host_of_apps_gets_the_numbers_and_no_model_reads_them(
    answering: R2Router, era: Any, tool: str
) -> None:
    plain, shown = await _called(answering, era, tool), await _called(answering, era, tool, UI)
    assert RANKING not in plain.get("_meta", {})
    numbers = shown["_meta"].pop(RANKING)
    assert numbers["total"] == len(numbers["candidates"]) == 12
    for result in (plain, shown):
        for varying in ("id", "latency_s", "attempts"):
            result["structuredContent"].pop(varying, None)
    assert shown["structuredContent"] == plain["structuredContent"]


async def test_the_numbers_are_the_routers_to_the_last_digit(router: R2Router) -> None:
    numbers = (await _called(router, "auto", "explain_candidates", UI))["_meta"][RANKING]
    decision = router.route_text(QUERY, worth_usd=0.01)
    assert (numbers["worth_usd"], numbers["lambda_val"]) == (0.01, decision.lambda_val)
    for row, c in zip(numbers["candidates"], decision.candidates, strict=True):
        assert [numbers["models"][row[0]], *row[1:3], row[4], row[6]] == [
            *(c.model, c.budget, c.predicted_quality, c.predicted_cost_usd, c.predicted_output_tokens)
        ]


@pytest.mark.parametrize("mime", ["", "text/html"])
async def test_a_host_that_shows_another_kind_of_page_gets_the_plain_result(router: R2Router, mime: str) -> None:
    other = advertise("io.modelcontextprotocol/ui", {"mimeTypes": [mime]} if mime else {})
    assert RANKING not in (await _called(router, "auto", "explain_candidates", other)).get("_meta", {})


@pytest.mark.parametrize("era", ERAS)
async def test_two_tools_name_the_page_which_asks_for_no_address(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        tools = {tool.name: tool.meta for tool in (await client.list_tools()).tools}
        [content] = (await client.read_resource(URI)).contents
    assert {name for name, meta in tools.items() if meta} == {*SHOWN}
    assert all(tools[name] == {"ui": {"resourceUri": URI}} for name in SHOWN)
    assert content.mime_type == HTML
    assert content.meta is not None
    assert not any(content.meta["ui"]["csp"].values())
    assert content.text == page()  # type: ignore[union-attr]


def test_the_page_runs_its_own_script_and_nothing_else() -> None:
    html = page()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["script-src"])
    assert rules["script-src"] != rules["style-src"]
    assert set(re.findall(r"https?://[^\s\"']+", html)) == {"http://www.w3.org/2000/svg"}
    for risky in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "import("):
        assert risky not in html
    assert len(html.encode()) < 28_000


@pytest.mark.slow
async def test_of_very_many_candidates_a_thousand_are_sent(tmp_path: Path) -> None:
    router = make_router(tmp_path, models=300)
    numbers = (await _called(router, "auto", "explain_candidates", UI))["_meta"][RANKING]
    assert (numbers["total"], len(numbers["candidates"])) == (1200, 1000)
    assert len(json.dumps(numbers)) < 150_000


async def test_the_model_that_answered_is_among_them(answering: R2Router, provider: ChatServer) -> None:
    result = await _called(answering, "auto", "route_and_generate", UI)
    said, numbers = result["structuredContent"], result["_meta"][RANKING]
    assert any(numbers["models"][row[0]] == said["model"] and row[1] == said["budget"] for row in numbers["candidates"])
    assert len(provider.requests) == 1
