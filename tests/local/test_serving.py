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

from r2_router import R2Router
from r2_router.config.settings import Secret, Settings
from r2_router.errors import LocalModelError
from r2_router.generate import run
from r2_router.local.process import Launch, ServerProcess
from r2_router.local.servers import LocalServers
from r2_router.pools.model import Model
from r2_router.routing.request import Request

GONE_SECONDS = 20.0

# Starts a server as a program of the user's would, says which process it is, and goes on as argv[2] says.
PROGRAM = """
import sys
import psutil
from dataclasses import replace
from r2_router.local.servers import LocalServers
from r2_router.pools.pool import load_pool
from r2_router.config.settings import Settings

model = replace(load_pool("local").get("SmolLM2-135M-Instruct"), context_window=512)
servers = LocalServers(Settings(models_dir=sys.argv[1]))
servers.address(model)
print(*[child.pid for child in psutil.Process().children()], flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
"""


@pytest.fixture
def servers(settings: Settings) -> Generator[LocalServers]:
    servers = LocalServers(settings)
    yield servers
    servers.stop()


def ask(method: str, address: tuple[str, Secret], path: str, **more: Any) -> httpx.Response:
    """A request with the key of the server at `address`."""
    return httpx.request(method, address[0] + path, headers=signed(address[1]), timeout=120, **more)


def signed(key: Secret) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.reveal()}"}


