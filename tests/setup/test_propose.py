"""The proposal: few, on the frontier, cheap to strong, the same each time."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.errors import InputError
from r2_router.pools.ability import Ability, typical_quality
from r2_router.pools.model import Model
from r2_router.setup.discover import Source
from r2_router.setup.propose import FEWEST, MOST, frontier, pick, propose
from r2_router.setup.ways import Way

HOSTED = Source(provider="openrouter", base_url="https://openrouter.ai/api/v1", api_key_env="K")
OWN = Source(provider="ollama", base_url="http://127.0.0.1:11434/v1")


def way(name: str, rating: float, usd: float, *, source: Source = HOSTED, rated: bool = True) -> Way:
    said = f"rated as {name}" if rated else "guessed from its price"
    ability = Ability(
        rating=rating, by_category={}, source="rated" if rated else "price", said=said, error=2.0 if rated else 80.0
    )
    model = Model(name, f"vendor/{name}", 1.0, 1.0, base_url=source.base_url)
    return Way(model=model, source=source, ability=ability, typical_usd=usd)


def names(ways: list[Way]) -> list[str]:
    return [each.model.name for each in ways]


many = st.lists(
    st.tuples(st.floats(1000, 1600), st.floats(1e-6, 1.0), st.booleans(), st.booleans()), min_size=1, max_size=40
).map(
    lambda rows: [
        way(f"m{i}", rating, usd, source=OWN if own else HOSTED, rated=rated)
        for i, (rating, usd, own, rated) in enumerate(sorted(rows, key=lambda row: row[1]))
    ]
)


@given(many)
def test_a_proposal_is_few_cheap_to_strong_and_holds_the_strongest_known(ways: list[Way]) -> None:
    chosen = propose(ways)
    assert 0 < len(chosen) <= MOST
    assert [each.typical_usd for each in chosen] == sorted(each.typical_usd for each in chosen)
    assert len(set(names(chosen))) == len(chosen)
    known = [each for each in ways if each.known]
    if len(known) >= FEWEST:
        best = max(known, key=lambda each: each.sure_rating)
        assert max(each.sure_rating for each in chosen if each.known) == best.sure_rating
    assert propose(ways) == chosen


@given(many)
def test_where_there_are_enough_of_known_ability_no_guess_is_proposed(ways: list[Way]) -> None:
    known = [each for each in ways if each.known]
    best = max(known, key=lambda each: each.sure_rating, default=None)
    usable = [
        each for each in known if best and typical_quality(each.sure_rating) >= typical_quality(best.sure_rating) / 2
    ]
    if len(usable) >= FEWEST:
        assert all(each.known for each in propose(ways))


@given(many)
def test_nothing_on_the_frontier_is_dearer_and_no_better(ways: list[Way]) -> None:
    front = frontier(ways)
    assert all(a.typical_usd <= b.typical_usd and a.sure_rating < b.sure_rating for a, b in pairwise(front))
    for each in ways:
        assert any(other.sure_rating >= each.sure_rating and other.typical_usd <= each.typical_usd for other in front)


def test_steps_are_real_ones() -> None:
    ways = [way(f"m{i}", 1300 + i, 0.001 * (1 + i / 100)) for i in range(60)]
    chosen = propose(ways)
    assert FEWEST <= len(chosen) < MOST
    assert {"m0", "m59"} <= set(names(chosen))


def test_a_frontier_of_two_is_filled_up_from_just_below() -> None:
    ways = [way("cheap", 1300, 0.001), way("near", 1490, 0.02), way("far", 1310, 0.02), way("strong", 1500, 0.01)]
    assert names(propose(ways)) == ["cheap", "strong", "near"]


def test_what_answers_less_than_half_as_well_is_left_out() -> None:
    ways = [way("toy", 1050, 1e-6), way("cheap", 1300, 0.001), way("middle", 1400, 0.005), way("strong", 1500, 0.01)]
    assert names(propose(ways)) == ["cheap", "middle", "strong"]


def test_a_server_that_runs_here_gets_a_place() -> None:
    ways = [
        *(way(f"m{i}", 1300 + 25 * i, 0.0001 * 3**i) for i in range(9)),
        way("own", 1100, 0.01, source=OWN, rated=False),
    ]
    chosen = propose(ways)
    assert "own" in names(chosen)
    assert len(chosen) <= MOST
    assert "m8" in names(chosen)


def test_the_other_way_of_asking_a_model_is_proposed_beside_it() -> None:
    ways = [way(f"m{i}", 1300 + 60 * i, 0.0001 * 10**i) for i in range(4)]
    off = replace(
        ways[2],
        model=replace(ways[2].model, request={"reasoning": {"enabled": False}}),
        ability=replace(ways[2].ability, by_category={"math": 1400.0}),
    )
    on = replace(
        off,
        model=replace(off.model, name="m2-thinking", request={"reasoning": {"enabled": True}}),
        ability=replace(off.ability, rating=1410.0, by_category={"math": 1450.0}, said="rated as m2, thinking"),
        typical_usd=0.3,  # dearer than what is better: not on the frontier
        thinks=True,
    )
    ways = [ways[0], ways[1], off, ways[3], on]
    assert "m2-thinking" not in names(frontier(ways))
    assert names(propose(ways)) == ["m0", "m1", "m2", "m3", "m2-thinking"]
    worse = replace(on, ability=replace(on.ability, by_category={"math": 1395.0}))  # dearer, and better at nothing
    assert names(propose([*ways[:-1], worse])) == ["m0", "m1", "m2", "m3"]


def test_one_model_of_two_providers_is_proposed_once_from_the_cheaper() -> None:
    twice = [way("same", 1500, 0.01), way("same", 1500, 0.02)]
    assert [each.typical_usd for each in propose(twice)] == [0.01]


def test_models_are_picked_by_name_id_and_glob() -> None:
    ways = [way("gpt-a", 1300, 0.1), way("gpt-b", 1400, 0.2), way("other", 1500, 0.05)]
    assert names(pick(ways, "gpt-*, vendor/OTHER")) == ["other", "gpt-a", "gpt-b"]
    with pytest.raises(InputError, match=r"'gtp-a'.*Did you mean 'gpt-a'"):
        pick(ways, "gtp-a")
    with pytest.raises(InputError, match="names no model"):
        pick(ways, " , ")


def test_nothing_offered_is_nothing_proposed() -> None:
    assert propose([]) == []
    assert math.isfinite(typical_quality(0))
