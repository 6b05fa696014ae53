"""Which answer a person means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.ledgers import ledger_at

from r2_router.errors import InputError
from r2_router.ledger import Entry, Ledger
from r2_router.ledger.expiry import drop
from r2_router.ledger.labels import find_answer, prefer, preferences, read_quality, unjudged


class Clock:
    time = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


@pytest.fixture
def ledger(place: str | Path) -> Iterator[Ledger]:
    with ledger_at(place, now=Clock()) as ledger:
        yield ledger


def write(ledger: Ledger, **changes: object) -> str:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "query": "q"}
    return ledger.record(Entry(**{**fields, **changes}))  # type: ignore[arg-type]


def renamed(ledger: Ledger, old: str, new: str) -> None:
    ledger.flush()
    with ledger.transaction() as db:
        db.execute("UPDATE entries SET id = ? WHERE id = ?", (new, old))


def test_an_id_its_end_or_its_beginning(ledger):
    write(ledger)
    renamed(ledger, write(ledger), "01aaaaaaabcdef")
    for said in ("01aaaaaaabcdef", "abcdef", "def", "01aaaaaaa", " 01AAAAAAABCDEF\n"):
        assert find_answer(ledger, said).id == "01aaaaaaabcdef"


def test_last_is_the_newest_answer_whatever_came_after_it(ledger):
    with pytest.raises(InputError, match="no answer yet"):
        find_answer(ledger, "last")
    write(ledger)
    newest = write(ledger)
    write(ledger, outcome="decided")
    write(ledger, outcome="failed")
    assert find_answer(ledger, "last").id == newest


def test_an_end_of_several_is_ambiguous_and_they_are_named_newest_first(ledger):
    for name in ("01aaaaaaaazzzz", "01aaaaaaabzzzz"):
        renamed(ledger, write(ledger), name)
    with pytest.raises(InputError, match=r"stands for 2 answers: 01aaaaaaabzzzz \(small @ 100.*01aaaaaaaazzzz"):
        find_answer(ledger, "zzzz")
    for i in range(9):
        renamed(ledger, write(ledger), f"01aaaaaa{i}azzzz")
    with pytest.raises(InputError, match=r"11 answers.* and 6 more"):
        find_answer(ledger, "zzzz")


def test_a_whole_id_is_never_ambiguous(ledger):
    renamed(ledger, write(ledger), "abcdefghjkmnpq")
    renamed(ledger, write(ledger), "00abcdefghjkmnpq")
    assert find_answer(ledger, "abcdefghjkmnpq").id == "abcdefghjkmnpq"


def test_a_decision_with_the_same_end_does_not_make_an_answer_ambiguous(ledger):
    renamed(ledger, write(ledger, outcome="decided"), "01aaaaaaaazzzz")
    renamed(ledger, write(ledger), "01aaaaaaabzzzz")
    assert find_answer(ledger, "zzzz").id == "01aaaaaaabzzzz"


@pytest.mark.parametrize(
    ("outcome", "message"), [("decided", "decision only"), ("failed", "no answer"), ("refused", "no answer")]
)
def test_what_is_no_answer_cannot_be_judged(ledger, outcome, message):
    with pytest.raises(InputError, match=message):
        find_answer(ledger, write(ledger, outcome=outcome))


@pytest.mark.parametrize("said", ["zzzzzz", "%%%", "___", "' OR 1=1 --", "é" * 5])
def test_an_unknown_id_says_where_to_look(ledger, said):
    write(ledger)
    with pytest.raises(InputError, match="feedback --list"):
        find_answer(ledger, said)


@pytest.mark.parametrize("said", ["", " ", "ab"])
def test_too_short_a_part_is_none(ledger, said):
    with pytest.raises(InputError, match="too short"):
        find_answer(ledger, said)


def test_what_waits_for_a_label_comes_newest_first(ledger):
    ids = [write(ledger) for _ in range(4)]
    write(ledger, outcome="decided")
    ledger.set_quality(ids[2], 0.5)
    assert [entry.id for entry in unjudged(ledger, 2)] == [ids[3], ids[1]]
    assert [entry.id for entry in unjudged(ledger, 9)] == [ids[3], ids[1], ids[0]]


@pytest.mark.parametrize(
    ("said", "quality"), [("good", 1.0), ("BAD", 0.0), ("0", 0.0), ("0.25", 0.25), (" 1 ", 1.0), ("1e-3", 0.001)]
)
def test_labels(said, quality):
    assert read_quality(said) == quality


@pytest.mark.parametrize("said", ["", "great", "1.01", "-0.1", "nan", "inf", "5/10"])
def test_what_is_no_label_is_said(said):
    with pytest.raises(InputError, match="good, bad, or a number from 0 to 1"):
        read_quality(said)


# -- preferences -------------------------------------------------------------------------------------------------


def test_of_two_answers_to_one_prompt_one_is_preferred_until_the_user_says_otherwise(ledger):
    first, second = write(ledger), write(ledger, model="large")
    prefer(ledger, first, second, "judge:x")
    prefer(ledger, second, first)
    assert [(a.id, b.id) for a, b in preferences(ledger)] == [(second, first)]
    prefer(ledger, first, second, "judge:x")
    assert [(a.id, b.id) for a, b in preferences(ledger)] == [(second, first)]
    prefer(ledger, first[-6:], "last")
    assert [(a.id, b.id) for a, b in preferences(ledger)] == [(first, second)]
    assert preferences(ledger, ledger.now() + timedelta(days=1)) == []


def test_answers_that_cannot_be_compared_are_named(ledger):
    first, second = write(ledger), write(ledger, query="another")
    with pytest.raises(InputError, match=f"{first} and {second} answer two prompts"):
        prefer(ledger, first, second)
    with pytest.raises(InputError, match="are one answer"):
        prefer(ledger, first, first)
    with pytest.raises(InputError, match="got no answer"):
        prefer(ledger, first, write(ledger, outcome="failed"))
    assert preferences(ledger) == []


def test_a_preference_goes_with_its_answers(ledger):
    prefer(ledger, write(ledger), write(ledger, model="large"))
    ledger.flush()
    with ledger.transaction() as db:
        assert drop(db, "2026-11-21", 1) == 1
    assert preferences(ledger) == []
    with ledger.transaction() as db:
        assert db.execute("SELECT COUNT(*) FROM preferences").fetchone()[0] == 0
