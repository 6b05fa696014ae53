"""What the ledger's answers teach: lengths without labels, labels, the newest most; and what is said of a change."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from lab.learning.test_from_base import believed

from r2_router.errors import InputError
from r2_router.lab.learning.from_ledger import learn
from r2_router.ledger import Entry, Ledger
from r2_router.ledger.labels import prefer
from r2_router.records import Budget

TODAY = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite3", log_text=True, now=lambda: TODAY) as ledger:
        yield ledger


def write(ledger: Ledger, query: str, *, days: int = 0, quality: float | None = None, **changes: object) -> str:
    fields: dict[str, object] = {"face": "cli", "outcome": "answered", "model": "small", "budget": "unlimited"}
    ledger.now = lambda: TODAY - timedelta(days=days)
    answer_id = ledger.record(Entry(query=query, quality=quality, **{**fields, "output_tokens": 100, **changes}))  # type: ignore[arg-type]
    ledger.now = lambda: TODAY
    return answer_id


def embed(table):
    """A vector by each query's text alone."""
    rows = np.array([np.random.default_rng(len(text)).normal(size=6) for text in table.queries])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_lengths_need_no_label_and_labels_tell_quality(ledger):
    for i in range(40):
        write(ledger, "q" * (i + 1), output_tokens=400)
        write(ledger, "q" * (i + 1), model="large", output_tokens=100, quality=1.0)
    large, small = learn(ledger, believed(), embed, half_life_days=90).changes
    assert (small.model, small.answers, small.labels, small.surprise) == ("small", 40, 0, None)
    assert small.tokens == pytest.approx(400, rel=0.1)
    assert small.tokens_before == pytest.approx(100)
    assert (large.answers, large.labels) == (40, 40)
    assert large.quality > 0.8 > large.quality_before
    assert 0.5 < small.quality < large.quality  # something is learned of every model


def test_preferences_tell_who_is_better(ledger):
    for i in range(30):
        small = write(ledger, "q" * (i + 1))
        prefer(ledger, write(ledger, "q" * (i + 1), model="large", budget=20), small)
    learned = learn(ledger, believed(), embed, half_life_days=90)
    large, small = learned.changes
    assert learned.preferences == 30
    assert large.quality > large.quality_before + 0.05
    assert small.quality < small.quality_before - 0.05
    assert (small.labels, large.labels) == (0, 0)


def test_answers_to_queries_that_nobody_kept_tell_of_levels(ledger):
    """By what the base itself foretold of them: whoever answers easy queries is no better for it."""
    ledger.log_text = False
    for i in range(40):
        fields = {"checkpoint": "believed", "predicted_output_tokens": 400.0, "output_tokens": 400}
        write(ledger, f"easy {i}", quality=1.0, predicted_quality=0.95, **fields)
        write(ledger, f"plain {i}", model="large", quality=1.0, predicted_quality=0.5, **fields)
    learned = learn(ledger, believed(), lambda table: pytest.fail("there is no text"), half_life_days=90)
    large, small = learned.changes
    assert learned.outcomes.unread == 80
    assert (small.answers, small.labels) == (40, 40)
    assert large.quality - large.quality_before > small.quality - small.quality_before + 0.02
    assert small.tokens == pytest.approx(100, rel=0.2)  # as long as was foretold: nothing to learn
    heads = learned.checkpoint.weights
    assert np.abs(heads).max() < 1e-6  # nothing of any query
    write(ledger, "easy 0", output_tokens=400, model="large")
    ledger.log_text = True
    write(ledger, "easy 0", output_tokens=400)
    assert learn(ledger, believed(), embed, half_life_days=90).outcomes.unread == 79  # its text is known by now


def test_what_is_old_counts_less(ledger):
    for i in range(30):
        write(ledger, "q" * (i + 1), days=400, quality=0.0)
        write(ledger, "r" * (i + 50), days=1, quality=1.0)
    even = learn(ledger, believed(), embed, half_life_days=100_000).changes[0]
    fading = learn(ledger, believed(), embed, half_life_days=30).changes[0]
    assert even.quality == pytest.approx(0.5, abs=0.1)
    assert fading.quality > 0.7


def test_a_model_that_got_worse_is_seen_and_chance_is_not(ledger):
    for i in range(60):
        write(ledger, "q" * (i + 1), days=60 - i, quality=float(i % 2))
        write(ledger, "q" * (i + 1), days=60 - i, quality=float(i < 10), model="large")
    large, small = learn(ledger, believed(), embed, half_life_days=90).changes
    assert not small.drifted
    assert large.drifted
    assert large.surprise is not None
    assert large.surprise < -3


def test_answers_of_others_count_for_nothing(ledger):
    write(ledger, "known")
    for changes in ({"model": "other"}, {"budget": 77}, {"outcome": "partial"}, {"output_tokens": None}):
        write(ledger, "not known", **changes)
    found = learn(ledger, believed(), embed, half_life_days=90)
    assert [change.answers for change in found.changes] == [1]
    assert found.outcomes.without_tokens == 1


def test_an_empty_ledger_says_what_lacks(ledger):
    with pytest.raises(InputError, match="R2_LOG_TEXT=1"):
        learn(ledger, believed(), embed, half_life_days=90)


@pytest.mark.parametrize("budget", [20, "unlimited"])
def test_a_limited_answer_in_other_words_is_left_out(ledger, budget: Budget):
    write(ledger, "one", budget=20)
    write(ledger, "two", budget=budget, checkpoint="elsewhere")
    found = learn(ledger, believed(), embed, half_life_days=90, other_words={"elsewhere"})
    assert found.outcomes.other_words == (budget == 20)
