"""How many prompts a second `r2-router batch` routes in one process, and on Ray with 1 and 2 workers.

    R2_DATA_DIR=... python benchmarks/batch_ray.py [--prompts 200000] [--workers 1 2]

The prompts are the texts of the measured tables of at most LONGEST characters, again with a number before them where
these are not enough. Each way
is a process of its own, what Ray takes to start and to end included; `start_s` is what it takes for the
first chunk alone, and `per_second` the rate beyond that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path
from typing import Any

from common import in_home, publish, table
from pyarrow import Table, dataset, parquet

LONGEST = 200  # characters: as people type them
COLUMNS = ("query", "prompt", "question", "text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=200_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "prompts.parquet"
        texts = list(islice(prompts(), args.prompts))
        parquet.write_table(Table.from_pydict({"prompt": texts}), file, row_group_size=max(1, args.prompts // 4))
        found = [measured(home, file, workers) for workers in (0, *args.workers)]
        same = [dataset.dataset(f"{home}/out{w}").to_table(["index", "model", "budget"]) for w in (0, *args.workers)]
        assert all(rows.equals(same[0]) for rows in same), "another way gave other rows"
    bytes_a_prompt = sum(len(text.encode()) for text in texts) / len(texts)
    table(
        [
            ("workers", "seconds", "start, s", "a second"),
            *((str(e["workers"]), *(f"{e[k]:,.1f}" for k in KEYS)) for e in found),
        ]
    )
    shared = {"prompts": args.prompts, "bytes_a_prompt": bytes_a_prompt, "load": os.getloadavg()[2]}
    publish("batch_ray", f"python benchmarks/batch_ray.py --prompts {args.prompts}", {**shared, "routed": found})


KEYS = ("seconds", "start_s", "per_second")
CHUNK = 256


def prompts() -> Any:
    files = sorted(Path(os.environ["R2_DATA_DIR"]).glob("*.parquet"))
    texts: dict[str, None] = {}
    for file in files:
        name = next((name for name in COLUMNS if name in parquet.read_schema(file).names), None)
        if name:
            texts |= dict.fromkeys(parquet.read_table(file, columns=[name])[name].to_pylist())
    known = [text for text in texts if text and text.strip() and len(text) <= LONGEST]
    yield from known
    for turn in count(2):
        yield from (f"({turn}) {text}" for text in known)


def measured(home: str, file: Path, workers: int) -> dict[str, Any]:
    """`workers` 0 is one process without Ray."""
    start_s, _ = timed(home, file, workers, ["--rows", str(CHUNK)])
    seconds, n = timed(home, file, workers, [])
    size = sum(each.stat().st_size for each in Path(f"{home}/out{workers}").rglob("*.parquet"))
    rate = (n - CHUNK) / (seconds - start_s)
    return {
        **{"workers": workers, "prompts": n, "seconds": seconds, "start_s": start_s},
        **{"per_second": rate, "bytes_a_row": size / n},
    }


def timed(home: str, file: Path, workers: int, more: list[str]) -> tuple[float, int]:
    """Seconds of the command, and how many prompts it routed."""
    command = [sys.executable, "-m", "r2_router.cli", "batch", str(file), "--output", f"{home}/out{workers}", "--json"]
    command += ["--engine", "ray", "--workers", str(workers)] if workers else []
    began = time.perf_counter()
    done = subprocess.run([*command, *more], env=in_home(home), capture_output=True, text=True, check=False)
    return time.perf_counter() - began, json.loads(done.stdout)["prompts"]


if __name__ == "__main__":
    main()
