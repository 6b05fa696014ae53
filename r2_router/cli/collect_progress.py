"""How a collection goes on: a bar with spend and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.show.tables import console, is_terminal
from r2_router.words import usd

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from r2_router.lab.collecting.answers import StoredAnswer
    from r2_router.lab.collecting.plan import Cell, Estimate
    from r2_router.lab.collecting.session import Collection, Watch

_LINE_SECONDS = 60.0


@contextmanager
def progress(collection: Collection, ahead: Estimate) -> Generator[Watch]:
    """A Watch that shows the run on stderr."""
    if not is_terminal(stderr=True):
        yield _Lines(ahead.calls)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TextColumn("{task.fields[spent]}"), TimeRemainingColumn(elapsed_when_finished=True)),
    )
    with Progress(*columns, console=console(stderr=True)) as bars:
        spent = collection.store.spent_usd
        yield _Bars(
            bars, {m.model: bars.add_task(m.model, total=m.calls, spent=usd(spent)) for m in ahead.models if m.calls}
        )


class _Bars:
    def __init__(self, bars: Progress, tasks: dict[str, TaskID]) -> None:
        self._bars = bars
        self._tasks = tasks

    def answered(self, cell: Cell, answer: StoredAnswer, spent_usd: float) -> None:
        for task in self._tasks.values():
            self._bars.update(task, spent=usd(spent_usd))
        self._bars.advance(self._tasks[cell.model.name])

    def failed(self, cell: Cell, reason: str) -> None:
        self._bars.console.print(f"{_name(cell)}: {reason}")


class _Lines:
    """A line a minute, and one for each failure."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._done = 0
        self._start = self._said = time.monotonic()

    def answered(self, cell: Cell, answer: StoredAnswer, spent_usd: float) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._said >= _LINE_SECONDS or self._done == self._calls:
            self._said = now
            left = (now - self._start) / self._done * (self._calls - self._done) / 60
            common.note(f"{self._done:,} of {self._calls:,} calls, {usd(spent_usd)} spent, about {left:,.0f} min left")

    def failed(self, cell: Cell, reason: str) -> None:
        common.note(f"{_name(cell)}: {reason}")


def _name(cell: Cell) -> str:
    return f"{cell.question.query_id}, {cell.model.name} @ {cell.budget}"
