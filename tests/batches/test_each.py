"""Many prompts: each as it would be alone, a bad one is an error of its own, and no limit is passed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chat_server import ChatServer, chat_server, fails, says
from support.mcp_client import KEY, KEY_VARIABLE, make_router, provided

from r2_router import InputError, R2Router
from r2_router.batches import Mapped
from r2_router.batches.each import CHUNK, MemoryLimit, in_order


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture
def router(tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> R2Router:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return make_router(tmp_path, provided(server.url))


PROMPTS = ["Hello", "What is 2 + 2?", [{"role": "user", "content": "Hi"}]]


@pytest.mark.slow
def test_each_is_decided_as_it_would_be_alone_and_in_order(router: R2Router) -> None:
    texts = [f"What is {i} times {i}?" for i in range(CHUNK + 20)]
    found = list(router.map(texts, worth_usd=0.02, exclude="model-2"))
    assert [mapped.index for mapped in found] == list(range(len(texts)))
    for text, mapped in zip(texts, found, strict=True):
        alone = router.route_text(text, worth_usd=0.02, exclude="model-2")
        assert mapped.decision is not None
        assert (mapped.decision.model, mapped.decision.budget) == (alone.model, alone.budget)


def test_what_is_no_prompt_is_an_error_of_its_own(router: R2Router) -> None:
    found = list(router.map([*PROMPTS, None, "  ", math.nan, 7, *PROMPTS]))
    assert [bool(mapped.error) for mapped in found] == [False] * 3 + [True] * 4 + [False] * 3
    assert all((mapped.decision is None) is bool(mapped.error) for mapped in found)
    assert "blank" in found[4].error


def test_a_prompt_that_no_candidate_is_left_for_ends_nothing(router: R2Router) -> None:
    cost = router.route_text("x").predicted_cost_usd
    found = list(router.map(["x", "x " * 40_000, "x"], max_cost_usd=cost * 2))
    assert [bool(mapped.error) for mapped in found] == [False, True, False]


def test_a_wish_that_cannot_be_used_is_an_error_of_the_call(router: R2Router) -> None:
    with pytest.raises(InputError, match="worth_usd"):
        router.map(PROMPTS, worth_usd=-1)


def test_nothing_is_read_ahead_of_who_takes_it(router: R2Router) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "Hello"

    found = router.map(endless())
    assert next(found).decision is not None
    assert read == CHUNK


def test_answers_come_in_order_and_failures_stand_in_their_place(router: R2Router, server: ChatServer) -> None:
    server.then(says("four"))
    found = list(router.map([*PROMPTS, " "], answer=True, at_once=3))
    assert [mapped.index for mapped in found] == [0, 1, 2, 3]
    assert [mapped.answer and mapped.answer.text for mapped in found] == ["four"] * 3 + [None]
    assert all(mapped.cost_usd == mapped.answer.cost_usd > 0 for mapped in found if mapped.answer)
    assert found[3].row()["error"] == found[3].error
    server.then(fails(400, "no such thing"))
    [failed] = router.map(["Hello"], answer=True)
    assert "no such thing" in failed.error


@pytest.mark.slow
def test_all_together_cost_no_more_than_max_usd(router: R2Router, server: ChatServer) -> None:
    server.then(says("four"))
    whole = list(router.map(["Hello"] * 50, answer=True, max_usd=1.0, model="model-1", budget=40))
    assert len(whole) == 50
    most = sum(mapped.cost_usd for mapped in whole) / 2
    found = list(router.map(["Hello"] * 50, answer=True, max_usd=most, at_once=4, model="model-1", budget=40))
    assert 0 < len(found) < 50
    assert sum(mapped.cost_usd for mapped in found) <= most
    assert list(router.map(["Hello"] * 5, answer=True, max_usd=0.0)) == []


@pytest.mark.parametrize("most", [float("nan"), -1.0])
def test_a_limit_that_is_none_is_an_error_of_the_call(router: R2Router, most: float) -> None:
    with pytest.raises(InputError, match="max_usd"):
        router.map(["Hello"], answer=True, max_usd=most)


def test_who_stops_taking_stops_the_asking(router: R2Router, server: ChatServer) -> None:
    server.then(says("four"))
    found = router.map(["Hello"] * 200, answer=True, at_once=2)
    assert next(found).index == 0
    del found
    assert len(server.bodies) < 50


@given(st.permutations(range(9)))
def test_what_came_early_waits(order: list[int]) -> None:
    assert [mapped.index for mapped in in_order(Mapped(index) for index in order)] == list(range(9))


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1), st.floats(0, 1)), max_size=30))
def test_what_is_held_and_spent_never_passes_the_limit(steps: list[tuple[int, float, float]]) -> None:
    limit, held, spent = MemoryLimit(2.0), dict[int, float](), 0.0
    for index, most, share in steps:
        if limit.begin(index, most):
            held[index] = most
            assert spent + sum(held.values()) <= 2.0 + 1e-9
        if share > 0.5 and index in held:
            spent += held[index] * share
            limit.over(Mapped(index, cost_usd=held.pop(index) * share), kept=True)


def test_a_row_holds_numbers_and_texts_only() -> None:
    row = Mapped(3, error="no").row()
    assert (row["index"], row["error"], row["model"], row["cost_usd"]) == (3, "no", None, None)
