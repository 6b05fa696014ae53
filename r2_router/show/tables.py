"""Tables and terminals: drawn by rich where a person reads, aligned plain text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]

_GAP = 2  # cells between two columns
_LEAST_TEXT = 10  # cells of a text that is shortened


def is_terminal(*, stderr: bool = False) -> bool:
    """Whether a person reads this stream, so that tables may be drawn."""
    return (sys.stderr if stderr else sys.stdout).isatty()


def console(*, stderr: bool = False) -> Console:
    """A rich console; markup is off, so a model named [red] shows as it is."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` terminal cells: where it is wider, its middle gives way to "…"."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    room = max(width - 1, 0)
    head = set_cell_size(text, room - room // 2).rstrip()
    tail = set_cell_size(text[::-1], room // 2).rstrip()[::-1]
    return f"{head}…{tail}"


def fitted(rows: Sequence[Row], width: int, numbers: Collection[int] = ()) -> list[list[str]]:
    """`rows` in at most `width` cells: the widest texts are shortened in the middle, numbers stay whole."""
    from rich.cells import cell_len

    cells = [list(row) for row in rows]
    count = len(cells[0]) if cells else 0
    widths = [max(cell_len(row[i]) for row in cells) for i in range(count)]
    texts = [i for i in range(count) if i not in numbers]
    excess = sum(widths) + _GAP * (count - 1) - width
    while excess > 0 and texts:
        widest = max(texts, key=lambda i: widths[i])
        if widths[widest] <= _LEAST_TEXT:
            break
        widths[widest] -= 1
        excess -= 1
    return [[shortened(text, widths[i]) if i in texts else text for i, text in enumerate(row)] for row in cells]


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

    screen = console()
    table = Table(header_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        number = i in numbers
        table.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in fitted([columns, *rows], screen.width, numbers)[1:]:
        table.add_row(*map(Text, row))  # Text, not str: rich would read markup in a name
    screen.print(table)
