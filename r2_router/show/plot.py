"""A plot in characters: prices in equal factors to the right, what one gets for them upwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from r2_router.words import usd

WIDTH, HEIGHT = 64, 16  # characters
_LEAST_USD = 1e-12


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign at a cost in dollars and a height; later marks stand over earlier ones."""

    usd: float
    height: float
    sign: str


def letters(count: int) -> list[str]:
    """Signs of so many things, the letters over again where there are more."""
    return [ascii_lowercase[i % len(ascii_lowercase)] for i in range(count)]


def plot(title: str, marks: Sequence[Mark], form: Callable[[float], str]) -> list[str]:
    """The lines of the plot; `form` writes a height."""
    x = _scale([_log(mark.usd) for mark in marks], WIDTH)
    y = _scale([mark.height for mark in marks], HEIGHT)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark in marks:
        grid[y(mark.height)][x(_log(mark.usd))] = mark.sign
    high, low = (form(pick(mark.height for mark in marks)) for pick in (max, min))
    margin = max(len(high), len(low))
    left = [high, *[""] * (HEIGHT - 2), low]
    rows = [f"{label.rjust(margin)} │{''.join(row)}".rstrip() for label, row in zip(left, reversed(grid), strict=True)]
    costs = [usd(pick(mark.usd for mark in marks)) for pick in (min, max)]
    axis = f"{' ' * margin} └{'─' * WIDTH}"
    ends = f"{' ' * margin}  {costs[0]}{costs[1]:>{WIDTH - len(costs[0])}}  cost of an answer"
    return [title, *rows, axis, ends]


def _log(amount: float) -> float:
    return math.log(max(amount, _LEAST_USD))


def _scale(values: Sequence[float], steps: int) -> Callable[[float], int]:
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def step(value: float) -> int:
        return round((value - low) / span * (steps - 1))

    return step
