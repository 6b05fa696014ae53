"""What is kept of each run that learned, and how it is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from r2_router.checkpoints.learned import Run, forget, log_of, note, runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "learned-p"


def test_runs_are_kept_in_order_and_the_oldest_go(folder):
    assert runs(folder) == []
    said = [Run(time=f"t{i}", answers=i, changes=[{"model": "m"}]) for i in range(120)]
    for run in said:
        note(folder, run)
    assert runs(folder) == said[-100:]


def test_a_line_that_is_no_run_is_left_out(folder):
    note(folder, Run(time="t", fault="why"))
    with log_of(folder).open("a") as file:
        file.write('{"time": "half\n[1]\nnull\n{"time": "u", "unknown": 1}\n')
    assert [run.time for run in runs(folder)] == ["t", "u"]
    log_of(folder).write_bytes(b"\xff\xfe")
    assert runs(folder) == []


def test_to_forget_is_to_have_no_checkpoint(folder):
    assert not forget(folder)
    folder.mkdir()
    (folder / "checkpoint.json").write_text("{}")
    (folder / "heads.safetensors").write_text("")
    assert forget(folder)
    assert not folder.exists()
