"""Nearest neighbours, against counting by hand."""

import numpy as np
import pytest

from r2_router.lab.evaluation.baselines import Neighbours


def clusters(n=60):
    """Two far clusters of unit vectors, and targets that are 1 in the first and 0 in the second."""
    rng = np.random.default_rng(0)
    first = np.arange(n) % 2 == 0
    vectors = np.where(first[:, None], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]) + rng.normal(0, 0.05, (n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), first.astype(float)[:, None]


def test_a_query_expects_what_its_neighbours_got():
    vectors, targets = clusters()
    kept = np.arange(60) >= 10
    np.testing.assert_allclose(Neighbours(vectors).expect(np.arange(10), kept, targets), targets[:10])


def test_nothing_is_learned_from_a_query_left_out():
    vectors, targets = clusters()
    kept = np.arange(60) >= 10
    changed = targets.copy()
    changed[:10] = 99.0
    near = Neighbours(vectors)
    np.testing.assert_array_equal(near.expect(np.arange(10), kept, targets), near.expect(np.arange(10), kept, changed))


def test_cells_nobody_measured_are_left_out_of_the_mean():
    vectors, targets = clusters()
    targets[20:40] = np.nan
    found = Neighbours(vectors).expect(np.arange(10), np.arange(60) >= 10, targets)
    np.testing.assert_allclose(found, targets[:10])


def test_where_no_neighbour_is_kept_the_mean_of_all_is_expected():
    vectors, targets = clusters(1000)
    kept = np.arange(1000) % 2 == 1  # only the other cluster, beyond reach of the first
    found = Neighbours(vectors).expect(np.array([0, 2]), kept, targets + 0.25)
    assert found.ravel().tolist() == pytest.approx([0.25, 0.25])
