import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.collecting import INSTRUCTION, make_plan, model, questions

from r2_router.errors import ConfigError, InputError
from r2_router.lab.collecting.plan import Pace, Plan, Seen, estimate, parse_budgets, parse_rates, rate_of

URL = "http://127.0.0.1:9/v1"


def test_cells_go_question_by_question_from_short_to_unlimited():
    plan = make_plan(URL, 2, budgets=("unlimited", 20))
    assert [cell.key for cell in plan.cells(plan.models[0])] == [
        ("q0", "a", 20),
        ("q0", "a", "unlimited"),
        ("q1", "a", 20),
        ("q1", "a", "unlimited"),
    ]


def test_the_most_a_call_costs_is_its_input_and_its_cut():
    plan = make_plan(URL)
    limited, unlimited = list(plan.cells(model("a", URL, thinking_tokens=50)))[:2]
    assert (plan.cut(limited), plan.cut(unlimited)) == (70, 100)
    assert plan.most_usd(limited) == pytest.approx((plan.input_tokens(limited) * 1.5 + 16 + 70 * 2.0) / 1e6)
    assert plan.input_tokens(limited) > plan.input_tokens(unlimited)  # it reads the instruction


def test_an_estimate_counts_what_is_left_by_what_was_seen():
    plan = make_plan(URL, 10)
    seen = {("a", 20): Seen(5.0, 2.0), ("a", "unlimited"): Seen(50.0, 6.0)}
    first = estimate(plan, [("q0", "a", 20)], seen, {"a": Pace(2), "b": Pace(1, requests_per_minute=2)})
    a, b = first.models
    assert (a.calls, a.done, a.output_tokens) == (19, 1, 9 * 5 + 10 * 50)
    assert a.hours == pytest.approx((9 * 2 + 10 * 6) / 2 / 3600)
    assert b.hours == pytest.approx(20 / 2 / 60)
    assert first.hours == b.hours  # side by side
    assert first.guessed == ("b",)
    assert 0 < a.expected_usd < a.most_usd
    assert first.calls == 39


def test_models_of_this_machine_are_asked_in_turn():
    local = [model(name, "", weights="w") for name in "ab"]
    both = estimate(Plan(questions(4), local, ("unlimited",), INSTRUCTION))
    assert both.hours == pytest.approx(sum(m.hours for m in both.models))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"n": 0}, InputError, "nothing to ask"),
        ({"budgets": (20, 20)}, InputError, "stands twice"),
        ({"budgets": ()}, InputError, "nothing to ask"),
    ],
)
def test_plans_that_cannot_be(changes, error, words):
    with pytest.raises(error, match=words):
        make_plan(URL, **changes)


def test_a_model_without_a_price_is_not_asked():
    free = model("a", URL)
    with pytest.raises(ConfigError, match="has no price"):
        Plan(questions(1), [type(free)("a", "x", None, None)], (20,), INSTRUCTION)


def test_budgets_by_name():
    assert parse_budgets("80, 10,unlimited,30") == (10, 30, 80, "unlimited")
    for bad in ("", "ten", "0", "-5", "10,,20", "1.5"):
        with pytest.raises(InputError, match="numbers of tokens"):
            parse_budgets(bad)


def test_the_last_rate_that_matches_counts():
    rates = parse_rates(["60", "gpt-*=500", "gpt-4*=5"], "--rpm")
    assert [rate_of(name, rates) for name in ("claude", "gpt-3", "GPT-4o")] == [60, 500, 5]
    assert rate_of("any", ()) is None
    for bad in ("x", "a=0", "a=-1", "inf", "nan"):
        with pytest.raises(InputError, match="--rpm is N or GLOB=N"):
            parse_rates([bad], "--rpm")


@pytest.mark.slow
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6, unique=True), st.integers(1, 4))
def test_done_and_left_are_all(budgets, n):
    plan = make_plan(URL, n, budgets=tuple(budgets))
    keys = [cell.key for m in plan.models for cell in plan.cells(m)]
    half = estimate(plan, keys[::2])
    assert half.calls == len(keys) // 2
    assert sum(m.done for m in half.models) == len(keys[::2])
    assert estimate(plan, keys).most_usd == 0
