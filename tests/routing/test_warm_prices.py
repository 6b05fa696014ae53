from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up import make_checkpoint

from r2_router.errors import InputError
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.decision import Limits
from r2_router.routing.rank import rank
from r2_router.routing.warm import Cached, Warmth, check_cached
from r2_router.routing.warm_prices import warmth
from r2_router.routing.worth import trade_off

ANTHROPIC = "https://api.anthropic.com/v1"
MODELS = {
    "model-0": Model("model-0", "claude-haiku-4-5", 1.0, 5.0, base_url=ANTHROPIC),
    "model-1": Model("model-1", "claude-opus-5", 5.0, 25.0, base_url=ANTHROPIC),
}
TABLE = CandidateTable(make_checkpoint(models=2, budgets=()), Pool("two", MODELS))
TOKENS = np.array([50.0, 50.0])
SURE = {"model-0": 1.0, "model-1": 1.0}
TRADE = trade_off(worth_usd=0.2)
assert TRADE is not None


def cost(cached: list[Cached], input_tokens: int = 20_100) -> np.ndarray:
    found = warm(cached, input_tokens)
    return TABLE.cost(TOKENS, input_tokens) + found.usd


def warm(cached: list[Cached], input_tokens: int = 20_100) -> Warmth:
    by_model = [[c for c in cached if c.model == m] for m in MODELS]
    found = warmth(TABLE, input_tokens, by_model, SURE)
    assert found is not None
    return found


def test_a_warm_strong_model_is_cheaper_than_a_cold_weak_one() -> None:
    """The example of a chat of 20,000 tokens and 100 new ones, at the providers' prices."""
    haiku, opus = cost([Cached("model-1", 20_000, 30)])
    assert opus == pytest.approx((20_000 * 0.5 + 100 * 6.25 + 50 * 25) / 1e6)  # $0.0119
    assert haiku == pytest.approx((20_100 * 1 + 50 * 5) / 1e6)  # nothing is marked there, so nothing is written
    assert opus < haiku


@pytest.mark.parametrize("cached", [Cached("model-1", 20_000, 300), Cached("model-1", 511, 1)])
def test_what_is_too_old_or_too_short_counts_for_nothing(cached: Cached) -> None:
    assert cost([cached]).tolist() == TABLE.cost(TOKENS, 20_100).tolist()


@given(st.integers(512, 30_000), st.integers(600, 30_000))
def test_input_is_priced_by_the_formula_and_never_credited_beyond_the_prompt(k: int, n: int) -> None:
    found = warm([Cached("model-1", k, 1)], n)
    kept = min(k, n)
    assert found.tokens.tolist() == [0, kept]
    assert found.usd[1] == pytest.approx(5e-6 * (kept * 0.1 + (n - kept) * 1.25 - n))
    assert found.usd[1] + 1.5 * found.ahead_usd[1] == pytest.approx(5e-6 * (0.1 - 1) * n)  # a turn that is all warm


def test_a_rate_that_was_learned_counts() -> None:
    half = warmth(TABLE, 20_100, [[], [Cached("model-1", 20_000, 1)]], {"model-1": 0.5})
    assert half is not None
    assert half.usd[1] == pytest.approx(5e-6 * (10_000 * 0.1 + 10_100 * 1.25 - 20_100))


def test_a_prompt_that_is_marked_is_written_and_found_again() -> None:
    cold = warmth(TABLE, 20_100, [[], []], SURE, marks=True)
    assert cold is not None
    assert cold.usd.tolist() == pytest.approx([20_100 * 0.25e-6, 20_100 * 1.25e-6])
    assert (cold.ahead_usd < 0).all()


def test_each_model_is_priced_by_its_own_count_of_the_prompt() -> None:
    reads = np.array([20_100.0, 21_500.0])  # an image is not the same to both
    found = warmth(TABLE, reads, [[], [Cached("model-1", 21_400, 1)]], SURE)
    assert found is not None
    assert found.tokens.tolist() == [0, 21_400]
    assert found.reads.tolist() == reads.tolist()
    assert found.usd[1] == pytest.approx(5e-6 * (21_400 * 0.1 + 100 * 1.25 - 21_500))


def test_without_a_rule_nothing_changes() -> None:
    pool = Pool("two", {name: replace(m, base_url="https://example.org/v1") for name, m in MODELS.items()})
    assert warmth(CandidateTable(make_checkpoint(models=2, budgets=()), pool), 20_100, [[], []], {}) is None


def test_the_limit_on_cost_is_held_against_this_turn_and_the_rank_against_the_next_three() -> None:
    found = warm([Cached("model-1", 20_000, 1)])
    quality = np.array([0.5, 0.9])
    ranking = rank(TABLE, quality, TOKENS, input_tokens=20_100, trade=TRADE, limits=Limits(0.015), warm=found)
    assert [c.model for c in ranking] == ["model-1"]
    opus = ranking[0]
    assert opus.predicted_cost_usd == pytest.approx(0.011875)
    assert opus.net_usd == pytest.approx(0.2 * 0.9 - opus.predicted_cost_usd - found.ahead_usd[1])
    assert opus.weighed_usd == pytest.approx(opus.predicted_cost_usd + opus.ahead_usd)


def test_what_the_caller_says_is_checked() -> None:
    said = check_cached([("opus", 20_000), ("haiku", 100, 12.5), Cached("x", 3)])
    assert said == (Cached("opus", 20_000), Cached("haiku", 100, 12.5), Cached("x", 3))
    assert check_cached(None) == ()
    for bad in ("opus", 5, [("opus",)], [("opus", -1)], [(3, 4)], [("opus", float("nan"))], [("opus", True)]):
        with pytest.raises(InputError, match="cache is the last answer, or a list of"):
            check_cached(bad)
