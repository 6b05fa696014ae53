"""Nearest neighbours, against counting by hand; the paper's heads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2_router.lab.evaluation.baselines import Neighbours, paper_heads


def clusters(n=60):
    """Two far clusters of unit vectors, and targets that are 1 in the first and 0 in the second."""
    rng = np.random.default_rng(0)
    first = np.arange(n) % 2 == 0
    vectors = np.where(first[:, None], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]) + rng.normal(0, 0.05, (n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), first.astype(float)[:, None]


def test_a_query_expects_what_its_neighbours_got():
    vectors, targets = clusters()
    np.testing.assert_allclose(Neighbours(vectors[10:], vectors[:10]).expect(targets[10:]), targets[:10])


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(2, 120), st.integers(0, 9))
def test_they_are_the_nearest_and_as_many_as_foretold_best(n, seed):
    """By hand: every number of neighbours tried on every known query without itself, the best one used."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n + 3, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known, others = vectors[:n], vectors[n:]
    targets = np.round(known[:, :1] + rng.normal(0, 0.3, (n, 1)), 3)
    order = np.argsort(-(known @ known.T) + 9 * np.eye(n), axis=1)[:, : n - 1]
    error = {k: ((targets[order[:, :k], 0].mean(axis=1) - targets[:, 0]) ** 2).mean() for k in (5, 10, 20, 40, 80)}
    k = min(error, key=lambda k: (round(error[k], 12), k))
    expected = targets[np.argsort(-(others @ known.T), axis=1)[:, : min(k, n - 1)], 0].mean(axis=1)
    np.testing.assert_allclose(Neighbours(known, others).expect(targets)[:, 0], expected)


def test_a_query_is_no_neighbour_of_itself_when_their_number_is_chosen():
    """Pairs of equal vectors: own values are known to the last digit, others' are noise about 0."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(100), 2, axis=0)
    targets = rng.normal(size=(200, 1))
    near = Neighbours(vectors, vectors[:4])
    assert not (near._near_judges == near._judges[:, None]).any()
    assert np.abs(near.expect(targets)).max() < 0.5


def test_cells_nobody_measured_are_left_out_of_the_mean():
    vectors, targets = clusters()
    targets[20:40] = np.nan
    found = Neighbours(vectors[10:], vectors[:10]).expect(targets[10:])
    np.testing.assert_allclose(found, targets[:10])


def test_where_no_neighbour_was_measured_the_mean_of_all_is_expected():
    vectors, targets = clusters(400)
    targets[::2] = np.nan  # only the other cluster was
    found = Neighbours(vectors[2:], vectors[:1]).expect(targets[2:] + 0.25)
    assert found.ravel().tolist() == pytest.approx([0.25])


def test_the_papers_heads_are_ridge_of_alpha_10_within_what_was_seen():
    vectors, targets = clusters(400)
    X = vectors - vectors.mean(axis=0)
    w = np.linalg.solve(X.T @ X + 10 * np.eye(3), X.T @ (targets - targets.mean()))
    straight = X @ w + targets.mean()
    assert straight.max() > 0.9
    np.testing.assert_allclose(paper_heads(vectors, vectors, targets), np.clip(straight, 0, 1), atol=1e-9)
    steep = paper_heads(vectors, 3 * vectors, targets)
    assert (steep.min(), steep.max()) == (0, 1)
