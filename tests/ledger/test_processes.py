"""Many processes on one ledger, killed ones, forked ones, and a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.ledgers import ledger_at, rows

from r2_router.errors import SpendLimitError
from r2_router.ledger import SpendGuard, stats

WORKER = str(Path(__file__).parents[1] / "support" / "ledger_worker.py")
CANDIDATE = SimpleNamespace(model="m", label="m @ 10")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", WORKER, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def together(workers: list[subprocess.Popen[str]]) -> list[list[object]]:
    """Let all begin at once; what each said. None may complain."""
    for worker in workers:
        assert json.loads(worker.stdout.readline()) == "ready"
    for worker in workers:
        worker.stdin.close()
        worker.stdin = None
    said = [worker.communicate(timeout=60) for worker in workers]
    assert [err for _, err in said if err] == []
    assert {worker.returncode for worker in workers} == {0}
    return [[json.loads(line) for line in out.splitlines()] for out, _ in said]


@pytest.mark.slow
def test_concurrent_writes_all_arrive_and_add_up_exactly(place):
    said = together([start("record", place, 100, 1_000_001 + 997 * i) for i in range(5)])
    ids = {answer_id for lines in said for answer_id in lines}
    assert len(ids) == 500
    assert {row[0] for row in rows(place, "SELECT id FROM entries")} == ids
    exact = sum(1_000_001 + 997 * i + n for i in range(5) for n in range(100))
    assert rows(place, "SELECT SUM(cost_nanos) FROM entries") == [(exact,)]
    assert stats(ledger_at(place)).cost_usd == exact / 1e9


@pytest.mark.slow
def test_reservations_of_many_processes_reach_the_limit_and_never_pass_it(place):
    said = together([start("spend", place, 30, 0.01, "-", 1.0) for _ in range(5)])
    assert [line for lines in said for line in lines].count("granted") == 100
    assert rows(place, "SELECT COUNT(*), SUM(nanos) FROM reservations") == [(100, 1_000_000_000)]


@pytest.mark.slow
def test_what_is_settled_below_its_reservation_can_be_spent_again(place):
    said = together([start("spend", place, 60, 0.1, 0.01, 1.0) for _ in range(4)])
    granted = [line for lines in said for line in lines].count("granted")
    assert rows(place, "SELECT SUM(nanos) FROM spend") == [(granted * 10_000_000,)]
    assert rows(place, "SELECT COUNT(*) FROM reservations") == [(0,)]
    guard = SpendGuard(ledger_at(place), per_day=1.0)
    for _ in range(91 - granted):  # a call of up to 0.1 passes while at most 0.9 is spent
        guard.settle(guard.reserve(CANDIDATE, 0.1), 0.01)
    with pytest.raises(SpendLimitError):
        guard.reserve(CANDIDATE, 0.1)


@pytest.mark.slow
def test_a_killed_process_keeps_what_it_committed_and_its_reservation_is_spent(place):
    worker = start("reserve_and_record", place, 0.9)
    seen = [json.loads(worker.stdout.readline()) for _ in range(50)]
    worker.kill()
    seen += [json.loads(line) for line in worker.communicate()[0].splitlines() if line.endswith('"')]
    ledger = ledger_at(place)
    assert [answer_id for answer_id in seen if ledger.find(answer_id) is None] == []

    with pytest.raises(SpendLimitError) as refused:
        SpendGuard(ledger, per_day=1.0).reserve(CANDIDATE, 0.2)
    assert refused.value.reserved_usd == 0.9
    later = datetime.now(UTC) + timedelta(seconds=901)
    with ledger_at(place, now=lambda: later) as after_lease:
        SpendGuard(after_lease).settle(SpendGuard(after_lease).reserve(CANDIDATE, 0.2), 0.0)
    assert rows(place, "SELECT SUM(nanos) FROM spend") == [(900_000_000,)]


@pytest.mark.slow
def test_who_records_without_pause_keeps_nobody_from_a_paid_call(place):
    worker = start("record_without_pause", place)
    try:
        assert json.loads(worker.stdout.readline()) == "ready"
        guard = SpendGuard(ledger_at(place), per_day=1.0)
        for _ in range(5):
            guard.settle(guard.reserve(CANDIDATE, 0.01), 0.01)
    finally:
        worker.kill()
        worker.communicate()
    assert rows(place, "SELECT SUM(nanos) FROM spend") == [(50_000_000,)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_fork_in_the_middle_of_writing_leaves_both_sides_able_to_write(path):
    # A fork with threads is what is tested here, and what newer Pythons warn about.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", WORKER, "fork", str(path), "10"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert rows(path, "SELECT COUNT(*) FROM entries") == [(json.loads(done.stdout),)]
    assert rows(path, "SELECT nanos FROM spend") == [(10 * 10 * 10_000_000,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def can_mount() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0
    )


@pytest.mark.slow
def test_a_full_disk_is_one_warning_and_no_paid_call_under_a_limit(tmp_path):
    if not can_mount():
        pytest.skip("a small file system of its own needs unshare -rm")
    mount = f"mount -t tmpfs -o size=512k none {tmp_path} && exec {sys.executable} {WORKER} fill_disk {tmp_path}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    warnings, arrived, refusal = (json.loads(line) for line in done.stdout.splitlines())
    assert len(warnings) == 1
    assert "disk is full" in warnings[0]
    assert arrived[:20] == [True] * 20
    assert False in arrived
    assert refusal.startswith("No paid call while R2_MAX_USD_PER_DAY cannot be kept.")
