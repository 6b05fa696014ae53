"""`%r2 what-if`: what other worths would choose for this prompt, and what each step up costs and buys."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from r2_magic.curve import curve_page, curves_of, text_plot
from r2_magic.render import View
from r2_router.pages import html
from r2_router.routing.explanation import FRONTIER, explain, reasons, span_text
from r2_router.routing.rows import choice, frontier_cells
from r2_router.show.tables import plain_table
from r2_router.words import usd

if TYPE_CHECKING:
    from r2_router.routing.decision import Decision
    from r2_router.routing.explanation import FrontierPoint

_COLUMNS = ("", "model", "budget", "quality", "cost", "a step up buys", "the choice at a worth of")
_NUMBERS = frozenset({2, 3, 4, 5})


def what_if_view(decision: Decision) -> View:
    """The frontier from the cheapest to the dearest with the chosen point, and every candidate in a picture."""
    explanation = explain(decision)
    points, best = explanation.frontier, decision.best
    steps = ["", *(_step(a, b) for a, b in pairwise(points))]
    chosen = next((i for i, p in enumerate(points) if p.candidate == best), None)
    rows = [
        ("●" if i == chosen else "", *frontier_cells(point.candidate), step, span_text(point))
        for i, (point, step) in enumerate(zip(points, steps, strict=True))
    ]
    said, curves = reasons(explanation), curves_of(decision)
    page = html.page(html.table(FRONTIER, _COLUMNS, rows, numbers=_NUMBERS, chosen=chosen), html.items(said))
    notes = [*said, "", text_plot(curves, best)]
    return View(page + curve_page(curves, best), choice(best), plain_table(_COLUMNS, rows, _NUMBERS), notes)


def _step(a: FrontierPoint, b: FrontierPoint) -> str:
    """What the dearer of two neighbours gives more, and takes more."""
    quality = b.candidate.predicted_quality - a.candidate.predicted_quality
    return f"{quality:+.2f} for {usd(b.candidate.predicted_cost_usd - a.candidate.predicted_cost_usd)}"
