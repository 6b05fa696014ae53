"""A checkpoint, found by path, by name, or by the pool it was measured on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from r2_router.checkpoints.format import JSON_NAME, Checkpoint, read_json
from r2_router.config.folders import is_path, shipped, spelled, user_data_dir
from r2_router.errors import CheckpointError
from r2_router.pools.pool import Pool

DEFAULT_CHECKPOINT = "local"


def measured_on(pool: Pool) -> Checkpoint | None:
    """The checkpoint, the user's before the shipped, that was measured on the pool of this name, if it still knows a
    model of it. Raises CheckpointError where it is damaged."""
    for place in (user_data_dir() / "checkpoints", shipped("checkpoints")):
        for file in sorted(place.glob(f"*/{JSON_NAME}")):
            with suppress(CheckpointError):  # one that cannot be read is told when it is asked for
                about = read_json(file.parent)
                known = about.get("models")
                if about.get("pool") == pool.name and isinstance(known, list) and not pool.models.keys().isdisjoint(known):
                    return Checkpoint.load(file.parent)
    return None


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
    known = sorted(p.parent.name for p in shipped("checkpoints").glob(f"*/{JSON_NAME}"))
    here = "" if is_path(name) or not Path(name).is_dir() else f" If the folder here is meant, say ./{name}."
    raise CheckpointError(
        f"No checkpoint '{name}': no directory there holds {JSON_NAME} or a released R2-Router.{here} Shipped: "
        f"{', '.join(known)}. `r2-router import release --output DIR` fetches the released one."
    )
