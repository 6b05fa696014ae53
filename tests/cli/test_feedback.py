"""`r2-router feedback`: labels go into the ledger, and it says which answer got them."""

from __future__ import annotations

import json

import pytest

from r2_router.cli import main
from r2_router.ledger import Entry, Ledger


def write(*, log_text: bool = True, **changes: object) -> str:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "query": "What is 2 + 2?"}
    with Ledger(log_text=log_text) as ledger:
        return ledger.record(Entry(**{**fields, **changes}))  # type: ignore[arg-type]


def quality(answer_id: str) -> float | None:
    with Ledger() as ledger:
        entry = ledger.find(answer_id)
    assert entry is not None
    return entry.quality


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(["feedback", *arguments]) == code
    return capsys.readouterr()


def test_a_label_is_kept_and_said(capsys):
    answer_id = write(predicted_quality=0.7)
    out, err = run(capsys, answer_id[-5:], "good")
    assert out.startswith(f"{answer_id}: quality 1, predicted 0.70. small @ 100, ")
    assert out.endswith(": What is 2 + 2?\n")
    assert err == ""
    assert quality(answer_id) == 1.0
    out, _ = run(capsys, "last", "0.25")
    assert "quality 0.25 (it was 1)" in out
    assert quality(answer_id) == 0.25


def test_without_its_text_a_label_cannot_train_and_it_says_so(capsys):
    write(log_text=False)
    _, err = run(capsys, "last", "bad")
    assert "R2_LOG_TEXT=1" in err


def test_a_broken_off_answer_is_labelled_with_a_note(capsys):
    answer_id = write(outcome="partial")
    _, err = run(capsys, answer_id, "bad")
    assert "leave it out" in err
    assert quality(answer_id) == 0.0


def test_json(capsys):
    answer_id = write()
    out, _ = run(capsys, answer_id, "good", "--json")
    said = json.loads(out)
    assert (said["id"], said["quality"], said["previous_quality"]) == (answer_id, 1.0, None)


def test_the_list_shows_what_waits(capsys):
    labelled, waiting = write(), write(query="line one\nline\x1b[31m two " + "x" * 200, output_tokens=1234)
    run(capsys, labelled, "good")
    out, err = run(capsys, "--list")
    assert waiting in out
    assert labelled not in out
    assert "line one line[31m two xxx" in out
    assert "…" in out
    assert "\x1b" not in out
    assert "1,234" in out
    assert "r2-router feedback ID" in err
    out, _ = run(capsys, "--list", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [waiting]


@pytest.mark.slow
def test_the_list_is_as_long_as_asked(capsys):
    ids = [write() for _ in range(12)]
    assert sum(answer_id in run(capsys, "--list")[0] for answer_id in ids) == 10
    assert sum(answer_id in run(capsys, "--list", "3")[0] for answer_id in ids) == 3


def test_an_empty_list_makes_no_ledger(capsys, home):
    assert run(capsys, "--list")[0] == "No answer waits for a label.\n"
    assert not (home / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "feedback ANSWER_ID good"),
        (("last",), "feedback ANSWER_ID good"),
        (("last", "good", "--list"), "one of them"),
        (("last", "great"), "good, bad, or a number from 0 to 1; got 'great'"),
        (("last", "good"), "no answer yet"),
        (("zzzzz", "good"), "feedback --list"),
    ],
)
def test_mistakes_are_one_sentence(capsys, arguments, message):
    out, err = run(capsys, *arguments, code=1)
    assert out == ""
    assert message in err


def test_a_bad_label_changes_nothing(capsys):
    answer_id = write()
    run(capsys, answer_id, "2", code=1)
    assert quality(answer_id) is None


def test_of_two_answers_to_one_prompt_the_better_is_said(capsys):
    first, second = write(), write(model="large", budget="unlimited")
    out, err = run(capsys, "--prefer", second[-5:], "--over", first)
    assert out.startswith(f"{second} is preferred to {first}. large @ unlimited, ")
    assert out.endswith(": What is 2 + 2?; over small @ 100\n")
    assert err == ""
    out, _ = run(capsys, "--prefer", first, "--over", "last", "--json")
    assert [json.loads(out)[side]["id"] for side in ("preferred", "over")] == [first, second]
    _, err = run(capsys, "--prefer", write(), "--over", first)
    assert "nothing to learn for a choice" in err
    _, err = run(capsys, "--prefer", write(log_text=False, model="large"), "--over", first)
    assert "R2_LOG_TEXT=1" in err


@pytest.mark.parametrize("options", [["--prefer", "last"], ["--over", "last"], ["last", "good", "--prefer", "last"]])
def test_half_a_preference_is_none(capsys, options):
    write()
    _, err = run(capsys, *options, code=1)
    assert "--prefer" in err
