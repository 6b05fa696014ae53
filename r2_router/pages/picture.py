"""What is got against what it costs, as SVG without scripts: sizes, colours and words in picture.json, style in
picture.css; picture.js draws the same where the page decides anew. A test in a browser holds the two equal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

from r2_router.words import usd


@dataclass(frozen=True, slots=True)
class Spec:
    """The picture's size, the room around the plot, and the plot's own around its points; the most values up its side,
    the least room for one below it, between two, and at its right end; radii of the ring and of what the pointer meets,
    all in pixels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    inset: int
    ticks: int
    tick_px: int
    gap_px: int
    edge_px: int
    ring: int
    touch: int
    up: str
    along: str
    colours: Sequence[str]  # seen on light and on dark pages; the rest is the theme's text colour and shades of it
    shapes: Sequence[str]  # a model's points, told apart without colours too

    def ends(self) -> tuple[int, int, int, int]:
        """Where the plot ends: left, right, top, bottom."""
        return self.left, self.width - self.right, self.top, self.height - self.bottom


def part(name: str) -> str:
    """The file `name` of this room."""
    from importlib.resources import files

    return files("r2_router.pages").joinpath(name).read_text(encoding="utf-8")


@cache
def spec() -> Spec:
    return Spec(**json.loads(part("picture.json")))


@dataclass(frozen=True, slots=True)
class Point:
    """What costs so many dollars and is so good, and what it tells."""

    usd: float
    height: float
    title: str


def picture(curves: Sequence[Sequence[Point]], chosen: Point, label: str) -> str:
    """A line of points a model, each from the cheapest to the dearest, the chosen one ringed.

    A front end that takes SVG out of a page leaves its texts: they are written so that they read as lines.
    """
    everyone = [p for curve in curves for p in curve]
    x, y = cost_axis([p.usd for p in everyone]), height_axis([p.height for p in everyone])
    drawn = [_curve(i, curve, x, y) for i, curve in enumerate(curves)]
    ring = f'<circle class="r2-ring" cx="{x(chosen.usd)}" cy="{y(chosen.height)}" r="{spec().ring}"/>'
    return framed(label, f"{rules(x, y)}{''.join(drawn)}{ring}")


def framed(label: str, inside: str) -> str:
    """The picture with `inside` drawn in it."""
    size = f"0 0 {spec().width} {spec().height}"
    return f'<svg class="r2-curve" role="img" aria-label="{escape(label)}" viewBox="{size}">{inside}</svg>'


def legend(names: Sequence[str]) -> str:
    """The model of each line."""
    return f'<ul class="r2-legend">{"".join(_named(i, name) for i, name in enumerate(names))}</ul>'


def colour(i: int) -> str:
    return spec().colours[i % len(spec().colours)]


def shape(i: int) -> str:
    return spec().shapes[i % len(spec().shapes)]


# -- where what stands -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a value stands in the picture; the values that are labelled."""

    place: Callable[[float], float]
    ticks: Sequence[float]

    def __call__(self, value: float) -> str:
        return f"{self.place(value):.1f}"


def cost_axis(costs: Sequence[float]) -> Axis:
    """Equal factors are equal steps, unless something is free."""
    left, right, _, _ = spec().ends()
    first, last, most = left + spec().inset, right - spec().inset, spec().width // spec().tick_px
    low, high = min(costs), max(costs)
    if low <= 0:
        return Axis(_stretched(low, high, first, last), _ticks(low, high, most))
    place = _stretched(math.log(low), math.log(high), first, last)
    return Axis(lambda cost: place(math.log(cost)), _log_ticks(low, high, most))


def height_axis(heights: Sequence[float]) -> Axis:
    _, _, top, bottom = spec().ends()
    low, high = min(heights), max(heights)
    return Axis(_stretched(low, high, bottom - spec().inset, top + spec().inset), _ticks(low, high, spec().ticks))


def _stretched(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """What takes low..high to first..last; a single value to the middle."""
    if high <= low:
        return lambda value: (first + last) / 2
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Some round values in low..high; a single value is one itself."""
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) <= most)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [v for p in powers for m in factors if low <= (v := m * 10.0**p) <= high]
        if len(found) <= most:
            break
    return found if len(found) > 1 else _ticks(low, high, most)


# -- what is drawn -----------------------------------------------------------------------------------------------


def rules(x: Axis, y: Axis, up: str = "", along: str = "") -> str:
    """Lines behind the points, with their values, and what the axes are, by default quality and cost of an answer."""
    left, right, top, bottom = spec().ends()
    across = [f'<path d="M{left},{y(v)}H{right}"/>' for v in y.ticks]
    down = [f'<path d="M{x(v)},{top}V{bottom}"/>' for v in x.ticks]
    decimals = max(0 if max(y.ticks, default=0.0) > 1 else 1, *(len(_digits(v)) for v in y.ticks), 0)
    heights = " ".join(
        f'<text x="{left - 6}" y="{y(v)}" dy=".35em" text-anchor="end">{v:.{decimals}f}</text>' for v in y.ticks
    )
    costs = " ".join(
        f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{usd(v)}</text>' for v, at in _apart(x).items()
    )
    return (
        f'<g class="r2-rules">{"".join(across)}{"".join(down)}</g>\n'
        f'<text transform="translate(12,{(top + bottom) / 2:.1f}) rotate(-90)" text-anchor="middle">'
        f"{up or spec().up}</text> {heights}\n"
        f'<text x="{(left + right) / 2:.1f}" y="{spec().height - 8}" text-anchor="middle">'
        f"{along or spec().along}</text> {costs}\n"
    )


def _apart(x: Axis) -> Mapping[float, float]:
    """The costs that are written, and where: none over another, none beyond the right end."""
    written: dict[float, float] = {}
    last = -math.inf
    for value in x.ticks:
        at = min(x.place(value), spec().width - spec().edge_px)
        if at - last >= spec().gap_px:
            written[value] = last = at
    return written


def _digits(value: float) -> str:
    """What stands behind the point of a round value."""
    return f"{value:.4f}".rstrip("0").partition(".")[2]


def _curve(i: int, curve: Sequence[Point], x: Axis, y: Axis) -> str:
    places = [(x(p.usd), y(p.height)) for p in curve]
    line = f'<polyline points="{" ".join(",".join(place) for place in places)}"/>'
    points = (
        f'<g class="r2-point" transform="translate({across},{down})"><title>{escape(p.title)}</title>'
        f'<circle r="{spec().touch}"/><path d="{shape(i)}"/></g>\n'
        for p, (across, down) in zip(curve, places, strict=True)
    )
    return f'<g class="r2-model" color="{colour(i)}">{line}{"".join(points)}</g>'


def _named(i: int, name: str) -> str:
    sign = f'<svg viewBox="-7 -7 14 14" aria-hidden="true" color="{colour(i)}"><path d="{shape(i)}"/></svg>'
    return f"<li>{sign}{escape(name)}</li>"
