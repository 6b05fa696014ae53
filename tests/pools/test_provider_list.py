"""A provider's list: every form in which providers write one, its pages, and the ids it knows by other names."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from support.file_server import FileServer, dropped, file_server, hanging, page, redirect, status, whole

from r2_router.config.settings import Secret
from r2_router.errors import DownloadError
from r2_router.pools import provider_list
from r2_router.pools.listed import Prices
from r2_router.pools.provider_list import ProviderList, fetch_list

KEY = Secret("sk-or-v1-5ecret5ecret")
TODAY = "2026-11-25"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def host(server: FileServer) -> str:
    return server.url().removeprefix("http://")


def read(server: FileServer, body: object) -> ProviderList:
    server.on("/models", whole(json.dumps(body).encode()))
    return fetch_list(server.url(), None, TODAY)


def usd(listed: ProviderList, model_id: str) -> tuple[float, float]:
    entry = listed.find(model_id)
    assert entry is not None
    assert isinstance(entry.prices, Prices)
    assert entry.prices.date == TODAY
    return entry.prices.input_usd_per_million, entry.prices.output_usd_per_million


# -- lists as providers send them --------------------------------------------------------------------------------


def test_openrouter(server: FileServer) -> None:
    listed = read(
        server,
        {
            "data": [
                {
                    "id": "google/gemini-2.5-pro",
                    "canonical_slug": "google/gemini-2.5-pro-preview-06-05",
                    "name": "Google: Gemini 2.5 Pro",
                    "context_length": 1048576,
                    "pricing": {
                        "prompt": "0.00000125",
                        "completion": "0.00001",
                        "request": "0",
                        "internal_reasoning": "0.00001",
                        "input_cache_read": "0.000000125",
                        "input_cache_write": "0.000000375",
                        "overrides": [
                            {"min_prompt_tokens": 200000, "prompt": "0.0000025", "completion": "0.000015"},
                            {"utc_start": "16:30", "utc_end": "00:30", "prompt": "0.0000014"},
                        ],
                    },
                    "top_provider": {"context_length": 1048576, "max_completion_tokens": 65536},
                    "per_request_limits": None,
                    "expiration_date": "2026-12-31",
                }
            ]
        },
    )
    entry = listed.find("google/gemini-2.5-pro")
    assert entry is not None
    assert (entry.context_window, entry.max_input_tokens, entry.max_output_tokens) == (1048576, None, 65536)
    assert entry.expires == "2026-12-31"
    assert isinstance(entry.prices, Prices)
    assert entry.prices.to_dict() == {
        "input_usd_per_million": 1.4,  # at the dearest hour
        "output_usd_per_million": 10.0,
        "cache_read_usd_per_million": 0.125,
        "cache_write_usd_per_million": 0.375,
        "thinking_usd_per_million": 10.0,
        "request_usd": None,
        "tiers": [{"above_input_tokens": 200000, "input_usd_per_million": 2.5, "output_usd_per_million": 15.0}],
        "date": TODAY,
    }
    for route in (":nitro", ":floor", ":online", ":floor:online"):
        assert listed.find(f"google/gemini-2.5-pro{route}") is entry
    assert listed.find("google/gemini-2.5-pro-preview-06-05") is entry
    assert listed.find("google/gemini-2.5-pro:free") is None
    assert listed.find("google/gemini-2.5") is None


def test_openai_has_ids_and_nothing_else(server: FileServer) -> None:
    listed = read(server, {"object": "list", "data": [{"id": "gpt-5-mini", "object": "model", "created": 1}]})
    entry = listed.find("gpt-5-mini")
    assert entry is not None
    assert (entry.prices, entry.context_window, entry.expires, entry.offered) == (None, None, None, True)


@pytest.mark.parametrize("listed_id", ["models/gemini-2.5-flash", "gemini-2.5-flash"])
def test_gemini_with_and_without_models(server: FileServer, listed_id: str) -> None:
    listed = read(server, {"object": "list", "data": [{"id": listed_id, "object": "model"}]})
    assert listed.find("gemini-2.5-flash") is listed.find("models/gemini-2.5-flash") is not None


def test_geminis_own_form_on_two_pages(server: FileServer) -> None:
    first = {"models": [{"name": "models/a", "inputTokenLimit": 1000, "outputTokenLimit": 200}], "nextPageToken": "t 2"}
    server.on("/models", whole(json.dumps(first).encode()))
    server.on("/models?pageToken=t%202", whole(b'{"models": [{"name": "models/b"}]}'))
    server.on("/models?pageToken=t+2", whole(b'{"models": [{"name": "models/b"}]}'))
    listed = fetch_list(server.url(), None, TODAY)
    entry = listed.find("a")
    assert entry is not None
    assert (entry.max_input_tokens, entry.max_output_tokens) == (1000, 200)
    assert listed.find("b") is not None


def test_together_sends_a_bare_array_with_prices_per_million(server: FileServer) -> None:
    price = {"hourly": 0, "input": 0.88, "output": 0.88, "base": 0, "finetune": 0}
    dedicated = {"hourly": 3.2, "input": 0, "output": 0, "base": 0, "finetune": 0}
    listed = read(
        server,
        [
            {"id": "meta-llama/Llama-3.3-70B-Instruct-Turbo", "context_length": 131072, "pricing": price},
            {"id": "only/dedicated", "pricing": dedicated},
            {"id": "lgai/exaone-free", "pricing": {**price, "input": 0, "output": 0}},
        ],
    )
    assert usd(listed, "meta-llama/Llama-3.3-70B-Instruct-Turbo") == (0.88, 0.88)
    assert usd(listed, "lgai/exaone-free") == (0.0, 0.0)
    entry = listed.find("only/dedicated")
    assert entry is not None
    assert entry.prices == "unfixed"


def test_mistral_has_aliases_and_a_day_of_deprecation(server: FileServer) -> None:
    model = {
        "id": "mistral-medium-2505",
        "max_context_length": 131072,
        "aliases": ["mistral-medium", "mistral-medium-latest"],
        "deprecation": "2026-11-30T12:00:00Z",
    }
    listed = read(server, {"object": "list", "data": [model, {"id": "mistral-large-2512", "deprecation": None}]})
    entry = listed.find("mistral-medium-latest")
    assert entry is not None
    assert (entry.id, entry.context_window, entry.expires) == ("mistral-medium-2505", 131072, "2026-11-30")
    other = listed.find("mistral-large-2512")
    assert other is not None
    assert other.expires == ""


def test_anthropic_sends_pages_and_dated_ids(server: FileServer) -> None:
    first = {
        "data": [
            {"type": "model", "id": "claude-sonnet-4-20250514", "max_input_tokens": 200000, "max_tokens": 64000},
            {"type": "model", "id": "claude-sonnet-4-20250929"},
        ],
        "has_more": True,
        "first_id": "claude-sonnet-4-20250514",
        "last_id": "claude-sonnet-4-20250929",
    }
    second = {"data": [{"id": "claude-3-5-haiku-20241022"}], "has_more": False, "last_id": "claude-3-5-haiku-20241022"}
    server.on("/models", whole(json.dumps(first).encode()))
    server.on("/models?after_id=claude-sonnet-4-20250929", whole(json.dumps(second).encode()))
    listed = fetch_list(server.url(), KEY, TODAY)
    assert [headers["authorization"] for _, headers in server.requests] == [f"Bearer {KEY.reveal()}"] * 2
    entry = listed.find("claude-sonnet-4-20250514")
    assert entry is not None
    assert (entry.context_window, entry.max_output_tokens) == (200000, 64000)
    assert listed.find("claude-sonnet-4") is listed.find("claude-sonnet-4-20250929") is not entry
    assert listed.find("claude-3-5-haiku-latest") is listed.find("claude-3-5-haiku-20241022") is not None


def test_anthropics_key_goes_into_its_own_header(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": [{"id": "claude-x"}]})

    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **kw: real(transport=httpx.MockTransport(answer), **kw))
    fetch_list("https://api.anthropic.com/v1", KEY, TODAY)
    (request,) = asked
    assert request.headers["x-api-key"] == KEY.reveal()
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("listed_id", ["llama3.2:latest", "llama3.2"])
def test_ollama_with_and_without_latest(server: FileServer, listed_id: str) -> None:
    listed = read(server, {"object": "list", "data": [{"id": listed_id, "object": "model", "owned_by": "library"}]})
    assert listed.find("llama3.2") is listed.find("llama3.2:latest") is not None
    assert listed.find("llama3.2:1b") is None


def test_groq(server: FileServer) -> None:
    model = {"id": "llama-3.1-8b-instant", "active": True, "context_window": 131072, "max_completion_tokens": 8192}
    listed = read(server, {"data": [model, {"id": "gone", "active": False}]})
    entry, gone = listed.find("llama-3.1-8b-instant"), listed.find("gone")
    assert entry is not None
    assert gone is not None
    assert (entry.offered, gone.offered) == (True, False)
    assert (entry.context_window, entry.max_output_tokens) == (131072, 8192)


def test_deepinfra_keeps_its_prices_in_metadata(server: FileServer) -> None:
    metadata = {
        "context_length": 163840,
        "max_tokens": 163840,
        "pricing": {"input_tokens": 0.3, "output_tokens": 0.88, "cache_read_tokens": 0.24},
    }
    listed = read(server, {"data": [{"id": "deepseek-ai/DeepSeek-V3", "object": "model", "metadata": metadata}]})
    assert usd(listed, "deepseek-ai/DeepSeek-V3") == (0.3, 0.88)
    entry = listed.find("deepseek-ai/DeepSeek-V3")
    assert entry is not None
    assert isinstance(entry.prices, Prices)
    assert (entry.context_window, entry.prices.cache_read_usd_per_million) == (163840, 0.24)


def test_xai_writes_cents_for_100_million(server: FileServer) -> None:
    grok = {
        "id": "grok-4-0709",
        "aliases": ["grok-4", "grok-4-latest"],
        "prompt_text_token_price": 30000,
        "cached_prompt_text_token_price": 7500,
        "completion_text_token_price": 150000,
    }
    listed = read(server, {"models": [grok]})
    assert usd(listed, "grok-4") == (3.0, 15.0)
    entry = listed.find("grok-4-latest")
    assert entry is not None
    assert isinstance(entry.prices, Prices)
    assert entry.prices.cache_read_usd_per_million == 0.75


@pytest.mark.parametrize(
    ("pricing", "prices"),
    [
        ({"prompt": "0.00000007", "completion": "0.0000004"}, (0.07, 0.4)),  # OpenRouter: for one token, in quotes
        ({"prompt": "0", "completion": "0"}, (0.0, 0.0)),
        ({"prompt": "0.15", "completion": "0.6"}, (150_000.0, 600_000.0)),  # what is written, however odd
        ({"input": "0.000003", "output": "0.000015"}, (3.0, 15.0)),  # Vercel's gateway
        ({"input": 0.15, "output": 0.6}, (0.15, 0.6)),
        ({"prompt": 0.03, "completion": 0.11}, (0.03, 0.11)),  # Chutes: numbers, for a million
        ({"prompt": 1e-7, "completion": 2e-7}, (0.1, 0.2)),
        ({"input": {"usd": 0.1}, "output": {"usd": 0.4}}, (0.1, 0.4)),
    ],
)
def test_prices_for_a_token_and_for_a_million(
    server: FileServer, pricing: dict[str, object], prices: tuple[float, float]
) -> None:
    assert usd(read(server, [{"id": "a", "pricing": pricing}]), "a") == prices


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ({"id": "accounts/fireworks/models/deepseek-v3", "context_length": 163840, "supports_chat": True}, 163840),
        ({"id": "qwen2.5-7b-instruct", "object": "model", "owned_by": "organization_owner"}, None),  # LM Studio
        ({"id": "qwen2.5-7b-instruct", "type": "llm", "max_context_length": 32768}, 32768),  # LM Studio, its own list
        ({"id": "Qwen/Qwen3-8B", "root": "Qwen/Qwen3-8B", "max_model_len": 40960}, 40960),  # vLLM
        ("just-an-id", None),
    ],
)
def test_other_servers(server: FileServer, model: object, window: int | None) -> None:
    listed = read(server, {"data": [model]})
    (entry,) = listed.listed.values()
    assert (entry.context_window, entry.prices) == (window, None)


# -- pages -------------------------------------------------------------------------------------------------------


def test_a_link_header_leads_to_the_next_page(server: FileServer) -> None:
    server.on("/models", page(200, b'["a"]', Link='</models?page=2>; rel="next"'))
    server.on("/models?page=2", whole(b'{"data": ["b"], "next": null}'))
    assert list(fetch_list(server.url(), None, TODAY).listed) == ["a", "b"]


def test_a_next_page_elsewhere_is_not_followed(server: FileServer) -> None:
    with file_server() as other:
        server.on("/models", page(200, b'["a"]', Link=f'<{other.url("/models")}>; rel="next"'))
        with pytest.raises(DownloadError, match="which is not followed"):
            fetch_list(server.url(), KEY, TODAY)
        assert other.requests == []


def test_pages_in_a_circle_end(server: FileServer) -> None:
    server.on("/models", whole(b'{"data": ["a"], "has_more": true, "last_id": "a"}'))
    server.on("/models?after_id=a", whole(b'{"data": ["b"], "has_more": true, "last_id": "a"}'))
    assert list(fetch_list(server.url(), None, TODAY).listed) == ["a", "b"]
    assert len(server.requests) == 2


def test_pages_without_end_are_cut_off(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_list, "_MAX_PAGES", 3)
    for i in range(5):
        query = f"?after_id={i - 1}" if i else ""
        server.on(f"/models{query}", whole(json.dumps({"data": ["a"], "has_more": True, "last_id": str(i)}).encode()))
    with pytest.raises(DownloadError, match="more than 3 pages"):
        fetch_list(server.url(), None, TODAY)


def test_a_page_that_cannot_be_had_spoils_the_list(server: FileServer) -> None:
    server.on("/models", whole(b'{"data": ["a"], "has_more": true, "last_id": "a"}'))
    server.on("/models?after_id=a", status(500))
    with pytest.raises(DownloadError, match="HTTP 500"):  # what half a list does not hold is not unknown
        fetch_list(server.url(), None, TODAY)


# -- the wire ------------------------------------------------------------------------------------------------


def test_the_key_is_sent_as_bearer_and_only_if_given(server: FileServer) -> None:
    server.on("/v1/models", whole(b'["a"]'))
    fetch_list(server.url("/v1"), None, TODAY)
    fetch_list(server.url("/v1/"), KEY, TODAY)
    first, second = server.asked("/v1/models")
    assert "authorization" not in first
    assert second["authorization"] == f"Bearer {KEY.reveal()}"


def test_the_key_does_not_follow_a_redirect(server: FileServer) -> None:
    with file_server() as other:
        server.on("/models", redirect(other.url("/models")))
        with pytest.raises(DownloadError, match="redirects elsewhere"):
            fetch_list(server.url(), KEY, TODAY)
        assert other.requests == []


BAD_ANSWERS = [
    (status(401), "refuses the key, or wants one"),
    (status(403), "refuses the key"),
    (status(404), "answers HTTP 404"),
    (status(500), "answers HTTP 500"),
    (status(204), "answers HTTP 204"),
    (page(200, b"<html>Sign in to the wifi</html>", Content_Type="text/html"), "not JSON"),
    (page(200, b'{"data": [' + b"[" * 100_000), "not JSON"),
    (page(200, b'{"data": [{"id": ' + b"9" * 5000 + b"}]}"), "not JSON"),
    (page(200, b"\xff\xfe\x00"), "not JSON"),
    (page(200, b"[]"), "lists no model at all"),
    (page(200, b'"x"'), "without a list of models"),
    (page(200, b'{"data": {"id": "x"}}'), "without a list of models"),
    (page(200, b'{"error": {"message": "no"}}'), "without a list of models"),
    (page(200, b'{"data": []}'), "lists no model at all"),
    (page(200, b'{"data": [3, null]}'), "lists no model at all"),
    (page(200, b"not gzip", Content_Encoding="gzip"), "cannot be reached"),
    (whole(b'{"data": []}', cut=4), "cannot be reached"),
    (dropped, "cannot be reached"),
]


@pytest.mark.parametrize(("answer", "said"), BAD_ANSWERS, ids=[said for _, said in BAD_ANSWERS])
def test_a_bad_answer_is_one_clear_error(server: FileServer, answer: Any, said: str) -> None:
    server.on("/models", answer)
    with pytest.raises(DownloadError, match=said) as caught:
        fetch_list(server.url(), KEY, TODAY)
    assert host(server) in str(caught.value)
    assert "5ecret" not in str(caught.value)


def test_a_server_that_is_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch_list(f"http://127.0.0.1:{port}", None, TODAY)


@pytest.mark.slow
def test_a_server_that_stops_speaking(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_list, "_READ_SECONDS", 0.2)
    server.on("/models", hanging(b'{"data": []}', 5))
    with pytest.raises(DownloadError, match="ReadTimeout"):
        fetch_list(server.url(), None, TODAY)


def test_a_server_that_takes_too_long(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_list, "time", SimpleNamespace(monotonic=iter([0.0, 20.5]).__next__))
    server.on("/models", whole(b'{"data": []}'))
    with pytest.raises(DownloadError, match="too slow"):
        fetch_list(server.url(), None, TODAY, seconds=20)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_cut_off(server: FileServer, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_list, "_MAX_BYTES", 1 << 20)
    body = b" " * (4 << 20)
    headers = {"Content_Encoding": "gzip"} if packed else {}
    server.on("/models", page(200, gzip.compress(body) if packed else body, **headers))
    with pytest.raises(DownloadError, match="more than 1 MiB"):
        fetch_list(server.url(), None, TODAY)
