import sqlite3
import stat
import sys

import pytest
from support.collecting import make_plan, questions

from r2_router.errors import InputError, R2Error
from r2_router.lab.collecting.answers import Store, StoredAnswer, StoredGrade
from r2_router.lab.data.questions import Question

PLAN = make_plan("http://127.0.0.1:9/v1", 2)
KEY = ("q0", "a", 20)


def answer(cost=0.25, key=KEY, **changes):
    given = {
        "query_id": key[0],
        "model": key[1],
        "budget": key[2],
        "text": "It is 42.",
        "finish_reason": "stop",
        "served_model": "vendor/a",
        "input_tokens": 10,
        "output_tokens": 5,
        "reasoning_tokens": 0,
        "usage_estimated": False,
        "cost_usd": cost,
        "latency_s": 0.5,
    }
    return StoredAnswer(**{**given, **changes})


def grade(quality, grader="g/1", key=KEY):
    return StoredGrade(
        query_id=key[0], model=key[1], budget=key[2], grader=grader, quality=quality, found="42", note="", cost_usd=0.5
    )


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "answers.sqlite3") as opened:
        opened.add_questions(PLAN.questions)
        yield opened


def test_an_answer_takes_the_place_of_its_call(store):
    assert store.begin(KEY, 1.0, None)
    assert store.spent_usd == 1.0
    store.finish(answer())
    assert store.spent_usd == 0.25
    assert store.answered() == {KEY}
    [kept] = store.answers()
    assert (kept.text, kept.cost_usd, kept.usage_estimated) == ("It is 42.", 0.25, False)


def test_no_call_passes_the_limit(store):
    assert store.begin(KEY, 0.6, 1.0)
    assert not store.begin(("q1", "a", 20), 0.6, 1.0)
    assert store.spent_usd == 0.6
    store.lose(KEY, "no", 0.1)
    assert store.begin(("q1", "a", 20), 0.9, 1.0)


def test_the_total_is_the_sum_of_the_rows_whatever_happened(store):
    """It is kept, not summed; replaced rows and transactions that fail must not make it drift."""
    store.begin(KEY, 1.0, None)
    store.begin(KEY, 2.0, None)  # again, after a stop: the note is replaced
    assert store.spent_usd == 2.0
    store.finish(answer())
    store.grade(grade(1.0))
    store.grade(grade(0.0))
    store.begin(KEY, 4.0, None)
    with pytest.raises(R2Error, match="cannot be written"):
        store.finish(answer())  # the cell has its answer
    store.lose(("q1", "a", 20), "no", 0.125)
    assert store.spent_usd == 4.0 + 0.25 + 0.5 + 0.125
    store.close()
    with Store(store.path) as again:
        assert again.spent_usd == 4.875


def test_calls_that_were_cut_off_count_in_full(tmp_path):
    with Store(tmp_path / "s.sqlite3") as store:
        store.begin(KEY, 1.0, None)
    with Store(tmp_path / "s.sqlite3") as store:
        assert store.give_up_calls() == 1
        assert store.spent_usd == 1.0
        assert store.losses() == [("a", 20, "cut off: may have been billed", 1, 1.0)]
        assert store.give_up_calls() == 0


def test_grades_are_by_grader(store):
    store.begin(KEY, 1.0, None)
    store.finish(answer())
    assert [a.query_id for a in store.ungraded("g/1")] == ["q0"]
    store.grade(grade(None))
    assert store.ungraded("g/1") == []
    assert [a.query_id for a in store.ungraded("g/2")] == ["q0"]
    assert store.grades("g/1")[KEY].quality is None
    assert store.spent_usd == 0.75


def test_a_judge_s_call_is_over_with_its_grade(store):
    call = ("x", "judge a", "unlimited")
    store.begin(call, 1.0, None)
    store.grade(grade(1.0), call)
    assert store.spent_usd == 0.5


def test_a_new_reference_answer_is_graded_anew(store):
    store.begin(KEY, 1.0, None)
    store.finish(answer())
    store.grade(grade(1.0))
    store.add_questions(questions(2))
    assert store.ungraded("g/1") == []
    store.add_questions([Question("q0", PLAN.questions[0].query, "43", "number", "sums")])
    assert len(store.ungraded("g/1")) == 1
    assert store.questions()["q0"].answer == "43"
    assert list(store.questions()) == ["q0", "q1"]
    assert store.spent_usd == 0.75  # the grade that was taken back was paid for


def test_one_query_id_is_one_query(store):
    with pytest.raises(InputError, match="'q0' stood for another query"):
        store.add_questions([Question("q0", "something else")])


def test_answers_of_two_instructions_do_not_mix(store):
    store.settle_on({"instruction": {"text": "a"}})
    store.settle_on({"instruction": {"text": "a"}})
    with pytest.raises(InputError, match="begun with another instruction"):
        store.settle_on({"instruction": {"text": "b"}})
    assert store.fact("instruction") == {"text": "a"}


def test_one_process_at_a_time(store):
    with pytest.raises(InputError, match="Another process is collecting"), Store(store.path):
        pass


def test_a_newer_or_a_damaged_store_is_left_as_it_is(tmp_path):
    file = tmp_path / "s.sqlite3"
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer r2-router"), Store(file):
        pass
    file.write_bytes(b"not a database, but long enough to be read as one" * 50)
    with pytest.raises(InputError, match="cannot be used"), Store(file):
        pass
    assert file.read_bytes().startswith(b"not a database")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_queries_and_answers_are_for_their_owner_alone(tmp_path):
    path = tmp_path / "measured" / "answers.sqlite3"
    with Store(path) as opened:
        opened.settle_on({"a": 1})
        files = list(path.parent.iterdir())
        assert {file.name for file in files} >= {"answers.sqlite3", "answers.sqlite3-wal"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    path.chmod(0o640)  # shared on purpose
    with Store(path) as opened:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_store_of_the_version_before_is_brought_up_to_date(tmp_path):
    path = tmp_path / "answers.sqlite3"
    with Store(path) as opened:
        opened.add_questions(PLAN.questions)
        opened.finish(answer())
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE answers DROP COLUMN mean_logprob")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with Store(path) as opened:
        opened.finish(answer(key=("q1", "a", 20), mean_logprob=-0.25))
        assert [kept.mean_logprob for kept in opened.answers()] == [None, -0.25]
