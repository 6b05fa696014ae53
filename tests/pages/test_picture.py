"""Where what stands in the picture of quality and cost; tests/mcp/browser/test_picture.py holds its two hands equal."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from r2_router.pages.picture import Point, part, picture, spec

COSTS = {
    "a factor of four": [0.0011, 0.002, 0.0043],
    "seven decades": [1e-7, 1e-5, 3.0],
    "at both ends": [0.00001, 0.0001],
    "free beside dear": [0.0, 0.25, 1.0],
    "all alike": [0.002, 0.002],
    "hardly apart": [0.00123456, 0.00123457],
}


def drawn(costs: list[float]) -> str:
    points = [Point(cost, 0.3 + i / 10, f"point {i}") for i, cost in enumerate(costs)]
    return picture([points], points[0], "all of it")


def below(svg: str) -> list[tuple[float, str]]:
    """Where each cost is written, and how."""
    under = spec().ends()[3] + 16
    return [(float(x), text) for x, text in re.findall(rf'<text x="([\d.]+)" y="{under}"[^>]*>([^<]*)<', svg)]


@pytest.mark.parametrize("costs", COSTS.values(), ids=COSTS)
def test_costs_are_written_apart_and_within_the_frame(costs: list[float]) -> None:
    """A digit of 12 pixels takes some 7 across."""
    written = below(drawn(costs))
    assert written
    for (x, text), (after, other) in pairwise(written):
        assert after - x >= 3.5 * (len(text) + len(other))
    assert all(x - 3.5 * len(text) >= 0 and x + 3.5 * len(text) <= spec().width for x, text in written)


@pytest.mark.parametrize("costs", COSTS.values(), ids=COSTS)
def test_points_stand_within_the_plot(costs: list[float]) -> None:
    left, right, top, bottom = spec().ends()
    places = re.findall(r'class="r2-point" transform="translate\(([\d.]+),([\d.]+)\)"', drawn(costs))
    assert len(places) == len(costs)
    assert all(left <= float(x) <= right and top <= float(y) <= bottom for x, y in places)


def test_it_is_never_drawn_larger_than_its_letters() -> None:
    assert f"max-width: {spec().width}px" in part("picture.css")
