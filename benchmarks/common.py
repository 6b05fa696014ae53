"""What the benchmarks share: timing, a table on the screen, a result file."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def timed(
    function: Callable[[], object],
    *,
    rounds: int,
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of `clock` a call in each of `rounds` rounds of `calls` calls, after one round that does not count."""
    seconds: list[float] = []
    for _ in range(rounds + 1):
        start = clock()
        for _ in range(calls):
            function()
        seconds.append((clock() - start) / calls)
    return seconds[1:]


def interleaved(functions: dict[str, Callable[[], object]], *, rounds: int, calls: int = 1) -> dict[str, list[float]]:
    """As `timed` for several functions in turn, so that a drift of the machine hits all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name] += timed(function, rounds=1, calls=calls)
    return seconds


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, fastest and 99th percentile of a series, in seconds."""
    ordered = sorted(seconds)
    return {
        "median_s": statistics.median(ordered),
        "min_s": ordered[0],
        "p99_s": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import os

    import numpy as np

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


def publish(name: str, command: str, result: dict[str, Any]) -> None:
    """Write results/NAME.json: the figures, the machine, and the command that made them."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps({"command": command, "machine": machine(), **result}, indent=1) + "\n")
    print(f"\nwrote {file.relative_to(RESULTS.parent.parent)}", file=sys.stderr)


def publish_part(name: str, command: str, where: Sequence[str], result: Any) -> None:
    """As `publish`, with `result` at WHERE, a key or several, in the file's "results", the others as they were."""
    file = RESULTS / f"{name}.json"
    results = json.loads(file.read_text()).get("results", {}) if file.is_file() else {}
    part = results
    for key in where[:-1]:
        part = part.setdefault(key, {})
    part[where[-1]] = result
    publish(name, command, {"results": results})


def in_home(home: str) -> dict[str, str]:
    """The environment of a process as a user's is: an empty home, and bytecode kept from one start to the next."""
    import os

    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "R2_HOME": home, "IPYTHONDIR": f"{home}/ipython"}


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        )


def duration(seconds: float) -> str:
    """Seconds, ms or µs, whichever reads best."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"
