"""Tables: drawn by rich on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from r2_router.cli.common import console, is_terminal
from r2_router.wording import plain_table

Row = Sequence[str]


def show_table(columns: Row, rows: Sequence[Row], numbers: Collection[int] = ()) -> None:
    """Print a table; the columns at the positions `numbers` stand to the right."""
    if is_terminal():
        _show_rich(columns, rows, numbers)
    else:
        print("\n".join(plain_table(columns, rows, numbers)))


def _show_rich(columns: Row, rows: Sequence[Row], numbers: Collection[int]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in numbers else "left", overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*map(Text, row))  # Text, not str: rich would read markup in a name
    console().print(table)
