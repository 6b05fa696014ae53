"""Who may ask the gateway, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.chat_server import ChatServer
from support.gateway import make_router, serving

from r2_router import R2Router
from r2_router.errors import ConfigError, EmbedderError
from r2_router.gateway.app import gateway_app
from r2_router.serving.gate import HttpLimits

pytestmark = pytest.mark.anyio

TOKEN = "a-long-random-text-that-nobody-guesses"
BODY = {"model": "r2", "messages": [{"role": "user", "content": "Where is the colosseum?"}]}
PATH = "/v1/chat/completions"


async def _post(url: str, body: Any = BODY, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as http:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await http.post(f"{url}{PATH}", headers=headers, **content)


async def test_only_the_token_opens_as_a_bearer_or_as_a_key(router: R2Router, provider: ChatServer) -> None:
    async with serving(router, token=TOKEN) as url:
        for headers in ({}, {"authorization": f"Bearer {TOKEN[:-1]}"}, {"authorization": f"Basic {TOKEN}"}):
            refused = await _post(url, **headers)
            assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
            assert TOKEN not in refused.text
        assert provider.requests == []
        assert (await _post(url, authorization=f"Bearer {TOKEN}")).status_code == 200
        assert (await _post(url, **{"x-api-key": TOKEN})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "r2.example:9"}, 200),
        ({"origin": "https://r2.example"}, 200),
    ],
)
async def test_pages_of_other_sites_cannot_spend(router: R2Router, headers: dict[str, str], status: int) -> None:
    async with serving(router, allowed_hosts=["r2.example"]) as url:
        assert (await _post(url, **headers)).status_code == status


def test_an_address_others_reach_needs_a_token_and_a_name(router: R2Router) -> None:
    with pytest.raises(ConfigError, match="R2_GATEWAY_TOKEN"):
        gateway_app(router, host="0.0.0.0")
    with pytest.raises(ConfigError, match="--allowed-host"):
        gateway_app(router, host="0.0.0.0", token=TOKEN)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b"[" * 100_000, b'{"messages": NaN}', b"\xff"])
async def test_a_body_that_is_none_is_refused(router: R2Router, provider: ChatServer, body: bytes) -> None:
    async with serving(router) as url:
        refused = await _post(url, body)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert provider.requests == []


async def test_a_body_too_large_is_refused(router: R2Router) -> None:
    async with serving(router, limits=HttpLimits(max_bytes=1000)) as url:
        refused = await _post(url, {**BODY, "user": "x" * 2000})
        assert (refused.status_code, refused.json()["error"]["type"]) == (413, "request_too_large")
        assert (await _post(url)).status_code == 200


async def test_health_and_readiness(tmp_path: Path, provider: ChatServer) -> None:
    made = make_router(provider, tmp_path)
    async with serving(made, token=TOKEN) as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/health")).json()["status"] == "ok"
        ready = await http.get(f"{url}/ready")
        while ready.status_code == 503:
            ready = await http.get(f"{url}/ready")
        assert ready.json() == {"status": "ready"}


async def test_who_is_not_ready_says_why(tmp_path: Path, provider: ChatServer) -> None:
    def load() -> None:
        raise EmbedderError("The embedding server is away.")

    made = make_router(provider, tmp_path, embedder=load)
    async with serving(made) as url, httpx.AsyncClient() as http:
        answers = [await http.get(f"{url}/ready") for _ in range(50)]
    assert {answer.status_code for answer in answers} == {503}
    assert answers[-1].json()["status"] == "The embedding server is away."


async def test_what_is_not_served_says_what_is(router: R2Router) -> None:
    async with serving(router) as url, httpx.AsyncClient() as http:
        lost = await http.get(f"{url}/v2/nothing")
        wrong = await http.get(f"{url}{PATH}")
        none = await http.post(f"{url}/v1/embeddings", json={"input": "x"})
    assert (lost.status_code, wrong.status_code, none.status_code) == (404, 405, 501)
    assert PATH in lost.json()["error"]["message"]
    assert "embedding" in none.json()["error"]["message"]
