"""The server over real sockets, as the balancer and its clients meet it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, TextContent
from support.chat_server import ChatServer, hangs, says
from support.mcp_client import ERAS, QUERY, Letters, make_router, serving, words

from r2_mcp.__main__ import main
from r2_router import R2Router
from r2_router.acting import Caller
from r2_router.ledger.named_tokens import Tokens
from r2_router.serving.gate import HttpLimits
from r2_router.serving.sockets import listen

pytestmark = pytest.mark.anyio

TOKEN = "a-long-random-text-that-nobody-guesses"
ROUTE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "route", "arguments": {"query": QUERY}},
}
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
}


async def _post(url: str, headers: Any = None, body: Any = ROUTE) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient() as client:
        return await client.post(f"{url}/mcp", headers={**HEADERS, **(headers or {})}, content=content, timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_the_three_tools_over_http(answering: R2Router, provider: ChatServer, era: Any) -> None:
    provider.then(says("over ", "HTTP"))
    async with serving(answering) as url, Client(f"{url}/mcp", mode=era) as client:
        for tool in ("route", "explain_candidates", "route_and_generate"):
            result = await client.call_tool(tool, {"query": QUERY})
            assert not result.is_error, words(result)
        assert words(result).startswith("over HTTP")
        many = await asyncio.gather(*(client.call_tool("route", {"query": f"question {i}"}) for i in range(200)))
    assert not any(result.is_error for result in many)


@pytest.mark.slow
async def test_no_session_is_kept_so_any_replica_can_answer(router: R2Router) -> None:
    async with serving(router) as url:
        response = await _post(url)
    assert response.status_code == 200
    assert "mcp-session-id" not in response.headers
    assert '"isError":false' in response.text


async def test_cancelling_over_http_stops_the_call_to_the_provider(answering: R2Router, provider: ChatServer) -> None:
    """Since 2026-07-28. Before, cancelling is a message of a session, and there are none: see the next test."""
    async with serving(answering) as url, Client(f"{url}/mcp") as client:
        asked = _when_asked(provider)
        call = asyncio.create_task(client.call_tool("route_and_generate", {"query": QUERY}))
        await asyncio.wait_for(asked.wait(), 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(provider.wait_closed)


@pytest.mark.slow
async def test_a_client_of_the_older_era_that_goes_stops_the_call_to_the_provider(
    answering: R2Router, provider: ChatServer
) -> None:
    async with serving(answering) as url:
        asked = _when_asked(provider)
        call = asyncio.create_task(
            _post(url, body={**ROUTE, "params": {**ROUTE["params"], "name": "route_and_generate"}})
        )
        await asyncio.wait_for(asked.wait(), 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(provider.wait_closed)


def _when_asked(provider: ChatServer) -> asyncio.Event:
    """`provider` hangs from now on; what is returned is set when it is asked."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    async def behave(exchange: Any) -> None:
        loop.call_soon_threadsafe(asked.set)
        await hangs("some text")(exchange)

    provider.then(behave)
    return asked


@pytest.mark.slow
async def test_replicas_with_one_secret_go_on_with_each_others_questions(tmp_path: Path) -> None:
    """The question to the client's LLM comes from one replica, its answer goes to another."""
    router = make_router(tmp_path)
    turn = iter(range(100))

    class Alternate(httpx.AsyncBaseTransport):
        def __init__(self, urls: Sequence[str]) -> None:
            self.urls = [httpx.URL(url) for url in urls]
            self.inner = httpx.AsyncHTTPTransport()

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if b"tools/call" in request.content:
                request.url = request.url.copy_with(port=self.urls[next(turn) % 2].port)
            return await self.inner.handle_async_request(request)

        async def aclose(self) -> None:
            await self.inner.aclose()

    async def speak(*_: Any) -> CreateMessageResult:
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="yes"), model="own")

    names = ["127.0.0.1"]
    async with (
        serving(router, token=TOKEN, allowed_hosts=names) as one,
        serving(router, token=TOKEN, allowed_hosts=names) as two,
        httpx.AsyncClient(
            transport=Alternate([one, two]), headers={"authorization": f"Bearer {TOKEN}"}, timeout=20
        ) as http,
        Client(streamable_http_client(f"{one}/mcp", http_client=http), sampling_callback=speak) as client,
    ):
        result = await client.call_tool("route_and_generate", {"query": QUERY})
    assert next(turn) == 2
    assert result.structured_content is not None, words(result)
    assert result.structured_content["text"] == "yes"


