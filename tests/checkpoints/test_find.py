"""A name means something shipped or of one's own; the working folder is asked only by a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.made_up import make_checkpoint, make_pool

from r2_router.checkpoints.find import (
    checkpoint_and_pool,
    composed,
    instruction_of,
    is_prior,
    load_checkpoint,
    measured_on,
)
from r2_router.checkpoints.format import Checkpoint
from r2_router.config.folders import is_path, spelled, user_data_dir
from r2_router.config.settings import Settings
from r2_router.errors import CheckpointError
from r2_router.pools.pool import Pool, load_pool


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


# -- what goes with a pool -----------------------------------------------------------------------------------


def renamed(pool: Pool, name: str, *models: str) -> Pool:
    return Pool(name, {model: pool.models[model] for model in models or pool.models})


def test_a_pool_goes_with_the_checkpoint_that_knows_its_models() -> None:
    local = load_pool("local")
    first = next(iter(local.models))
    for pool in (local, renamed(local, "mine"), renamed(local, "mine", first), renamed(local, "local", first)):
        found = measured_on(pool)
        assert found is not None
        assert found.name == "local"


def test_a_pool_with_a_stranger_goes_with_the_checkpoint_measured_under_its_name() -> None:
    mixed = {**load_pool("local").models, **make_pool().models}
    assert measured_on(Pool("mine", mixed)) is None
    found = measured_on(Pool("local", mixed))
    assert found is not None
    assert found.name == "local"
    assert measured_on(Pool("local", make_pool().models)) is None


def test_the_users_own_checkpoint_comes_first_and_a_damaged_one_is_passed_over() -> None:
    folder = user_data_dir() / "checkpoints"
    (folder / "broken").mkdir(parents=True)
    (folder / "broken" / "checkpoint.json").write_text("{")
    models = list(load_pool("local").models)
    own = make_checkpoint(name="mine", pool="local")
    names = {f"model-{m}": name for m, name in enumerate(models)}
    make_checkpoint(
        name="mine", pool="local", candidates=tuple((names[model], budget) for model, budget in own.candidates)
    ).save(folder / "own")
    found = measured_on(load_pool("local"))
    assert found is not None
    assert found.name == "mine"


def test_a_pool_that_nobody_measured_goes_with_the_prior() -> None:
    pool = make_pool()
    checkpoint, chosen = checkpoint_and_pool(Settings(), pool)
    assert chosen is pool
    assert (checkpoint.name, checkpoint.models) == ("prior", tuple(pool.models))
    assert "public ratings" in checkpoint.estimated_from


def test_what_is_named_is_taken() -> None:
    local, _ = checkpoint_and_pool(Settings())
    assert local.name == "local"
    assert checkpoint_and_pool(Settings(checkpoint="local"), make_pool())[0].name == "local"
    assert checkpoint_and_pool(Settings(checkpoint="prior"))[0].models == tuple(load_pool("local").models)
    assert checkpoint_and_pool(Settings(pool="local"))[0].name == "local"


def test_the_prior_is_no_checkpoint_before_it_has_a_pool() -> None:
    assert is_prior("prior")
    assert not is_prior("local")
    with pytest.raises(CheckpointError, match="it needs a pool"):
        load_checkpoint("prior")
    assert instruction_of("prior") == composed(make_pool()).instruction
    assert instruction_of("local") == load_checkpoint("local").instruction


def test_a_folder_called_prior_is_not_taken_for_it(here: Path) -> None:
    make_checkpoint(name="prior of the working folder").save(here / "prior")
    assert composed(make_pool()).name == "prior"
    assert load_checkpoint("./prior").name == "prior of the working folder"
    assert not is_prior("./prior")
