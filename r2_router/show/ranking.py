"""A ranking of candidates: its columns, its rows, the table a terminal draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.words import asked_for, bar, budget_text, quality_text, usd

if TYPE_CHECKING:
    from rich.table import Table

    from r2_router.routing.decision import Candidate

COLUMNS = ("", "model", "budget", "quality", "tokens", "cost", "net value", "risk")
NUMBERS = frozenset({0, 2, 3, 4, 5, 6, 7})  # the columns that stand to the right
QUALITY = 3  # the column that has a bar where there is room for one


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


def rich_ranking(shown: Sequence[Candidate]) -> Table:
    """The ranking as a rich table, the first row standing out; a model named [red] shows as it is."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if i in NUMBERS else "left", no_wrap=i in NUMBERS)
    for rank, c in enumerate(shown, 1):
        cells = [Text(cell) for cell in ranking_row(rank, c)]
        cells[QUALITY] = Text(f"{bar(c.predicted_quality)} {quality_text(c.predicted_quality, c.quality_error)}")
        table.add_row(*cells, style="bold cyan" if rank == 1 else None)
    return table


def footnotes(shown: Sequence[Candidate]) -> list[str]:
    """What the signs in the rows of `shown` mean."""
    return ["* between two measured budgets, at your limit"] if any(c.interpolated for c in shown) else []


def more(count: int, how: str) -> list[str]:
    """The line under a table that hides `count` rows, and `how` to see them."""
    return [f"… and {count} more ({how})"] if count > 0 else []
