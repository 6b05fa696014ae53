from __future__ import annotations

import math

import pytest

from r2_router.errors import InputError
from r2_router.routing.decision import Limits, TradeOff
from r2_router.routing.request import Request, check_texts, limits


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


# -- a request -------------------------------------------------------------------------------------------------


def test_wishes_that_are_not_given_are_none_and_unknown_ones_are_refused() -> None:
    nothing = Request.read("hi")
    assert (nothing.trade_off, nothing.preset, nothing.limits) == (None, "", Limits())
    assert Request.read("hi", preset="economy").preset == "economy"
    assert Request.read("hi", 0.25, max_tokens=5).limits == Limits(max_tokens=5)
    assert Request.read("hi", 0.25).trade_off == TradeOff(0.25, 3.0)
    with pytest.raises(TypeError, match="max_token"):
        Request.read("hi", max_token=5)  # type: ignore[call-arg]


def test_a_system_message_stands_before_the_conversation_and_the_last_user_message_is_routed() -> None:
    turns = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    request = Request.read(turns, system="Be brief.")
    assert request.query == "three"
    assert request.messages == [{"role": "system", "content": "Be brief."}, *turns]
    assert Request.read("three").messages == [{"role": "user", "content": "three"}]


@pytest.mark.parametrize("given", ["Unlimited", "UNLIMITED", " unlimited ", "unlimited"])
def test_unlimited_in_any_case(given: str) -> None:
    assert Request.read("hi", budget=given).limits.budget == "unlimited"


@pytest.mark.parametrize(("given", "budget"), [("100", 100), (100, 100), ("1,000", 1000), ("10_000", 10_000)])
def test_a_budget_is_a_number_however_it_is_written(given: str | int, budget: int) -> None:
    assert Request.read("hi", budget=given).limits.budget == budget


@pytest.mark.parametrize("given", ["99999999999999999999", 10**30, 0, -1, "0", "-5", "lots", "", True, 1.5, "٣٣" * 20])
def test_what_is_no_budget_is_refused_and_never_turned_into_another(given: object) -> None:
    with pytest.raises(InputError, match=r"budget is a number of output tokens, 1 to 10,000,000, or 'unlimited'"):
        Request.read("hi", budget=given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [5, 1.5, [None], [7], object()])
def test_names_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(InputError, match="models"):
        limits(models=given)  # type: ignore[arg-type]


@pytest.mark.parametrize("hole", [math.nan, None, 7, "", "  "])
def test_a_hole_in_a_column_is_named_by_its_row(hole: object) -> None:
    with pytest.raises(InputError, match=r"^queries\[2\] is "):
        check_texts(["a", "b", hole, "d"])


def test_a_column_of_any_kind_is_a_list() -> None:
    import numpy as np

    assert check_texts(("a", "b")) == check_texts(iter("ab")) == check_texts(np.array(["a", "b"])) == ["a", "b"]
    for other in ("ab", b"ab", {"a": 1}, 5, None):
        with pytest.raises(InputError, match="Queries are a list"):
            check_texts(other)
