"""Tables and terminals: drawn by rich where a person reads, aligned plain text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]


def is_terminal(*, stderr: bool = False) -> bool:
    """Whether a person reads this stream, so that tables may be drawn."""
    return (sys.stderr if stderr else sys.stdout).isatty()


def console(*, stderr: bool = False) -> Console:
    """A rich console; markup is off, so a model named [red] shows as it is."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> list[str]:
    """The lines of an aligned table; the columns at the positions `numbers` stand to the right."""
    table = [columns, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    return ["  ".join(_cell(text, widths[i], i in numbers) for i, text in enumerate(row)).rstrip() for row in table]


def _cell(text: str, width: int, number: bool) -> str:
    return text.rjust(width) if number else text.ljust(width)


def show_table(columns: Row, rows: Sequence[Row], numbers: Collection[int] = ()) -> None:
    """Print a table; the columns at the positions `numbers` stand to the right."""
    if is_terminal():
        _show_rich(columns, rows, numbers)
    else:
        sys.stdout.write("\n".join([*plain_table(columns, rows, numbers), ""]))


def _show_rich(columns: Row, rows: Sequence[Row], numbers: Collection[int]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in numbers else "left", overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*map(Text, row))  # Text, not str: rich would read markup in a name
    console().print(table)
