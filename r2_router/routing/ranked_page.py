"""A ranking as a page: what `_repr_html_` gives a notebook, and `%%r2` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.pages import html
from r2_router.routing.rows import MODEL, NUMBERS, QUALITY, choice, excluded_texts, ranking_table
from r2_router.words import quality_text

if TYPE_CHECKING:
    from r2_router.routing.considered import Candidate, Excluded

SHOWN = 5  # candidates, unless another number is asked for


def ranking_page(
    shown: Sequence[Candidate], notes: Sequence[str], excluded: Sequence[Excluded], why: Sequence[str] = ()
) -> str:
    """The ranking of the candidates `shown`, the choice first; `notes` to be read, and folded away: why it is the
    choice, and what was filtered out."""
    return html.page(
        ranking(shown),
        *(html.paragraph(note, "r2-note") for note in notes),
        html.folded("Why this one", why),
        filtered_out(excluded),
    )


def ranking(shown: Sequence[Candidate]) -> str:
    """The table of the candidates `shown`, the choice first."""
    columns, texts = ranking_table(shown)
    rows = [_cells(rank, row, c) for rank, (row, c) in enumerate(zip(texts, shown, strict=True), 1)]
    return html.table(choice(shown[0]), ("rank", *columns[1:]), rows, numbers=NUMBERS - {QUALITY}, chosen=0)


def filtered_out(excluded: Sequence[Excluded]) -> str:
    """What the filters took out, folded away."""
    return html.folded(f"Filtered out: {len(excluded)} candidates", excluded_texts(excluded))


def _cells(rank: int, row: Sequence[str], c: Candidate) -> list[html.Cell]:
    budget = float("inf") if c.budget == "unlimited" else float(c.budget)
    values = (
        float(rank),
        None,
        min(budget, 1e300),
        c.predicted_quality,
        c.predicted_output_tokens,
        c.predicted_cost_usd,
        c.net_usd,
        c.risk,
    )
    cells = [html.Cell(text, value) for text, value in zip(row, values[: len(row)], strict=True)]
    cells[MODEL] = html.Cell(c.model, shortens=True)
    quality_bar = html.quality_bar(c.predicted_quality, c.quality_error)
    cells[QUALITY] = html.Cell(quality_text(c.predicted_quality, c.quality_error), c.predicted_quality, quality_bar)
    return cells
