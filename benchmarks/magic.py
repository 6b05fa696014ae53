"""How long `%load_ext r2_magic` takes, and a route-only cell from execute to display.

    python benchmarks/magic.py [--rounds 200]

Loading is measured in fresh processes, after IPython itself is imported. A cell is measured in a real kernel: from
the request sent to the ranking received by a client, what a front end waits for before it draws. An empty display
in the same kernel is the floor. Goals: load under 0.5 s, a warm cell under 30 ms.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from common import duration, in_home, publish, spread, table

LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.perf_counter()
shell.run_line_magic("load_ext", "r2_magic")
print(time.perf_counter() - start)
"""
CELL = "%%r2 --route-only\nWrite a Python function that returns the n-th prime, and explain in {n} words how it works."
FLOOR = "display(n)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="warm cells measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        given = in_home(home)
        os.environ.clear()
        os.environ.update(given)
        loads = [load_time() for _ in range(10)]
        first, floor, warm = cell_times(args.rounds)
    report(loads, first, floor, warm)


def load_time() -> float:
    """Seconds of %load_ext in a fresh process."""
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    return float(done.stdout)


def cell_times(rounds: int) -> tuple[float, list[float], list[float]]:
    """Seconds to the display of the first route-only cell, and of `rounds` empty displays and warm cells in turn."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        time_to_display(client, "%load_ext r2_magic\nn = 0\ndisplay(n)")
        first = time_to_display(client, CELL)
        floor: list[float] = []
        warm: list[float] = []
        for _ in range(rounds):
            floor.append(time_to_display(client, f"n += 1\n{FLOOR}"))
            warm.append(time_to_display(client, CELL))
        return first, floor, warm
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def time_to_display(client: Any, code: str) -> float:
    """Seconds from the request to the first display; waits for the cell to end."""
    start = time.perf_counter()
    asked = client.execute(code)
    shown = None
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "display_data" and shown is None:
            shown = time.perf_counter() - start
        if kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if kind == "status" and content["execution_state"] == "idle":
            client.get_shell_msg(timeout=60)
            if shown is None:
                raise RuntimeError(f"{code!r} displayed nothing.")
            return shown


def report(loads: list[float], first: float, floor: list[float], warm: list[float]) -> None:
    figures = {"load_ext": spread(loads), "empty display": spread(floor), "route-only cell, warm": spread(warm)}
    rows = [(name, duration(v["median_s"]), duration(v["p99_s"])) for name, v in figures.items()]
    table([("", "median", "p99"), *rows, ("route-only cell, the first", duration(first), "")])
    goals = {"load_ext": 0.5, "route-only cell, warm": 0.03}
    for name, goal in goals.items():
        print(f"{name}: {'within' if figures[name]['median_s'] <= goal else 'OVER'} the goal of {duration(goal)}")
    publish("magic", "python benchmarks/magic.py", {**figures, "first_cell_s": first})


if __name__ == "__main__":
    main()
