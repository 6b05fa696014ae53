"""Exploration: a draw of what may be true chooses now and then, within the limits, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.made_up import LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router
from r2_router.config.settings import load_settings
from r2_router.errors import ConfigError
from r2_router.lab.learning.from_base import QUALITY
from r2_router.routing import explore
from r2_router.routing.explore import check_explores, explored

DRAWS = 300


def make_router(checkpoint=None):
    return R2Router(checkpoint or make_checkpoint(), make_pool(), settings=load_settings(), embedder=LetterEmbedder())


@pytest.fixture
def route(vector):
    router = make_router()
    return lambda **wishes: router.route(vector, worth_usd=0.001, **wishes)


def drawn(decision, count=DRAWS):
    return [explored(decision, np.random.default_rng(seed), 0.02) for seed in range(count)]


def test_the_shares_are_those_of_what_is_learned():
    levels = QUALITY.levels
    parts = np.array([levels.model, levels.budget, levels.own]) ** 2
    whole = parts.sum() + levels.shared**2
    np.testing.assert_allclose([explore.OF_MODEL, explore.OF_BUDGET, explore.OF_ONE], parts / whole, atol=0.005)


def test_what_is_passed_over_and_given_up_is_said(route):
    decision = route()
    changed = [one for one in drawn(decision) if one.explored is not None]
    assert 0 < len(changed) < DRAWS
    for one in changed:
        passed = one.explored
        assert (passed.model, passed.budget) == (decision.model, decision.budget)
        assert one.best != decision.best
        assert passed.given_up_usd == pytest.approx(decision.net_usd - one.net_usd)
        assert one.to_dict()["explored"] == passed.to_dict()
        said = one.warnings()[0]
        assert said.startswith("This choice is an exploration, as 0.02 of all may be (explore): model-")
        assert sorted(c.label for c in one.candidates) == sorted(c.label for c in decision.candidates)
        assert one.candidates[1] == decision.best
    for same in (one for one in drawn(decision) if one.explored is None):
        assert same is decision
        assert "explored" not in same.to_dict()


def test_what_is_certain_is_not_explored(vector):
    router = make_router(make_checkpoint(quality_error=np.zeros(12, np.float32)))
    decision = router.route(vector, worth_usd=0.001)
    assert all(one is decision for one in drawn(decision, 50))


def test_the_less_is_known_the_more_is_explored(vector):
    shares = []
    for error in (0.05, 0.3, 1.0):
        router = make_router(make_checkpoint(quality_error=np.full(12, error, np.float32)))
        decision = router.route(vector, worth_usd=0.001)
        shares.append(sum(one.explored is not None for one in drawn(decision)))
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_limits_hold(route):
    limited = route(models=["model-0", "model-1"], max_cost_usd=0.0001)
    for one in drawn(limited):
        assert one.model in ("model-0", "model-1")
        assert one.predicted_cost_usd <= 0.0001
    alone = route(model="model-1", budget=40)
    assert all(one is alone for one in drawn(alone, 20))


def test_where_quality_alone_counts_nothing_is_given_up_for_learning(vector):
    decision = make_router().route(vector, 0.0)
    assert all(one is decision for one in drawn(decision, 20))


def test_a_checkpoint_that_knows_no_errors_is_named():
    unsure = replace(make_checkpoint(), quality_error=None)
    with pytest.raises(ConfigError, match=r"'made-up' records no standard errors. Train it anew .* or set explore = 0"):
        check_explores(unsure, 0.02)
    check_explores(unsure, 0.0)
