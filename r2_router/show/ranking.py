"""A ranking of candidates: its columns, its rows, the table a terminal draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.show.tables import fitted
from r2_router.words import asked_for, bar, budget_text, quality_text, usd

if TYPE_CHECKING:
    from rich.table import Table

    from r2_router.routing.decision import Candidate

COLUMNS = ("", "model", "budget", "quality", "tokens", "cost", "net value", "risk")
NUMBERS = frozenset({0, 2, 3, 4, 5, 6, 7})  # the columns that stand to the right
QUALITY = 3  # the column that has a bar where there is room for one

_MODEL = 1
_LEAST_NAME = 20  # cells of a model's name, before anything else is left out
_LEFT_OUT = (QUALITY, 7, 6, 4)  # where there is no room: first the bars, then risk, net value, tokens


def choice(c: Candidate) -> str:
    """Model and budget as part of a sentence."""
    return f"{c.model}, {asked_for(c.budget)}"


def ranking_row(rank: int, c: Candidate) -> tuple[str, ...]:
    """The cells of a candidate under COLUMNS."""
    return (
        str(rank),
        c.model,
        budget_text(c.budget) + ("*" if c.interpolated else ""),
        quality_text(c.predicted_quality, c.quality_error),
        f"{c.predicted_output_tokens:,.0f}",
        usd(c.predicted_cost_usd),
        usd(c.net_usd),
        f"{c.risk:.8f}",
    )


def rich_ranking(shown: Sequence[Candidate], width: int) -> Table:
    """The ranking as a rich table of at most `width` cells, the first row standing out.

    Where there is little room the bars go, then the last columns; a long name is shortened in its middle. A model
    named [red] shows as it is.
    """
    from rich.table import Table
    from rich.text import Text

    rows = [list(ranking_row(rank, c)) for rank, c in enumerate(shown, 1)]
    barred = [[*row] for row in rows]
    for row, c in zip(barred, shown, strict=True):
        row[QUALITY] = f"{bar(c.predicted_quality)} {row[QUALITY]}"
    kept, cells = list(range(len(COLUMNS))), barred
    for column in _LEFT_OUT:
        if _least_width([COLUMNS, *cells], kept) <= width:
            break
        if column == QUALITY:
            cells = rows
        else:
            kept.remove(column)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for i in kept:
        table.add_column(COLUMNS[i], justify="right" if i in NUMBERS else "left", no_wrap=True)
    picked = [[row[i] for i in kept] for row in [list(COLUMNS), *cells]]
    for rank, row in enumerate(fitted(picked, width, {n for n, i in enumerate(kept) if i != _MODEL})[1:], 1):
        table.add_row(*map(Text, row), style="bold cyan" if rank == 1 else None)
    return table


def footnotes(shown: Sequence[Candidate]) -> list[str]:
    """What the signs in the rows of `shown` mean."""
    return ["* between two measured budgets, at your limit"] if any(c.interpolated for c in shown) else []


def more(count: int, how: str) -> list[str]:
    """The line under a table that hides `count` rows, and `how` to see them."""
    return [f"… and {count} more ({how})"] if count > 0 else []


def _least_width(rows: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    """The cells a table of the columns `kept` takes at least, its names shortened."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in rows) for i in kept]
    names = kept.index(_MODEL)
    widths[names] = min(widths[names], _LEAST_NAME)
    return sum(widths) + 2 * (len(kept) - 1)
