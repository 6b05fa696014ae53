"""`r2-router models pull`: fetch the weights of a local model."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.show.tables import console, is_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from r2_router.local.weights import Weights
    from r2_router.net.download import Progress


def register_pull(subcommands: common.Commands) -> None:
    """Add `pull` to the subcommands of `models`."""
    parser = subcommands.add_parser(
        "pull",
        help="fetch the weights of a local model",
        description="Fetch the weights of local models into your data folder, verified by SHA-256. A fetch that "
        "was interrupted goes on where it stopped. The paths are printed.",
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help="a local model, like SmolLM2-135M-Instruct")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.config.settings import load_settings
    from r2_router.local.weights import get_weights

    models_dir = load_settings().models_dir
    for weights in [get_weights(name) for name in args.names]:
        print(pull_shown(weights, models_dir))
    return 0


def pull_shown(weights: Weights, models_dir: str) -> Path:
    """The file of `weights`, fetched with its progress shown unless it is here already."""
    from r2_router.local.pull import pull
    from r2_router.local.weights import find_weights

    path = find_weights(weights.name, models_dir)
    if path is None:
        with _progress(weights) as progress:
            path = pull(weights.name, models_dir, progress)
    return path


@contextmanager
def _progress(weights: Weights) -> Generator[Progress]:
    """A bar on a terminal, else a line; both on stderr."""
    if not is_terminal(stderr=True):
        common.note(f"fetching {weights.name} ({weights.size_bytes / 1e6:.0f} MB, {weights.license})")
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(weights.name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
