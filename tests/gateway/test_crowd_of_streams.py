"""Five hundred streams at once over a provider that fails one request in five; and the end of the gateway's process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, Exchange, chat_server
from support.faulty import OneInFiveFails
from support.gateway import KEY, KEY_VARIABLE, make_router, serving
from support.ledgers import rows
from support.postgres import PostgresServer

from r2_router.ledger.store import flush_all

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

CROWD = 500


async def stream(url: str, number: int) -> tuple[int, list[dict[str, Any]]]:
    """The status of one streamed request, and its events, the last of which ends it."""
    asked = {"role": "user", "content": f"Where is the colosseum? ({number})"}
    more = {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps({"model": "r2", "messages": [asked], **more}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
    writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
    answered, _, text = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status = int(answered.split()[1])
    if status != 200:
        return status, [json.loads(text)]
    assert text.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), text[-200:]
    lines = (line for line in text.split(b"\n") if line.startswith(b"data: {"))
    return status, [json.loads(line[6:]) for line in lines]


async def test_every_stream_ends_and_the_sums_agree_in_postgres(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = postgres.database()
    monkeypatch.setenv("R2_LEDGER_URL", place)
    monkeypatch.setenv("R2_MAX_USD_PER_DAY", "1000")
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with chat_server(OneInFiveFails()) as provider:
        router = make_router(provider, tmp_path)
        async with serving(router) as url:
            ends = await asyncio.gather(*(stream(url, i) for i in range(CROWD)))
    flush_all()

    kinds = Counter(_kind(status, events) for status, events in ends)
    assert set(kinds) <= {"answered", "broke off", "refused"}
    assert kinds["answered"] > 0.8 * CROWD
    told = [event["usage"]["r2"] for _, events in ends for event in events if event.get("usage")]
    assert len(told) == kinds["answered"]
    assert len({each["id"] for each in told}) == len(told)

    outcomes = dict(rows(place, "SELECT outcome, count(*) FROM entries GROUP BY outcome"))
    assert sum(outcomes.values()) == CROWD
    assert outcomes["answered"] == kinds["answered"]
    assert outcomes.get("partial", 0) == kinds["broke off"]
    billed, by_entry = (int(rows(place, f"SELECT sum({of}) FROM {table}")[0][0]) for of, table in SUMS)
    assert billed == by_entry
    assert billed * 1e-9 >= sum(each["cost_usd"] for each in told) * 0.999
    assert rows(place, "SELECT count(*) FROM reservations") == [(0,)]


SUMS = (("nanos", "spend"), ("cost_nanos", "entries"))


def _kind(status: int, events: list[dict[str, Any]]) -> str:
    last = events[-1]
    if status != 200:
        assert status == 502
        assert last["error"]["type"]
        return "refused"
    if "error" in last:
        return "broke off" if "broke off" in last["error"]["message"] else "refused"
    reasons = [event["choices"][0]["finish_reason"] for event in events if event["choices"]]
    assert reasons[-1] == "stop"
    return "answered"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can see")
async def test_sigterm_takes_no_more_and_finishes_what_runs(home: Path, tmp_path: Path) -> None:
    asked, go_on, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()

    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.say("In ")
        loop.call_soon_threadsafe(asked.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(go_on.wait(), loop))
        await exchange.say("Rome.")
        await exchange.finish()

    with chat_server(behave) as provider:
        process, url = await asyncio.to_thread(start, provider, tmp_path)
        try:
            running = asyncio.create_task(stream(url, 1))
            await asyncio.wait_for(asked.wait(), 30)
            process.send_signal(signal.SIGTERM)
            while True:  # until it listens no more
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                except ConnectionError:
                    break
                writer.close()
            assert process.poll() is None
            go_on.set()
            status, events = await asyncio.wait_for(running, 30)
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            process.communicate()
    assert (status, _kind(status, events)) == (200, "answered")
    said = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
    assert said == "In Rome."
    assert rows(next(home.rglob("*.sqlite3")), "SELECT outcome FROM entries") == [("answered",)]


def test_who_has_no_model_is_told_at_the_start(tmp_path: Path, home: Path) -> None:
    (tmp_path / "pool.toml").write_text(
        '[pool]\nname = "here"\nprices_date = 2026-11-01\n[models.one]\nid = "one"\nquality = 0.6\n'
        'usd_per_million = [1, 2]\nbase_url = "https://example.org/v1"\napi_key_env = "NOBODYS_API_KEY"\n'
    )
    command = [sys.executable, "-m", "r2_router.cli", "serve", "--port", "0", "--pool", str(tmp_path / "pool.toml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    said = [process.stderr.readline(), process.stderr.readline()]
    process.terminate()
    process.communicate()
    assert "http://" in said[0]
    assert "No model can be asked yet" in said[1]
    assert "r2-router setup" in said[1]


def start(provider: ChatServer, tmp_path: Path) -> tuple[subprocess.Popen[str], str]:
    """`r2-router serve` over a pool of one model, and its address."""
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[pool]\nname = "here"\nprices_date = 2026-11-01\n[models.one]\nid = "one"\nquality = 0.6\n'
        f'usd_per_million = [1, 2]\nbase_url = "{provider.url}"\n'
    )
    command = [sys.executable, "-m", "r2_router.cli", "serve", "--port", "0", "--pool", str(pool)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "http://" in line, line + process.stderr.read()
    return process, line.partition("r2-router: ")[2].partition("/v1")[0]
