"""`r2-router batch`: files in, one Parquet file out; stops of any kind, limits, and what is wrong in a file."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.chat_server import chat_server, fails, says
from support.collecting import write_inputs
from support.command import run_command
from support.paying_server import PHASES, Till

N = 30


def prompts(folder: Path, n: int = N) -> Path:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"What is {i} + 1?"}) + "\n" for i in range(n)), encoding="utf-8")
    return file


def rows(folder: Path) -> list[dict[str, object]]:
    return parquet.read_table(folder / "out" / "rows.parquet").to_pylist()


def batch(folder: Path, file: Path, *more: object) -> tuple[int, str, str]:
    done = run_command("batch", str(file), "--output", str(folder / "out"), *map(str, more))
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_every_form_of_file_gives_the_same_rows(tmp_path: Path) -> None:
    texts = ["What is 2 + 2?", 'Say "hi",\nplease.', "为什么天空是蓝色的？"]
    chat = [{"role": "user", "content": "Hello"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"prompt": t}) for t in [*texts, chat]), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(t) for t in [*texts, "Hello"]), encoding="utf-8")
    with (tmp_path / "c.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["id", "prompt"], *([i, t] for i, t in enumerate([*texts, json.dumps(chat)]))])
    parquet.write_table(pa.table({"text": [*texts, "Hello"]}), tmp_path / "d.parquet")
    found = []
    for name in ("a.jsonl", "b.jsonl", "c.csv", "d.parquet"):
        code, out, err = batch(tmp_path / name[0], tmp_path / name)
        assert code == 0, err
        assert "4 prompts, 0 failed, $0.00 spent." in out
        found.append([(row["model"], row["budget"], row["predicted_cost_usd"]) for row in rows(tmp_path / name[0])])
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 4


@pytest.mark.slow
def test_a_bad_row_is_an_error_of_its_own_and_the_command_says_so(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "Hi"}\n{"prompt": null}\n\n{"prompt": " "}\n{"other": 1}\n', encoding="utf-8")
    code, out, _ = batch(tmp_path, file)
    assert code == 1
    assert "4 prompts, 3 failed" in out
    assert [bool(row["error"]) for row in rows(tmp_path)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.jsonl", "{not json}", "line 1 is no JSON"),
        ("p.jsonl", "7", "line 1 is neither"),
        ("p.csv", "a,b\n1,2\n", "has none of the columns prompt, query"),
        ("p.txt", "Hello", "must be a .parquet, .csv, .jsonl file"),
        ("p.parquet", "Hello", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    code, _, err = batch(tmp_path, tmp_path / name)
    assert code == 1
    assert said in err
    assert not (tmp_path / "out" / "rows.parquet").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--max-usd", 1), "routing is free"),
        (("--answer", "--max-usd", "nan"), "--max-usd is an amount in dollars"),
        (("--answer", "--max-usd", "-1"), "--max-usd is an amount in dollars"),
        (("--worth-usd", -1), "worth_usd is dollars"),
        (("--column", "prmpt"), "lacks column prmpt"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(tmp_path: Path, more: tuple[object, ...], said: str) -> None:
    code, _, err = batch(tmp_path, prompts(tmp_path), *more)
    assert code == 1
    assert said in err


@pytest.mark.slow
def test_answers_are_kept_failures_tried_again_and_nothing_is_bought_twice(tmp_path: Path) -> None:
    with chat_server(says("two")) as server:
        file, pool = prompts(tmp_path, 6), write_inputs(tmp_path, server.url, 1)[1]
        asking = ("--answer", "--pool", pool, "--at-once", 1, "--models", "a")
        server.then(*[says("two")] * 4, fails(400, "no such thing"), fails(400, "no such thing"))
        first = batch(tmp_path, file, *asking)
        failed = [row["error"] for row in rows(tmp_path)]
        asked = len(server.bodies)
        server.then(says("two"))
        second, third = batch(tmp_path, file, *asking), batch(tmp_path, file, *asking)
        changed = batch(tmp_path, file, *asking, "--worth-usd", 5)
        assert [first[0], second[0], third[0], changed[0]] == [1, 0, 0, 1]
        assert sum(error is not None for error in failed) == 2
        assert [row["answer"] for row in rows(tmp_path)] == ["two"] * 6
        assert len(server.bodies) == asked + 2
        assert "begun with another wishes" in changed[2]


@pytest.mark.slow
def test_max_usd_is_never_passed_and_the_rest_is_said(tmp_path: Path) -> None:
    with chat_server(says("two")) as server:
        file, pool = prompts(tmp_path), write_inputs(tmp_path, server.url, 1)[1]
        asking = ("--answer", "--pool", pool, "--budget", 30, "--json")
        code, out, err = batch(tmp_path, file, *asking, "--max-usd", 0.0004)
        found = json.loads(out)
        assert code == 1
        assert 0 < found["answered"] < N
        assert found["spent_usd"] <= 0.0004
        assert "unanswered" in err
        code, out, _ = batch(tmp_path, file, *asking, "--max-usd", 1)
    assert (code, json.loads(out)["answered"], len(rows(tmp_path))) == (0, N, N)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_killed_at_any_moment_nothing_is_lost_or_bought_twice(tmp_path: Path) -> None:
    till, rng = Till(remembers=True), random.Random(3)
    with chat_server(till.behaviour) as server:
        file, pool = prompts(tmp_path), write_inputs(tmp_path, server.url, 1)[1]
        command = [sys.executable, "-m", "r2_router.cli", "batch", str(file), "--output", str(tmp_path / "out")]
        command += ["--answer", "--pool", str(pool), "--at-once", "3"]
        for phase in (*PHASES, ""):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if phase:
                till.kill_at(rng.randint(1, 3), phase, process.pid)
            _, err = process.communicate()
            assert process.returncode == (-9 if phase else 0), err
    assert set(till.paid.values()) == {1}
    assert len(till.paid) == N == len(rows(tmp_path))
    with sqlite3.connect(tmp_path / "out" / "batch.sqlite3") as db:
        assert db.execute("SELECT COUNT(*) FROM calls").fetchone() == (0,)
