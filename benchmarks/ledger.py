"""The ledger with a million rows, and the event loop beside a locked one.

    python benchmarks/ledger.py [--rows N] [--as before|after]

The rows are spread over a year, 11 models, 17 budgets and every outcome, as an older version left them: the first
use brings them up to date. Nothing is asked but a server on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common import RESULTS, duration, publish, spread, table

from r2_router.checkpoints.format import Instruction
from r2_router.generate import Endpoint, Generation, Options
from r2_router.ledger import Entry, Ledger, SpendGuard, prune, stats
from r2_router.ledger.loop_guard import LoopGuard
from r2_router.ledger.schema import MIGRATIONS
from r2_router.pools.model import Model
from r2_router.routing.considered import Candidate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.chat_server import chat_server, says

DAYS = 365
BUDGETS = (10, 20, 40, 80, 100, 150, 200, 300, 400, 500, 800, 1000, 1500, 2000, 3000, 4000, "unlimited")
OUTCOMES = ("answered", "decided", "partial", "failed", "refused")
COLUMNS = (
    "id, time, face, outcome, reason, checkpoint, query_sha256, input_tokens, lambda_val, worth_usd, model, budget, "
    "predicted_quality, quality, predicted_output_tokens, output_tokens, predicted_cost_usd, cost_nanos, "
    "baseline_cost_usd, latency_s, attempts"
)
ENTRY = Entry(
    face="python",
    outcome="answered",
    model="model-1",
    budget=400,
    query="What is the capital of Italy?",
    predicted_quality=0.75,
    predicted_output_tokens=210.5,
    output_tokens=180,
    predicted_cost_usd=3.1e-5,
    cost_usd=2.8e-5,
    baseline_cost_usd=0.012,
    latency_s=1.25,
    attempts=1,
)
CANDIDATE = Candidate("any", "any", 40, 0.5, None, 20.0, 1e-5, 0.0, 0.0)


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """What `count` calls left, oldest first."""
    chance = random.Random(20261123)
    start = datetime.now(UTC) - timedelta(days=DAYS)
    for i in range(count):
        outcome = chance.choices(OUTCOMES, (70, 20, 4, 4, 2))[0]
        asked, whole = outcome != "decided", outcome == "answered"
        tokens, cost = chance.randrange(5, 900), chance.randrange(1000, 900_000)
        moment = (start + timedelta(days=DAYS * i / count)).isoformat(timespec="milliseconds")
        yield (
            f"{i:014d}",
            moment,
            chance.choice(("cli", "mcp", "magic")),
            outcome,
            "",
            "local",
            f"{chance.getrandbits(256):064x}",
            chance.randrange(5, 500),
            0.5,
            1.0,
            f"model-{min(int(chance.expovariate(0.4)), 10)}",
            chance.choice(BUDGETS),
            chance.random(),
            chance.random() if whole and i % 9 == 0 else None,
            tokens * chance.uniform(0.5, 2.0),
            tokens if asked else None,
            cost / 1e9 * chance.uniform(0.5, 2.0),
            cost if asked else None,
            0.012 if i % 7 else None,
            chance.uniform(0.2, 9.0) if asked else None,
            int(asked),
        )


def make_old_ledger(path: Path, count: int) -> None:
    """A ledger of the first schema with `count` entries."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN")
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        marks = ", ".join("?" * len(COLUMNS.split(", ")))
        db.executemany(f"INSERT INTO entries ({COLUMNS}) VALUES ({marks})", rows(count))
        db.execute("PRAGMA user_version = 1")
        db.execute("COMMIT")


def seconds(function: Any, rounds: int) -> list[float]:
    found: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return found


def of_many_rows(folder: Path, count: int) -> dict[str, Any]:
    path = folder / "ledger.sqlite3"
    make_old_ledger(path, count)
    ledger = Ledger(path)
    guard = SpendGuard(ledger, per_day=1e6)
    found: dict[str, Any] = {"rows": count, "size_mb": path.stat().st_size / 1e6}
    [found["first_use_s"]] = seconds(lambda: ledger.record(ENTRY) and ledger.find("nothing"), 1)
    found["stats_s"] = spread(seconds(lambda: stats(ledger), 5))["median_s"]
    found["stats_since_30_days_s"] = spread(seconds(lambda: stats(ledger, datetime.now(UTC) - timedelta(days=30)), 5))[
        "median_s"
    ]
    found["record_s"] = spread(seconds(lambda: ledger.record(ENTRY), 3000))
    found["reserve_and_settle_s"] = spread(seconds(lambda: guard.settle(guard.reserve(CANDIDATE, 1e-4), 5e-5), 3000))
    found["record_until_written_s"] = spread(seconds(lambda: (ledger.record(ENTRY), ledger.flush()), 3000))
    [found["prune_to_30_days_s"]] = seconds(lambda: prune(ledger, 30), 1)
    found["size_after_prune_mb"] = path.stat().st_size / 1e6
    ledger.close()
    return found


def beside_a_locked_file(folder: Path) -> dict[str, float]:
    """How long the event loop stands still while the file is locked and one answer comes."""
    ledger = Ledger(folder / "locked.sqlite3")
    guard = LoopGuard(SpendGuard(ledger), ledger)  # no limit rests on it, so answers go on
    ledger.record(ENTRY)
    ledger.flush()
    gaps: list[float] = []

    async def beat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    async def ask(url: str) -> None:
        beating = asyncio.create_task(beat())
        await asyncio.sleep(0.1)
        gaps.clear()
        await generate(url)
        await asyncio.sleep(0.1)
        beating.cancel()

    async def generate(url: str) -> None:
        generation = Generation(
            [CANDIDATE],
            [{"role": "user", "content": "What is the capital of Italy?"}],
            instruction=Instruction("Keep the whole reply under {words} words."),
            models={"any": Model("any", "any", 0.1, 0.4, base_url=url)},
            resolve=lambda model: Endpoint(model.base_url),
            options=Options(),
            guard=guard,
        )
        await generation.result()
        ledger.record(ENTRY)

    with chat_server(says("Rome", ".")) as server:
        found: dict[str, float] = {}
        asyncio.run(generate(server.url))  # what the first call loads is not the ledger's
        asyncio.run(ask(server.url))
        found["loop_still_s"] = max(gaps)
        with closing(sqlite3.connect(ledger.database.path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            freed = threading.Timer(8, other.execute, ["ROLLBACK"])
            freed.start()
            asyncio.run(ask(server.url))
            freed.join()
        found["loop_still_while_locked_s"] = max(gaps)
    ledger.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--as", dest="label", choices=("before", "after"), default="after")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        found = {**of_many_rows(Path(name), args.rows), **beside_a_locked_file(Path(name))}
    found["load_average"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    shown = {k: v["median_s"] if isinstance(v, dict) else v for k, v in found.items()}
    table([("", "measured")] + [(k, duration(v) if k.endswith("_s") else f"{v:,.0f}") for k, v in shown.items()])
    file = RESULTS / "ledger.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    kept = {label: known[label] for label in ("before", "after") if label in known}
    publish("ledger", f"python benchmarks/ledger.py --as {args.label}", {**kept, args.label: found})


if __name__ == "__main__":
    main()
