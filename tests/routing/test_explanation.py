from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up import make_checkpoint, make_pool

from r2_router.records import Later
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.decision import Decision, Limits
from r2_router.routing.explanation import explain, reasons
from r2_router.routing.rank import exclusions, rank
from r2_router.routing.request import limits
from r2_router.routing.worth import trade_off

TABLE = CandidateTable(make_checkpoint(), make_pool())
HOLDING_BACK = CandidateTable(make_checkpoint(tenfold_gain=0.2), make_pool())
COUNT = len(TABLE.budgets)

tables = pytest.mark.parametrize("table", [TABLE, HOLDING_BACK], ids=["all", "held back"])


def decide(
    seed: int, worth: float, bounds: Limits | None = None, strongest: str = "", table: CandidateTable = TABLE
) -> Decision:
    rng = np.random.default_rng(seed)
    quality = rng.uniform(0, 1, COUNT)
    tokens = np.where(np.isinf(table.budgets), 150.0, table.budgets) * rng.uniform(0.7, 1.0, COUNT)
    trade = trade_off(worth_usd=worth)
    assert trade is not None
    bounds = bounds or Limits()
    ranking = rank(table, quality, tokens, input_tokens=50, trade=trade, limits=bounds)
    return Decision(
        query="q",
        input_tokens=50,
        trade_off=trade,
        limits=bounds,
        checkpoint="made-up",
        embedder="made-up-embedder",
        truncated=False,
        candidates=ranking,
        exclusions=Later(lambda: exclusions(table, ranking.scores, 50, bounds)),
        leverages=Later(lambda: None),
        readiness=Later(lambda: ""),
        strongest=strongest,
    )


@tables
@given(st.integers(0, 5_000), st.floats(1e-6, 1e-2))
def test_the_choice_flips_exactly_where_it_is_said_to(table: CandidateTable, seed: int, worth: float) -> None:
    decision = decide(seed, worth, table=table)
    explanation = explain(decision)
    up, down = explanation.flip_up, explanation.flip_down
    if up is not None:
        assert up.worth_usd >= worth * (1 - 1e-9)
        inside, outside = (worth + up.worth_usd) / 2, up.worth_usd * 1.0001 + 1e-12
        assert decide(seed, inside, table=table).best.label == decision.best.label
        assert decide(seed, outside, table=table).best.label != decision.best.label
    else:
        assert decide(seed, worth * 1e6, table=table).best.label == decision.best.label
    if down is not None:
        assert down.worth_usd <= worth * (1 + 1e-9)
        assert decide(seed, (worth + down.worth_usd) / 2, table=table).best.label == decision.best.label
        below = max(0.0, down.worth_usd * 0.9999 - 1e-12)
        assert decide(seed, below, table=table).best.label != decision.best.label


@tables
@given(st.integers(0, 5_000))
def test_the_frontier_names_the_choice_for_every_worth(table: CandidateTable, seed: int) -> None:
    frontier = explain(decide(seed, 0.001, table=table)).frontier
    costs = [p.candidate.predicted_cost_usd for p in frontier]
    assert costs == sorted(costs)
    chosen = [p for p in frontier if p.from_worth_usd is not None]
    assert chosen[0].from_worth_usd == 0
    assert chosen[-1].to_worth_usd is None
    for point, following in pairwise(chosen):
        assert point.to_worth_usd == following.from_worth_usd
    for point in chosen:
        low = point.from_worth_usd or 0.0
        high = low * 2 + 1 if point.to_worth_usd is None else point.to_worth_usd
        if high - low > 1e-9:
            assert decide(seed, (low + high) / 2, table=table).best.label == point.candidate.label


def test_a_tenfold_price_must_promise_so_much_more() -> None:
    plain, held = decide(5, 0.001), decide(5, 0.001, table=HOLDING_BACK)
    for c in held.candidates:
        assert c.doubt == pytest.approx(0.2 * np.log10(c.predicted_cost_usd / 1e-6))
        assert c.net_usd == pytest.approx(0.001 * (c.predicted_quality - c.doubt) - c.predicted_cost_usd)
        assert c.risk == pytest.approx(c.net_usd * held.lambda_val)
    assert {c.doubt for c in plain.candidates} == {0.0}
    risks = [c.risk for c in held.candidates]
    assert risks == sorted(risks, reverse=True)
    assert any("held back" in line for line in reasons(explain(held)))
    assert not any("held back" in line for line in reasons(explain(plain)))


def test_runner_up_and_gap() -> None:
    decision = decide(1, 0.001)
    explanation = explain(decision)
    assert explanation.runner_up == decision.candidates[1]
    assert explanation.gap_usd == pytest.approx(decision.candidates[0].net_usd - decision.candidates[1].net_usd)
    assert explanation.gap_risk == pytest.approx(decision.candidates[0].risk - decision.candidates[1].risk)


def test_the_baseline_is_the_strongest_model_unlimited_whatever_the_limits() -> None:
    decision = decide(2, 0.0001, limits(max_tokens=40), strongest="model-2")
    baseline = explain(decision).baseline
    assert baseline is not None
    assert (baseline.candidate.model, baseline.candidate.budget) == ("model-2", "unlimited")
    assert baseline.saved_usd == pytest.approx(baseline.candidate.predicted_cost_usd - decision.predicted_cost_usd)
    barred = explain(decide(2, 0.0001, limits(exclude="model-2"), strongest="model-2")).baseline
    assert barred is not None
    assert barred.candidate.model != "model-2"


def test_one_candidate_has_no_runner_up_and_no_flip() -> None:
    only = explain(decide(3, 0.001, limits(models="model-0", max_tokens=10, exclude="*-[12]")))
    assert len(only.decision.candidates) == 1
    assert (only.runner_up, only.gap_usd, only.flip_up, only.flip_down) == (None, None, None, None)
    assert len(only.frontier) == 1


def test_an_explanation_is_json() -> None:
    text = json.dumps(explain(decide(4, 0.001, limits(max_tokens=60))).to_dict(), allow_nan=False)
    assert json.loads(text)["decision"]["query"] == "q"
