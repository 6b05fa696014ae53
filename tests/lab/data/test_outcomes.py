"""The ledger's labels as a training table: what is learned from, what is left out, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from support.made_up_table import make_lab

from r2_router.errors import InputError
from r2_router.lab.data.outcomes import checkpoints_of, labelled, outcomes_table, table_from_ledger
from r2_router.lab.data.table import MIN_QUERIES
from r2_router.ledger import Entry, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3", log_text=True) as ledger:
        yield ledger


def write(ledger: Ledger, query: str, quality: float | None = 1.0, **changes: object) -> None:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 20, "output_tokens": 9}
    answer_id = ledger.record(Entry(query=query, **{**fields, **changes}))  # type: ignore[arg-type]
    if quality is not None:
        ledger.set_quality(answer_id, quality)


def fill(ledger: Ledger, count: int = MIN_QUERIES, **changes: object) -> None:
    for i in range(count):
        write(ledger, f"query {i}", float(i % 2), **changes)


def test_labels_become_a_table(ledger):
    fill(ledger, input_tokens=5)
    fill(ledger, model="large", budget="unlimited", output_tokens=100)
    write(ledger, "query 0", 1.0)  # asked twice: the mean of both
    table = table_from_ledger(ledger)
    assert table.candidates == (("small", 20), ("large", "unlimited"))
    assert (len(table), table.rows, table.repeated) == (MIN_QUERIES, 2 * MIN_QUERIES + 1, 1)
    found = dict(zip(table.queries, table.quality.tolist(), strict=True))  # those of one millisecond come in any order
    assert [found[f"query {i}"] for i in range(3)] == [[0.5, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert table.output_tokens[0].tolist() == [9, 100]
    assert table.input_tokens[0, 0] == 5
    assert np.isnan(table.input_tokens[0, 1])


def test_what_cannot_be_learned_from_is_counted(ledger):
    fill(ledger)
    write(ledger, "no label", None)
    write(ledger, "broken off", outcome="partial")
    write(ledger, "length unknown", output_tokens=None)
    write(ledger, "  ")
    ledger.log_text = False
    write(ledger, "secret")
    ledger.log_text = True
    write(ledger, "between", budget=17)
    write(ledger, "between", budget=17)
    found = labelled(ledger)
    assert len(found.rows) == MIN_QUERIES
    assert (found.without_text, found.without_tokens, found.other_words) == (2, 1, 0)
    assert found.sparse == (("small", 17, 1),)
    said = found.lines()
    assert said[0] == f"{MIN_QUERIES} labelled answers of the ledger to learn from."
    assert any("R2_LOG_TEXT=1" in line for line in said)
    assert "small @ 17 has 1" in said[-1]
    assert str(MIN_QUERIES) in said[-1]


def test_a_budget_between_becomes_a_candidate_with_enough_queries(ledger):
    fill(ledger, MIN_QUERIES - 1, budget=17)
    assert labelled(ledger).rows == ()
    write(ledger, "query 0", budget=17)  # the same query again is no other query
    assert labelled(ledger).rows == ()
    write(ledger, "one more", budget=17)
    assert table_from_ledger(ledger).candidates == (("small", 17),)


def test_a_tables_own_candidates_take_a_single_label(ledger):
    table, _ = make_lab(30)
    write(ledger, "text 3", 0.0, output_tokens=7)
    write(ledger, "something new", 1.0)
    write(ledger, "another", model="stranger")
    found = labelled(ledger, candidates=table.candidates)
    assert found.sparse == (("stranger", 20, 1),)
    both = outcomes_table(found, table)
    assert both.candidates == table.candidates
    assert (len(both), both.rows, both.repeated) == (31, 122, 1)
    assert both.quality[3, 0] == pytest.approx(table.quality[3, 0] / 2)  # measured once, judged once
    assert both.output_tokens[3, 0] == pytest.approx((table.output_tokens[3, 0] + 7) / 2)
    assert both.quality[30].tolist()[0] == 1.0
    assert np.isnan(both.quality[30, 1:]).all()
    np.testing.assert_array_equal(both.quality[:3], table.quality[:3])
    assert both.categories == (*table.categories, "ledger")


def test_what_a_table_says_of_itself_stays(ledger):
    from dataclasses import replace

    table = replace(make_lab(30)[0], about={"card": {"about": "x"}}, ungraded=4)
    write(ledger, "text 3", 0.0)
    both = outcomes_table(labelled(ledger, candidates=table.candidates), table)
    assert both.about == {"card": {"about": "x"}}
    assert both.ungraded == 4


def test_answers_asked_for_in_other_words_are_left_out_but_unlimited_ones(ledger):
    fill(ledger, checkpoint="mine")
    fill(ledger, 3, checkpoint="other")
    fill(ledger, MIN_QUERIES, checkpoint="other", budget="unlimited")
    assert checkpoints_of(ledger) == ("mine", "other")
    found = labelled(ledger, other_words={"other"})
    assert found.other_words == 3
    assert len(found.rows) == 2 * MIN_QUERIES
    assert "another checkpoint's instruction" in " ".join(found.lines())


def test_only_since(tmp_path):
    start = datetime(2026, 11, 1, tzinfo=UTC)
    times = (start + timedelta(days=i // 20) for i in range(100))
    with Ledger(tmp_path / "l.sqlite3", log_text=True, now=lambda: next(times)) as ledger:
        for i in range(60):
            write(ledger, f"query {i}")
        assert len(labelled(ledger).rows) == 60
        assert len(labelled(ledger, since=start + timedelta(days=1)).rows) == 40
        assert checkpoints_of(ledger, start + timedelta(days=9)) == ()


def test_no_label_is_an_error_that_says_how_to_give_one(ledger):
    with pytest.raises(InputError, match="r2-router feedback"):
        table_from_ledger(ledger)
    write(ledger, "a few", 1.0)
    with pytest.raises(InputError, match="small @ 20 has 1"):
        table_from_ledger(ledger)
    ledger.log_text = False
    with pytest.raises(InputError, match="no label to learn from"):
        outcomes_table(labelled(ledger), make_lab(30)[0])


def test_half_a_surrogate_is_a_text_too(ledger):
    write(ledger, "\ud83d")
    fill(ledger)
    assert len(table_from_ledger(ledger)) == MIN_QUERIES + 1
