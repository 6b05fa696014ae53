"""Each model's predicted quality against its cost, the chosen point marked: drawn as SVG, or in characters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from r2_router.pages import html
from r2_router.routing.rows import choice
from r2_router.show.plot import Mark, letters, plot
from r2_router.words import asked_for, quality_text, usd

if TYPE_CHECKING:
    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision

_CHOSEN = "●"

# Of the picture: its size, and the edges of the plot in it. The rest is the theme's text colour and shades of it.
SIZE = (720, 360)
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 704, 14, 312
# Seen on light and on dark pages.
COLOURS = (
    "#2a7fd4",
    "#d4620c",
    "#1f9467",
    "#c2479c",
    "#8a74d8",
    "#9c7a12",
    "#11919f",
    "#d8484a",
)
SHAPES = (  # a model's points, told apart without colours too
    "M-4,0A4,4 0 1 0 4,0A4,4 0 1 0 -4,0",
    "M-3.6,-3.6H3.6V3.6H-3.6Z",
    "M0,-4.8L4.8,3.6H-4.8Z",
    "M0,-5.2L5.2,0L0,5.2L-5.2,0Z",
    "M0,4.8L4.8,-3.6H-4.8Z",
)

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
    """The plot as HTML: an SVG without scripts, whose points tell their numbers, and its legend.

    A front end that takes SVG out of a page leaves its texts: they are written so that they read as lines.
    """
    everyone = [c for curve in curves.values() for c in curve]
    x = cost_axis([c.predicted_cost_usd for c in everyone])
    y = height_axis([c.predicted_quality for c in everyone])
    drawn = [_curve(i, curve, x, y) for i, curve in enumerate(curves.values())]
    ring = f'<circle class="r2-ring" cx="{x(best.predicted_cost_usd)}" cy="{y(best.predicted_quality)}" r="9"/>'
    label = f"Expected quality against expected cost of an answer. The choice: {choice(best)}."
    svg = (
        f'<svg class="r2-curve" role="img" aria-label="{escape(label)}" viewBox="0 0 {SIZE[0]} {SIZE[1]}">'
        f"{rules(x, y)}{''.join(drawn)}{ring}</svg>"
    )
    return html.page(
        html.heading(f"The choice: {choice(best)} (ringed)"),
        f'<div style="white-space: pre-line">{svg}</div>',
        f'<ul class="r2-legend">{"".join(_legend(i, name) for i, name in enumerate(curves))}</ul>',
    )


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a value stands in the picture; the values that are labelled."""

    place: Callable[[float], float]
    ticks: Sequence[float]

    def __call__(self, value: float) -> str:
        return f"{self.place(value):.1f}"


def cost_axis(costs: Sequence[float]) -> Axis:
    """Equal factors are equal steps, unless something is free."""
    low, high = min(costs), max(costs)
    if low <= 0:
        return Axis(_stretched(low, high, _LEFT + 12, _RIGHT - 12), _ticks(low, high))
    place = _stretched(math.log(low), math.log(high), _LEFT + 12, _RIGHT - 12)
    return Axis(lambda cost: place(math.log(cost)), _log_ticks(low, high))


def height_axis(heights: Sequence[float]) -> Axis:
    low, high = min(heights), max(heights)
    return Axis(_stretched(low, high, _BOTTOM - 12, _TOP + 12), _ticks(low, high))


def _stretched(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """What takes low..high to first..last; a single value to the middle."""
    if high <= low:
        return lambda value: (first + last) / 2
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _ticks(low: float, high: float) -> list[float]:
    """Some round values in low..high; a single value is one itself."""
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) <= 6)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [v for p in powers for m in factors if low <= (v := m * 10.0**p) <= high]
        if len(found) <= 8:
            break
    return found if len(found) > 1 else _ticks(low, high)


def rules(x: Axis, y: Axis, up: str = "expected quality", along: str = "expected cost of an answer") -> str:
    """Lines behind the curves, with their values, and what the axes are."""
    across = [f'<path d="M{_LEFT},{y(v)}H{_RIGHT}"/>' for v in y.ticks]
    down = [f'<path d="M{x(v)},{_TOP}V{_BOTTOM}"/>' for v in x.ticks]
    decimals = max(0 if max(y.ticks, default=0.0) > 1 else 1, *(len(_digits(v)) for v in y.ticks), 0)
    qualities = " ".join(
        f'<text x="{_LEFT - 6}" y="{y(v)}" dy=".35em" text-anchor="end">{v:.{decimals}f}</text>' for v in y.ticks
    )
    costs = " ".join(f'<text x="{x(v)}" y="{_BOTTOM + 16}" text-anchor="middle">{usd(v)}</text>' for v in x.ticks)
    middle = (_TOP + _BOTTOM) / 2
    return (
        f'<g class="r2-rules">{"".join(across)}{"".join(down)}</g>\n'
        f'<text transform="translate(12,{middle}) rotate(-90)" text-anchor="middle">{up}</text>'
        f" {qualities}\n"
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{SIZE[1] - 8}" text-anchor="middle">expected cost of an answer</text>'
        f" {costs}\n"
    )


def _digits(value: float) -> str:
    """What stands behind the point of a round value."""
    return f"{value:.4f}".rstrip("0").partition(".")[2]


def _curve(i: int, curve: Sequence[Candidate], x: Axis, y: Axis) -> str:
    places = [(x(c.predicted_cost_usd), y(c.predicted_quality)) for c in curve]
    line = f'<polyline points="{" ".join(",".join(place) for place in places)}"/>'
    points = (
        f'<g class="r2-point" transform="translate({across},{down})"><title>{escape(_numbers(c))}</title>'
        f'<circle r="10"/><path d="{SHAPES[i % len(SHAPES)]}"/></g>\n'
        for c, (across, down) in zip(curve, places, strict=True)
    )
    return f'<g class="r2-model" style="color: {COLOURS[i % len(COLOURS)]}">{line}{"".join(points)}</g>'


def _numbers(c: Candidate) -> str:
    """What a point tells."""
    quality = quality_text(c.predicted_quality, c.quality_error)
    tokens = f"{c.predicted_output_tokens:,.0f} tokens expected"
    return f"{c.model}, {asked_for(c.budget)}: quality {quality}, {usd(c.predicted_cost_usd)}, {tokens}"


def _legend(i: int, name: str) -> str:
    shape = f'<svg viewBox="-7 -7 14 14" aria-hidden="true"><path d="{SHAPES[i % len(SHAPES)]}"/></svg>'
    return f'<li><span style="color: {COLOURS[i % len(COLOURS)]}">{shape}</span>{escape(name)}</li>'


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
