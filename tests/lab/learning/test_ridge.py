import numpy as np
import pytest
from sklearn.linear_model import Ridge as ReferenceRidge

from r2_router.lab.learning.heads import Heads
from r2_router.lab.learning.ridge import Ridge

SHAPES = [(40, 7), (12, 30), (25, 1)]


def data(n, d, k=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, k)) + 2


@pytest.mark.parametrize("alpha", [0.3, 20.0])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_weights_are_those_of_scikit_learn(n, d, alpha):
    X, Y = data(n, d)
    weights, bias = Ridge.of(X).weights(Y, alpha)
    reference = ReferenceRidge(alpha=alpha).fit(X, Y)
    np.testing.assert_allclose(weights, reference.coef_, atol=1e-9)
    np.testing.assert_allclose(bias, reference.intercept_, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_left_out_predictions_are_those_of_fits_without_the_row(n, d):
    X, Y = data(n, d)
    alphas = [0.3, 20.0]
    predictions = Ridge.of(X).left_out(Y, alphas)
    for a, alpha in enumerate(alphas):
        for i in range(n):
            rest = np.arange(n) != i
            reference = ReferenceRidge(alpha=alpha).fit(X[rest], Y[rest])
            np.testing.assert_allclose(predictions[a, i], reference.predict(X[i : i + 1])[0], atol=1e-8)


def test_repeated_rows_and_constant_columns_do_no_harm():
    X, Y = data(20, 5)
    X[10:], X[:, 2] = X[:10], 4.0
    weights, bias = Ridge.of(X).weights(Y, 1.0)
    reference = ReferenceRidge(alpha=1.0).fit(X, Y)
    np.testing.assert_allclose(weights, reference.coef_, atol=1e-9)
    np.testing.assert_allclose(bias, reference.intercept_, atol=1e-9)


def test_rows_all_alike_leave_only_the_mean():
    weights, bias = Ridge.of(np.ones((6, 3))).weights(np.arange(6.0)[:, None], 1.0)
    assert not weights.any()
    assert bias[0] == 2.5


def test_each_head_learns_from_its_own_rows_only():
    X, Y = data(30, 4)
    measured = np.ones((30, 3), dtype=bool)
    measured[:8, 1] = False
    Y[~measured] = np.nan
    heads = Heads(X, measured)
    stacked = heads.weights(Y, 2.0)
    reference = ReferenceRidge(alpha=2.0).fit(X[8:], Y[8:, 1])
    np.testing.assert_allclose(stacked[1, :-1], reference.coef_, atol=1e-9)
    assert stacked[1, -1] == pytest.approx(reference.intercept_)
    np.testing.assert_allclose(stacked[2, :-1], ReferenceRidge(alpha=2.0).fit(X, Y[:, 2]).coef_, atol=1e-9)
    left_out = heads.left_out(Y, [2.0])[0]
    assert (np.isnan(left_out) == ~measured).all()
