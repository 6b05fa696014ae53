"""`r2-router batch --engine ray` on a cluster of this machine: the rows of one process, one limit, workers that die."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import dataset, fs, parquet
from support.chat_server import Exchange, chat_server, says
from support.collecting import write_inputs
from support.paying_server import Till

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason='`pip install "r2-mcp[ray]"`'),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Ray on Windows is a beta, and nothing there has kill -9"),
]
N = 60


def batch(file: Path | str, out: Path | str, *more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "r2_router.cli", "batch", str(file), "--output", str(out), "--json"]
    done = subprocess.run([*command, *map(str, more)], capture_output=True, text=True, check=False)
    assert done.stdout or done.returncode, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def on_ray(file: Path | str, out: Path | str, *more: object) -> subprocess.CompletedProcess[str]:
    return batch(file, out, "--engine", "ray", "--workers", 2, *more)


def prompts(folder: Path, n: int) -> Path:
    """A folder of two Parquet files of several row groups."""
    (folder / "prompts").mkdir()
    texts = [f"What is {i} + 1?" for i in range(n)]
    for name, part in (("a", texts[: n // 2]), ("b", texts[n // 2 :])):
        parquet.write_table(pa.table({"prompt": part}), folder / "prompts" / f"{name}.parquet", row_group_size=20)
    return folder / "prompts"


def assert_same(rows: list[dict[str, object]], expected: list[dict[str, object]]) -> None:
    """Row by row; the last bits of a prediction follow from how many prompts are computed together."""
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert value == (pytest.approx(other[name], rel=1e-4) if isinstance(value, float) else other[name])


def test_the_rows_are_those_of_one_process_in_their_order(tmp_path: Path) -> None:
    files = prompts(tmp_path, 700)
    file = tmp_path / "all.jsonl"
    lines = [*dataset.dataset(files).to_table()["prompt"].to_pylist(), [{"role": "user", "content": "Hello"}]]
    file.write_text("".join(json.dumps({"prompt": line}) + "\n" for line in [*lines, None]), encoding="utf-8")
    here = batch(file, tmp_path / "here")
    ray = on_ray(file, tmp_path / "ray")
    folder = on_ray(f"file://{files}", tmp_path / "folder", "--rows", 650)
    assert all(done.stdout for done in (here, ray, folder)), here.stderr + ray.stderr + folder.stderr
    assert [json.loads(done.stdout)["failed"] for done in (here, ray, folder)] == [1, 1, 0], ray.stderr + folder.stderr
    expected = parquet.read_table(tmp_path / "here" / "rows.parquet").to_pylist()
    assert_same(dataset.dataset(tmp_path / "ray" / "rows").to_table().to_pylist(), expected)
    assert_same(dataset.dataset(tmp_path / "folder" / "rows").to_table().to_pylist(), expected[:650])


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    done = on_ray(tmp_path / "nothing", tmp_path / "out")
    assert done.returncode == 1
    assert "No prompts at" in done.stderr
    done = batch(prompts(tmp_path, 2), tmp_path / "out", "--workers", 2)
    assert "--workers is for --engine ray" in done.stderr


def test_files_may_lie_in_a_store_of_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "one"), ("SECRET_ACCESS_KEY", "two"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        options = f"?endpoint_override=127.0.0.1:{server.get_host_and_port()[1]}&scheme=http"
        store, _ = fs.FileSystem.from_uri(f"s3://bucket{options}&allow_bucket_creation=true")
        store.create_dir("bucket")
        fs.copy_files(str(prompts(tmp_path, 60)), "bucket/prompts", destination_filesystem=store)
        done = on_ray(f"s3://bucket/prompts{options}", f"s3://bucket/out{options}")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["file"] == f"s3://bucket/out/rows{options}"
        rows = dataset.dataset("bucket/out/rows", filesystem=store).to_table().to_pylist()
        lost = on_ray(f"s3://bucket/prompts{options}", f"s3://nobodys/out{options}")
    finally:
        server.stop()
    batch(tmp_path / "prompts" / "a.parquet", tmp_path / "here")
    assert [row["index"] for row in rows] == list(range(60))
    assert_same(rows[:30], parquet.read_table(tmp_path / "here" / "rows.parquet").to_pylist())
    assert lost.returncode == 1
    assert "s3://nobodys/out/rows" in lost.stderr
    assert "cannot be written" in lost.stderr
    assert "Traceback" not in lost.stderr


def test_max_usd_holds_for_all_workers_together_and_either_engine_goes_on(tmp_path: Path) -> None:
    with chat_server(says("two")) as server:
        files, pool = prompts(tmp_path, N), write_inputs(tmp_path, server.url, 1)[1]
        asking = ("--answer", "--pool", pool, "--budget", 30, "--at-once", 3)
        first = on_ray(files, tmp_path / "out", *asking, "--max-usd", 0.0004)
        found = json.loads(first.stdout)
        assert 0 < found["answered"] < N, first.stderr
        assert found["spent_usd"] <= 0.0004
        asked = len(server.bodies)
        found = json.loads(on_ray(files, tmp_path / "out", *asking, "--max-usd", 1).stdout)
        again = json.loads(on_ray(files, tmp_path / "out", *asking, "--max-usd", 1).stdout)
    assert found["answered"] == again["answered"] == N
    assert asked < N == len(server.bodies)


def test_the_limit_of_a_day_holds_through_the_ledger_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("R2_MAX_USD_PER_DAY", "0.0004")
    with chat_server(says("two")) as server:
        files, pool = prompts(tmp_path, N), write_inputs(tmp_path, server.url, 1)[1]
        done = on_ray(files, tmp_path / "out", "--answer", "--pool", pool, "--budget", 30, "--at-once", 3)
    found = json.loads(done.stdout)
    assert 0 < found["answered"] < N
    assert found["failed"] == N - found["answered"]
    with sqlite3.connect(home / "data" / "ledger.sqlite3") as db:
        assert 0 < db.execute("SELECT SUM(nanos) FROM spend").fetchone()[0] <= 400_000


def test_workers_killed_midway_lose_nothing_and_buy_nothing_twice(tmp_path: Path) -> None:
    till, killed, chance = Till(remembers=True), list[int](), random.Random(5)

    async def kills(exchange: Exchange) -> None:
        if len(killed) < 2 and till.requests >= 6 * (len(killed) + 1) and (workers := _workers()):
            killed.append(chance.choice(workers))
            os.kill(killed[-1], 9)
        await till.behaviour(exchange)

    with chat_server(kills) as server:
        files, pool = prompts(tmp_path, N), write_inputs(tmp_path, server.url, 1)[1]
        done = on_ray(files, tmp_path / "out", "--answer", "--pool", pool, "--at-once", 3)
    assert done.returncode == 0, done.stderr
    assert len(killed) == 2
    assert set(till.paid.values()) == {1}
    rows = parquet.read_table(tmp_path / "out" / "rows.parquet").to_pylist()
    assert [row["index"] for row in rows] == list(range(N))
    assert all("the answer is 42" in row["answer"] for row in rows)


def _workers() -> list[int]:
    """The processes below this one that hold a router, by the name Ray gives them."""
    import psutil

    found: list[int] = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "_AnswerRows" in " ".join(process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
