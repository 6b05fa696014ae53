"""What a call costs: plain tokens, the cache, thoughts, fees and tiers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.errors import ConfigError
from r2_router.pools.model import Model, PriceTier

PLAIN = Model("m", "vendor/m", 2.0, 10.0)
FULL = Model(
    "m",
    "vendor/m",
    2.0,
    10.0,
    cache_read_usd_per_million=0.2,
    cache_write_usd_per_million=2.5,
    thinking_usd_per_million=30.0,
    request_usd=0.005,
    tiers=(PriceTier(1_000, 4.0, 15.0), PriceTier(5_000, 8.0, 30.0)),
)
tokens = st.integers(0, 10_000)


def test_tokens_at_the_plain_price() -> None:
    assert PLAIN.cost_usd(1000, 100) == pytest.approx((1000 * 2 + 100 * 10) / 1e6)
    assert PLAIN.cost_usd(1000, 100, cache_read_tokens=900, thinking_tokens=50) == PLAIN.cost_usd(1000, 100)
    assert PLAIN.priced


def test_every_price_of_a_request() -> None:
    cost = FULL.cost_usd(1000, 100, cache_read_tokens=600, cache_write_tokens=300, thinking_tokens=40)
    assert cost == pytest.approx(0.005 + (600 * 0.2 + 300 * 2.5 + 100 * 2.0 + 40 * 30.0 + 60 * 10.0) / 1e6)


def test_a_tier_prices_the_whole_request_and_the_cache_rises_with_it() -> None:
    assert FULL.usd_per_million(1_000) == (2.0, 10.0)
    assert FULL.usd_per_million(1_001) == (4.0, 15.0)
    assert FULL.usd_per_million(6_000) == (8.0, 30.0)
    assert FULL.cost_usd(2_000, 0, cache_read_tokens=2_000) == pytest.approx(0.005 + 2_000 * 0.4 / 1e6)
    assert FULL.cost_usd(2_000, 10, thinking_tokens=10) == pytest.approx(0.005 + (2_000 * 4 + 10 * 45) / 1e6)


def test_a_model_without_a_price_costs_nothing_anybody_could_name() -> None:
    unpriced = Model("m", "vendor/m", 1.0, None)
    assert not unpriced.priced
    with pytest.raises(ConfigError, match="m has no price"):
        unpriced.cost_usd(1, 1)


@pytest.mark.slow
@given(tokens, tokens, st.data())
def test_nothing_costs_more_than_the_most(reads: int, writes: int, data: st.DataObject) -> None:
    for model in (PLAIN, FULL):
        read = data.draw(st.integers(0, reads))
        written, thought = data.draw(st.integers(0, reads - read)), data.draw(st.integers(0, writes))
        cost = model.cost_usd(
            reads, writes, cache_read_tokens=read, cache_write_tokens=written, thinking_tokens=thought
        )
        assert 0 <= cost <= model.most_usd(reads, writes) * (1 + 1e-12)
