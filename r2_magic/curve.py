"""Each model's predicted quality against its cost, the chosen point marked: drawn, or in characters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from r2_router.show.ranking import choice
from r2_router.words import usd

if TYPE_CHECKING:
    from r2_router.routing.decision import Candidate, Decision

_WIDTH, _HEIGHT = 64, 16  # of the plot in characters
_CHOSEN = "●"

Curves = Mapping[str, Sequence["Candidate"]]


def curve_bundle(decision: Decision) -> dict[str, Any]:
    """The plot for every kind of front end; a picture where matplotlib is installed."""
    curves = curves_of(decision)
    bundle: dict[str, Any] = {"text/plain": text_plot(curves, decision.best)}
    if find_spec("matplotlib"):
        bundle["image/png"] = _picture(curves, decision.best)
    return bundle


def curves_of(decision: Decision) -> Curves:
    """The feasible candidates of each model, from the cheapest to the dearest."""
    curves: dict[str, list[Candidate]] = {}
    for c in sorted(decision.candidates, key=lambda c: c.predicted_cost_usd):
        curves.setdefault(c.model, []).append(c)
    return dict(sorted(curves.items()))


def text_plot(curves: Curves, best: Candidate) -> str:
    """Quality upwards, cost to the right in equal factors; a letter a model, the chosen point a disc."""
    everyone = [c for curve in curves.values() for c in curve]
    x = _scale([_log(c) for c in everyone], _WIDTH)
    y = _scale([c.predicted_quality for c in everyone], _HEIGHT)
    grid = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    letters = dict(zip(curves, _letters(len(curves)), strict=True))
    for c in everyone:
        grid[y(c.predicted_quality)][x(_log(c))] = letters[c.model]
    grid[y(best.predicted_quality)][x(_log(best))] = _CHOSEN
    high, low = (f"{pick(c.predicted_quality for c in everyone):.2f}" for pick in (max, min))
    left = [high, *[" " * len(high)] * (_HEIGHT - 2), low]
    rows = [f"{label} │{''.join(row)}".rstrip() for label, row in zip(left, reversed(grid), strict=True)]
    costs = [usd(pick(c.predicted_cost_usd for c in everyone)) for pick in (min, max)]
    axis = [f"     └{'─' * _WIDTH}", f"      {costs[0]}{costs[1]:>{_WIDTH - len(costs[0])}}  cost of an answer"]
    names = [f"  {letter} {name}" for name, letter in letters.items()]
    return "\n".join(["quality", *rows, *axis, f"  {_CHOSEN} the choice: {choice(best)}", *names])


def _picture(curves: Curves, best: Candidate) -> bytes:
    from io import BytesIO

    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        costs, qualities = [c.predicted_cost_usd for c in curve], [c.predicted_quality for c in curve]
        axes.plot(costs, qualities, marker="o", markersize=3, label=_plain(name))
    axes.plot(best.predicted_cost_usd, best.predicted_quality, "*", color="black", markersize=14, label="the choice")
    if all(c.predicted_cost_usd > 0 for curve in curves.values() for c in curve):
        axes.set_xscale("log")
    axes.set_xlabel("expected cost of an answer (USD)")
    axes.set_ylabel("expected quality")
    axes.set_title(_plain(choice(best)), fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    png = BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()


def _plain(text: str) -> str:
    """`text` without what matplotlib would read as mathematics, or hide from a legend."""
    return text.replace("$", r"\$").lstrip("_")


def _log(c: Candidate) -> float:
    return math.log(max(c.predicted_cost_usd, 1e-12))


def _scale(values: Sequence[float], steps: int) -> Callable[[float], int]:
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def step(value: float) -> int:
        return round((value - low) / span * (steps - 1))

    return step


def _letters(count: int) -> list[str]:
    return [ascii_lowercase[i % len(ascii_lowercase)] for i in range(count)]