# -- who may ask ---------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_only_the_token_opens(router: R2Router) -> None:
    async with serving(router, token=TOKEN) as url:
        for said in (b"", b"Bearer " + TOKEN.encode()[:-1], b"Basic " + TOKEN.encode(), TOKEN.encode(), b"Bearer \xff"):
            refused = await _post(url, {b"authorization": said} if said else {})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in refused.text
        assert (await _post(url, {"authorization": f"Bearer {TOKEN}"})).status_code == 200
        assert (await _post(url, {"authorization": f"bearer  {TOKEN}"})).status_code == 200


@pytest.mark.slow
async def test_named_tokens_open_too_and_what_is_done_is_done_in_their_name(
    answering: R2Router, provider: ChatServer
) -> None:
    provider.then(says("over HTTP"))
    tokens = Tokens(answering.ledger)
    alice, bob = tokens.add(Caller("alice", worth_usd=0.5)), tokens.add(Caller("bob"))
    async with serving(answering) as url:
        assert (await _post(url)).status_code == 401
        for token, tool in ((alice, "route_and_generate"), (bob, "route"), (alice, "route")):
            body = {**ROUTE, "params": {**ROUTE["params"], "name": tool}}
            answered = await _post(url, {"authorization": f"Bearer {token}"}, body)
            assert (answered.status_code, '"isError":false' in answered.text) == (200, True)
    entries = [(entry.caller, entry.outcome) for entry in answering.ledger.entries()]
    assert sorted(entries) == [("alice", "answered"), ("alice", "decided"), ("bob", "decided")]
    worths = {entry.caller: entry.worth_usd for entry in answering.ledger.entries()}
    assert worths == {"alice": 0.5, "bob": 0.01}


async def test_clients_are_told_where_to_get_a_token(router: R2Router) -> None:
    issuer = "https://login.example.org"
    options = {"token": TOKEN, "allowed_hosts": ["r2.example.org"], "authorization_servers": [issuer]}
    async with serving(router, **options) as url, httpx.AsyncClient() as client:
        refused = await _post(url)
        told = await client.get(f"{url}/.well-known/oauth-protected-resource/mcp")
    address = "https://r2.example.org/.well-known/oauth-protected-resource/mcp"
    assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{address}"'
    assert told.json()["resource"] == "https://r2.example.org/mcp"
    assert told.json()["authorization_servers"] == [issuer]


@pytest.mark.slow
async def test_health_needs_no_token_and_tells_no_secret(router: R2Router) -> None:
    async with serving(router, token=TOKEN) as url, httpx.AsyncClient() as client:
        response = await client.get(f"{url}/health")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "r2.example:9"}, 200),
        ({"origin": "https://r2.example"}, 200),
        ({"content-type": "text/plain"}, 400),
    ],
)
async def test_names_and_origins_are_checked(router: R2Router, headers: dict[str, str], status: int) -> None:
    async with serving(router, allowed_hosts=["r2.example"]) as url:
        assert (await _post(url, headers)).status_code == status


