from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.lab.evaluation.metrics import Curve, audc, choose, flip_worth, frontier, qnc, worth_range

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


@pytest.mark.slow
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


# -- what holds for every curve ------------------------------------------------------------------------------

POINTS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1)), min_size=1, max_size=12)


@pytest.mark.slow
@given(POINTS, st.randoms())
def test_the_order_of_the_points_does_not_matter(points, random):
    mixed = random.sample(points, len(points))
    for convention in ("paper", "own", "padded"):
        one, other = (audc(Curve.of(*zip(*each, strict=True)), (0.05, 20.0), convention) for each in (points, mixed))
        assert one == pytest.approx(other)


@pytest.mark.slow
@given(POINTS)
def test_padded_areas_lie_between_the_lowest_and_the_highest_quality(points):
    curve = Curve.of(*zip(*points, strict=True))
    area = audc(curve, (0.05, 20.0), "padded")
    assert curve.quality.min() - 1e-9 <= area <= curve.peak + 1e-9


@pytest.mark.slow
@given(POINTS, st.floats(0.1, 10), st.floats(0, 1))
def test_a_point_on_top_of_the_curve_never_costs_area(points, cost, more):
    """One more choice, at least as good as anything as cheap: the padded area does not shrink by it."""
    curve = Curve.of(*zip(*points, strict=True))
    best = max((q for c, q in points if c <= cost), default=curve.quality[0])
    above = np.interp(cost, curve.cost, curve.best_so_far)
    point = (cost, max(best, above) + more * (1 - max(best, above)))
    richer = Curve.of(*zip(*points, point, strict=True))
    assert audc(richer, (0.05, 20.0), "padded") >= audc(curve, (0.05, 20.0), "padded") - 1e-9


@pytest.mark.slow
@given(POINTS, st.floats(0.5, 5))
def test_a_quality_no_point_reaches_has_no_qnc_and_one_they_reach_has(points, cost):
    curve = Curve.of(*zip(*points, strict=True))
    assert qnc(curve, curve.peak + 0.01, cost) is None
    reached = qnc(curve, curve.peak, cost)
    assert reached is not None
    assert min(c for c, _ in points) / cost - 1e-9 <= reached <= max(c for c, _ in points) / cost + 1e-9
