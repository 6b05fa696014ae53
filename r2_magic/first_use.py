"""The first cell of all: what to do where no model can be asked yet, and `%r2 pull`, which fetches one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from r2_magic.screen import say
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_magic.base import Configured
    from r2_router.net.download import Progress
    from r2_router.router import R2Router

_EVERY_S = 0.2  # between two drawings of the bar


def how_to_begin(router: R2Router) -> str:
    """What to do where no model can be asked now; "" where one can."""
    from r2_router.config.settings import load_settings
    from r2_router.local.first_model import smallest_missing

    if any(not router.not_ready(model) for model in router.models):
        return ""
    smallest = smallest_missing(router.models, load_settings().models_dir)
    fetched = (
        f", `%r2 pull` fetches the smallest model that runs here, {smallest.name} ({smallest.size_bytes / 1e6:.0f} MB)"
        if smallest
        else ""
    )
    return f"No model can be asked yet: `%r2 setup` looks for your keys and servers{fetched}."


def pull(name: str, magics: Configured) -> None:
    """Fetch the weights of the local model `name`, "" for the smallest of the pool, and say how far it is.

    Raises InputError where there is nothing to fetch, ConfigError for a name that is not known, DownloadError.
    """
    from r2_router.config.settings import load_settings
    from r2_router.local import pull as fetching
    from r2_router.local.first_model import smallest_missing
    from r2_router.local.weights import get_weights

    folder = load_settings().models_dir
    weights = get_weights(name) if name else smallest_missing(magics.router().models, folder)
    if weights is None:
        raise InputError("Nothing is missing that could be fetched: `%r2 models` says who can be asked, and why not.")
    say(f"fetching {weights.name} ({weights.size_bytes / 1e6:.0f} MB, {weights.license}) …")
    path = fetching.pull(weights.name, folder, bar_of(weights.size_bytes))
    say(f"{weights.name} is here: {path}")


def bar_of(size: int) -> Progress:
    """A bar of `size` bytes that is drawn anew now and then."""
    from IPython import display

    bar: Any = cast("Any", display).ProgressBar(size)
    bar.display()
    drawn_at = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal drawn_at
        if done >= size or time.monotonic() - drawn_at >= _EVERY_S:
            drawn_at = time.monotonic()
            bar.progress = min(done, size)

    return progress
