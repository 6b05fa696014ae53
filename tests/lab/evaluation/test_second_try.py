"""Cascades on made-up answers of which it is known what their log-probabilities tell."""

from __future__ import annotations

import numpy as np
import pytest

from r2_router.lab.data.table import Table, make_table
from r2_router.lab.evaluation.compare import Expectation
from r2_router.lab.evaluation.second_try import cascades
from r2_router.lab.learning.signal_fit import auroc, learn_signals

WORTHS = np.array([0.01])
COST = (0.0003, 0.003)  # dollars: 0.03 and 0.3 perfect answers
RIGHT = (0.5, 0.9)


def made(tells: float, n: int = 400, seed: int = 3) -> Table:
    """The small model is right on half of the queries, nobody knows which, the large one on nine in ten; `tells`: by
    how many standard deviations the small one is surer of its right answers."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        for model, share in zip(("small", "large"), RIGHT, strict=True):
            right = bool(rng.random() < share)
            sure = None if model == "large" else -abs(2.0 - tells * right + rng.normal(0, 0.5)) - 0.01
            rows.append((f"q{i}", f"text {i}", model, None, float(right), 10, sure))
    names = ("query_id", "query", "model", "budget", "quality", "output_tokens", "mean_logprob")
    return make_table(dict(zip(names, zip(*rows, strict=True), strict=True)), "made-up")


def found(table: Table, cost: tuple[float, float] = COST) -> dict:
    quality = np.broadcast_to(np.array(RIGHT), table.quality.shape)
    price = np.broadcast_to(np.array(cost), table.quality.shape)
    told = cascades(table, price, [Expectation(quality, price, quality, price)], WORTHS)
    assert told is not None
    return told


def test_where_being_sure_tells_right_from_wrong_a_cascade_pays() -> None:
    told = found(made(tells=1.5))
    [signal] = told["signals"]
    assert signal["auroc"] > 0.9
    assert signal["auroc_expected"] == pytest.approx(0.5)
    [at] = told["by_worth"]
    # Alone the large one is worth .9 - .3; asked after wrong answers only, half as often, about .95 - .03 - .15.
    assert at["routed"] == pytest.approx(0.6, abs=0.05)
    assert at["mean"] == pytest.approx(0.17, abs=0.06)
    assert at["cascades"] == 1.0
    assert 0.3 < at["went_up"] < 0.7
    assert told["verdict"].startswith("A cascade would pay")


def test_where_it_tells_nothing_none_is_begun() -> None:
    told = found(made(tells=0.0))
    assert told["signals"][0]["auroc"] == pytest.approx(0.5, abs=0.08)
    assert told["by_worth"][0]["cascades"] < 0.1
    assert told["verdict"].startswith("A cascade is not shown to pay")


def test_where_the_second_step_is_dear_the_first_is_kept() -> None:
    told = found(made(tells=1.5), cost=(0.0003, 0.05))
    assert told["by_worth"][0]["cascades"] == 0.0


def test_without_log_probabilities_nothing_is_said() -> None:
    table = made(tells=1.5, n=50)  # too few
    price = np.ones(table.quality.shape)
    assert cascades(table, price, [Expectation(table.quality, price, table.quality, price)], WORTHS) is None


def test_shifts_rise_and_shares_add_up() -> None:
    table = made(tells=1.5)
    [signal] = learn_signals(table, np.broadcast_to(np.array(RIGHT), table.quality.shape))
    assert sum(signal.right) == pytest.approx(1, abs=1e-3)
    assert sum(signal.wrong) == pytest.approx(1, abs=1e-3)
    odds = np.array(signal.right) / np.array(signal.wrong)
    assert (np.diff(odds) >= 0).all()
    assert odds[-1] > 3 > 1 / 3 > odds[0]
    assert signal.ratios == {("large", "unlimited"): pytest.approx(1, abs=0.15)}  # they err by themselves


def test_an_answer_half_right_counts_as_half_of_each() -> None:
    assert auroc(np.array([1.0, 0.0]), np.array([2.0, 1.0])) == 1.0
    assert auroc(np.array([0.5, 0.5]), np.array([2.0, 1.0])) == 0.5
