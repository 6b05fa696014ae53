from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.errors import InputError
from r2_router.routing.decision import Limits, TradeOff
from r2_router.routing.request import limits, read_wishes, trade_off

PRESETS = {"economy": 0.0001, "balanced": 0.001}


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


def test_a_preset_names_a_worth() -> None:
    assert trade_off(preset="balanced", presets=PRESETS) == trade_off(worth_usd=0.001)
    with pytest.raises(InputError, match="economy, balanced"):
        trade_off(preset="lavish", presets=PRESETS)


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
        trade_off(worth_usd=1.0, preset="balanced", presets=PRESETS)


@pytest.mark.parametrize(
    "wish",
    [
        {"max_cost_usd": -1.0},
        {"max_cost_usd": math.nan},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"max_tokens": math.inf},
        {"max_tokens": "many"},
        {"min_quality": 1.1},
        {"min_quality": -0.1},
        {"min_quality": math.nan},
    ],
)
def test_limits_out_of_range_are_refused(wish: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wish))):
        limits(**wish)  # type: ignore[arg-type]


def test_globs_are_a_list_or_a_comma_separated_string() -> None:
    assert limits(models=" a*, b ,", exclude=["c"]) == Limits(models=("a*", "b"), exclude=("c",))
    assert limits(models="", exclude=[]) == Limits()


def test_wishes_fall_back_to_the_default_trade_off_and_refuse_unknown_ones() -> None:
    default = TradeOff(0.5, 1.0)
    assert read_wishes(None, {}, presets=PRESETS, default=default) == (default, Limits())
    assert read_wishes(0.25, {"max_tokens": 5}, presets=PRESETS, default=default) == (
        TradeOff(0.25, 3.0),
        Limits(max_tokens=5),
    )
    with pytest.raises(TypeError, match="max_token"):
        read_wishes(None, {"max_token": 5}, presets=PRESETS, default=default)  # type: ignore[typeddict-unknown-key]