@pytest.mark.parametrize(
    ("environment", "arguments", "said"),
    [
        ("", ["--host", "0.0.0.0"], "set R2_MCP_TOKEN"),
        (TOKEN, ["--host", "0.0.0.0"], "--allowed-host"),
        ("", ["--host", "192.168.1.5", "--allowed-host", "x"], "set R2_MCP_TOKEN"),
    ],
)
def test_an_address_others_reach_needs_a_token_and_a_name(
    environment: str,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("R2_MCP_TOKEN", environment)
    assert main(["--transport", "streamable-http", *arguments]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert TOKEN not in err


# -- how much --------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_request_too_large_is_refused(router: R2Router) -> None:
    async with serving(router, limits=HttpLimits(max_bytes=1000)) as url:
        large = {**ROUTE, "params": {"name": "route", "arguments": {"query": "x" * 2000}}}
        assert (await _post(url, body=large)).status_code == 413
        assert (await _post(url)).status_code == 200


@pytest.mark.slow
async def test_more_requests_at_once_than_allowed_are_told_to_wait(tmp_path: Path) -> None:
    entered, released = threading.Event(), threading.Event()

    class Slow(Letters):
        def embed(self, texts: Any) -> Any:
            entered.set()
            assert released.wait(20)
            return super().embed(texts)

    router = make_router(tmp_path, embedder=Slow())
    async with serving(router, limits=HttpLimits(max_requests=1)) as url, httpx.AsyncClient() as client:
        first = asyncio.create_task(_post(url))
        await asyncio.to_thread(entered.wait, 20)
        refused = await _post(url)
        health = await client.get(f"{url}/health")
        released.set()
        assert (await first).status_code == 200
        assert (await _post(url)).status_code == 200
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert health.status_code == 200


class Clients:
    """Connections on each of which a client begins a request, and does no more."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self.writers: list[asyncio.StreamWriter] = []

    async def begin(self, text: str) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(text.encode())
        return reader

    async def request(self, method: str, body: str = "", **headers: object) -> asyncio.StreamReader:
        """The head of a request, and `body`."""
        said = {**HEADERS, "host": "127.0.0.1:1", **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
        return await self.begin(f"{method} /mcp HTTP/1.1\r\n{head}\r\n{body}")

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self.writers), return_exceptions=True)


async def _status(reader: asyncio.StreamReader) -> int:
    return int((await asyncio.wait_for(reader.readline(), 20)).split()[1])


@pytest.mark.slow
async def test_a_request_that_dribbles_in_is_ended(router: R2Router) -> None:
    async with serving(router, limits=HttpLimits(receive_s=0.2)) as url, Clients(url) as slow:
        assert await _status(await slow.request("POST", "{", content_length=100)) == 408


@pytest.mark.slow
async def test_without_sessions_there_is_no_stream_to_wait_on(router: R2Router) -> None:
    async with serving(router, limits=HttpLimits(max_requests=2)) as url, Clients(url) as idle:
        streams = [await idle.request("GET") for _ in range(300)]
        assert {await _status(reader) for reader in streams} == {405}
        assert (await _post(url)).status_code == 200
        async with httpx.AsyncClient() as client:
            refused = await client.delete(f"{url}/mcp", headers=HEADERS)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


@pytest.mark.slow
async def test_streams_of_sessions_that_wait_for_news_take_no_room(router: R2Router) -> None:
    begin = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    limits = HttpLimits(max_requests=2)
    async with serving(router, stateless=False, limits=limits) as url, Clients(url) as idle:
        for _ in range(10):
            made = await _post(url, body={**ROUTE, "method": "initialize", "params": begin})
            session = made.headers["mcp-session-id"]
            assert await _status(await idle.request("GET", mcp_session_id=session)) == 200
        assert (await _post(url, {"mcp-session-id": session})).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("begun", ["", "POST /mcp HTTP/1.1\r\nhost: 127"])
async def test_a_client_that_does_not_send_its_head_is_left_and_others_are_served(router: R2Router, begun: str) -> None:
    async with serving(router, limits=HttpLimits(receive_s=0.2)) as url, Clients(url) as slow:
        readers = [await slow.begin(begun) for _ in range(5)]
        assert (await _post(url)).status_code == 200
        for reader in readers:
            assert await asyncio.wait_for(reader.read(), 20) == b""


@pytest.mark.slow
async def test_so_is_one_that_does_not_send_the_head_of_its_next_request(router: R2Router) -> None:
    async with serving(router, limits=HttpLimits(receive_s=0.2)) as url, Clients(url) as slow:
        reader = await slow.begin("GET /health HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n")
        assert await _status(reader) == 200
        await reader.readuntil(b"}")
        slow.writers[0].write(b"POST")
        assert await asyncio.wait_for(reader.read(), 20) == b""


@pytest.mark.slow
async def test_requests_that_dribble_in_take_no_room(router: R2Router) -> None:
    async with serving(router, limits=HttpLimits(max_requests=1)) as url, Clients(url) as slow:
        for _ in range(5):
            await slow.request("POST", "{", content_length=100)
        assert (await _post(url)).status_code == 200


@pytest.mark.slow
async def test_an_answer_that_never_comes_is_ended(tmp_path: Path) -> None:
    released = threading.Event()

    class Stuck(Letters):
        def embed(self, texts: Any) -> Any:
            assert released.wait(20)
            return super().embed(texts)

    router = make_router(tmp_path, embedder=Stuck())
    async with serving(router, limits=HttpLimits(answer_s=0.2)) as url:
        try:
            response = await _post(url)
            ended = response.status_code == 504 or '"result"' not in response.text
        except httpx.RemoteProtocolError:
            ended = True
        released.set()
    assert ended


# -- what the person at the terminal sees ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("prompts/get", {"name": "nonsense"}, "No prompt 'nonsense'. Prompts: compare_models."),
        ("prompts/get", {"name": "compare_models"}, "compare_models: Missing required arguments: {'query'}"),
        ("resources/read", {"uri": "r2://nonsense"}, "r2://nonsense"),
        ("resources/read", {"uri": "r2://models/nonsense"}, "No model 'nonsense'."),
        ("nonsense/nonsense", {}, "Method not found"),
    ],
)
async def test_what_is_unknown_is_an_error_to_the_client_and_no_traceback(
    router: R2Router,
    method: str,
    params: dict[str, Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(router) as url:
        response = await _post(url, body={**ROUTE, "method": method, "params": params})
    error = json.loads(response.text.partition("data: ")[2] or response.text)["error"]
    assert said in error["message"]
    assert error["code"] in (-32602, -32601)
    assert capsys.readouterr().err == ""
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.slow
async def test_clients_that_go_midway_are_no_news(
    answering: R2Router, provider: ChatServer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({**ROUTE, "params": {**ROUTE["params"], "name": "route_and_generate"}})
    async with serving(answering) as url, Clients(url) as clients:
        asked = _when_asked(provider)
        await clients.request("POST", "{", content_length=100)
        reader = await clients.request("POST", body, content_length=len(body))
        await asyncio.wait_for(asked.wait(), 20)
        assert await _status(reader) == 200
        for writer in clients.writers:
            writer.transport.abort()
        assert await asyncio.to_thread(provider.wait_closed)
        assert (await _post(url)).status_code == 200
    assert capsys.readouterr().err == ""
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_the_second_piece_of_an_answer_does_not_wait_for_the_client_to_have_the_first() -> None:
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    for listening in listen("localhost", 0):
        async with await asyncio.start_server(lambda _, writer: accepted.put_nowait(writer), sock=listening):
            _, client = await asyncio.open_connection(*listening.getsockname()[:2])
            server = await asyncio.wait_for(accepted.get(), 20)
            assert server.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            client.close()
            server.close()


def test_a_port_that_is_taken_is_said_before_an_address_is(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--transport", "streamable-http", "--port", port]) == 1
    assert capsys.readouterr().err == (
        f"error: Cannot serve on 127.0.0.1, port {port}: another program listens there already. "
        "Choose with --host and --port.\n"
    )


def test_a_host_that_is_none_of_ours_is_said_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("R2_MCP_TOKEN", TOKEN)
    assert main(["--transport", "streamable-http", "--host", "192.0.2.1", "--allowed-host", "x"]) == 1
    assert capsys.readouterr().err.startswith("error: Cannot serve on 192.0.2.1, port 8000: cannot assign")


@pytest.mark.parametrize("port", ["99999", "-1", "http", ""])
def test_a_port_that_is_none_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([f"--port={port}"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1].endswith(f"argument --port: a port is a whole number from 0 to 65535; got '{port}'")
    assert "Traceback" not in err


# -- the process -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
async def test_the_process_serves_and_sigterm_ends_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "r2_mcp", "--transport", "streamable-http", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=10)) as client:
                health = await client.get(f"http://127.0.0.1:{port}/health", timeout=30)
            assert health.status_code == 200
            async with Client(f"http://127.0.0.1:{port}/mcp") as mcp:
                assert not (await mcp.call_tool("route", {"query": QUERY})).is_error
            process.terminate()
            out, err = await asyncio.to_thread(process.communicate, timeout=20)
        finally:
            process.kill()
    assert out == b""
    assert b"Traceback" not in err
