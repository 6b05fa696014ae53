"""How many prompts a second `r2-router batch` routes, and the most memory it takes.

    python benchmarks/batch.py [--prompts 20000 200000]

A process of its own for each size, over a JSONL file of made-up questions of about twelve words.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import in_home, publish, table

WORDS = [
    "which",
    "what",
    "how",
    "many",
    "old",
    "long",
    "river",
    "city",
    "number",
    "letter",
    "song",
    "bird",
    "stone",
    "bridge",
    "winter",
    "engine",
    "market",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=[20_000, 200_000])
    found = [measured(n) for n in parser.parse_args().prompts]
    head = ("prompts", "seconds", "a second", "memory, MB")
    table([head, *(tuple(f"{v:,.0f}" for v in row.values()) for row in found)])
    publish("batch", "python benchmarks/batch.py", {"routed": found})


def measured(n: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "prompts.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            for i in range(n):
                words = " ".join(WORDS[(i * 7 + j * (1 + i % 5)) % len(WORDS)] for j in range(12))
                stream.write(json.dumps({"prompt": f"{words} {i}?"}) + "\n")
        command = [sys.executable, "-c", _WITH_PEAK, "batch", str(file), "--output", f"{home}/out"]
        began = time.perf_counter()
        done = subprocess.run(command, env=in_home(home), capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    peak = float(done.stdout.split()[-1])
    return {"prompts": n, "seconds": seconds, "per_second": n / seconds, "peak_mb": peak}


_WITH_PEAK = """
import resource, sys
from r2_router.cli import main
main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


if __name__ == "__main__":
    main()
