"""A checkpoint, found by path, by name, or by the pool it was measured on."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from r2_router.checkpoints.format import FILES, JSON_NAME, Checkpoint, EmbedderInfo, Instruction, Precision
from r2_router.config.folders import is_path, shipped, spelled, user_data_dir
from r2_router.config.settings import Settings
from r2_router.errors import CheckpointError
from r2_router.pools.pool import DEFAULT_POOL, Pool, load_pool

if TYPE_CHECKING:
    from r2_router.checkpoints.prior import Prior

DEFAULT_CHECKPOINT = "local"
PRIOR = "prior"
_WRITTEN_BY_THEN_S = (0.05, 0.25)  # a checkpoint that another process writes
LEARNED = "learned-"  # how the folders begin that `r2-router learn` writes


def is_prior(name: str) -> bool:
    """Whether that is the prior, which is a checkpoint only once it is composed with a pool."""
    if not is_path(name):
        return name == PRIOR
    from r2_router.checkpoints.prior import PRIOR_JSON

    return (Path(name).expanduser() / PRIOR_JSON).is_file()


def checkpoint_and_pool(
    settings: Settings,
    pool: Pool | None = None,
    *,
    learned: Callable[[Pool], Checkpoint | None] | None = None,
) -> tuple[Checkpoint, Pool]:
    """What the settings name; where they name one only, what goes with it: the checkpoint's own pool, the checkpoint
    that was learned from use or measured on the pool, else the prior. `pool` takes the place of the pool they name;
    `learned` finds what was learned from the use of a pool (default: learned_on).

    Raises CheckpointError or ConfigError.
    """
    learned = learned or learned_on
    if pool is None and settings.pool:
        pool = load_pool(settings.pool)
    if is_prior(settings.checkpoint):
        pool = pool or load_pool(DEFAULT_POOL)
        return composed(pool, settings.checkpoint), pool
    if settings.checkpoint:
        checkpoint = load_checkpoint(settings.checkpoint)
        return checkpoint, pool or load_pool(checkpoint.pool or DEFAULT_POOL)
    if pool is None:
        checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
        pool = load_pool(checkpoint.pool or DEFAULT_POOL)
        return learned(pool) or checkpoint, pool
    return learned(pool) or measured_on(pool) or composed(pool), pool


def learned_folder(pool: Pool) -> Path:
    """Where what was learned from the use of that pool is kept."""
    return user_data_dir() / "checkpoints" / (LEARNED + re.sub(r"[^\w.-]+", "-", pool.name))


def learned_on(pool: Pool) -> Checkpoint | None:
    """What was learned from the use of that pool, else None. Raises CheckpointError where it is damaged."""
    folder = learned_folder(pool)
    for pause in _WRITTEN_BY_THEN_S:
        try:
            return Checkpoint.load(folder) if (folder / JSON_NAME).is_file() else None
        except CheckpointError:  # one of its two files is new, and the other is not yet
            time.sleep(pause)
    return Checkpoint.load(folder) if (folder / JSON_NAME).is_file() else None


def composed(pool: Pool, prior: str = PRIOR) -> Checkpoint:
    """The prior of that name or path, for the models of `pool`.

    Raises CheckpointError where it is damaged, ConfigError where a model's rating is not known, InputError for an empty
    pool.
    """
    from r2_router.checkpoints.prior import compose
    from r2_router.pools.ability import abilities
    from r2_router.pools.ratings import load_ratings

    return compose(_load_prior(prior), pool, abilities(pool, load_ratings()))


def instruction_of(name: str) -> Instruction:
    """How the checkpoint, or prior, of that name or path tells a model its budget. Raises CheckpointError."""
    return (_load_prior(name) if is_prior(name) else load_checkpoint(name)).instruction


def _load_prior(name: str) -> Prior:
    from r2_router.checkpoints.prior import Prior

    return Prior.load(shipped("checkpoints") / PRIOR if name == PRIOR else Path(name).expanduser())


@cache
def shipped_precision(embedder: EmbedderInfo) -> Precision | None:
    """What tells how unlike real queries a text is to that embedder, from the shipped checkpoint; None where that was
    trained with another, or cannot be read."""
    with suppress(CheckpointError):
        shipped = load_checkpoint(DEFAULT_CHECKPOINT)
        return shipped.precision if shipped.embedder == embedder else None
    return None


def measured_on(pool: Pool) -> Checkpoint | None:
    """The checkpoint, the user's before the shipped, that knows all models of `pool`, or was measured on the pool of
    this name and still knows one; None where there is none. Raises CheckpointError where it is damaged."""
    for place in (user_data_dir() / "checkpoints", shipped("checkpoints")):
        for file in sorted(place.glob(f"*/{JSON_NAME}")):
            if file.parent.name.startswith(LEARNED):
                continue
            with suppress(CheckpointError):  # one that cannot be read is told when it is asked for
                about = FILES.about(file.parent)
                known = pool.models.keys() & _names(about.get("models"))
                if len(known) == len(pool) or (known and about.get("pool") == pool.name):
                    return Checkpoint.load(file.parent)
    return None


def _names(models: object) -> set[object]:
    return (
        {name for name in cast("list[object]", models) if isinstance(name, str)} if isinstance(models, list) else set()
    )


def load_checkpoint(name_or_path: str | os.PathLike[str]) -> Checkpoint:
    """A checkpoint by path (ours or a released directory), or by the name of a shipped or imported one.

    A name is never looked up in the working folder: a path holds a separator (./mine), or is a path object.
    """
    from r2_router.checkpoints.release import is_release, read_release

    name = spelled(name_or_path)
    if is_path(name):
        folders = [Path(name).expanduser()]
    else:
        folders = [folder / name for folder in (shipped("checkpoints"), user_data_dir() / "checkpoints") if name]
    for folder in folders:
        if (folder / JSON_NAME).is_file():
            return Checkpoint.load(folder)
        if is_release(folder):
            return read_release(folder)
    if is_prior(name):
        raise CheckpointError(f"'{name}' is the prior: it needs a pool. Name one, as in --pool NAME.")
    known = sorted(p.parent.name for p in shipped("checkpoints").glob("*/*.json"))
    here = "" if is_path(name) or not Path(name).is_dir() else f" If the folder here is meant, say ./{name}."
    raise CheckpointError(
        f"No checkpoint '{name}': no directory there holds {JSON_NAME} or a released R2-Router.{here} Shipped: "
        f"{', '.join(known)}. `r2-router import release --output DIR` fetches the released one."
    )
