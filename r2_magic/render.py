"""A ranking, its reasons and the models: each as HTML for a notebook and as plain text for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r2_router.pages import html
from r2_router.routing.explanation import (
    FRONTIER,
    FRONTIER_COLUMNS,
    FRONTIER_NUMBERS,
    explain,
    explanation_page,
    frontier_rows,
    reasons,
)
from r2_router.routing.ranked_page import ranking_page
from r2_router.routing.rows import NUMBERS, choice, excluded_texts, footnotes, ranking_table, under
from r2_router.show.tables import plain_table
from r2_router.words import price_text

if TYPE_CHECKING:
    from r2_router.pools.model import Model
    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision
    from r2_router.routing.explanation import Explanation

_TOP_HINT = "--top N shows more"


@dataclass(frozen=True, slots=True)
class View:
    """Something to look at: as HTML, and as plain text in three parts.

    `ranked` are the candidates in the table, where it is a ranking: a terminal draws them itself.
    """

    html: str
    head: str
    table: Sequence[str]
    notes: Sequence[str] = ()
    ranked: Sequence[Candidate] = ()

    @property
    def text(self) -> str:
        return "\n".join([self.head, *self.table, *self.notes])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/html": self.html, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def ranking_view(decision: Decision, top: int) -> View:
    """The best `top` candidates, notes to be read, and folded away: why, and what was filtered out."""
    shown = decision.candidates[:top]
    notes = [*under(shown, decision.candidates, _TOP_HINT), *decision.warnings()]
    page = ranking_page(shown, notes, decision.excluded, reasons(explain(decision)))
    count = len(decision.excluded)
    filtered = [f"Filtered out: {count} candidates (%r2 explain says why)"] if count else []
    return View(page, choice(decision.best), _plain_ranking(shown), [*notes, *filtered], shown)


def explanation_view(explanation: Explanation, top: int) -> View:
    """The ranking with everything that is said about it, nothing folded away."""
    decision = explanation.decision
    shown = decision.candidates[:top]
    out = excluded_texts(explanation.excluded)
    notes = [*footnotes(shown), *reasons(explanation), *decision.warnings()]
    notes += ["", FRONTIER, *plain_table(FRONTIER_COLUMNS, frontier_rows(explanation), FRONTIER_NUMBERS)]
    notes += ["", "Filtered out:", *(f"  {text}" for text in out)] if out else []
    page = explanation_page(explanation, shown)
    return View(page, choice(decision.best), _plain_ranking(shown), notes, shown)


def table_view(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int] = frozenset()
) -> View:
    """A table of texts."""
    page = html.page(html.table(caption, columns, rows, numbers=numbers))
    return View(page, caption, plain_table(columns, rows, numbers))


def models_view(pool: str, states: Sequence[tuple[Model, str]]) -> View:
    """The models of a pool with price and why they cannot be asked now, "" where they can."""
    columns = ("model", "$/M in", "$/M out", "price of", "can be asked")
    rows = [
        (
            model.name,
            price_text(model.input_usd_per_million),
            price_text(model.output_usd_per_million),
            model.prices_date or "-",
            f"no: {why}" if why else "yes",
        )
        for model, why in states
    ]
    return table_view(f"Pool '{pool}'", columns, rows, frozenset({1, 2}))


def _plain_ranking(shown: Sequence[Candidate]) -> list[str]:
    return plain_table(*ranking_table(shown), NUMBERS)
