from __future__ import annotations

import numpy as np
import pytest
from support.made_up import DIM, make_checkpoint, make_precision, unit

from r2_router.errors import InputError
from r2_router.routing.predict import Predictor


def test_one_product_gives_quality_and_tokens_of_every_candidate(vector: np.ndarray) -> None:
    c = make_checkpoint()
    p = Predictor(c)
    outputs = p.outputs(vector)
    count = len(c.candidates)
    expected = c.weights.astype(np.float64) @ vector + c.bias
    np.testing.assert_allclose(p.quality(outputs), np.clip(expected[:count], 0, 1), atol=1e-6)
    np.testing.assert_allclose(
        p.tokens(outputs), np.clip(np.exp(expected[count:]), c.token_floor, c.token_ceiling), rtol=1e-5
    )


def test_a_batch_is_its_rows() -> None:
    p = Predictor(make_checkpoint())
    rows = np.stack([unit(v) for v in np.random.default_rng(3).normal(size=(5, DIM))])
    batch = p.outputs(rows)
    for row, outputs in zip(rows, batch, strict=True):
        np.testing.assert_allclose(p.outputs(row), outputs, atol=1e-6)
        np.testing.assert_allclose(p.outputs_as_released(row), outputs, atol=1e-6)
    np.testing.assert_allclose(p.outputs_as_released(rows), batch, atol=1e-6)


def test_tokens_never_fall_below_their_floor_nor_rise_above_their_ceiling() -> None:
    c = make_checkpoint()
    p = Predictor(c)
    for value in (-1e30, -50.0, 0.0, 50.0, 1e30):
        tokens = p.tokens(np.full(len(c.bias), value, dtype=np.float32))
        assert (tokens >= c.token_floor).all()
        assert (tokens <= c.token_ceiling).all()


def test_a_candidate_without_token_head_uses_its_budget(vector: np.ndarray) -> None:
    full = make_checkpoint()
    unlimited = tuple(i for i, (_, b) in enumerate(full.candidates) if b == "unlimited")
    heads = [*range(len(full.candidates)), *(len(full.candidates) + i for i in unlimited)]
    c = make_checkpoint(token_heads=unlimited, weights=full.weights[heads], bias=full.bias[heads], token_scale="linear")
    p = Predictor(c)
    tokens = p.tokens(p.outputs(vector))
    for i, (_, budget) in enumerate(c.candidates):
        assert budget == "unlimited" or tokens[i] == budget
    raw = p.tokens(np.full(len(c.bias), -5.0, dtype=np.float32), raw=True)
    assert (raw[list(unlimited)] == 0).all()


def test_leverage_and_errors_are_those_of_the_ridge_posterior() -> None:
    rng = np.random.default_rng(5)
    alpha = 2.0
    X = rng.normal(size=(30, DIM))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    precision = make_precision(np.random.default_rng(5), n=30, alpha=alpha)
    c = make_checkpoint(precision=precision)
    p = Predictor(c)
    query = unit(rng.normal(size=DIM))
    centred = X - X.mean(axis=0)
    A = centred.T @ centred + alpha * np.eye(DIM)
    offset = query - X.mean(axis=0)
    expected = 1 / 30 + offset @ np.linalg.solve(A, offset)
    assert p.leverage(query) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(p.quality_errors(query), 0.3 * np.sqrt(expected), rtol=1e-4)


def test_without_precision_the_stated_error_stands_and_without_that_nothing_is_claimed(vector: np.ndarray) -> None:
    p = Predictor(make_checkpoint(precision=None))
    assert p.leverage(vector) is None
    np.testing.assert_allclose(p.quality_errors(vector), 0.3, rtol=1e-6)
    assert Predictor(make_checkpoint(precision=None, quality_error=None)).quality_errors(vector) is None


def test_on_the_logit_scale_quality_rises_to_its_ceiling_and_errors_follow_the_slope(vector: np.ndarray) -> None:
    c = make_checkpoint(quality_scale="logit", quality_ceiling=0.9, precision=None)
    p = Predictor(c)
    z = (c.weights.astype(np.float64) @ vector + c.bias)[: len(c.candidates)]
    expected = 0.9 / (1 + np.exp(-z))
    np.testing.assert_allclose(p.quality(p.outputs(vector)), expected, atol=1e-6)
    np.testing.assert_allclose(p.quality_errors(vector), 0.3 * expected * (1 - expected / 0.9), rtol=1e-4)
    far = p.quality(np.array([[-np.inf] * len(c.bias), [1e30] * len(c.bias)], dtype=np.float32))
    np.testing.assert_allclose(far, np.repeat([[0.0], [0.9]], len(c.candidates), axis=1), atol=1e-20)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.ones(3), "3 dimensions.*trained on 8"),
        (np.full(DIM, np.nan), "not finite"),
        (np.full(DIM, np.inf), "not finite"),
        (np.full(DIM, 1e38), "not finite"),
        (np.zeros(DIM), "zero vector"),
        (np.full((2, DIM), 8**-0.5), r"One embedding has shape \(8,\)"),
        (np.ones(DIM), "length 2.83, not 1"),
        (np.float32(1.0), "One embedding has shape"),
        (["a"] * DIM, "array of 8 numbers"),
        ("text", "array of 8 numbers"),
        (None, "One embedding|array of 8"),
    ],
)
def test_embeddings_that_cannot_be_used_are_refused(embedding: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Predictor(make_checkpoint()).check(embedding)


def test_lists_rows_and_half_precision_are_accepted(vector: np.ndarray) -> None:
    p = Predictor(make_checkpoint())
    for form in (vector.tolist(), vector[None], vector.astype(np.float16), vector.astype(np.float64)):
        np.testing.assert_allclose(p.check(form), vector, atol=1e-3)
    assert p.check(vector).dtype == np.float32
    with pytest.raises(InputError, match=r"shape \(n, 8\)"):
        p.check_batch(vector)
