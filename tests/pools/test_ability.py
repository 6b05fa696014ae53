"""What a model can do, and how that is known: stated, rated, or guessed, in that order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.errors import ConfigError
from r2_router.pools.ability import (
    CEILING,
    GUESS_ERROR,
    PRICE_FIT,
    SIZE_FIT,
    TRANSFER_ERROR,
    abilities,
    ability_of,
    rating_of,
    typical_quality,
)
from r2_router.pools.model import Model
from r2_router.pools.ratings import OVERALL, Ratings, load_ratings
from r2_router.pools.thoughts import thinking

ROUTER = "https://openrouter.ai/api/v1"


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return load_ratings()


def model(model_id: str = "vendor/unheard-of", price: float | None = 2.0, **changes: Any) -> Model:
    made = Model("m", model_id, price, price, base_url=ROUTER, api_key_env="OPENROUTER_API_KEY")
    return replace(made, **changes)


def test_what_is_stated_goes_before_what_is_rated_and_that_before_a_guess(ratings: Ratings) -> None:
    everything = {"rating": {OVERALL: 1500.0, "math": 1550.0}, "quality": 0.4, "rated_as": "gpt-4o-mini"}
    found = []
    asked = model("openai/gpt-5-chat", **everything)
    for dropped in ({}, {"rating": {}}, {"quality": None}, {"rated_as": ""}, {"id": "vendor/unheard-of"}):
        asked = replace(asked, **dropped)
        found.append(ability_of(asked, ratings))
    stated, believed, named, matched, guessed = found
    assert [a.source for a in found] == ["stated", "quality", "rated", "rated", "price"]
    assert (stated.rating, stated.by_category["math"]) == (1500, 1550)
    assert believed.rating == pytest.approx(rating_of(0.4))
    assert named.said == "rated as gpt-4o-mini, 1318 (2026-10-20)"
    assert matched.said == "rated as gpt-5-chat, 1426 (2026-10-20)"
    assert matched.by_category == ratings.rated["openai/gpt-5-chat"].by_category
    assert guessed.said == "guessed from its price"
    assert all(OVERALL in a.by_category and a.by_category[OVERALL] == a.rating for a in found)
    assert guessed.error > believed.error > stated.error > 0


def test_a_name_that_is_not_rated_is_an_error_that_names_those_close(ratings: Ratings) -> None:
    with pytest.raises(
        ConfigError, match=r"m is rated_as 'gpt-5-chatt', which .* do not hold\. Did you mean '.*gpt-5-chat"
    ):
        ability_of(model(rated_as="gpt-5-chatt"), ratings)


def test_two_ways_of_asking_are_two_abilities(ratings: Ratings) -> None:
    plain = model("anthropic/claude-3.7-sonnet")
    thinks = replace(plain, request={"reasoning": {"effort": "high"}})
    one, other = (ability_of(m, ratings) for m in (plain, thinks))
    assert other.rating > one.rating
    assert (one.said, other.said) == (
        "rated as claude-3.7-sonnet, not thinking, 1371 (2026-10-20)",
        "rated as claude-3.7-sonnet, thinking, 1388 (2026-10-20)",
    )


def test_a_way_that_was_not_rated_is_known_less_well(ratings: Ratings) -> None:
    rated, other = (
        ability_of(model("openai/gpt-5", request={"reasoning_effort": effort}), ratings) for effort in ("high", "none")
    )
    assert rated.rating == other.rating
    assert other.error > 1.2 * rated.error > TRANSFER_ERROR


@pytest.mark.parametrize(
    ("request_", "thinks"),
    [
        ({}, None),
        ({"temperature": 0}, None),
        ({"reasoning_effort": "low"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, False),
        ({"reasoning": {"enabled": False}}, False),
        ({"reasoning": {"effort": "high"}}, True),
        ({"reasoning": {"max_tokens": 2000}}, True),
        ({"reasoning": {}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"enable_thinking": True}, True),
        ({"think": False}, False),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": 5, "reasoning": "x", "thinking": []}, None),
    ],
)
def test_whether_a_request_asks_to_think(request_: dict[str, Any], thinks: bool | None) -> None:
    assert thinking(model(request=request_)) is thinks


def test_a_guess_from_price_and_size(ratings: Ratings) -> None:
    dear, cheap = (ability_of(model(price=price), ratings) for price in (50.0, 0.5))
    assert dear.rating - cheap.rating == pytest.approx(2 * PRICE_FIT[1])
    both = ability_of(model("vendor/unheard-of-7b-instruct", 0.5), ratings)
    assert both.said == "guessed from its price and its size"
    assert SIZE_FIT[0] < both.rating < cheap.rating
    free = ability_of(model(price=0.0), ratings)
    unknown = ability_of(model(price=None), ratings)
    assert free.rating == unknown.rating < cheap.rating
    assert free.error > GUESS_ERROR


def test_on_ones_own_machine_a_price_is_that_of_time(ratings: Ratings) -> None:
    local = model("unheard-of:7b", 100.0, base_url="http://localhost:11434/v1", api_key_env="")
    assert ability_of(local, ratings).source == "size"
    assert ability_of(replace(local, id="llama3.1:8b"), ratings).said.startswith("rated as llama-3.1-8b-instruct")
    assert ability_of(replace(local, id="deepseek-r1"), ratings).source != "rated"  # of whatever size was fetched
    gateway = replace(local, id="deepseek/deepseek-r1", api_key_env="GATEWAY_KEY")
    assert ability_of(gateway, ratings).source == "rated"


def test_abilities_by_name(ratings: Ratings) -> None:
    pool = [replace(model(), name=name) for name in "ab"]
    assert list(abilities(pool, ratings)) == ["a", "b"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_quality_is_no_worse_rating(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert rating_of(low) <= rating_of(high)


@given(st.floats(850, 1650))
def test_quality_and_rating_say_the_same(rating: float) -> None:
    assert rating_of(typical_quality(rating)) == pytest.approx(rating)
    assert 0 < typical_quality(rating) < CEILING


def test_the_fits_are_those_that_were_computed() -> None:
    file = Path(__file__).parents[2] / "benchmarks" / "results" / "ratings.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    fits = found["fits"]
    assert all(abs(each["off_by_points"] - TRANSFER_ERROR) < 5 for each in found["transfer"].values())
    for fit, (a, b) in ((fits["price"], PRICE_FIT), (fits["size"], SIZE_FIT)):
        assert abs(fit["a"] - a) < 5
        assert abs(fit["b"] - b) < 5
        assert abs(fit["standard_error"] - GUESS_ERROR) < 10
    assert fits["mean_of_both"]["standard_error"] <= GUESS_ERROR
