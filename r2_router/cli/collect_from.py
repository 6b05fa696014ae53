"""`r2-router collect --from`: answers that exist already."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.show.tables import console, is_terminal

if TYPE_CHECKING:
    from r2_router.lab.importing.r2_bench import Told

R2_BENCH = "r2-bench"


def run_from(args: argparse.Namespace) -> int:
    """Read a log, or R2-Bench, into table.parquet of the output folder."""
    from r2_router.lab.collecting.plan import parse_budgets
    from r2_router.routing.request import limits

    folder = Path(args.output).expanduser()
    if args.source == R2_BENCH:
        from r2_router.lab.importing.r2_bench import import_r2_bench

        budgets = parse_budgets(args.budgets) if args.budgets else ()
        with _progress() as shown:
            counts = import_r2_bench(
                folder, rows=args.rows, models=limits(models=args.models).models, budgets=budgets, progress=shown
            )
    else:
        from r2_router.lab.importing.log import import_log

        requests = Path(args.requests).expanduser() if args.requests else None
        counts = import_log(Path(args.source).expanduser(), folder / "table.parquet", requests=requests)
    if args.json:
        common.print_json(counts.to_dict())
    else:
        print("\n".join(counts.lines()))
    return 0


@contextmanager
def _progress() -> Generator[Told]:
    """A bar of files on a terminal, else a line for each."""
    if not is_terminal(stderr=True):
        yield lambda done, total, path: common.note(f"{done + 1} of {total}: {path}")
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("files", total=None)
        yield lambda done, total, path: bar.update(task, completed=done, total=total, description=path)
