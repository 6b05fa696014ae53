"""`r2-router import`: a released R2-Router directory as a checkpoint of ours."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from r2_router.cli import common
from r2_router.errors import InputError
from r2_router.show.tables import console, is_terminal


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "import",
        help="turn a released R2-Router into a checkpoint",
        description="Turn a released R2-Router directory (config.json and joblib files) into a checkpoint. "
        "Nothing in the files is run.",
    )
    parser.add_argument(
        "source",
        metavar="PATH_OR_URL",
        help="a released directory, `release` for the pinned one, or the URL it is mirrored under",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="where the checkpoint is written")
    parser.add_argument("--force", action="store_true", help="write into DIR even if it holds files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.checkpoints.release import read_release
    from r2_router.config.folders import spelled

    output = Path(args.output).expanduser()
    common.check_output(output, force=args.force)
    checkpoint = read_release(_released_directory(args.source))
    if left_out := checkpoint.data_card["left_out"]:
        common.note(f"note: no files for {', '.join(left_out)}; left out")
    if "commit" not in checkpoint.data_card:
        common.note("note: these are not the files of the pinned release; its numbers do not apply")
    try:
        checkpoint.save(output)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}. Choose another --output.") from None
    print(
        f"Wrote {output}: {len(checkpoint.models)} models, {len(checkpoint.candidates)} candidates. Next: "
        f'r2-router route "..." --checkpoint {shlex.quote(spelled(output))} --embed-url http://localhost:8000'
    )
    return 0


def _released_directory(source: str) -> Path:
    """The directory `source` names, fetched into the user's data folder if it is `release` or a URL."""
    from r2_router.checkpoints.release import fetch_release, pinned_release
    from r2_router.config.folders import user_data_dir

    base_url = source if "://" in source else None
    if base_url is None and source != "release":
        return Path(source).expanduser()
    folder = user_data_dir() / "release" / pinned_release().commit
    with _progress() as progress:
        return fetch_release(folder, progress=progress, base_url=base_url)


@contextmanager
def _progress() -> Generator[Callable[[int, int, str], None]]:
    """A bar on a terminal, else a line a file; both on stderr."""
    if not is_terminal(stderr=True):
        yield lambda done, total, name: common.note(f"{done}/{total} {name}")
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("fetching the release"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[file]}"),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, file="")
        yield lambda done, total, name: bar.update(task, completed=done, total=total, file=name)
