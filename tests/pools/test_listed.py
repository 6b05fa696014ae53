"""One entry of a provider's list: whatever it holds, it is read or passed over."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.pools.listed import Prices, read_entry

TODAY = "2026-11-25"
KEYS = [
    *("id", "pricing", "price", "prompt", "completion", "input", "output", "overrides", "hourly", "usd", "metadata"),
    *("prompt_text_token_price", "completion_text_token_price", "min_prompt_tokens", "context_length", "aliases"),
    *("top_provider", "max_completion_tokens", "per_request_limits", "deprecation", "expiration_date", "active"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["-1", "1e999999999", "NaN", "0.1", "1e-7"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)


@given(st.decimals(min_value=0, max_value=1, places=12))
def test_prices_for_a_token_are_exact_decimals(price: Decimal) -> None:
    entry = read_entry({"id": "a", "pricing": {"prompt": str(price), "completion": str(price)}}, TODAY)
    assert entry is not None
    assert isinstance(entry.prices, Prices)
    assert entry.prices.input_usd_per_million == float(price.scaleb(6))


@pytest.mark.slow
@given(JSON)
def test_nothing_listed_makes_it_fail(listed: object) -> None:
    entry = read_entry({"id": "a", **listed} if isinstance(listed, dict) else listed, TODAY)
    if entry is None:
        return
    for count in (entry.context_window, entry.max_input_tokens, entry.max_output_tokens):
        assert count is None or count > 0
    if isinstance(entry.prices, Prices):
        for price in (entry.prices.input_usd_per_million, entry.prices.output_usd_per_million):
            assert price >= 0
            assert math.isfinite(price)
