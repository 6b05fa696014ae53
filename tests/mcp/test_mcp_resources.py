from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference, TextContent, TextResourceContents
from support.mcp_client import ERAS, QUERY, serve, words

from r2_router import R2Router
from r2_router.errors import CheckpointError

pytestmark = pytest.mark.anyio


async def _read(client: Client, uri: str) -> Any:
    contents = (await client.read_resource(uri)).contents[0]
    assert isinstance(contents, TextResourceContents)
    assert contents.mime_type == "application/json"
    return json.loads(contents.text)


@pytest.mark.parametrize("era", ERAS)
async def test_what_can_be_read_is_listed_and_described(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert [r.uri for r in resources] == ["ui://r2/decision.html", "r2://models", "r2://checkpoint", "r2://stats"]
    assert [t.uri_template for t in templates] == ["r2://models/{name}"]
    assert all(found.description for found in (*resources, *templates))


@pytest.mark.parametrize("era", ERAS)
async def test_models_with_price_and_why_they_cannot_be_asked(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        models = await _read(client, "r2://models")
        one = await _read(client, "r2://models/model-2")
        with pytest.raises(MCPError, match=r"No model 'model-9'\. Models: model-0"):
            await client.read_resource("r2://models/model-9")
    assert [m["name"] for m in models] == ["model-0", "model-1", "model-2"]
    assert not any(m["ready"] for m in models)
    assert all(m["not_ready"] for m in models)
    assert one == {**models[2], "budgets": [10, 40, 100, "unlimited"]}
    assert one["output_usd_per_million"] == pytest.approx(3.6)


async def test_the_checkpoint_says_what_the_predictions_rest_on(router: R2Router) -> None:
    async with Client(serve(router)) as client:
        found = await _read(client, "r2://checkpoint")
    assert found["models"] == ["model-0", "model-1", "model-2"]
    assert found["budgets"] == [10, 40, 100, "unlimited"]
    assert found["embedder"] == {"id": "made-up-embedder", "dimensions": 8}
    assert found["instruction"]["text"] == router.checkpoint.instruction.text


async def test_stats_tell_what_was_spent(answering: R2Router) -> None:
    async with Client(serve(answering)) as client:
        answer = (await client.call_tool("route_and_generate", {"query": QUERY})).structured_content
        found = await _read(client, "r2://stats")
    assert answer is not None
    assert (found["calls"], found["answered"]) == (1, 1)
    assert found["cost_usd"] == pytest.approx(answer["cost_usd"], abs=1e-9)


async def test_a_resource_that_cannot_be_read_says_why() -> None:
    def make() -> R2Router:
        raise CheckpointError("No checkpoint 'gone'.")

    async with Client(serve(make)) as client:
        with pytest.raises(MCPError, match="No checkpoint 'gone'"):
            await client.read_resource("r2://models")
        ref = ResourceTemplateReference(uri="r2://models/{name}")
        assert (await client.complete(ref, {"name": "name", "value": "m"})).completion.values == []


@pytest.mark.parametrize("era", ERAS)
async def test_model_names_are_completed(router: R2Router, era: Any) -> None:
    template, prompt = ResourceTemplateReference(uri="r2://models/{name}"), PromptReference(name="compare_models")
    async with Client(serve(router), mode=era) as client:
        every = (await client.complete(template, {"name": "name", "value": "MOD"})).completion
        one = (await client.complete(template, {"name": "name", "value": "-1"})).completion
        of_prompt = (await client.complete(prompt, {"name": "models", "value": ""})).completion
        other = (await client.complete(prompt, {"name": "query", "value": "m"})).completion
    assert every.values == of_prompt.values == ["model-0", "model-1", "model-2"]
    assert (one.values, one.total) == (["model-1"], 1)
    assert other.values == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_prompt_compares_models_for_a_query(router: R2Router, era: Any) -> None:
    async with Client(serve(router), mode=era) as client:
        (listed,) = (await client.list_prompts()).prompts
        found = await client.get_prompt("compare_models", {"query": "{odd} {query}", "models": "model-1"})
        with pytest.raises(MCPError):
            await client.get_prompt("compare_models", {})
    assert listed.description
    assert [(a.name, a.required) for a in listed.arguments or []] == [("query", True), ("models", False)]
    content = found.messages[0].content
    assert isinstance(content, TextContent)
    assert "{odd} {query}" in content.text
    assert "model-1" in content.text


async def test_what_the_prompt_asks_for_can_be_called(router: R2Router) -> None:
    async with Client(serve(router)) as client:
        result = await client.call_tool("explain_candidates", {"query": QUERY, "models": "model-1"})
    assert not result.is_error, words(result)
