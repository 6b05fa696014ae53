"""The MCP server as a client meets it: start, first and warm calls over stdio, size of tools/list, memory; and calls
a second over HTTP with 1 to 200 clients.

    python benchmarks/mcp_server.py [--http-as before|after]

Every figure is of a real process over its pipes or sockets, spoken to in JSON-RPC without an SDK in between. Processor
time a call is the server's own: other work on the machine does not change it as it does the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, duration, in_home, machine, publish, spread, table

from r2_router.routing.tokens import estimate_tokens

STARTS = 7
CALLS = 500
CLIENTS = (1, 10, 50, 200)
HTTP_CALLS = 1000
QUERY = "Write a Python function that returns the n-th prime number, and explain how it works in two sentences."

GOALS = {
    "initialize_s": 1.5,
    "first_route_s": 2.5,
    "route_median_s": 0.010,
    "route_p99_s": 0.030,
    "tools_list_tokens": 3000,
}


class Server:
    """A server process in an empty home, and how long ago it was started."""

    def __init__(self, home: str) -> None:
        self.start = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "r2_mcp"],
            env=in_home(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.id = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.id += 1
        message = {"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        assert reply["id"] == self.id, reply
        assert not reply["result"].get("isError"), reply
        return reply["result"]

    def initialize(self) -> float:
        """Seconds from the start of the process to the answer."""
        self.ask(
            "initialize",
            protocolVersion="2025-11-25",
            capabilities={},
            clientInfo={"name": "benchmark", "version": "1"},
        )
        return time.perf_counter() - self.start

    def route(self, query: str) -> float:
        """Seconds a call takes."""
        start = time.perf_counter()
        self.ask("tools/call", name="route", arguments={"query": query})
        return time.perf_counter() - start

    def resident_mb(self) -> float | None:
        """Resident memory, where the system tells it."""
        try:
            with Path(f"/proc/{self.process.pid}/status").open(encoding="ascii") as status:
                line = next(line for line in status if line.startswith("VmRSS"))
        except OSError:
            return None
        return int(line.split()[1]) / 1024

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def measure() -> dict[str, Any]:
    initialize: list[float] = []
    first: list[float] = []
    ended: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(STARTS):
            with Server(home) as server:
                initialize.append(server.initialize())
                server.route(QUERY)
                first.append(time.perf_counter() - server.start)
                end = time.perf_counter()
            ended.append(time.perf_counter() - end)
        with Server(home) as server:
            server.initialize()
            tools = server.ask("tools/list")["tools"]
            for _ in range(20):
                server.route(QUERY)
            warm = [server.route(f"{QUERY} Case {i}.") for i in range(CALLS)]
            memory = server.resident_mb()
    calls = spread(warm)
    return {
        "initialize_s": spread(initialize)["median_s"],
        "first_route_s": spread(first)["median_s"],
        "end_s": spread(ended)["median_s"],
        "route_median_s": calls["median_s"],
        "route_p99_s": calls["p99_s"],
        "tools_list_tokens": estimate_tokens(json.dumps(tools, separators=(",", ":"))),
        "resident_mb": memory,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


# -- HTTP ----------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def processor_s(pid: int) -> float:
    """Processor time of a process, where the system tells it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, i: int) -> float:
    """Seconds one call of `route` takes on a connection that stays open."""
    arguments = {"query": f"{QUERY} Case {i}."}
    message = {"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": {"name": "route", "arguments": arguments}}
    body = json.dumps(message).encode()
    head = (
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json, text/event-stream\r\n"
        f"content-type: application/json\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    start = time.perf_counter()
    writer.write(head.encode() + body)
    status = await reader.readline()
    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"content-length:" in headers:
        answer = await reader.readexactly(int(headers.partition(b"content-length:")[2].split()[0]))
    else:
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
    took = time.perf_counter() - start
    assert b" 200 " in status, status
    assert b'"isError":false' in answer, answer
    return took


async def crowd(port: int, clients: int, calls: int) -> list[float]:
    """Seconds of each call, `calls` by `clients` in turn."""
    numbers = iter(range(calls))

    async def one() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        found = [await call(reader, writer, i) for i in numbers]
        writer.close()
        return found

    return [seconds for own in await asyncio.gather(*(one() for _ in range(clients))) for seconds in own]


def over_http() -> list[dict[str, float]]:
    """One row for each number of clients."""
    found: list[dict[str, float]] = []
    port = free_port()
    command = [sys.executable, "-m", "r2_mcp", "--transport", "streamable-http", "--port", str(port)]
    with tempfile.TemporaryDirectory() as home:
        server = subprocess.Popen(command, env=in_home(home), stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    asyncio.run(crowd(port, 1, 20))
                    break
                except ConnectionError:
                    time.sleep(0.1)
            for clients in CLIENTS:
                before, start = processor_s(server.pid), time.perf_counter()
                calls = asyncio.run(crowd(port, clients, HTTP_CALLS))
                took = time.perf_counter() - start
                load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
                row = {"clients": clients, "load_average": load, "calls_per_second": len(calls) / took, **spread(calls)}
                found.append({**row, "processor_s_per_call": (processor_s(server.pid) - before) / len(calls)})
        finally:
            server.terminate()
            server.wait()
    return found


def show_http(rows: list[dict[str, float]]) -> None:
    table(
        [["HTTP clients", "calls a second", "median", "p99", "processor a call"]]
        + [
            [
                f"{row['clients']}",
                f"{row['calls_per_second']:.0f}",
                duration(row["median_s"]),
                duration(row["p99_s"]),
                duration(row["processor_s_per_call"]),
            ]
            for row in rows
        ]
    )


def known_results() -> dict[str, Any]:
    """What results/mcp_server.json says, if there is one."""
    file = RESULTS / "mcp_server.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    return {name: value for name, value in known.items() if name not in ("command", "machine")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http-as", choices=("before", "after"), default="after")
    args = parser.parse_args()
    http = over_http()
    show_http(http)
    if args.http_as == "before":
        publish("mcp_server", "python benchmarks/mcp_server.py", {**known_results(), "http_before": http})
        return
    found = measure()
    rows = [["", "measured", "goal"]]
    for name, value in found.items():
        goal = GOALS.get(name)
        shown = [duration(v) if name.endswith("_s") and v else f"{v:,.0f}" if v else "" for v in (value, goal)]
        rows.append([name, *shown])
    table(rows)
    print(f"on {machine()}")
    publish("mcp_server", "python benchmarks/mcp_server.py", {**known_results(), "goals": GOALS, **found, "http": http})


if __name__ == "__main__":
    main()
