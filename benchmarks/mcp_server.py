"""The MCP server as a client meets it: start, first and warm calls over stdio, size of tools/list, memory.

    python benchmarks/mcp_server.py

Every figure is of a real process over its pipes, spoken to in JSON-RPC without an SDK in between.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import duration, machine, publish, spread, table

from r2_router.routing.tokens import estimate_tokens

STARTS = 7
CALLS = 500
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
            env={**os.environ, "R2_HOME": home},
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


def main() -> None:
    found = measure()
    rows = [["", "measured", "goal"]]
    for name, value in found.items():
        goal = GOALS.get(name)
        shown = [duration(v) if name.endswith("_s") and v else f"{v:,.0f}" if v else "" for v in (value, goal)]
        rows.append([name, *shown])
    table(rows)
    print(f"on {machine()}")
    publish("mcp_server", "python benchmarks/mcp_server.py", {"goals": GOALS, **found})


if __name__ == "__main__":
    main()
