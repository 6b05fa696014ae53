"""Two queries, three candidates, and a router that is right about both: everything can be done by hand."""

import numpy as np
import pytest

from r2_router.lab.evaluation.compare import Expectation, compare

CANDIDATES = (("m", 10), ("m", "unlimited"), ("k", "unlimited"))
QUALITY = np.array([[0.6, 0.6, 0.6], [0.2, 0.4, 1.0]])
COST = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])


@pytest.fixture(scope="module")
def metrics():
    blind = [np.repeat(array.mean(axis=0)[None], 2, axis=0) for array in (QUALITY, COST)]
    return compare(CANDIDATES, QUALITY, COST, [Expectation(QUALITY, COST, *blind)]).metrics


@pytest.mark.slow
def test_constants_and_frontier(metrics):
    assert [c["quality"] for c in metrics["constants"]] == pytest.approx([0.4, 0.5, 0.8])
    # 0.4 @ 1 to 0.8 @ 4 pays from 7.5; 0.5 @ 2 lies below that line
    assert [(c["model"], c["budget"]) for c in metrics["best_constants"]] == [("m", 10), ("k", "unlimited")]
    assert [c["from_worth_usd"] for c in metrics["best_constants"]] == pytest.approx([0, 7.5])
    assert metrics["worth_range_usd"] == pytest.approx((2.5, 22.5))
    assert metrics["random"] == {"quality": pytest.approx(17 / 30), "cost_usd": pytest.approx(7 / 3)}


@pytest.mark.slow
def test_methods(metrics):
    methods = metrics["methods"]
    assert metrics["cost_range_usd"] == pytest.approx((1, 4))
    # The router keeps "m, 10" for the first query: (1, .4) and (2.5, .8), flat from there.
    assert methods["router"]["audc_padded"] == pytest.approx([(1.5 * 0.6 + 1.5 * 0.8) / 3, 0])
    assert methods["router"]["audc_paper"] == pytest.approx([1.5 * 0.6 / 3, 0])
    assert methods["router"]["qnc"] == pytest.approx([2.5 / 4, 0])
    # Without budgets it starts at "m, unlimited": (2, .5) and (3, .8).
    assert methods["reactive"]["audc_padded"] == pytest.approx([(0.5 + 0.65 + 0.8) / 3, 0])
    assert methods["reactive"]["qnc"] == pytest.approx([3 / 4, 0])
    # The mix goes straight from (1, .4) to (4, .8), without budgets from (2, .5).
    assert methods["mix"]["audc_padded"] == pytest.approx([0.6, 0])
    assert methods["mix"]["qnc"] == pytest.approx([1, 0])
    assert methods["mix_unlimited"]["audc_padded"] == pytest.approx([(0.5 + 2 * 0.65) / 3, 0])
    assert methods["oracle"] == methods["router"]
    assert {name: method["peak"][0] for name, method in methods.items()} == pytest.approx(dict.fromkeys(methods, 0.8))


def test_gain_is_what_is_saved_and_won_for_each_worth(metrics):
    gains = metrics["gain_over_best_constant"]["by_worth_usd"]
    for worth, gain in gains:
        router = (0.6 - 1 / worth + max(0.2 - 1 / worth, 1.0 - 4 / worth)) / 2
        constant = max(0.4 - 1 / worth, 0.8 - 4 / worth)
        assert gain == pytest.approx(router - constant)
    mean = metrics["gain_over_best_constant"]["mean"]
    low, high = metrics["gain_over_best_constant"]["interval_95"]
    assert mean == pytest.approx(np.mean([gain for _, gain in gains]))
    assert low <= mean <= high
    assert metrics["audc_gain_over_mix"]["mean"] == pytest.approx(0.1)


@pytest.mark.slow
def test_a_method_that_never_gets_there_has_no_qnc():
    wrong = Expectation(QUALITY[:, ::-1].copy(), COST, QUALITY, COST)
    assert compare(CANDIDATES, QUALITY, COST, [wrong]).metrics["methods"]["router"]["qnc"] is None
