"""kill -9 at random moments: no answer that was paid for is lost, or bought twice."""

import random
import sqlite3
import subprocess
import sys

import pytest
from support.chat_server import chat_server
from support.collecting import write_inputs
from support.paying_server import PHASES, Till

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9"),
]

QUERIES, KILLS = 40, 2 * len(PHASES)
BUDGETS = "20,40,unlimited"
CELLS = QUERIES * 2 * 3


def collect(folder, queries, pool, *more):
    command = [
        sys.executable,
        "-m",
        "r2_router.cli",
        "collect",
        "--queries",
        queries,
        "--pool",
        pool,
        "--budgets",
        BUDGETS,
    ]
    return subprocess.Popen(
        [*map(str, command), "--output", str(folder / "out"), "--concurrency", "3", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed_often(tmp_path, till, kills, seed):
    """Runs the same command until it ends by itself, killing it `kills` times before, at a random answer and in each
    phase of one by turns; what it said at the end."""
    rng = random.Random(seed)
    with chat_server(till.behaviour) as server:
        inputs = write_inputs(tmp_path, server.url, QUERIES)
        done = 0
        while True:
            process = collect(tmp_path, *inputs)
            if done < kills:
                till.kill_at(rng.randint(1, CELLS // kills // 2), PHASES[done % len(PHASES)], process.pid)
            out, err = process.communicate()
            if process.returncode != -9:
                assert process.returncode == 0, err
                assert done == kills, "it was done before it was killed often enough"
                return out
            done += 1


def answers(tmp_path):
    with sqlite3.connect(tmp_path / "out" / "answers.sqlite3") as db:
        rows = db.execute("SELECT query_id, model, budget, text FROM answers").fetchall()
        losses = db.execute("SELECT query_id, model, budget FROM losses").fetchall()
        spent = db.execute(
            "SELECT (SELECT SUM(nanos) FROM answers) + (SELECT COALESCE(SUM(nanos), 0) FROM losses)"
        ).fetchone()[0]
    return rows, losses, spent / 1e9


def test_nothing_is_lost_or_bought_twice(tmp_path):
    till = Till(remembers=True)
    out = killed_often(tmp_path, till, KILLS, seed=1)
    rows, _, _ = answers(tmp_path)
    assert len(rows) == CELLS
    assert {text for *_, text in rows} == {text for *_, text in rows if text.endswith("the answer is 42.")}
    assert set(till.paid.values()) == {1}
    assert len(till.paid) == CELLS
    assert "Mean quality 1.000" in out


def test_where_the_server_forgets_only_what_was_cut_off_is_asked_again(tmp_path):
    """Without idempotency keys nobody can know of an answer under way; what it may have cost is counted."""
    till = Till(remembers=False)
    killed_often(tmp_path, till, 6, seed=2)
    rows, losses, spent = answers(tmp_path)
    assert len(rows) == CELLS
    twice = sum(count - 1 for count in till.paid.values())
    assert twice <= len(losses) <= 6 * 6  # two models, three at once
    price = (10 * 1.0 + 5 * 2.0) / 1e6
    assert spent >= sum(till.paid.values()) * price - 1e-9