def complete(address: tuple[str, Secret], prompt: str, max_tokens: int, **more: Any) -> dict[str, Any]:
    body = {"model": "any", "messages": [{"role": "user", "content": prompt}], "temperature": 0, **more}
    response = ask("POST", address, "/chat/completions", json={**body, "max_tokens": max_tokens})
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
    address = servers.address(model)
    long = complete(address, "Tell me a long story about a train.", 12)
    assert long["choices"][0]["finish_reason"] == "length"
    assert long["usage"]["completion_tokens"] == 12
    assert long["model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    short = complete(address, "What is 2+2?", 60)
    assert short["choices"][0]["finish_reason"] == "stop"
    assert "4" in short["choices"][0]["message"]["content"]


@pytest.mark.slow
def test_that_a_model_is_loaded_is_told_the_first_time(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_MODELS_DIR", str(smollm2.parent))
    router = R2Router.from_pretrained()
    told: list[str] = []
    try:
        for _ in range(2):
            stream = router.ask(
                Request.read("What is 2+2?", model="SmolLM2-135M-Instruct", budget=12),
                on_event=lambda event: told.append(event.kind),
            )
            run(stream.result())
    finally:
        router._providers.servers.stop()
    assert told == ["loading", "asking", "asking"]


@pytest.mark.slow
def test_several_are_answered_side_by_side(servers: LocalServers, model: Model) -> None:
    url, key = servers.address(model)

    def stream(number: int) -> tuple[float, float]:
        """When its first and its last token came."""
        message = {"role": "user", "content": f"Count from {number} to 100."}
        body = {"messages": [message], "max_tokens": 50, "stream": True, "ignore_eos": True}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, headers=signed(key), timeout=60) as response:
            times = [time.monotonic() for line in response.iter_lines() if '"content":"' in line]
        assert len(times) > 25
        return times[0], times[-1]

    with ThreadPoolExecutor(4) as threads:
        firsts, lasts = zip(*threads.map(stream, range(4)), strict=True)
    assert max(firsts) < min(lasts)


@pytest.mark.slow
def test_a_slot_holds_the_models_context_window_and_no_more(servers: LocalServers, model: Model) -> None:
    address = servers.address(replace(model, context_window=512))
    assert complete(address, "word " * 400, 1)["usage"]["prompt_tokens"] > 400
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        complete(address, "word " * 600, 1)


@pytest.mark.slow
def test_it_listens_on_loopback_alone_and_to_no_web_page(servers: LocalServers, model: Model) -> None:
    address = servers.address(model)
    listening = [c.laddr.ip for c in only_child().net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    answer = httpx.get(f"{address[0]}/models", headers={"Origin": "http://evil.example", **signed(address[1])})
    assert answer.status_code == 200
    assert answer.headers.get("access-control-allow-origin", "") == ""
    assert ask("GET", (address[0].removesuffix("/v1"), address[1]), "/slots").status_code == 501


@pytest.mark.slow
def test_who_has_no_key_is_answered_nothing(servers: LocalServers, model: Model) -> None:
    """Another user of this machine, or a web page whose name was made to lead to loopback."""
    url, key = servers.address(model)
    here = url.split("/")[2]
    asked = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    for root in (f"http://{here}", url.removesuffix("/v1")):
        for path in ("/", "/health", "/v1/models", "/models", "/props", "/slots", "/v1/chat/completions", "/tokenize"):
            for said in ({}, {"Authorization": "Bearer guessed"}, {"Host": "evil.example"}):
                assert httpx.get(root + path, headers=said).status_code in (401, 404), (path, said)
                assert httpx.post(root + path, headers=said, json=asked).status_code in (401, 404), (path, said)
    assert key.reveal() not in url
    assert not any(key.reveal() in word for word in only_child().cmdline())


@pytest.mark.slow
def test_each_server_has_a_key_of_its_own(servers: LocalServers, model: Model) -> None:
    first = servers.address(model)
    servers.stop()
    second = servers.address(model)
    assert first[1] != second[1]
    assert httpx.get(f"{second[0]}/models", headers=signed(first[1])).status_code == 401


@pytest.mark.slow
def test_the_child_is_given_no_keys(servers: LocalServers, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENROUTER_API_KEY", "LLAMA_API_KEY", "HF_TOKEN", "GGML_SECRET", "R2_LLM_API_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, "very-secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    servers.address(model)
    given = only_child().environ()
    assert "very-secret" not in given.values()
    assert given["CUDA_VISIBLE_DEVICES"] == "0"


# -- one server a model --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_that_ask_at_once_share_one_server(servers: LocalServers, model: Model) -> None:
    with ThreadPoolExecutor(4) as threads:
        addresses = set(threads.map(servers.address, [model] * 4))
    assert len(addresses) == len(children()) == 1


@pytest.mark.slow
def test_an_event_loop_goes_on_while_it_starts(servers: LocalServers, model: Model) -> None:
    async def main() -> int:
        starting = asyncio.create_task(asyncio.to_thread(servers.address, model))
        turns = 0
        while not starting.done():
            await asyncio.sleep(0)
            turns += 1
        assert await starting == servers.address(model)
        return turns

    assert asyncio.run(main()) > 100


@pytest.mark.slow
def test_a_server_that_died_is_started_anew(servers: LocalServers, model: Model) -> None:
    address = servers.address(model)
    assert servers.address(model) == address
    first = only_child()
    first.kill()
    first.wait(GONE_SECONDS)
    assert complete(servers.address(model), "What is 2+2?", 4)["choices"]
    assert only_child().pid != first.pid


# -- the end -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_stop_ends_the_process_and_a_later_use_starts_another(servers: LocalServers, model: Model) -> None:
    address = servers.address(model)
    servers.stop()
    assert children() == {}
    with pytest.raises(httpx.ConnectError):
        complete(address, "hello", 1)
    assert complete(servers.address(model), "hello", 1)["choices"]


@pytest.mark.slow
def test_it_ends_with_the_object_that_started_it(settings: Settings, model: Model) -> None:
    servers = LocalServers(settings)
    servers.address(model)
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
    servers.address(model)
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
        root = (process.base_url.removesuffix("/v1"), process.key)
        server = psutil.Process(process.pid)
        awake = server.memory_info().rss
        deadline = time.monotonic() + 60
        while not ask("GET", root, "/props").json()["is_sleeping"]:
            assert time.monotonic() < deadline
        assert server.memory_info().rss < awake / 2
        assert complete((process.base_url, process.key), "hello", 2)["usage"]["completion_tokens"] == 2
    finally:
        process.stop()
