"""A ranking of candidates as rows of text: its columns, its cells, what stands under it, what was filtered out."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

from r2_router.words import asked_for, budget_text, quality_text, usd

if TYPE_CHECKING:
    from r2_router.routing.considered import Candidate, Excluded

COLUMNS = ("", "model", "budget", "quality", "tokens", "cost", "net value", "risk")
NUMBERS = frozenset({0, 2, 3, 4, 5, 6, 7})  # the columns that stand to the right
MODEL = 1
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


def ranking_table(shown: Sequence[Candidate]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns and rows of a ranking. Its risk is net value in other units, so it stands there only where there is
    none: at λ = 0."""
    last = None if any(c.net_usd is None for c in shown) else -1
    return COLUMNS[:last], [ranking_row(rank, c)[:last] for rank, c in enumerate(shown, 1)]


def frontier_cells(c: Candidate) -> tuple[str, ...]:
    """Model, budget, quality and cost of a candidate."""
    cells = ranking_row(0, c)
    return (*cells[1:3], cells[QUALITY], cells[5])


def under(shown: Sequence[Candidate], ranked: Sized, how: str) -> list[str]:
    """What stands under the first rows `shown` of `ranked`: what their signs mean, and `how` to see the others."""
    return [*footnotes(shown), *more(len(ranked) - len(shown), how)]


def footnotes(shown: Sequence[Candidate]) -> list[str]:
    """What the signs in the rows of `shown` mean."""
    return ["* between two measured budgets, at your limit"] if any(c.interpolated for c in shown) else []


def more(count: int, how: str) -> list[str]:
    """The line under a table that hides `count` rows, and `how` to see them."""
    return [f"… and {count} more ({how})"] if count > 0 else []


def excluded_texts(excluded: Sequence[Excluded]) -> list[str]:
    """One line for each (model, reasons) that was filtered out."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for e in excluded:
        grouped.setdefault((e.candidate.model, e.reasons), []).append(budget_text(e.candidate.budget))
    return [f"{model} @ {', '.join(budgets)}: {'; '.join(why)}" for (model, why), budgets in grouped.items()]
