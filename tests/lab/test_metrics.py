from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.lab.metrics import Curve, audc, choose, flip_worth, frontier, qnc, worth_range

EXAMPLE = Curve.of([10, 1, 4, 2], [0.80, 0.50, 0.78, 0.70])
RANGE = (0.5, 20.0)


@pytest.mark.parametrize(("convention", "area"), [("paper", 0.350), ("own", 0.758), ("padded", 0.773)])
def test_worked_example_under_each_convention(convention, area):
    assert round(audc(EXAMPLE, RANGE, convention), 3) == area


def test_worked_example_qnc_and_peak():
    assert qnc(EXAMPLE, 0.78, 16.0) == pytest.approx(0.25)
    assert EXAMPLE.peak == 0.80


def test_qnc_lies_between_points_where_the_quality_does():
    assert qnc(EXAMPLE, 0.74, 16.0) == pytest.approx(3 / 16)
    assert qnc(EXAMPLE, 0.40, 16.0) == pytest.approx(1 / 16)
    assert qnc(EXAMPLE, 0.81, 16.0) is None


def test_padded_curve_never_falls_and_paper_curve_does():
    dip = Curve.of([0, 1, 2], [0.6, 0.2, 0.6])
    assert audc(dip, (0, 2), "padded") == pytest.approx(0.6)
    assert audc(dip, (0, 2), "paper") == pytest.approx(0.4)


def test_padding_cuts_what_lies_outside_the_range():
    line = Curve.of([0, 10], [0.0, 1.0])
    assert audc(line, (2, 4), "padded") == pytest.approx(0.3)


@pytest.mark.parametrize("convention", ["paper", "own", "padded"])
def test_without_any_width_the_area_is_the_peak(convention):
    assert audc(Curve.of([3, 3], [0.2, 0.7]), (3, 3), convention) == 0.7


def test_own_range_of_a_single_point_is_its_quality():
    assert audc(Curve.of([3], [0.7]), RANGE, "own") == 0.7


def test_choose_weighs_quality_by_worth():
    quality, cost = np.array([[0.2, 0.9], [0.5, 0.5]]), np.array([[1.0, 3.0], [1.0, 3.0]])
    assert choose(quality, cost, 1.0).tolist() == [0, 0]
    assert choose(quality, cost, 10.0).tolist() == [1, 0]


points = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=8, unique_by=lambda point: point
)


@given(points)
def test_frontier_holds_exactly_the_best_constants(pairs):
    cost, quality = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    hull = frontier(cost, quality)
    flips = [flip_worth(cost, quality, a, b) for a, b in pairwise(hull)]
    edges = [0.0, *flips, 2 * max(flips, default=1.0) + 1]
    assert flips == sorted(set(flips))
    for j, (low, high) in zip(hull, pairwise(edges), strict=True):
        worth = (low + high) / 2
        net = worth * quality - cost
        assert net[j] == pytest.approx(net.max())


def test_worth_range_spans_the_flips():
    cost, quality = np.array([1.0, 2.0, 6.0]), np.array([0.2, 0.7, 0.9])
    low, high = worth_range(cost, quality, frontier(cost, quality))
    assert low == pytest.approx(2 / 3)
    assert high == pytest.approx(60)
    assert worth_range(cost, quality, [2]) == pytest.approx((6 / 0.9 / 10, 6 / 0.9 * 10))
