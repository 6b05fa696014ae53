"""Each model's predicted quality against its cost, the chosen point marked: drawn as SVG, or in characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r2_router.pages import html
from r2_router.pages.picture import Point, legend, picture
from r2_router.routing.rows import choice
from r2_router.show.plot import Mark, letters, plot
from r2_router.words import quality_text, usd

if TYPE_CHECKING:
    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision

_CHOSEN = "●"

Curves = Mapping[str, Sequence["Candidate"]]


def curve_bundle(decision: Decision) -> dict[str, Any]:
    """The plot for every kind of front end."""
    curves = curves_of(decision)
    return {"text/html": curve_page(curves, decision.best), "text/plain": text_plot(curves, decision.best)}


def curves_of(decision: Decision) -> Curves:
    """The feasible candidates of each model, from the cheapest to the dearest."""
    curves: dict[str, list[Candidate]] = {}
    for c in sorted(decision.candidates, key=lambda c: c.predicted_cost_usd):
        curves.setdefault(c.model, []).append(c)
    return dict(sorted(curves.items()))


# -- the picture -----------------------------------------------------------------------------------------------


def curve_page(curves: Curves, best: Candidate) -> str:
    """The plot as HTML: an SVG without scripts, whose points tell their numbers, and its legend."""
    label = f"Expected quality against expected cost of an answer. The choice: {choice(best)}."
    svg = picture([[_point(c) for c in curve] for curve in curves.values()], _point(best), label)
    return html.page(
        html.heading(f"The choice: {choice(best)} (ringed)"),
        f'<div style="white-space: pre-line">{svg}</div>',
        legend([*curves]),
    )


def _point(c: Candidate) -> Point:
    quality = quality_text(c.predicted_quality, c.quality_error)
    tokens = f"{c.predicted_output_tokens:,.0f} tokens expected"
    told = f"{choice(c)}: quality {quality}, {usd(c.predicted_cost_usd)}, {tokens}"
    return Point(c.predicted_cost_usd, c.predicted_quality, told)


# -- in characters ---------------------------------------------------------------------------------------------


def text_plot(curves: Curves, best: Candidate) -> str:
    """Quality upwards, cost to the right in equal factors; a letter a model, the chosen point a disc."""
    signs = dict(zip(curves, letters(len(curves)), strict=True))
    marks = [
        Mark(c.predicted_cost_usd, c.predicted_quality, signs[c.model]) for curve in curves.values() for c in curve
    ]
    marks.append(Mark(best.predicted_cost_usd, best.predicted_quality, _CHOSEN))
    names = [f"  {sign} {name}" for name, sign in signs.items()]
    return "\n".join([*plot("quality", marks, "{:.2f}".format), f"  {_CHOSEN} the choice: {choice(best)}", *names])
