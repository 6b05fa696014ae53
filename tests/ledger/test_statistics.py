"""Statistics of ledgers whose sums are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from r2_router.ledger import Calibration, Calibrations, Entry, Ledger, stats


class Clock:
    time = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3", now=clock) as ledger:
        yield ledger


def entry(**changes: object) -> Entry:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "query": "q"}
    return Entry(**{**fields, **changes})  # type: ignore[arg-type]


def test_no_ledger_is_nothing(ledger):
    nothing = stats(ledger)
    assert (nothing.calls, nothing.cost_usd, nothing.days, nothing.calibration.quality) == (0, 0.0, (), None)
    ledger.record(entry(outcome="decided"))
    only_decided = stats(ledger)
    assert (only_decided.calls, only_decided.decided, only_decided.models) == (0, 1, ())


def test_calls_are_counted_by_how_they_ended(ledger):
    for outcome, count in {"answered": 4, "partial": 1, "failed": 2, "refused": 3, "decided": 5}.items():
        for _ in range(count):
            ledger.record(entry(outcome=outcome))
    summary = stats(ledger)
    assert summary.outcomes == {"answered": 4, "partial": 1, "failed": 2, "refused": 3}
    assert (summary.calls, summary.answered, summary.decided) == (10, 4, 5)


def test_saving_counts_only_what_can_be_compared(ledger):
    ledger.record(entry(cost_usd=0.1, baseline_cost_usd=1.0))
    ledger.record(entry(cost_usd=0.3))  # no baseline: spent, and compared with nothing
    ledger.record(entry(baseline_cost_usd=8.0))  # nobody knows what it cost
    ledger.record(entry(outcome="failed", cost_usd=0.05, baseline_cost_usd=2.0))  # billed for nothing
    ledger.record(entry(outcome="decided", baseline_cost_usd=4.0))
    summary = stats(ledger)
    assert summary.cost_usd == 0.45
    assert summary.baseline_cost_usd == 1.0
    assert summary.saved_usd == pytest.approx(1.0 - 0.15)


def test_spend_is_exact_where_floats_are_not(ledger):
    for _ in range(10):
        ledger.record(entry(cost_usd=0.1))
    assert sum([0.1] * 10) != 1.0
    assert stats(ledger).cost_usd == 1.0


def test_days_are_utc_days_in_order(ledger, clock):
    for time in (
        datetime(2026, 11, 21, 0, 0, tzinfo=UTC),
        datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 11, 21, 1, 0, tzinfo=timezone(timedelta(hours=2))),
    ):
        clock.time = time
        ledger.record(entry(cost_usd=0.25))
    days = stats(ledger).days
    assert [(day.day, day.calls, day.cost_usd) for day in days] == [("2026-11-20", 2, 0.5), ("2026-11-21", 1, 0.25)]


def test_since_leaves_out_what_was_before(ledger, clock):
    ledger.record(entry(cost_usd=1.0))
    ledger.record(entry(outcome="decided"))
    clock.time += timedelta(milliseconds=1)
    ledger.record(entry(cost_usd=0.5))
    summary = stats(ledger, clock.time)
    assert (summary.calls, summary.decided, summary.cost_usd) == (1, 0, 0.5)
    assert summary.since == "2026-11-20T12:00:00.001+00:00"
    assert stats(ledger, clock.time + timedelta(days=1)).calls == 0


def test_models_come_dearest_first(ledger):
    ledger.record(entry(model="small", cost_usd=0.1, output_tokens=10, latency_s=1.0))
    ledger.record(entry(model="small", cost_usd=0.1, output_tokens=20, latency_s=2.0))
    ledger.record(entry(model="small", outcome="partial", cost_usd=0.0, output_tokens=5, latency_s=60.0))
    ledger.record(entry(model="big", cost_usd=0.3, baseline_cost_usd=0.4))
    ledger.record(entry(model="never", outcome="refused"))
    models = stats(ledger).models
    assert [(m.model, m.calls, m.answered, m.cost_usd, m.output_tokens, m.mean_latency_s) for m in models] == [
        ("big", 1, 1, 0.3, 0, None),
        ("small", 3, 2, 0.2, 35, 1.5),
        ("never", 1, 0, 0.0, 0, None),
    ]
    assert models[0].saved_usd == pytest.approx(0.1)


def test_predictions_are_held_against_what_came(ledger):
    expected = {"predicted_quality": 0.5, "predicted_output_tokens": 100.0, "predicted_cost_usd": 0.01}
    judged = ledger.record(entry(**expected, output_tokens=80, cost_usd=0.02))
    ledger.record(entry(**expected, output_tokens=150, cost_usd=0.03))
    ledger.record(entry(predicted_quality=0.1, predicted_output_tokens=1.0, predicted_cost_usd=9.0))
    ledger.set_quality(judged, 0.9)
    ledger.record(entry(output_tokens=7, cost_usd=7.0))  # nothing was predicted
    ledger.record(entry(outcome="partial", predicted_output_tokens=1.0, output_tokens=9))  # cut short by the user
    [candidate] = stats(ledger).candidates
    assert (candidate.model, candidate.budget, candidate.answered) == ("small", 100, 4)
    assert candidate.calibration == stats(ledger).calibration
    approx = pytest.approx
    assert candidate.calibration == Calibrations(
        quality=Calibration(1, 0.5, 0.9, approx(1.8), approx(0.4)),
        output_tokens=Calibration(2, 100.0, 115.0, approx(1.15), approx(35.0)),
        cost_usd=Calibration(2, approx(0.01), approx(0.025), approx(2.5), approx(0.015)),
    )


def test_a_prediction_of_nothing_has_no_ratio(ledger):
    ledger.record(entry(predicted_cost_usd=0.0, cost_usd=0.5))
    assert stats(ledger).calibration.cost_usd == Calibration(1, 0.0, 0.5, None, 0.5)


def test_candidates_come_by_name_and_budget(ledger):
    for model, budget in (("b", "unlimited"), ("b", 1000), ("b", 90), ("a", "unlimited")):
        ledger.record(entry(model=model, budget=budget))
    found = [(c.model, c.budget) for c in stats(ledger).candidates]
    assert found == [("a", "unlimited"), ("b", 90), ("b", 1000), ("b", "unlimited")]


def test_statistics_are_json(ledger):
    ledger.record(entry(predicted_cost_usd=0.5, cost_usd=0.25))
    said = json.loads(json.dumps(stats(ledger).to_dict(), allow_nan=False))
    assert said["candidates"][0]["calibration"]["cost_usd"]["ratio"] == 0.5
    assert list(said) == stats(ledger).keys()
