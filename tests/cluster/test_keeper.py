"""The keeper of a batch: a dead worker's calls count in full, and nothing is begun once the limit has refused."""

from __future__ import annotations

from pathlib import Path

from r2_router.batches.mapped import Mapped
from r2_router.cluster.keeper import Keeper


def test_what_a_dead_worker_left_under_way_is_spent_and_taken_again(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "batch.sqlite3", 1.0)
    assert keeper.take([0, 1, 2]) == [0, 1, 2]
    assert all(keeper.begin(index, 0.25) for index in (0, 1))
    keeper.write(Mapped(0, error="No.").row(), 0.125, failed=True, kept=True)
    assert keeper.take([0, 1, 2]) == [1, 2]
    assert keeper.progress() == (1, 0.375)
    assert keeper.begin(1, 0.5)
    assert keeper.progress() == (1, 0.875)
    keeper.close()


def test_calls_of_the_other_workers_stay_under_way(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "batch.sqlite3", 1.0)
    assert keeper.begin(7, 0.5)
    assert keeper.take([0]) == [0]
    keeper.write(Mapped(7, error="No.").row(), 0.25, failed=True, kept=True)
    assert keeper.progress() == (1, 0.25)
    keeper.close()


def test_once_the_limit_refused_there_is_nothing_to_take(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "batch.sqlite3", 1.0)
    assert keeper.begin(0, 0.75)
    assert not keeper.begin(1, 0.5)
    assert keeper.take([2]) == []
    keeper.close()
