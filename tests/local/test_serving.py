"""SmolLM2, really served: answers over HTTP, and processes that end when they should."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from r2_router.config.settings import Settings
from r2_router.errors import LocalModelError
from r2_router.local import LocalServers
from r2_router.local.process import Launch, ServerProcess
from r2_router.pools.model import Model

GONE_SECONDS = 20.0

# Starts a server as a program of the user's would, says which process it is, and goes on as argv[2] says.
PROGRAM = """
import sys
import psutil
from dataclasses import replace
from r2_router.local import LocalServers
from r2_router.pools.pool import load_pool
from r2_router.config.settings import Settings

model = replace(load_pool("local").get("SmolLM2-135M-Instruct"), context_window=512)
servers = LocalServers(Settings(models_dir=sys.argv[1]))
servers.base_url(model)
print(*[child.pid for child in psutil.Process().children()], flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
"""


@pytest.fixture
def servers(settings: Settings) -> Generator[LocalServers]:
    servers = LocalServers(settings)
    yield servers
    servers.stop()


def complete(url: str, prompt: str, max_tokens: int, **more: Any) -> dict[str, Any]:
    body = {"model": "any", "messages": [{"role": "user", "content": prompt}], "temperature": 0, **more}
    response = httpx.post(f"{url}/chat/completions", json={**body, "max_tokens": max_tokens}, timeout=120)
    response.raise_for_status()
    return response.json()


def children() -> dict[int, psutil.Process]:
    return {child.pid: child for child in psutil.Process().children()}


def only_child() -> psutil.Process:
    (child,) = children().values()
    return child


# -- answers -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_real_answer_is_capped_where_asked(servers: LocalServers, model: Model) -> None:
    url = servers.base_url(model)
    long = complete(url, "Tell me a long story about a train.", 12)
    assert long["choices"][0]["finish_reason"] == "length"
    assert long["usage"]["completion_tokens"] == 12
    assert long["model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    short = complete(url, "What is 2+2?", 60)
    assert short["choices"][0]["finish_reason"] == "stop"
    assert "4" in short["choices"][0]["message"]["content"]


@pytest.mark.slow
def test_several_are_answered_side_by_side(servers: LocalServers, model: Model) -> None:
    url = servers.base_url(model)

    def stream(number: int) -> tuple[float, float]:
        """When its first and its last token came."""
        message = {"role": "user", "content": f"Count from {number} to 100."}
        body = {"messages": [message], "max_tokens": 50, "stream": True, "ignore_eos": True}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as response:
            times = [time.monotonic() for line in response.iter_lines() if '"content":"' in line]
        assert len(times) > 25
        return times[0], times[-1]

    with ThreadPoolExecutor(4) as threads:
        firsts, lasts = zip(*threads.map(stream, range(4)), strict=True)
    assert max(firsts) < min(lasts)


@pytest.mark.slow
def test_a_slot_holds_the_models_context_window_and_no_more(servers: LocalServers, model: Model) -> None:
    url = servers.base_url(replace(model, context_window=512))
    assert complete(url, "word " * 400, 1)["usage"]["prompt_tokens"] > 400
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        complete(url, "word " * 600, 1)


@pytest.mark.slow
def test_it_listens_on_loopback_alone_and_to_no_web_page(servers: LocalServers, model: Model) -> None:
    url = servers.base_url(model)
    listening = [c.laddr.ip for c in only_child().net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    root = url.removesuffix("/v1")
    answer = httpx.get(f"{root}/v1/models", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 200
    assert answer.headers.get("access-control-allow-origin", "") == ""
    assert httpx.get(f"{root}/slots").status_code == 501


# -- one server a model --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_that_ask_at_once_share_one_server(servers: LocalServers, model: Model) -> None:
    with ThreadPoolExecutor(4) as threads:
        urls = set(threads.map(servers.base_url, [model] * 4))
    assert len(urls) == len(children()) == 1


@pytest.mark.slow
def test_an_event_loop_goes_on_while_it_starts(servers: LocalServers, model: Model) -> None:
    async def main() -> int:
        starting = asyncio.create_task(asyncio.to_thread(servers.base_url, model))
        turns = 0
        while not starting.done():
            await asyncio.sleep(0)
            turns += 1
        assert await starting == servers.base_url(model)
        return turns

    assert asyncio.run(main()) > 100


@pytest.mark.slow
def test_a_server_that_died_is_started_anew(servers: LocalServers, model: Model) -> None:
    url = servers.base_url(model)
    assert servers.base_url(model) == url
    first = only_child()
    first.kill()
    first.wait(GONE_SECONDS)
    assert complete(servers.base_url(model), "What is 2+2?", 4)["choices"]
    assert only_child().pid != first.pid


# -- the end -------------------------------------------------------------------------------------------------


def test_stop_ends_the_process_and_a_later_use_starts_another(servers: LocalServers, model: Model) -> None:
    url = servers.base_url(model)
    servers.stop()
    assert children() == {}
    with pytest.raises(httpx.ConnectError):
        complete(url, "hello", 1)
    assert complete(servers.base_url(model), "hello", 1)["choices"]


@pytest.mark.slow
def test_it_ends_with_the_object_that_started_it(settings: Settings, model: Model) -> None:
    servers = LocalServers(settings)
    servers.base_url(model)
    assert len(children()) == 1
    del servers
    gc.collect()
    assert children() == {}


def test_one_that_is_still_starting_can_be_stopped(smollm2: Path) -> None:
    process = ServerProcess(launch(smollm2))
    waiting = ThreadPoolExecutor(1).submit(process.wait_ready)
    process.stop()
    with pytest.raises(LocalModelError, match="did not start: it was stopped"):
        waiting.result()
    assert children() == {}


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_does_not_reach_it(servers: LocalServers, model: Model) -> None:
    if sys.platform == "win32":
        pytest.skip("POSIX process groups")
    servers.base_url(model)
    assert os.getpgid(only_child().pid) != os.getpgid(0)


@pytest.fixture
def program(smollm2: Path) -> Generator[subprocess.Popen[str]]:
    """A user's program with a running server, waiting."""
    arguments = [sys.executable, "-c", PROGRAM, str(smollm2.parent), "wait"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def server_of(program: subprocess.Popen[str]) -> psutil.Process:
    assert program.stdout
    return psutil.Process(int(program.stdout.readline()))


@pytest.mark.slow
def test_it_ends_when_its_program_is_killed(program: subprocess.Popen[str]) -> None:
    server = server_of(program)
    program.kill()
    program.wait()
    server.wait(GONE_SECONDS)
    assert not server.is_running()


@pytest.mark.slow
def test_it_ends_when_its_program_does_and_never_writes_to_its_output(program: subprocess.Popen[str]) -> None:
    server = server_of(program)
    out, _ = program.communicate("", timeout=60)
    assert program.returncode == 0
    assert out == ""
    server.wait(GONE_SECONDS)
    assert not server.is_running()


# -- the process alone ---------------------------------------------------------------------------------------


def launch(path: Path, **changes: Any) -> Launch:
    return replace(Launch(str(path), "tiny", slots=1, slot_tokens=256, threads=1, idle_seconds=600), **changes)


def test_a_file_that_is_no_model_is_named_with_llama_cpps_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"garbage" * 100)
    with pytest.raises(LocalModelError, match=r"did not start: .*invalid magic characters: 'garb'"):
        ServerProcess(launch(tmp_path / "bad.gguf")).wait_ready()
    assert children() == {}


def test_one_that_takes_too_long_is_ended(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2_router.local.process.START_SECONDS", 0.01)
    with pytest.raises(LocalModelError, match=r"it was not ready in 0 s"):
        ServerProcess(launch(smollm2)).wait_ready()
    assert children() == {}


@pytest.mark.slow
def test_idle_it_gives_its_memory_back_and_wakes_when_asked(smollm2: Path) -> None:
    process = ServerProcess(launch(smollm2, idle_seconds=1, slot_tokens=4096))
    try:
        process.wait_ready()
        root = process.base_url.removesuffix("/v1")
        server = psutil.Process(process.pid)
        awake = server.memory_info().rss
        deadline = time.monotonic() + 60
        while not httpx.get(f"{root}/props").json()["is_sleeping"]:
            assert time.monotonic() < deadline
        assert server.memory_info().rss < awake / 2
        assert complete(process.base_url, "hello", 2)["usage"]["completion_tokens"] == 2
    finally:
        process.stop()
