"""Statistics of ledgers whose sums are known, and of any ledger against a plain summing up of its entries."""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import ledger_at

from r2_router.ledger import Calibration, Calibrations, Entry, Ledger, Stats, stats
from r2_router.ledger.schema import MIGRATIONS
from r2_router.ledger.statistics import ExplorationStats


class Clock:
    time = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(place: str | Path, clock: Clock) -> Iterator[Ledger]:
    with ledger_at(place, now=clock) as ledger:
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


def test_a_saving_is_of_calls_whose_bill_and_baseline_are_known(ledger):
    ledger.record(entry(cost_usd=0.1, baseline_cost_usd=1.0))
    ledger.record(entry(cost_usd=0.3))  # no baseline: spent, and compared with nothing
    ledger.record(entry(baseline_cost_usd=8.0))  # nobody knows what it cost
    ledger.record(entry(outcome="failed", cost_usd=0.05, baseline_cost_usd=2.0))  # nothing came to compare
    ledger.record(entry(outcome="partial", cost_usd=0.02, baseline_cost_usd=2.0))  # only half of it came
    ledger.record(entry(outcome="decided", baseline_cost_usd=4.0))
    summary = stats(ledger)
    assert summary.cost_usd == 0.47
    assert (summary.compared, summary.compared_cost_usd, summary.baseline_cost_usd) == (1, 0.1, 1.0)
    assert summary.saved_usd == 0.9


def test_explorations_are_added_up_by_day(ledger, clock):
    ledger.record(entry())
    assert (stats(ledger).explored.answers, stats(ledger).explored.given_up_usd) == (0, 0.0)
    for given_up in (0.25, 0.0):
        ledger.record(entry(explored_usd=given_up))
    clock.time += timedelta(days=1)
    ledger.record(entry(explored_usd=0.5))
    assert stats(ledger).explored == ExplorationStats(3, 0.75)
    assert stats(ledger, clock.time).explored == ExplorationStats(1, 0.5)


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


def test_since_leaves_out_the_days_before(ledger, clock):
    clock.time = datetime(2026, 11, 19, 23, 59, 59, 999_999, tzinfo=UTC)
    ledger.record(entry(cost_usd=1.0))
    ledger.record(entry(outcome="decided"))
    clock.time += timedelta(microseconds=1)
    ledger.record(entry(cost_usd=0.5))
    for since in (clock.time, clock.time + timedelta(hours=23)):
        summary = stats(ledger, since)
        assert (summary.calls, summary.decided, summary.cost_usd) == (1, 0, 0.5)
        assert summary.since == "2026-11-20"
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


def test_a_label_that_changes_counts_once(ledger):
    answer_id = ledger.record(entry(predicted_quality=0.5))
    partial = ledger.record(entry(outcome="partial", predicted_quality=0.5))
    for quality in (0.0, 1.0, 0.75):
        ledger.set_quality(answer_id, quality)
        ledger.set_quality(partial, quality)
    assert stats(ledger).calibration.quality == Calibration(1, 0.5, 0.75, 1.5, 0.25)


# -- the sums by day against the entries themselves ------------------------------------------------------------

unknown = st.none()
amounts = unknown | st.sampled_from([0.0, 1e-9, 0.1, 0.25, 3.0]) | st.floats(0, 10)
entries = st.builds(
    entry,
    face=st.sampled_from(["cli", "mcp"]),
    outcome=st.sampled_from(["answered", "answered", "partial", "failed", "refused", "decided"]),
    model=st.sampled_from(["a", "b"]),
    budget=st.sampled_from([90, 1000, "unlimited"]),
    predicted_quality=unknown | st.floats(0, 1),
    predicted_output_tokens=unknown | st.floats(0, 1e4),
    output_tokens=unknown | st.integers(0, 10_000),
    predicted_cost_usd=amounts,
    cost_usd=amounts,
    baseline_cost_usd=amounts,
    latency_s=unknown | st.floats(0, 100),
)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
steps = st.lists(st.tuples(st.integers(0, 3), entries, st.lists(st.floats(0, 1), max_size=2)), max_size=25)


