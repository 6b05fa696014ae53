"""The parts of a router, found by name: checkpoint, pool, embedder, default trade-off."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from r2_router.checkpoints.format import JSON_NAME, Checkpoint
from r2_router.config.folders import shipped, user_data_dir
from r2_router.config.settings import EMBED_API_KEY, Settings
from r2_router.errors import CheckpointError, InputError
from r2_router.pools.model import Model
from r2_router.pools.pool import DEFAULT_API_KEY_ENV, DEFAULT_BASE_URL, Pool
from r2_router.routing.decision import TradeOff
from r2_router.routing.request import trade_off

if TYPE_CHECKING:
    from r2_router.embedders import Embedder

DEFAULT_CHECKPOINT = "local"


def load_checkpoint(name_or_path: str | os.PathLike[str]) -> Checkpoint:
    """A checkpoint by path (ours or a released directory), or by the name of a shipped or imported one."""
    from r2_router.checkpoints.release import is_release, read_release

    name = os.fspath(name_or_path)
    folders = [Path(name).expanduser()]
    if Path(name).name == name and name not in ("", ".", ".."):
        folders += [shipped("checkpoints") / name, user_data_dir() / "checkpoints" / name]
    for folder in folders:
        if (folder / JSON_NAME).is_file():
            return Checkpoint.load(folder)
        if is_release(folder):
            return read_release(folder)
    known = sorted(p.parent.name for p in shipped("checkpoints").glob(f"*/{JSON_NAME}"))
    raise CheckpointError(
        f"No checkpoint '{name}': no directory there holds {JSON_NAME} or a released R2-Router. Shipped: "
        f"{', '.join(known)}. `r2-router import release --output DIR` fetches the released one."
    )


def release_pool(checkpoint: Checkpoint) -> Pool:
    release = checkpoint.release
    if release is None:
        raise InputError(f"compat=True reproduces the seed release; checkpoint '{checkpoint.name}' is not one.")
    prices = cast("dict[str, list[float]]", release["prices"])
    ids = cast("dict[str, str]", release["ids"])
    return Pool(
        "release",
        {
            name: Model(name, ids[name], price[0], price[1], base_url=DEFAULT_BASE_URL, api_key_env=DEFAULT_API_KEY_ENV)
            for name, price in prices.items()
        },
    )


def choose_embedder(
    given: Embedder | str | None, checkpoint: Checkpoint, settings: Settings
) -> Embedder | Callable[[], Embedder]:
    if given is not None and not isinstance(given, str):
        return given

    def make() -> Embedder:
        from r2_router.embedders import make_embedder

        key = settings.key(EMBED_API_KEY)
        return make_embedder(
            settings.embedder or recorded_embedder(checkpoint),
            url=settings.embed_url or None,
            model=settings.embed_model or None,
            api_key=key and key.reveal(),
            dim=checkpoint.embedder.dim,
        )

    return make


def recorded_embedder(checkpoint: Checkpoint) -> str:
    """The embedder that `checkpoint` names. Raises CheckpointError where it names a file of this machine: which files
    are loaded is the user's to say."""
    from r2_router.embedders import is_file

    name = checkpoint.embedder.id
    if is_file(name):
        raise CheckpointError(
            f"Checkpoint '{checkpoint.name}' names a file as its embedder ({name}). If you trust that file, say so "
            f"yourself: R2_EMBEDDER={name}, or `embedder` in the settings."
        )
    return name


def configured_trade_off(settings: Settings) -> TradeOff:
    chosen = trade_off(settings.lambda_val, settings.worth_usd, settings.preset, settings.presets)
    return chosen or cast("TradeOff", trade_off(preset="balanced", presets=settings.presets))
