"""What Prometheus and OpenTelemetry are told: every end of every request once, and no text of it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from support.chat_server import ChatServer, fails, hangs, resets, says
from support.gateway import KEY, serving

from r2_router import R2Router
from r2_router.acting import Caller
from r2_router.gateway import prometheus
from r2_router.ledger.named_tokens import Tokens

pytestmark = pytest.mark.anyio

SECRET = "my secret question"
BODY: dict[str, Any] = {"model": "r2", "messages": [{"role": "user", "content": SECRET}]}
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """A process has one provider of spans, for good."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Generator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def counts(text: str) -> dict[tuple[str, ...], float]:
    """Every counter that is not 0, by its name and its labels in the order of their names."""
    return {
        (sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }


async def test_every_end_is_counted_once_and_traced(
    router: R2Router, provider: ChatServer, spans: InMemorySpanExporter
) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60}}
    async with serving(router) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        for behaviour, body in (
            (says("In ", "Rome.", usage=usage), BODY),
            (says("In ", "Rome.", usage=usage), {**BODY, "stream": True}),
            (resets("In "), {**BODY, "stream": True}),
            (fails(401, KEY), BODY),
            (fails(401, KEY), {**BODY, "model": "nobody"}),
        ):
            provider.then(behaviour)
            await http.post(PATH, json={**body, "r2": {"models": ["model-2"]}} if body["model"] == "r2" else body)
        text = (await http.get("/metrics")).text
    found = counts(text)
    assert {key[1:]: n for key, n in found.items() if key[0] == "r2_requests_total"} == {
        ("", "model-2", PATH, "answered"): 2,
        ("", "model-2", PATH, "partial"): 1,
        ("", "model-2", PATH, "no_answer"): 1,
        ("", "", PATH, "model_not_found"): 1,
    }
    assert found["r2_tokens_total", "", "out", "model-2"] >= 10
    assert found["r2_cached_tokens_total", "model-2"] == 120
    assert found["r2_tries_total", "model-2"] == 3
    spent = sum(entry.cost_usd or 0 for entry in router.ledger.entries("outcome = 'answered'"))
    assert found["r2_cost_usd_total", "", "model-2"] >= spent > 0
    ended = [dict(span.attributes or {}) for span in spans.get_finished_spans()]
    assert [span.get("error.type") for span in ended] == [None, None, None, "no_answer", "model_not_found"]
    assert ended[0]["gen_ai.response.model"] == "model-2"
    assert (ended[0]["gen_ai.usage.input_tokens"], ended[0]["gen_ai.usage.output_tokens"]) == (100, 5)
    assert SECRET not in text + str(ended)
    assert KEY not in text + str(ended)


async def test_who_asked_is_told_as_far_as_there_are_not_too_many(
    router: R2Router, provider: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "_MOST_CALLERS", 2)
    provider.then(says("In Rome."))
    tokens = Tokens(router.ledger)
    names = ("alice", "bob", "carol", "dave", "alice")
    known = {name: tokens.add(Caller(name)) for name in dict.fromkeys(names)}
    async with serving(router, token="the-owners-own") as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        for i, token in enumerate([known[name] for name in names] + ["the-owners-own"]):
            await http.post(PATH, json={**BODY, "stream": i % 2 == 0}, headers={"authorization": f"Bearer {token}"})
        text = (await http.get("/metrics", headers={"authorization": "Bearer the-owners-own"})).text
    asked = {key[1]: n for key, n in counts(text).items() if key[0] == "r2_requests_total"}
    assert asked == {"alice": 2, "bob": 1, "(others)": 2, "": 1}
    assert {key[1] for key in counts(text) if key[0] == "r2_cost_usd_total"} == set(asked)
    assert not any(token in text for token in known.values())


async def test_a_client_that_went_is_counted_as_such(router: R2Router, provider: ChatServer) -> None:
    provider.then(hangs("In "))
    async with serving(router) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        async with http.stream("POST", PATH, json={**BODY, "stream": True}) as response:
            await anext(response.aiter_raw())
        assert await asyncio.to_thread(provider.wait_closed)
        while not (found := counts((await http.get("/metrics")).text)):
            pass
    assert [key[-1] for key in found] == ["went"]


async def test_a_span_belongs_to_the_trace_of_its_client(router: R2Router, spans: InMemorySpanExporter) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with serving(router) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        await http.post(PATH, json=BODY, headers={"traceparent": parent})
    (span,) = spans.get_finished_spans()
    assert format(span.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert span.end_time > span.start_time  # type: ignore[operator]


async def test_without_prometheus_the_page_says_how_to_get_it(
    router: R2Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "find_spec", lambda _: None)
    async with serving(router) as url, httpx.AsyncClient(base_url=url) as http:
        said = await http.get("/metrics")
        assert (await http.post(PATH, json=BODY)).status_code == 200
    assert said.status_code == 501
    assert "pip install 'r2-mcp[gateway]'" in said.json()["error"]["message"]
