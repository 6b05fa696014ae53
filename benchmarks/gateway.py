"""What the gateway adds to an answer, and how many streams it carries, beside litellm's proxy:

    python benchmarks/gateway.py [--litellm PROGRAM]

A provider on loopback answers at once, in PIECES pieces. It is asked directly, through handed_on.py (the least that
can stand between: what a bare httpx client streams, handed on), through `r2-router serve` (which routes each request
among three models, writes it to its ledger and keeps a spending limit) and through litellm's proxy (which hands it
on), each a process with one worker, by the same client, in turn, in several rounds. All of them, the client and the
provider too, share this machine's cores: the processor time a request takes of the proxy says more than seconds of
the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import duration, in_home, publish, spread, table, timed

from r2_router import R2Router

PIECES = 20
STREAMS = (1, 50, 200)
REQUESTS = {1: 120, 50: 300, 200: 400}
ROUNDS = 5  # what else the machine does meanwhile then hits all alike
LIMIT_USD = "1000"
KEY = f"sk-{secrets.token_hex(32)}"  # of both proxies
QUERIES = (
    "What is the capital of France?",
    "Write a Python function that returns the n-th prime number.",
    "Explain the difference between a process and a thread in two sentences.",
    "Translate 'good morning' into Spanish.",
)


# -- the provider ----------------------------------------------------------------------------------------------


def _event(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "made-up"}
    return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n".encode()


def _answer() -> bytes:
    """A whole response: its pieces come in one write, as from a provider that is never waited for."""
    usage = {"prompt_tokens": 20, "completion_tokens": PIECES, "total_tokens": 20 + PIECES}
    last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "made-up", "choices": []}
    events = [_event({"role": "assistant", "content": ""}), *(_event({"content": "word "}) for _ in range(PIECES))]
    events += [_event({}, "stop"), f"data: {json.dumps({**last, 'usage': usage})}\n\n".encode(), b"data: [DONE]\n\n"]
    body = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + body


def provide(port: int) -> None:
    """Serve until killed."""
    answer = _answer()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=2048)
        await server.serve_forever()

    asyncio.run(serve())


# -- the client ------------------------------------------------------------------------------------------------


class Client:
    """Connections that are kept, each asking one stream after the other."""

    def __init__(self, port: int, model: str) -> None:
        self.port = port
        self.model = model
        self.first: list[float] = []
        self.whole: list[float] = []

    async def ask(self, streams: int, requests: int) -> float:
        """Seconds that `requests` requests take, `streams` at once."""
        left = iter(range(requests))
        start = time.perf_counter()
        await asyncio.gather(*(self._talk(left) for _ in range(streams)))
        return time.perf_counter() - start

    async def _talk(self, left: Any) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for number in left:
            asked = {"role": "user", "content": f"{QUERIES[number % len(QUERIES)]} ({number})"}
            body = json.dumps({"model": self.model, "messages": [asked], "stream": True}).encode()
            start = time.perf_counter()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %s\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (KEY.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head[:20], head
            text = await reader.readuntil(b"word ")
            self.first.append(time.perf_counter() - start)
            text += await reader.readuntil(b"data: [DONE]\n\n")
            await reader.readuntil(b"0\r\n\r\n")
            self.whole.append(time.perf_counter() - start)
            assert text.count(b"word ") == PIECES, text
        writer.close()


# -- who stands between ----------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until something listens at `port`. Raises RuntimeError where the process ends instead."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args} ended with {process.returncode}")


@contextmanager
def gateway(provider: int, home: Path) -> Generator[tuple[int, int]]:
    pool = home / "pool.toml"
    pool.write_text(
        '[pool]\nname = "bench"\nprices_date = 2026-11-23\n'
        + "".join(
            f'[models.{name}]\nid = "made-up-{name}"\nbase_url = "http://127.0.0.1:{provider}/v1"\n'
            f"quality = {quality}\nusd_per_million = [{price}, {4 * price}]\ncontext_window = 8000\n"
            for name, price, quality in (("small", 0.1, 0.4), ("middle", 0.5, 0.6), ("large", 3.0, 0.8))
        )
    )
    port = free_port()
    command = [sys.executable, "-m", "r2_router.cli", "serve", "--port", str(port), "--pool", str(pool)]
    environment = {**in_home(str(home)), "R2_MAX_USD_PER_DAY": LIMIT_USD, "R2_GATEWAY_TOKEN": KEY}
    with running(command, environment, port) as pid:
        yield port, pid


@contextmanager
def handed_on(provider: int) -> Generator[tuple[int, int]]:
    port, program = free_port(), Path(__file__).with_name("handed_on.py")
    with running([sys.executable, str(program), str(port), str(provider)], dict(os.environ), port) as pid:
        yield port, pid


@contextmanager
def litellm(program: str, provider: int, home: Path) -> Generator[tuple[int, int]]:
    known = {"model": "openai/made-up", "api_base": f"http://127.0.0.1:{provider}/v1", "api_key": "sk-any"}
    config = home / "litellm.yaml"  # JSON is YAML
    models = [{"model_name": "made-up", "litellm_params": known}]
    config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}))
    port = free_port()
    command = [program, "--config", str(config), "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    with running(command, {**os.environ, "LITELLM_LOG": "ERROR"}, port) as pid:
        yield port, pid


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int) -> Generator[int]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has taken; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- the measurement -------------------------------------------------------------------------------------------


def measure(ways: dict[str, tuple[int, int, str]]) -> dict[str, Any]:
    """For each way (port, process, model) and number of streams: seconds, requests a second, processor time."""
    for port, _, model in ways.values():
        asyncio.run(Client(port, model).ask(4, 40))  # what is made at the first request does not count
    found: dict[str, Any] = {name: {} for name in ways}
    for streams in STREAMS:
        rounds: dict[str, list[tuple[Client, float, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (port, pid, model) in ways.items():
                client, before = Client(port, model), processor_s(pid)
                seconds = asyncio.run(client.ask(streams, REQUESTS[streams]))
                rounds[name].append((client, seconds, processor_s(pid) - before))
        for name, runs in rounds.items():
            count = REQUESTS[streams]
            found[name][str(streams)] = {
                "first": spread([s for client, _, _ in runs for s in client.first]),
                "whole": spread([s for client, _, _ in runs for s in client.whole]),
                "requests_per_s": statistics.median(count / seconds for _, seconds, _ in runs),
                "processor_s": statistics.median(cpu / count for _, _, cpu in runs),
            }
    return found


def embedding_s() -> float:
    """Seconds that the vector of one query takes, in a process that does nothing else."""
    router = R2Router.from_pretrained("prior")
    texts = iter(f"{QUERIES[i % len(QUERIES)]} ({i})" for i in range(10_000))
    return statistics.median(timed(lambda: router.embed([next(texts)]), rounds=200))


def show(found: dict[str, Any]) -> None:
    rows = [["", "streams", "first piece", "whole", "99th percentile", "requests/s", "processor/request"]]
    for name, by_streams in found.items():
        for streams, f in by_streams.items():
            times = [f["first"]["median_s"], f["whole"]["median_s"], f["whole"]["p99_s"]]
            cpu = duration(f["processor_s"]) if f["processor_s"] else "-"
            rows.append([name, streams, *map(duration, times), f"{f['requests_per_s']:.0f}", cpu])
    table(rows)
    direct = found["direct"]["1"]["whole"]["median_s"]
    for name in found:
        if name != "direct":
            print(f"{name} adds {duration(found[name]['1']['whole']['median_s'] - direct)} at the median, one stream")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--litellm", default=shutil.which("litellm"), help="litellm's program (pip install litellm[proxy])"
    )
    args = parser.parse_args()
    load, port = os.getloadavg()[0], free_port()
    provider = multiprocessing.get_context("spawn").Process(target=provide, args=(port,), daemon=True)
    provider.start()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with gateway(port, home) as (ours, pid), handed_on(port) as (bare, least):
            ways = {
                "direct": (port, provider.pid or 0, "made-up"),
                "handed on": (bare, least, "made-up"),
                "r2-router serve": (ours, pid, "r2"),
            }
            if args.litellm:
                with litellm(args.litellm, port, home) as (theirs, other):
                    found = measure({**ways, "litellm": (theirs, other, "made-up")})
            else:
                print(
                    "litellm's proxy is not here: pip install 'litellm[proxy]', or --litellm PROGRAM", file=sys.stderr
                )
                found = measure(ways)
    provider.terminate()
    show(found)
    told = {"pieces": PIECES, "rounds": ROUNDS, "load": load, "embed_s": embedding_s()}
    publish("gateway", "python benchmarks/gateway.py", {**told, "ways": found})


if __name__ == "__main__":
    main()
