"""Predictions held against what came: numbers whose truth is known, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledgers import ledger_at

from r2_router.ledger import Entry, Ledger, stats
from r2_router.ledger.calibration import _compared, _quality, calibrate


@pytest.fixture
def ledger(place: str | Path) -> Iterator[Ledger]:
    with ledger_at(place) as ledger:
        yield ledger


def write(ledger: Ledger, quality: float | None = None, **changes: object) -> str:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "query": "q"}
    answer_id = ledger.record(Entry(**{**fields, **changes}))  # type: ignore[arg-type]
    if quality is not None:
        ledger.set_quality(answer_id, quality)
    return answer_id


def test_no_ledger_is_nothing_and_says_nothing(ledger):
    found = calibrate(ledger)
    assert (found.answered, found.labelled, found.candidates, found.findings) == (0, 0, (), ())
    assert (found.overall.quality, found.overall.output_tokens, found.overall.cost_usd) == (None, None, None)
    assert not Path(ledger.place).exists()


def test_numbers_are_those_of_the_textbook(ledger):
    # differences 10, 20, 30: mean 20, standard deviation 10; t(2) at 97.5 % is 4.302653
    for predicted, real in ((100.0, 110), (100.0, 120), (200.0, 230)):
        write(ledger, predicted_output_tokens=predicted, output_tokens=real)
    tokens = calibrate(ledger).candidates[0].output_tokens
    assert (tokens.count, tokens.bias, tokens.mean_absolute_error) == (3, pytest.approx(20), pytest.approx(20))
    assert tokens.ratio == pytest.approx(460 / 400)
    half = 4.302653 * 10 / 3**0.5
    assert tokens.bias_interval_95 == (pytest.approx(20 - half, rel=1e-6), pytest.approx(20 + half, rel=1e-6))
    assert tokens.correlation == pytest.approx(np.corrcoef([100, 100, 200], [110, 120, 230])[0, 1])


def test_it_agrees_with_stats_where_both_say_the_same(ledger):
    rng = np.random.default_rng(3)
    for i in range(40):
        write(
            ledger,
            float(rng.random()) if i % 3 else None,
            model=("a", "b")[i % 2],
            budget=(50, "unlimited")[i % 2],
            predicted_quality=float(rng.random()),
            predicted_output_tokens=float(rng.uniform(10, 90)),
            output_tokens=int(rng.integers(1, 90)),
            predicted_cost_usd=float(rng.random() / 100),
            cost_usd=float(rng.random() / 100),
        )
    write(ledger, outcome="partial", predicted_output_tokens=1.0, output_tokens=900)
    found, known = calibrate(ledger), stats(ledger)
    pairs = [(found.overall, known.calibration)]
    pairs += [(group, c.calibration) for group, c in zip(found.candidates, known.candidates, strict=True)]
    assert len(pairs) == 3
    for group, calibration in pairs:
        for quantity in ("quality", "output_tokens", "cost_usd"):
            ours, theirs = getattr(group, quantity), getattr(calibration, quantity)
            for name in ("count", "predicted_mean", "real_mean", "ratio", "mean_absolute_error"):
                assert getattr(ours, name) == pytest.approx(getattr(theirs, name)), (quantity, name)


def test_one_answer_has_no_interval_and_no_correlation(ledger):
    write(ledger, predicted_output_tokens=10.0, output_tokens=20)
    tokens = calibrate(ledger).overall.output_tokens
    assert (tokens.bias, tokens.bias_interval_95, tokens.correlation) == (10, None, None)


def test_what_is_off_is_said_with_its_numbers(ledger):
    for i in range(41):
        write(
            ledger, predicted_output_tokens=100.0, output_tokens=170 + i % 21, predicted_cost_usd=0.01, cost_usd=0.018
        )
        write(ledger, model="right", predicted_output_tokens=100.0, output_tokens=90 + i % 21)
    [said] = calibrate(ledger).findings  # the cost follows from the tokens and is not said again
    assert said.startswith("Tokens of small @ 100: 1.8 times as predicted (n=41, 95 % interval 1.8 to 1.8")


def test_a_price_that_is_off_is_told_from_tokens_that_are(ledger):
    for i in range(20):
        write(ledger, predicted_output_tokens=100.0, output_tokens=90 + i, predicted_cost_usd=0.01, cost_usd=0.03)
    [said] = calibrate(ledger).findings
    assert said.startswith("Cost of small @ 100: 3 times as predicted")


def test_quality_that_is_off_is_said_and_a_few_labels_say_nothing(ledger):
    for i in range(9):
        write(ledger, float(i % 2), predicted_quality=0.95)
    assert calibrate(ledger).findings == ()
    for i in range(20):
        write(ledger, float(i % 2), predicted_quality=0.95)
    [said] = calibrate(ledger).findings
    assert said.startswith("Quality of small @ 100 is 0.48 where 0.95 was predicted (n=29, bias -0.47")


def test_what_only_all_answers_together_show_is_said_of_them(ledger):
    for model in "abcde":
        for i in range(4):
            write(ledger, model=model, predicted_output_tokens=100.0, output_tokens=190 + i)
    [said] = calibrate(ledger).findings
    assert said.startswith("Tokens of all answers: 1.9 times as predicted (n=20")


def test_reliability_and_brier_score(ledger):
    for predicted, real in ((0.2, 0.0), (0.2, 0.0), (0.2, 0.0), (0.2, 0.0), (0.2, 1.0)):
        write(ledger, real, predicted_quality=predicted)
    for real in (1.0, 1.0, 1.0, 1.0, 0.5):
        write(ledger, real, predicted_quality=0.9)
    quality = calibrate(ledger).overall.quality
    assert [(b.count, b.predicted, b.real) for b in quality.bins] == [
        (5, pytest.approx(0.2), pytest.approx(0.2)),
        (5, pytest.approx(0.9), pytest.approx(0.9)),
    ]
    # the label 0.5 is no yes or no: 4 of .04, 1 of .64, 4 of .01
    assert quality.brier == pytest.approx((4 * 0.04 + 0.64 + 4 * 0.01) / 9)
    assert quality.brier_of_mean == pytest.approx(5 / 9 * 4 / 9)


def test_labels_between_have_no_brier_score(ledger):
    write(ledger, 0.5, predicted_quality=0.5)
    quality = calibrate(ledger).overall.quality
    assert (quality.brier, quality.brier_of_mean, len(quality.bins)) == (None, None, 1)


def test_only_a_checkpoint_and_only_since(tmp_path):
    times = iter(datetime(2026, 11, 20, tzinfo=UTC) + timedelta(days=i) for i in range(3))
    with Ledger(tmp_path / "l.sqlite3", now=lambda: next(times)) as ledger:
        for name in ("old", "new", "new"):
            write(ledger, checkpoint=name, predicted_output_tokens=1.0, output_tokens=2)
        assert calibrate(ledger).answered == 3
        assert calibrate(ledger, checkpoint="new").answered == 2
        assert calibrate(ledger, datetime(2026, 11, 22, tzinfo=UTC), "new").answered == 1
        assert calibrate(ledger, checkpoint="other").answered == 0


def test_a_prediction_of_nothing_has_no_ratio_and_no_finding(ledger):
    for _ in range(12):
        write(ledger, predicted_cost_usd=0.0, cost_usd=0.5)
    found = calibrate(ledger)
    assert found.overall.cost_usd.ratio is None
    assert found.findings == ()


def test_it_is_json(ledger):
    write(ledger, 1.0, predicted_quality=0.5, predicted_cost_usd=0.5, cost_usd=0.25)
    said = json.loads(json.dumps(calibrate(ledger).to_dict(), allow_nan=False))
    assert said["candidates"][0]["cost_usd"]["ratio"] == 0.5
    assert said["overall"]["quality"]["bins"] == [{"count": 1, "predicted": 0.5, "real": 1.0}]


amounts = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)


@pytest.mark.slow
@given(amounts)
def test_the_interval_holds_the_bias_and_the_error_is_never_under_it(pairs):
    predicted, real = np.array(pairs).T
    _, _, _, _, error, bias, interval, correlation = _compared(predicted, real)
    assert error >= abs(bias) - 1e-6
    if interval:
        assert interval[0] <= bias <= interval[1]
    assert correlation is None or abs(correlation) <= 1 + 1e-9


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0])), min_size=1, max_size=60))
def test_bins_hold_every_answer_once_by_rising_prediction(pairs):
    predicted, real = np.array(pairs).T
    bins = _quality(predicted, real).bins
    assert sum(b.count for b in bins) == len(pairs)
    assert np.all(np.diff([b.predicted for b in bins]) >= -1e-12)
    assert sum(b.count * b.real for b in bins) == pytest.approx(real.sum())
