"""The Gaussian process against the same sums written out whole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.lab.learning.posterior import Beliefs, Cells, Spread

CANDIDATES = (("a", 30), ("a", "unlimited"), ("b", 30), ("b", "unlimited"))
BELIEFS = Beliefs(levels=Spread(0.7, 0.3, 0.2, 0.1), slopes=Spread(1.0, 0.5, 0.3, 0.2), query=0.8)


def logistic(z):
    quality = 0.9 / (1 + np.exp(-z))
    return quality, quality * (1 - quality / 0.9)


def made(seed, n=9, measured=0.6, dim=3):
    rng = np.random.default_rng(seed)
    came = np.where(rng.random((n, 4)) < measured, rng.random((n, 4)).round(), np.nan)
    came[0, 0] = 1.0
    came[:, 3] = np.nan  # nobody measured that
    vectors = rng.normal(size=(n, dim))
    return Cells(
        CANDIDATES,
        vectors,
        vectors.mean(axis=0),
        rng.normal(size=(n, 4)),
        came,
        rng.uniform(0.1, 1.0, size=n),
        np.zeros(n),
    )


def whole_covariance(cells, beliefs):
    """Of all n·C values of f at the cells, query by query, and what the answers to one query share."""
    levels, slopes = beliefs.levels.covariance(CANDIDATES), beliefs.slopes.covariance(CANDIDATES)
    offsets = cells.vectors - cells.middle
    n, count = cells.came.shape
    f = np.kron(np.ones((n, n)), levels) + np.kron(offsets @ offsets.T, slopes)
    return f, np.kron(np.eye(n), np.full((count, count), beliefs.query**2))


@given(st.integers(0, 10_000), st.sampled_from([(9, 3), (100, 90)]))
def test_values_shift_as_the_whole_sum_says(seed, size):
    n, dim = size
    cells = made(seed, n, dim=dim)
    f, query = whole_covariance(cells, BELIEFS)
    known = ~np.isnan(cells.came.ravel())
    off = (cells.came - cells.given).ravel()[known]
    inner = (f + query)[np.ix_(known, known)] + np.diag(0.5**2 / np.repeat(cells.weights, 4)[known])
    wanted = (f[:, known] @ np.linalg.solve(inner, off)).reshape(cells.came.shape)
    np.testing.assert_allclose(cells.shift_of_values(BELIEFS, 0.5)(cells.vectors), wanted, atol=1e-2)


@given(st.integers(0, 10_000))
def test_shares_shift_to_where_labels_and_beliefs_pull_alike(seed):
    """At the mode without a query's own part, f is the covariance times the score of the labels (Rasmussen & Williams
    2006, equation 3.17)."""
    beliefs = Beliefs(BELIEFS.levels, BELIEFS.slopes, query=0.0)
    cells = made(seed)
    shift = cells.shift_of_shares(beliefs, logistic)(cells.vectors)
    expected, slope = logistic(cells.given + shift)
    score = slope * (np.nan_to_num(cells.came) - expected) / np.maximum(expected * (1 - expected), 0.02)
    score *= cells.weights[:, None]
    score[np.isnan(cells.came)] = 0.0
    f, _ = whole_covariance(cells, beliefs)
    np.testing.assert_allclose(shift.ravel(), f @ score.ravel(), atol=0.08)


@given(st.integers(0, 10_000))
def test_preferences_shift_differences_to_where_they_and_beliefs_pull_alike(seed):
    beliefs = Beliefs(BELIEFS.levels, BELIEFS.slopes, query=0.0)
    rng = np.random.default_rng(seed)
    sides = np.array([(rng.integers(9), *rng.permutation(4)[:2]) for _ in range(6)])
    cells = replace(made(seed), preferred=sides)
    shift = cells.shift_of_shares(beliefs, logistic, 0.5)(cells.vectors)
    expected, slope = logistic(cells.given + shift)
    score = slope * (np.nan_to_num(cells.came) - expected) / np.maximum(expected * (1 - expected), 0.02)
    score *= cells.weights[:, None]
    score[np.isnan(cells.came)] = 0.0
    z = cells.given + shift
    for row, better, worse in sides:
        p = 1 / (1 + np.exp(-(z[row, better] - z[row, worse]) / 0.5))
        pull = cells.weights[row] * (1 - p) / 0.5
        score[row, better] += pull
        score[row, worse] -= pull
    f, _ = whole_covariance(cells, beliefs)
    np.testing.assert_allclose(shift.ravel(), f @ score.ravel(), atol=0.3)


def test_a_preference_says_who_is_better_and_not_how_good_both_are():
    n = 40
    vectors = np.random.default_rng(0).normal(size=(n, 3))
    sides = np.array([(row, 0, 2) for row in range(n)])
    nothing = np.full((n, 4), np.nan)
    cells = Cells(CANDIDATES, vectors, np.zeros(3), np.zeros((n, 4)), nothing, np.ones(n), np.zeros(n), sides)
    shift = cells.shift_of_shares(BELIEFS, logistic).bias
    assert shift[0] > shift[1] > 0 > shift[3] > shift[2]
    assert abs(shift[0] + shift[2]) < 0.01


def test_what_nobody_measured_learns_from_its_model_and_its_budget():
    n = 40
    vectors = np.random.default_rng(0).normal(size=(n, 3))
    came = np.full((n, 4), np.nan)
    came[:, 0] = 1.0
    cells = Cells(CANDIDATES, vectors, np.zeros(3), np.zeros((n, 4)), came, np.ones(n), np.zeros(n))
    shift = cells.shift_of_shares(BELIEFS, logistic).bias
    assert shift[0] > max(shift[1], shift[2])
    assert min(shift[1], shift[2]) > shift[3] > 0


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_spread_is_scaled(factor):
    spread = BELIEFS.times(factor)
    np.testing.assert_allclose(spread.slopes.covariance(CANDIDATES), factor**2 * BELIEFS.slopes.covariance(CANDIDATES))
    assert spread.query == factor * BELIEFS.query
