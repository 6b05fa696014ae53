from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up import DIM, make_checkpoint, make_pool, unit

from r2_router.checkpoints.format import Checkpoint
from r2_router.config.settings import Multiple, Settings
from r2_router.errors import InputError
from r2_router.pools.pool import Pool
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.decision import TradeOff
from r2_router.routing.predict import Predictor
from r2_router.routing.worth import Worths, trade_off, typical_answer, worths

SETTINGS = Settings(preset="balanced", presets={"balanced": Multiple(20.0), "mine": 0.5})


@given(st.floats(0, 1e6))
def test_worth_and_lambda_say_the_same(worth: float) -> None:
    by_worth = trade_off(worth_usd=worth)
    assert by_worth is not None
    assert by_worth.lambda_val == 1 / (1 + worth)
    by_lambda = trade_off(lambda_val=by_worth.lambda_val)
    assert by_lambda is not None
    assert by_lambda.worth_usd == pytest.approx(worth, rel=1e-6, abs=1e-9)


def test_the_ends_of_lambda() -> None:
    assert trade_off(lambda_val=0) == TradeOff(0.0, None)
    assert trade_off(lambda_val=1) == TradeOff(1.0, 0.0)
    assert trade_off(worth_usd=0) == TradeOff(1.0, 0.0)
    assert trade_off() is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "much", True, -0.1, 1.1])
def test_lambda_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="lambda_val"):
        trade_off(lambda_val=value)


@pytest.mark.parametrize("value", [math.nan, math.inf, "much", True, -1e-9])
def test_worth_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="worth_usd"):
        trade_off(worth_usd=value)


def test_two_trade_offs_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="lambda_val and worth_usd"):
        trade_off(lambda_val=0.5, worth_usd=1.0)
    with pytest.raises(InputError, match="worth_usd and preset"):
        trade_off(worth_usd=1.0, preset="balanced")


# -- presets -------------------------------------------------------------------------------------------------


def typical(checkpoint: Checkpoint, pool: Pool) -> tuple[str, float]:
    return typical_answer(Predictor(checkpoint), CandidateTable(checkpoint, pool))


def worths_of(
    checkpoint: Checkpoint, pool: Pool, settings: Settings = SETTINGS, stated: TradeOff | None = None
) -> Worths:
    return worths(settings, stated, Predictor(checkpoint), CandidateTable(checkpoint, pool))


def times(pool: Pool, factor: float) -> Pool:
    dearer = {
        m.name: replace(
            m,
            input_usd_per_million=factor * (m.input_usd_per_million or 0),
            output_usd_per_million=factor * (m.output_usd_per_million or 0),
        )
        for m in pool
    }
    return Pool(pool.name, dearer)


def test_a_typical_answer_is_the_strongest_models_to_the_middle_of_the_training_queries():
    checkpoint = make_checkpoint(strongest="model-1")
    model, usd = typical(checkpoint, make_pool())
    assert model == "model-1"
    assert checkpoint.precision is not None
    row = len(checkpoint.candidates) + 7  # the token head of model-1, unlimited
    head = float(np.exp(checkpoint.weights[row] @ checkpoint.precision.center + checkpoint.bias[row]))
    assert usd == pytest.approx((100 * 0.2 + head * 1.6) / 1e6, rel=1e-5)


def test_where_the_checkpoint_names_none_the_strongest_is_the_best_there_or_the_dearest():
    bias = make_checkpoint().bias.copy()
    bias[3] = 5.0  # model-0, unlimited
    assert typical(make_checkpoint(bias=bias), make_pool())[0] == "model-0"
    assert typical(make_checkpoint(bias=bias, precision=None), make_pool())[0] == "model-2"


def test_a_strongest_model_that_cannot_be_used_is_not_the_measure():
    checkpoint = make_checkpoint(strongest="model-2")
    assert typical(checkpoint, make_pool(unavailable="gone"))[0] != "model-2"
    nobody = Pool("none", {m.name: replace(m, unavailable="gone") for m in make_pool()})
    assert worths_of(checkpoint, nobody).presets["balanced"].worth_usd == pytest.approx(20 * 1e-5)


@given(st.floats(1e-3, 1e3))
def test_presets_rise_and_fall_with_the_pools_prices_and_choices_stay(factor: float):
    checkpoint, pool = make_checkpoint(), times(make_pool(), 1e3)
    one, other = (worths_of(checkpoint, p).presets["balanced"] for p in (pool, times(pool, factor)))
    if min(typical(checkpoint, times(pool, factor))[1], typical(checkpoint, pool)[1]) > 1e-5:
        assert other.worth_usd == pytest.approx(factor * (one.worth_usd or 0), rel=1e-9)


def test_a_pool_that_costs_nothing_still_asks_for_quality():
    free = times(make_pool(), 0.0)
    assert worths_of(make_checkpoint(), free).default.worth_usd == pytest.approx(20 * 1e-5)


def test_worth_says_where_it_comes_from():
    checkpoint, pool = make_checkpoint(strongest="model-1"), make_pool()
    found = worths_of(checkpoint, pool)
    assert found.default is found.presets["balanced"]
    assert found.default.source.startswith("preset balanced: 20 times $0.0")
    assert found.default.source.endswith("what a typical answer of model-1 costs")
    assert found.presets["mine"] == TradeOff(1 / 1.5, 0.5)
    assert found.presets["mine"].source == "preset mine"
    assert found.in_force(None, "mine") is found.presets["mine"]
    assert found.in_force(TradeOff(0.5, 1.0), "") == TradeOff(0.5, 1.0)
    assert found.in_force(None, "") is found.default
    with pytest.raises(InputError, match="balanced, mine"):
        found.in_force(None, "lavish")
    filed = Settings(worth_usd=2.0, sources={"worth_usd": "config.toml, line 3"})
    assert worths_of(checkpoint, pool, filed).default.source == "config.toml, line 3"
    assert worths_of(checkpoint, pool, filed, TradeOff(0.5, 1.0)).default == TradeOff(0.5, 1.0)


def test_the_middle_is_the_mean_of_the_probes_where_training_left_none():
    probes = np.stack([unit(v) for v in np.random.default_rng(1).normal(size=(3, DIM))])
    checkpoint = make_checkpoint(precision=None, probe_texts=("a", "b", "c"), probe_vectors=probes)
    np.testing.assert_allclose(Predictor(checkpoint).middle, probes.mean(axis=0))
    assert Predictor(make_checkpoint(precision=None)).middle is None
