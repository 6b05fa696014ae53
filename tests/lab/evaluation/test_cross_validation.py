import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.made_up_table import LAB_POOL, make_lab

from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.errors import InputError
from r2_router.lab.evaluation.cross_validation import cost_usd, cross_validate, verdict
from r2_router.lab.learning.regressors import make_regressor, regress
from r2_router.lab.learning.training import train
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool

pytestmark = pytest.mark.slow

LEARN = partial(train, embedder=EmbedderInfo("e", 6), instruction=Instruction("Under {words} words."), name="made-up")


@pytest.fixture(scope="module")
def paying():
    """Metrics where the query says which model answers well."""
    return cross_validate(*make_lab(160), LEARN, LAB_POOL, seeds=2, jobs=1)


@pytest.fixture(scope="module")
def idle():
    """Metrics where nothing about the query matters."""
    return cross_validate(*make_lab(160, signal=0.0), LEARN, LAB_POOL, seeds=2)


def test_a_router_that_pays_is_said_to(paying):
    gain = paying["gain_over_best_constant"]
    assert gain["interval_95"][0] > 0
    assert paying["verdict"].startswith("Choosing by query beats the best constant")
    methods = paying["methods"]
    assert methods["mix"]["audc_padded"][0] < methods["router"]["audc_padded"][0]
    assert methods["router"]["audc_padded"][0] <= methods["oracle"]["audc_padded"][0]
    assert methods["reactive"]["peak"][0] < methods["oracle"]["peak"][0]
    assert methods["router"]["qnc"][0] < 1
    assert paying["audc_gain_over_mix"]["interval_95"][0] > 0


def test_a_router_with_nothing_to_learn_is_not_said_to_pay(idle):
    low, high = idle["gain_over_best_constant"]["interval_95"]
    assert low <= 0
    assert max(abs(low), abs(high)) < 0.02
    assert " use, by what a perfect answer is worth: small @ " in idle["verdict"]


def test_predictions_rise_with_the_truth_and_agree_on_average(paying, idle):
    for metrics, nearness in ((paying, 0.15), (idle, 0.03)):
        predicted, real = (np.array([g[side] for g in metrics["calibration"]]) for side in ("predicted", "real"))
        assert np.abs(predicted - real).max() < nearness
        assert predicted.mean() == pytest.approx(real.mean(), abs=0.02)
    assert (np.diff(real_of(paying)) > 0).all()


def real_of(metrics):
    return [group["real"] for group in metrics["calibration"]]


def test_heads_that_can_learn_do(paying):
    for head in paying["heads"]:
        assert head["quality_r2"] > 0.5
        assert head["tokens_expected_over_real"] == pytest.approx(1, abs=0.15)


def test_without_signal_heads_explain_nothing(idle):
    assert max(head["quality_r2"] for head in idle["heads"]) < 0.05


def test_metrics_are_json_and_the_same_every_time_and_for_any_number_of_jobs(paying):
    again = cross_validate(*make_lab(160), LEARN, LAB_POOL, seeds=2, jobs=3)
    assert json.dumps(again, allow_nan=False) == json.dumps(paying, allow_nan=False)


def test_heads_that_are_off_are_found_by_isotonic_calibration(paying):
    """Halved predictions: R² falls, and isotonic regression brings it back."""

    def half(table, vectors):
        learned = LEARN(table, vectors)
        rows = np.arange(len(learned.bias))[:, None] < len(learned.candidates)
        return replace(
            learned,
            weights=np.where(rows, learned.weights / 2, learned.weights).astype(np.float32),
            bias=np.where(rows[:, 0], learned.bias / 2, learned.bias).astype(np.float32),
        )

    halved = cross_validate(*make_lab(160), half, LAB_POOL, seeds=2)
    for off, fair in zip(halved["heads"], paying["heads"], strict=True):
        assert off["quality_r2"] < 0.3 < 0.6 < off["quality_r2_calibrated"]
        assert abs(fair["quality_r2_calibrated"] - fair["quality_r2"]) < 0.15


def test_heads_of_a_regressor_that_is_not_linear_are_judged_as_others_are():
    learn = partial(regress, heads=make_regressor("KernelRidge(kernel='rbf')"), instruction=Instruction(""))
    metrics = cross_validate(*make_lab(160), learn, LAB_POOL, seeds=1)
    assert metrics["verdict"].startswith("Choosing by query beats")


def test_constants_are_plain_means(paying):
    table, _ = make_lab(160)
    cost = cost_usd(table, LAB_POOL, table.output_tokens)
    for j, constant in enumerate(paying["constants"]):
        assert (constant["model"], constant["budget"]) == table.candidates[j]
        assert constant["quality"] == pytest.approx(table.quality[:, j].mean(), rel=1e-3)
        assert constant["cost_usd"] == pytest.approx(cost[:, j].mean(), rel=1e-3)
    assert paying["random"]["quality"] == pytest.approx(table.quality.mean(), rel=1e-3)


def test_without_budgets_there_is_no_reactive_router_to_compare_with():
    metrics = cross_validate(*make_lab(80, budgets=(20,)), LEARN, LAB_POOL, seeds=1)
    assert set(metrics["methods"]) == {"router", "mix", "knn", "paper", "oracle"}


def test_queries_of_equal_text_share_a_fold():
    """Told the answer under another id, a router would seem to know what nobody can."""
    table, vectors = make_lab(160, dim=200)
    table.quality[80:] = table.quality[:80] = np.random.default_rng(3).random((80, 4))
    table = replace(table, queries=table.queries[:80] * 2)
    learn = partial(LEARN, embedder=EmbedderInfo("e", 200))
    metrics = cross_validate(table, np.concatenate((vectors[:80], vectors[:80])), learn, LAB_POOL, seeds=2)
    assert max(head["quality_r2"] for head in metrics["heads"]) < 0.05


def test_cost_counts_input_and_output():
    table, _ = make_lab(40)
    table.input_tokens[0, 0] = np.nan
    cost = cost_usd(table, LAB_POOL, np.full((40, 4), 1000.0))
    assert cost[0].tolist() == pytest.approx([4e-4, 4.03e-4, 2.015e-3, 2.015e-3])


def test_a_model_without_price_is_named():
    pool = Pool("lab", {**LAB_POOL.models, "large": Model("large", "v/large", None, None)})
    with pytest.raises(InputError, match="Pool 'lab' has no price for large"):
        cross_validate(*make_lab(80), LEARN, pool)


def test_too_few_complete_queries_is_an_error():
    table, vectors = make_lab(60)
    table.quality[:21, 1] = np.nan
    with pytest.raises(InputError, match="Only 39 queries were answered by every candidate"):
        cross_validate(table, vectors, LEARN, LAB_POOL)


@pytest.mark.parametrize(
    ("interval", "begins"),
    [
        ([0.01, 0.04], "Choosing by query beats"),
        ([-0.01, 0.04], "Choosing by query is not shown to beat"),
        ([-0.04, -0.01], "Choosing by query is worse than"),
    ],
)
def test_the_verdict_follows_the_interval(paying, interval, begins):
    metrics = {**paying, "gain_over_best_constant": {"mean": sum(interval) / 2, "interval_95": interval}}
    assert verdict(metrics).startswith(begins)
