"""A ranking, its reasons and the models: each as HTML for a notebook and as plain text for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r2_magic import html
from r2_router.routing.explanation import Explanation, explain
from r2_router.show.ranking import COLUMNS, NUMBERS, QUALITY, choice, footnotes, more, ranking_row
from r2_router.show.reasons import excluded_texts, reasons, span_text
from r2_router.show.tables import plain_table
from r2_router.words import price_text, quality_text, usd

if TYPE_CHECKING:
    from r2_router.pools.model import Model
    from r2_router.routing.decision import Candidate, Decision

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
    why = reasons(explain(decision))
    out = excluded_texts(decision.excluded)
    notes = [*footnotes(shown), *more(len(decision.candidates) - len(shown), _TOP_HINT), *decision.warnings()]
    page = html.page(
        _ranking_table(choice(decision.best), shown),
        *(html.paragraph(note, "r2-note") for note in notes),
        html.folded("Why this one", why),
        html.folded(f"Filtered out: {len(decision.excluded)} candidates", out),
    )
    filtered = [f"Filtered out: {len(decision.excluded)} candidates (%r2 explain says why)"] if out else []
    return View(page, choice(decision.best), _plain_ranking(shown), [*notes, *filtered], shown)


def explanation_view(explanation: Explanation, top: int) -> View:
    """The ranking with everything that is said about it, nothing folded away."""
    decision = explanation.decision
    shown = decision.candidates[:top]
    why, out = reasons(explanation), excluded_texts(explanation.excluded)
    columns = ("model", "budget", "quality", "cost", "the choice at a worth of")
    frontier = [_frontier_row(point.candidate, span_text(point)) for point in explanation.frontier]
    caption = "Frontier: nothing is both better and cheaper"
    page = html.page(
        _ranking_table(choice(decision.best), shown),
        html.items([*why, *decision.warnings()]),
        html.table(caption, columns, frontier, numbers={1, 2, 3}),
        html.folded(f"Filtered out: {len(explanation.excluded)} candidates", out),
    )
    notes = [*footnotes(shown), *why, *decision.warnings()]
    notes += ["", caption, *plain_table(columns, frontier, {1, 2, 3})]
    notes += ["", "Filtered out:", *(f"  {text}" for text in out)] if out else []
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
    return plain_table(COLUMNS, [ranking_row(rank, c) for rank, c in enumerate(shown, 1)], NUMBERS)


def _ranking_table(caption: str, shown: Sequence[Candidate]) -> str:
    rows = [_ranking_cells(rank, c) for rank, c in enumerate(shown, 1)]
    columns = ("rank", *COLUMNS[1:])
    return html.table(caption, columns, rows, numbers=NUMBERS - {QUALITY}, chosen=0)


def _ranking_cells(rank: int, c: Candidate) -> list[html.Cell]:
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
    cells = [html.Cell(text, value) for text, value in zip(ranking_row(rank, c), values, strict=True)]
    quality_bar = html.quality_bar(c.predicted_quality, c.quality_error)
    cells[QUALITY] = html.Cell(quality_text(c.predicted_quality, c.quality_error), c.predicted_quality, quality_bar)
    return cells


def _frontier_row(c: Candidate, span: str) -> tuple[str, ...]:
    cells = ranking_row(0, c)
    return (cells[1], cells[2], quality_text(c.predicted_quality, c.quality_error), usd(c.predicted_cost_usd), span)
