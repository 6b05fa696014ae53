from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_up import make_checkpoint, make_pool

from r2_router.errors import InputError, NoCandidateError
from r2_router.records import UNLIMITED
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.considered import Candidate
from r2_router.routing.decision import Limits, Ranking, TradeOff
from r2_router.routing.rank import exclusions, rank
from r2_router.routing.request import limits
from r2_router.routing.worth import trade_off

TABLE = CandidateTable(make_checkpoint(), make_pool())
COUNT = len(TABLE.budgets)
BALANCED = TradeOff(1 / 1.001, 0.001)


def ranked(
    quality: np.ndarray,
    tokens: np.ndarray,
    bounds: Limits | None = None,
    trade: TradeOff = BALANCED,
    table: CandidateTable = TABLE,
) -> Ranking:
    return rank(table, quality, tokens, input_tokens=50, trade=trade, limits=bounds or Limits())


def curves(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quality in 0..1 and tokens that rise with the budget but stay below it."""
    rng = np.random.default_rng(seed)
    asked = np.where(np.isinf(TABLE.budgets), 150.0, TABLE.budgets)
    return rng.uniform(0, 1, COUNT), asked * rng.uniform(0.7, 1.0, COUNT)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_ranking_is_the_sorted_list_of_all_candidates(seed: int, lambda_val: float) -> None:
    quality, tokens = curves(seed)
    trade = trade_off(lambda_val=lambda_val)
    assert trade is not None
    ranking = ranked(quality, tokens, trade=trade)
    assert len(ranking) == COUNT
    risks = [c.risk for c in ranking]
    assert risks == sorted(risks, reverse=True)
    for c in ranking:
        assert c.risk == pytest.approx((1 - lambda_val) * c.predicted_quality - lambda_val * c.predicted_cost_usd)


@given(st.integers(0, 10_000), st.floats(1e-6, 10))
def test_risk_and_net_value_pick_the_same_candidate(seed: int, worth: float) -> None:
    quality, tokens = curves(seed)
    trade = trade_off(worth_usd=worth)
    assert trade is not None
    ranking = ranked(quality, tokens, trade=trade)
    assert ranking[0].net_usd == pytest.approx(max(c.net_usd for c in ranking))


def test_ties_go_to_the_cheaper_then_the_shorter_then_the_name() -> None:
    quality, tokens = np.full(COUNT, 0.5), np.full(COUNT, 10.0)
    free = TradeOff(0.0, None)  # λ = 0: equal quality is an equal score whatever the price
    ranking = ranked(quality, tokens, trade=free)
    keys = [(c.predicted_cost_usd, c.predicted_output_tokens, c.model) for c in ranking]
    assert keys == sorted(keys)
    assert ranking[0].budget == "unlimited"  # nothing to instruct, so no instruction to pay


def test_cost_is_input_instruction_and_output_at_their_prices() -> None:
    quality, tokens = curves(1)
    table = TABLE
    for i, c in ((i, ranked(quality, tokens).scores.candidate(i)) for i in range(COUNT)):
        model = table.models[table.model_index[i]]
        said = table.instruction_tokens[i]
        assert (said == 0) == (c.budget == "unlimited")
        expected = ((50 + said) * model.input_usd_per_million + tokens[i] * model.output_usd_per_million) / 1e6
        assert c.predicted_cost_usd == pytest.approx(expected)


def grid_optimum(quality: np.ndarray, tokens: np.ndarray, bounds: Limits, trade: TradeOff) -> float:
    """The best risk over every whole-token budget of every model and unlimited, by looking at all of them."""
    cost = TABLE.cost(tokens, 50)
    best = -math.inf

    def consider(length: float, q: float, c: float) -> None:
        nonlocal best
        fits = (
            (bounds.max_cost_usd is None or c <= bounds.max_cost_usd)
            and (bounds.max_tokens is None or length <= bounds.max_tokens)
            and (bounds.min_quality is None or q >= bounds.min_quality)
        )
        if fits:
            best = max(best, (1 - trade.lambda_val) * q - trade.lambda_val * c)

    for i in np.flatnonzero(np.isinf(TABLE.budgets)):
        consider(tokens[i], quality[i], cost[i])
    for a, b in zip(*TABLE.segments, strict=True):
        grid = np.arange(TABLE.budgets[a], TABLE.budgets[b] + 1)
        share = (grid - grid[0]) / (grid[-1] - grid[0])
        for length, s in zip(grid, share, strict=True):
            at = 0.0 if length == grid[0] else s
            consider(length, quality[a] + at * (quality[b] - quality[a]), cost[a] + at * (cost[b] - cost[a]))
    return best


caps = st.fixed_dictionaries(
    {
        "max_tokens": st.none() | st.integers(5, 160),
        "max_cost_usd": st.none() | st.floats(1e-6, 6e-4),
        "min_quality": st.none() | st.floats(0, 1),
    }
)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.integers(0, 10_000), caps, st.floats(1e-6, 1e-1))
def test_best_candidate_under_caps_equals_a_dense_grid_search(seed: int, cap: dict[str, float], worth: float) -> None:
    quality, tokens = curves(seed)
    trade = trade_off(worth_usd=worth)
    assert trade is not None
    bounds = limits(**cap)
    best = grid_optimum(quality, tokens, bounds, trade)
    try:
        ranking = ranked(quality, tokens, bounds, trade)
    except NoCandidateError:
        assert best == -math.inf
        return
    assert ranking[0].risk == pytest.approx(best, abs=1e-12)
    for c in ranking:
        assert bounds.max_cost_usd is None or c.predicted_cost_usd <= bounds.max_cost_usd
        assert bounds.min_quality is None or c.predicted_quality >= bounds.min_quality
        length = c.predicted_output_tokens if c.budget == "unlimited" else c.budget
        assert bounds.max_tokens is None or length <= bounds.max_tokens


def test_a_token_cap_adds_one_interpolated_candidate_a_model() -> None:
    quality, tokens = curves(3)
    ranking = ranked(quality, tokens, limits(max_tokens=70))
    added = [c for c in ranking if c.interpolated]
    assert {c.model for c in added} == {"model-0", "model-1", "model-2"}
    assert {c.budget for c in added} == {70}
    middle = next(c for c in added if c.model == "model-0")
    assert middle.predicted_quality == pytest.approx((quality[1] + quality[2]) / 2)


@given(
    st.integers(0, 3_000),
    st.sampled_from([{"max_tokens": 60}, {"max_cost_usd": 2e-5}, {"min_quality": 0.3, "max_tokens": 70}]),
    st.floats(0, 1),
)
def test_the_ranked_and_the_cuts_hold_the_ranking_of_any_trade_off(
    seed: int, cap: dict[str, float], lambda_val: float
) -> None:
    quality, tokens = curves(seed)
    trade = trade_off(lambda_val=lambda_val)
    assert trade is not None
    try:
        here, there = (ranked(quality, tokens, limits(**cap), trade=each) for each in (BALANCED, trade))
    except NoCandidateError:
        return

    def rows(found: Iterable[Candidate]) -> set[tuple[object, ...]]:
        return {(c.label, c.predicted_quality, c.predicted_cost_usd, c.predicted_output_tokens) for c in found}

    assert rows(there) <= rows([*here, *here.cuts]) == rows([*there, *there.cuts])


def test_interpolated_errors_lie_between_their_neighbours() -> None:
    quality, tokens = curves(3)
    errors = np.linspace(0.1, 0.2, COUNT)
    ranking = rank(
        TABLE,
        quality,
        tokens,
        input_tokens=50,
        trade=BALANCED,
        limits=limits(max_tokens=70),
        errors=lambda: errors,
    )
    middle = next(c for c in ranking if c.interpolated and c.model == "model-0")
    assert middle.quality_error == pytest.approx((errors[1] + errors[2]) / 2)


def test_every_excluded_candidate_has_its_reasons() -> None:
    quality, tokens = curves(4)
    bounds = limits(max_tokens=40, min_quality=0.5, exclude="model-1")
    ranking = ranked(quality, tokens, bounds)
    out = exclusions(TABLE, ranking.scores, 50, bounds)
    measured = [c for c in ranking if not c.interpolated]
    assert len(out) + len(measured) == COUNT
    reasons = {(e.candidate.model, e.candidate.budget): e.reasons for e in out}
    assert "not allowed: exclude is model-1" in reasons["model-1", 10]
    assert any("over max_tokens 40" in r for r in reasons["model-0", 100])
    assert all(e.usable == (e.candidate.model != "model-1") for e in out)


@pytest.mark.parametrize(
    "wished", [{}, {"max_tokens": 40}, {"exclude": "model-1"}, {"budget": 30}, {"min_quality": 0.6}]
)
def test_what_the_filters_took_out_is_all_that_is_not_ranked(wished: dict[str, object]) -> None:
    bounds = limits(**wished)
    ranking = ranked(*curves(4), bounds)
    looked_at_all = exclusions(TABLE, ranking.scores, 50, bounds)
    assert exclusions(TABLE, ranking.scores, 50, bounds, ranking.order) == looked_at_all
    assert bool(looked_at_all) == bool(wished)


def test_unavailable_unpriced_and_unknown_models_are_filtered_with_a_reason() -> None:
    quality, tokens = curves(5)
    for pool, expected in (
        (make_pool(unavailable="needs self-hosting"), "not available: needs self-hosting"),
        (make_pool(output_usd_per_million=None), "not available: it has no price"),
        (
            make_pool(models=2),
            "not available: not in pool 'made-up': add it to models.toml with its id and price",
        ),
    ):
        table = CandidateTable(make_checkpoint(), pool)
        ranking = ranked(quality, tokens, table=table)
        assert {c.model for c in ranking} == {"model-0", "model-1"}
        reasons = {r for e in exclusions(table, ranking.scores, 50, Limits()) for r in e.reasons}
        assert reasons == {expected}


def test_answers_that_do_not_fit_the_context_window_are_filtered() -> None:
    quality, tokens = curves(6)
    table = CandidateTable(make_checkpoint(), make_pool(context_window=120))
    ranking = ranked(quality, tokens, table=table)
    long = [c for c in ranking if c.model == "model-2" and (c.budget == "unlimited" or c.budget > 70)]
    assert not long
    out = exclusions(table, ranking.scores, 50, Limits())
    assert any("over its context window of 120" in r for e in out for r in e.reasons)


def test_no_candidate_left_names_the_nearest_and_what_excluded_it() -> None:
    quality, tokens = curves(7)
    with pytest.raises(NoCandidateError, match=r"Nearest: model-\d @ .*under min_quality 1"):
        ranked(quality, tokens, limits(min_quality=1.0))
    with pytest.raises(NoCandidateError, match=r"over max_cost_usd \$0\.00"):
        ranked(quality, tokens, limits(max_cost_usd=0))


@given(st.integers(0, 10_000), st.sampled_from(["max_cost_usd", "min_quality", "max_tokens"]))
def test_the_nearest_candidate_misses_the_limit_by_least(seed: int, limit: str) -> None:
    quality, tokens = curves(seed)
    everyone = list(ranked(quality, tokens))
    bound, miss = {
        "max_cost_usd": (min(c.predicted_cost_usd for c in everyone) / 2, lambda c: c.predicted_cost_usd),
        "min_quality": (1.0, lambda c: -c.predicted_quality),
        "max_tokens": (1, lambda c: c.predicted_output_tokens if c.budget == "unlimited" else c.budget),
    }[limit]
    with pytest.raises(NoCandidateError) as raised:
        ranked(quality, tokens, limits(**{limit: bound}))
    assert f"Nearest: {min(everyone, key=miss).label} (" in str(raised.value)


def test_a_limit_and_what_it_excludes_are_never_shown_as_the_same_amount() -> None:
    from r2_router.words import over_cost

    assert over_cost(0.010004, 0.01) == "costs $0.010004, over max_cost_usd $0.01"
    assert over_cost(0.0123, 0.01) == "costs $0.0123, over max_cost_usd $0.01"


# -- a forced model, a forced budget -------------------------------------------------------------------------


def test_a_forced_budget_is_the_only_one_and_may_lie_between_two_measured() -> None:
    quality, tokens = curves(3)
    assert {c.budget for c in ranked(quality, tokens, limits(budget=40))} == {40}
    assert {c.budget for c in ranked(quality, tokens, limits(budget="Unlimited"))} == {"unlimited"}
    assert {c.budget for c in ranked(quality, tokens, limits(budget=30))} == {30}
    with pytest.raises(InputError, match=r"Budget 5000 was not measured .* Choose one between 10 and 100"):
        ranked(quality, tokens, limits(budget=5000))


def test_a_forced_budget_and_a_smaller_cap_leave_nothing() -> None:
    quality, tokens = curves(3)
    with pytest.raises(NoCandidateError, match=r"@ 40 \(40 tokens, over max_tokens 20"):
        ranked(quality, tokens, limits(budget=40, max_tokens=20))


def test_a_forced_model_is_one_model_by_name_id_or_beginning() -> None:
    quality, tokens = curves(4)
    for name in ("model-1", "MODEL-1", "vendor/model-1"):
        assert {c.model for c in ranked(quality, tokens, limits(model=name))} == {"model-1"}
    with pytest.raises(InputError, match="'model' means 3 models: model-0, model-1, model-2"):
        ranked(quality, tokens, limits(model="model"))
    with pytest.raises(InputError, match=r"is called 'modle-1'\. Did you mean model-1"):
        ranked(quality, tokens, limits(model="modle-1"))


@pytest.mark.parametrize("name", ["SmolLM[2]", "a*b", "what?", "[red]x[/red]"])
def test_a_name_with_signs_of_a_glob_is_a_name_first(name: str) -> None:
    from r2_router.pools.model import Model
    from r2_router.routing.candidates import forced, named

    models = [Model(name, "vendor/1", 1.0, 1.0), Model("other", "vendor/2", 1.0, 1.0)]
    assert [m.name for m in named(name, models)] == [name]
    assert forced(name, models) == name
    assert [m.name for m in named("vendor/", models)] == [name, "other"]


def test_globs_select_and_exclude_whatever_their_case() -> None:
    quality, tokens = curves(8)
    assert {c.model for c in ranked(quality, tokens, limits(models="MODEL-[01], model-2", exclude=["*-1"]))} == {
        "model-0",
        "model-2",
    }
    with pytest.raises(InputError, match="Did you mean model-0"):
        ranked(quality, tokens, limits(models="modle-0"))


def test_compat_ranks_what_it_shows_and_ignores_availability() -> None:
    quality, tokens = curves(9)
    table = CandidateTable(make_checkpoint(), make_pool(unavailable="gone"), compat=True)
    ranking = ranked(quality, tokens, table=table)
    assert len(ranking) == COUNT
    assert table.instruction_tokens.sum() == 0
    assert ranking[0].risk == round(ranking[0].risk, 8)
    tied = rank(table, np.full(COUNT, 1.0), tokens, input_tokens=0, trade=TradeOff(0.0, None), limits=Limits())
    assert list(tied.order) == list(range(COUNT))


def test_candidates_are_made_once_and_slices_work() -> None:
    ranking = ranked(*curves(10))
    assert ranking[0] is ranking[0]
    assert ranking[:3] == [ranking[0], ranking[1], ranking[2]]
    assert ranking[-1].risk <= ranking[0].risk
    assert replace(ranking[0]) == ranking[0]


def test_those_without_a_budget_are_listed_best_first() -> None:
    ranking = ranked(*curves(10), limits(exclude="model-1"))
    assert ranking.unlimited == [c for c in ranking if c.budget == UNLIMITED]
    assert {c.model for c in ranking.unlimited} == {"model-0", "model-2"}
