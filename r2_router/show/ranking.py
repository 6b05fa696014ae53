"""The table of a ranking that a terminal draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.routing.rows import MODEL, NUMBERS, QUALITY, ranking_table
from r2_router.show.tables import fitted
from r2_router.words import bar

if TYPE_CHECKING:
    from rich.table import Table

    from r2_router.routing.considered import Candidate

_LEAST_NAME = 20  # cells of a model's name, before anything else is left out
_LEFT_OUT = (QUALITY, 7, 6, 4)  # where there is no room: first the bars, then risk, net value, tokens


def rich_ranking(shown: Sequence[Candidate], width: int) -> Table:
    """The ranking as a rich table of at most `width` cells, the first row standing out.

    Where there is little room the bars go, then the last columns; a long name is shortened in its middle. A model
    named [red] shows as it is.
    """
    from rich.table import Table
    from rich.text import Text

    columns, texts = ranking_table(shown)
    rows = [list(row) for row in texts]
    barred = [[*row] for row in rows]
    for row, c in zip(barred, shown, strict=True):
        row[QUALITY] = f"{bar(c.predicted_quality)} {row[QUALITY]}"
    kept, cells = list(range(len(columns))), barred
    for column in _LEFT_OUT:
        if _least_width([columns, *cells], kept) <= width:
            break
        if column == QUALITY:
            cells = rows
        elif column in kept:
            kept.remove(column)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for i in kept:
        table.add_column(columns[i], justify="right" if i in NUMBERS else "left", no_wrap=True)
    picked = [[row[i] for i in kept] for row in [list(columns), *cells]]
    for rank, row in enumerate(fitted(picked, width, {n for n, i in enumerate(kept) if i != MODEL})[1:], 1):
        table.add_row(*map(Text, row), style="bold cyan" if rank == 1 else None)
    return table


def _least_width(rows: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    """The cells a table of the columns `kept` takes at least, its names shortened."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in rows) for i in kept]
    names = kept.index(MODEL)
    widths[names] = min(widths[names], _LEAST_NAME)
    return sum(widths) + 2 * (len(kept) - 1)
