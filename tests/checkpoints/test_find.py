"""A name means something shipped or of one's own; the working folder is asked only by a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.made_up import make_checkpoint

from r2_router.checkpoints.find import load_checkpoint
from r2_router.checkpoints.format import Checkpoint
from r2_router.config.folders import is_path, spelled, user_data_dir
from r2_router.errors import CheckpointError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("local", "mine"):
        make_checkpoint(name=f"{name} of the working folder").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_one_wins_over_the_working_folder() -> None:
    assert load_checkpoint("local").name == "local"


def test_a_name_is_not_looked_up_in_the_working_folder() -> None:
    with pytest.raises(CheckpointError, match=r"If the folder here is meant, say \./mine"):
        load_checkpoint("mine")
    make_checkpoint(name="my own").save(user_data_dir() / "checkpoints" / "mine")
    assert load_checkpoint("mine").name == "my own"


def test_a_path_is_taken_at_its_word(here: Path) -> None:
    for given in ("./local", os.path.join(".", "local"), str(here / "local"), Path("local"), here / "local"):
        assert load_checkpoint(given).name == "local of the working folder"
    os.chdir(here / "local")
    assert load_checkpoint(".").name == "local of the working folder"


def test_what_is_a_path() -> None:
    assert [
        said for said in ("a", "a.toml", "a b", "", "C:", "a/b", "./a", "~/a", "a\\b", "..", ".") if is_path(said)
    ] == [
        *("a/b", "./a", "~/a", "a\\b", "..", "."),
    ]
    assert (spelled("a"), spelled(Path("a")), spelled(Path("a/b"))) == ("a", os.path.join(".", "a"), str(Path("a/b")))


@pytest.mark.parametrize("pool", ["./pool.toml", "../pool", "/etc/pool.toml", "a\\b", "..", ".", "D:pool", "a\nb"])
def test_a_checkpoint_names_its_pool_by_name(pool: str) -> None:
    with pytest.raises(CheckpointError, match="names its pool by something that is no name"):
        make_checkpoint(pool=pool)
    assert isinstance(make_checkpoint(pool="my-pool.1"), Checkpoint)