@pytest.mark.slow
@settings(max_examples=40)
@given(steps=steps, first=st.integers(0, 4))
def test_statistics_are_what_the_entries_add_up_to(steps, first):
    since = START + timedelta(days=first) if first else None
    with tempfile.TemporaryDirectory() as folder:
        path, clock = Path(folder) / "ledger.sqlite3", Clock()
        with Ledger(path, now=clock) as ledger:
            for day, new, labels in steps:
                clock.time = START + timedelta(days=day)
                answer_id = ledger.record(new)
                for quality in labels:
                    ledger.set_quality(answer_id, quality)
            expected = plainly(
                [e for e in ledger.entries() if since is None or e.time[:10] >= since.date().isoformat()]
            )
            assert flat(stats(ledger, since)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        if steps:
            make_first_version(path)
            assert flat(stats(Ledger(path), since)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def make_first_version(path: Path) -> None:
    """The entries of a ledger in one of the first version, in its place."""
    with closing(sqlite3.connect(path)) as db:
        columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('entries')")]
        kept = [name for name in columns if re.search(rf"\b{name}\b", MIGRATIONS[0][0])]
        entries = db.execute(f"SELECT {', '.join(kept)} FROM entries").fetchall()
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        db.executemany(f"INSERT INTO entries ({', '.join(kept)}) VALUES ({', '.join('?' * len(kept))})", entries)
        db.execute("PRAGMA user_version = 1")


def plainly(kept: Sequence[Entry]) -> dict[str, float]:
    """The numbers of `flat`, from the entries one by one."""
    calls = [e for e in kept if e.outcome != "decided"]
    found: dict[str, float] = dict(totals("", calls))
    found |= {f"outcome {o}": n for o, n in Counter(e.outcome for e in calls).items()}
    found["decided"] = len(kept) - len(calls)
    found |= calibration("all", calls)
    for day in {e.time[:10] for e in calls}:
        found |= totals(f"day {day}", [e for e in calls if e.time[:10] == day])
    for model in {e.model for e in calls}:
        own = [e for e in calls if e.model == model]
        seconds = [e.latency_s for e in own if e.outcome == "answered" and e.latency_s is not None]
        found |= totals(f"model {model}", own)
        found[f"model {model} tokens"] = sum(e.output_tokens or 0 for e in own)
        found[f"model {model} latency"] = sum(seconds) / len(seconds) if seconds else -1.0
    for model, budget in {(e.model, e.budget) for e in calls if e.outcome == "answered"}:
        found |= calibration(f"{model} @ {budget}", [e for e in calls if (e.model, e.budget) == (model, budget)])
    return found


def totals(of: str, calls: Sequence[Entry]) -> dict[str, float]:
    answered = [e for e in calls if e.outcome == "answered"]
    compared = [e for e in answered if e.cost_usd is not None and e.baseline_cost_usd is not None]
    billed, baseline = (sum(e[name] for e in compared) for name in ("cost_usd", "baseline_cost_usd"))
    return {
        f"{of} calls": len(calls),
        f"{of} answered": len(answered),
        f"{of} cost": sum(e.cost_usd or 0.0 for e in calls),
        f"{of} compared": len(compared),
        f"{of} billed": billed,
        f"{of} baseline": baseline,
        f"{of} saved": baseline - billed,
    }


def calibration(of: str, calls: Sequence[Entry]) -> dict[str, float]:
    found: dict[str, float] = {}
    for real in ("quality", "output_tokens", "cost_usd"):
        pairs = [(e[f"predicted_{real}"], e[real]) for e in calls if e.outcome == "answered"]
        pairs = [(p, r) for p, r in pairs if p is not None and r is not None]
        found[f"{of} {real} count"] = len(pairs)
        if pairs:
            found[f"{of} {real} predicted"] = sum(p for p, _ in pairs) / len(pairs)
            found[f"{of} {real} real"] = sum(r for _, r in pairs) / len(pairs)
            found[f"{of} {real} error"] = sum(abs(r - p) for p, r in pairs) / len(pairs)
    return found


def flat(summary: Stats) -> dict[str, float]:
    """Every number of `summary` under a name of its own."""
    found: dict[str, float] = {"decided": summary.decided}
    found |= {f"outcome {outcome}": count for outcome, count in summary.outcomes.items()}
    kinds = (
        ("", [summary], lambda _: ""),
        ("day ", summary.days, lambda d: d.day),
        ("model ", summary.models, lambda m: m.model),
    )
    for kind, of_kind, name in kinds:
        for each in of_kind:
            fields = (
                "calls",
                "answered",
                "cost_usd",
                "compared",
                "compared_cost_usd",
                "baseline_cost_usd",
                "saved_usd",
            )
            names = ("calls", "answered", "cost", "compared", "billed", "baseline", "saved")
            found |= {f"{kind}{name(each)} {n}": each[f] for n, f in zip(names, fields, strict=True)}
    for model in summary.models:
        found |= {
            f"model {model.model} tokens": model.output_tokens,
            f"model {model.model} latency": -1.0 if model.mean_latency_s is None else model.mean_latency_s,
        }
    groups = [("all", summary.calibration), *((f"{c.model} @ {c.budget}", c.calibration) for c in summary.candidates)]
    for of, known in groups:
        for real in ("quality", "output_tokens", "cost_usd"):
            pair: Calibration | None = known[real]
            found[f"{of} {real} count"] = pair.count if pair else 0
            if pair:
                found[f"{of} {real} predicted"] = pair.predicted_mean
                found[f"{of} {real} real"] = pair.real_mean
                found[f"{of} {real} error"] = pair.mean_absolute_error
    return found
