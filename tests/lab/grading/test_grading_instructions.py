"""Answers made by hand for every kind of instruction: right, wrong, cut short."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cpu_limit import cpu_limit

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question, read_questions
from r2_router.lab.grading import Grade, make_grader
from r2_router.lab.grading.followed import KINDS, sentences, words

Case = tuple[str, dict[str, Any], bool, list[str], list[str]]

# kind, arguments, whether a right answer that was cut is still right, right answers, wrong ones
CASES: list[Case] = [
    ("number_words", {"relation": "at least", "num_words": 3}, True, ["One two three.", "a b c d"], ["one well-known"]),
    ("number_words", {"relation": "less than", "num_words": 3}, False, ["It's well-known."], ["One two three."]),
    ("number_words", {"relation": "at most", "num_words": 2}, False, ["One two"], ["One two three"]),
    ("number_words", {"relation": "more than", "num_words": 2}, True, ["One two three"], ["One two"]),
    ("number_words", {"relation": "exactly", "num_words": 2}, False, ["One two"], ["One", "One two three"]),
    (
        *("number_sentences", {"relation": "exactly", "num_sentences": 2}, False),
        ["Dr. Ada paid 3.50 today. Why?", 'He said "Go." She went', "A list\n\n- one\n- two", "1. Read it. 2. Act."],
        ["One only.", "One. Two! Three?"],
    ),
    (
        *("number_paragraphs", {"num_paragraphs": 2}, False),
        ["One.\n***\nTwo.", "***\nOne.\n***\nTwo.\n***"],
        ["One.\n\nTwo.", "One.\n***\n***", "One.\n***\nTwo.\n***\nThree."],
    ),
    (
        *("number_paragraphs", {"num_paragraphs": 2, "divider": "blank line", "relation": "at least"}, True),
        ["One.\n\nTwo."],
        ["One.\nTwo."],
    ),
    (
        *("nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "president"}, False),
        ["One.\n\n**President** Bo.", "One.\n \nPRESIDENT Bo."],
        ["President.\n\nOne.", "One.\nPresident.", "One.\n\nPresidents.", "One.\n\nPresident.\n\nThree."],
    ),
    (
        *("number_bullet_lists", {"num_bullets": 2}, False),
        ["So:\n* a\n* b", "- a\n  - b"],
        ["* a", "* a\n* b\n* c", "*a*\n*b*", "**a**\n**b**"],
    ),
    (
        *("number_highlighted_sections", {"num_highlights": 2}, True),
        ["*one* and **two words**", "***a***\n*b*"],
        ["*one*", "* a\n* b", "2 * 3 * 4", "**one**", "*one\n*two"],
    ),
    (
        *("multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}, True),
        ["SECTION 1\na\nSECTION 2\nb", "**SECTION 1**: a **SECTION 2**: b"],
        ["SECTION 1\na", "SECTION 1\nsee SECTION 1", "Section 1\nSection 2", "SECTION A\nSECTION B"],
    ),
    ("title", {}, True, ["<<On Peace>>\nWell.", "Well. <<x>>"], ["On Peace", "<< >>", "<On>", "<<On\nPeace>>"]),
    (
        *("json_format", {}, False),
        ['{"a": [1]}', " [] ", '```json\n{"a": 1}\n```', "```\n[1]\n```"],
        ['Here: {"a": 1}', '{"a": 1', "{'a': 1}", '"a"', '{"a": NaN}', '```json\n{"a": 1}', "[" * 100_000],
    ),
    (
        *("constrained_response", {}, False),
        ["My answer is no.", "Well. My answer is maybe."],
        ["no", "My answer is yes. My answer is no.", "my answer is no."],
    ),
    ("constrained_response", {"options": ["red", "blue"]}, False, ["It is red."], ["green", "red or blue"]),
    (
        *("number_placeholders", {"num_placeholders": 2}, True),
        ["Dear [name], at [place]", "[a][b]"],
        ["Dear [name]", "[] []", "[a](b) [c](d)"],
    ),
    (
        *("postscript", {"postscript_marker": "P.S."}, True),
        ["Bye.\n\nP.S. Call me.", "bye. p.s. call", "**P.S.** Call"],
        ["Bye.", "Bye. P.S.", "P.P.S. Call", "PS Call"],
    ),
    ("postscript", {"postscript_marker": "P.P.S"}, True, ["Bye.\nP.P.S. Call", "P.P.S Call"], ["P.S. Call"]),
    (
        *("existence", {"keywords": ["sea", "New York"]}, True),
        ["The Sea at new\nyork."],
        ["The sea.", "Season in New York"],
    ),
    ("forbidden_words", {"forbidden_words": ["rock", "sand"]}, False, ["A rocket."], ["Rock!", "On (sand)"]),
    (
        *("frequency", {"keyword": "war", "frequency": 2, "relation": "at least"}, True),
        ["War and war."],
        ["War.", "Wars, warm."],
    ),
    ("frequency", {"keyword": "war", "frequency": 2, "relation": "less than"}, False, ["War.", "x"], ["war war"]),
    (
        *("letter_frequency", {"letter": "T", "let_frequency": 2, "let_relation": "at least"}, True),
        ["Tat", "t T t"],
        ["tool"],
    ),
    ("letter_frequency", {"letter": "!", "let_frequency": 1, "let_relation": "less than"}, False, ["Oh."], ["Oh!"]),
    ("english_capital", {}, False, ["ALL OF IT, 1."], ["ALL oF IT", "123", "All"]),
    ("english_lowercase", {}, False, ["all of it, 1."], ["all oF it", "123", "I am"]),
    (
        *("capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, False),
        ["I have A dog. NOW.", "none"],
        ["Come NOW, HE said."],
    ),
    (
        *("capital_word_frequency", {"capital_frequency": 1, "capital_relation": "at least"}, True),
        ["Come NOW.", "WELL-KNOWN"],
        ["I am A B C.", "Now"],
    ),
    ("no_comma", {}, False, ["Yes; no."], ["Yes, no.", "是，否", "نعم، لا"]),
    ("quotation", {}, False, ['"All of it."', " “All.” "], ['"All', "All", '""', "'All'", '"All" she said']),
    (
        *("end_checker", {"end_phrase": "Peace!"}, False),
        ["Well. Peace!", "PEACE! \n", '"Well. peace!"'],
        ["Peace! Bye.", "Peace", ""],
    ),
    (
        *("repeat_prompt", {"prompt_to_repeat": "Write a poem."}, True),
        ["Write a poem.\nRoses.", "WRITE  A POEM. ROSES"],
        ["Write a poem.", "Sure! Write a poem. Roses.", "Write a song. Roses."],
    ),
    (
        *("two_responses", {}, False),
        ["One.\n******\nTwo."],
        ["One.", "One.\n******\nOne.", "One.\n******", "a ****** b ****** c", "a *** b", "a ******* b"],
    ),
]
RELATION_NAMES = ["at least", "more than", "at most", "less than", "exactly"]


def graded(asked: Any, text: str, *, cut: bool = False) -> Grade:
    question = Question("q", "?", json.dumps(asked), "instructions")
    grader = make_grader("auto")
    grader.check(question)
    return asyncio.run(grader.grade(question, text, cut=cut))


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{case[1]}"[:60] for case in CASES])
def test_right_wrong_and_cut_answers(case: Case) -> None:
    name, given_, lasts, right, wrong = case
    for text in right:
        assert graded([[name, given_]], text).quality == 1, text
        assert graded([[name, given_]], text, cut=True).quality == float(lasts), text
    for text in wrong:
        for cut in (False, True):
            assert graded([[name, given_]], text, cut=cut).quality == (0 if text else None), text


def test_every_kind_has_a_case() -> None:
    assert {name.partition(":")[2] for name in KINDS} == {case[0] for case in CASES}


@given(st.sampled_from([case for case in CASES if case[2]]), st.data(), st.text("*<>[]. \n\"Pabps1'-", max_size=60))
def test_what_holds_of_a_cut_answer_holds_however_it_goes_on(case: Case, data: st.DataObject, more: str) -> None:
    name, given_, _, right, _ = case
    text = data.draw(st.sampled_from(right))
    assert graded([[name, given_]], f"{text}\n{more}").quality == 1


@given(st.text("ab -'\n.", min_size=1).filter(str.strip), st.integers(0, 6))
def test_relations_agree(text: str, n: int) -> None:
    said = {
        relation: graded([["number_words", {"relation": relation, "num_words": n}]], text).quality == 1
        for relation in RELATION_NAMES
    }
    assert said["at least"] is not said["less than"]
    assert said["more than"] is not said["at most"]
    assert said["exactly"] is (said["at least"] and said["at most"])


@given(st.lists(st.from_regex(r"[a-z]+", fullmatch=True), max_size=20))
def test_words_and_sentences_are_counted(made: list[str]) -> None:
    assert words(" ".join(made), {}) == len(made)
    assert sentences(" ".join(f"{word}x." for word in made), {}) == len(made)


def test_all_must_be_followed_and_what_was_not_is_named() -> None:
    asked: list[Any] = [["punctuation:no_comma", {}], ["number_words", {"relation": "at most", "num_words": 2}]]
    assert graded(asked, "One two").quality == 1
    grade = graded(asked, "One two three")
    assert grade.quality == 0
    assert grade.found == "not followed: length_constraints:number_words"
    assert graded(asked, " ").quality is None


def test_ifeval_rows_are_read_as_they_are(tmp_path: Path) -> None:
    """Null arguments, the column `constraints`, as text or as a list."""
    asked: list[Any] = [["detectable_format:title", {"num_words": None}], ["no_comma"]]
    file = tmp_path / "queries.jsonl"
    rows = [{"query": f"{i}?", "answer_type": "instructions", "constraints": c} for i, c in enumerate((asked, "[]"))]
    rows[1]["constraints"] = json.dumps(asked)
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    grader = make_grader()
    for question in read_questions(file):
        grader.check(question)
        assert asyncio.run(grader.grade(question, "<<A>> b")).quality == 1
        assert asyncio.run(grader.grade(question, "<<A>>, b")).quality == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "has no instructions"),
        ("be nice", "has no instructions"),
        ("[]", "has no instructions"),
        ('{"no_comma": 1}', "has no instructions"),
        ("[3]", "is no instruction"),
        ('[["no_comma", {}, 1]]', "is no instruction"),
        ('[["language:response_language", {"language": "de"}]]', "'language:response_language' cannot be checked"),
        ('[["be_nice"]]', "'be_nice' cannot be checked. Known are number_words"),
        ('[["no_comma", {"n": 1}]]', "no argument 'n'"),
        ('[["number_words", {"num_words": 5}]]', "'relation' is to be one of"),
        ('[["number_words", {"num_words": 5, "relation": "about"}]]', "'relation' is to be one of"),
        ('[["number_words", {"num_words": 5, "relation": []}]]', "'relation' is to be one of"),
        ('[["number_words", {"relation": "at least"}]]', "'num_words' is to be a whole number"),
        ('[["number_bullet_lists", {"num_bullets": true}]]', "'num_bullets' is to be a whole number"),
        ('[["number_bullet_lists", {"num_bullets": -1}]]', "'num_bullets' is to be a whole number"),
        ('[["existence", {"keywords": "sea"}]]', "'keywords' is to be a list of texts"),
        ('[["existence", {"keywords": []}]]', "'keywords' is to be a list of texts"),
        ('[["constrained_response", {"options": [1]}]]', "'options' is to be a list of texts"),
        ('[["end_checker", {"end_phrase": " "}]]', "'end_phrase' is to be a text"),
        ('[["number_paragraphs", {"num_paragraphs": 2, "divider": ""}]]', "'divider' is to be a text"),
    ],
)
def test_what_cannot_be_checked_is_refused(asked: str, said: str) -> None:
    with pytest.raises(InputError, match="q") as caught:
        make_grader("instructions").check(Question("q", "?", asked))
    assert said in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["*", "* ", "**a", "<<", "<<a", "[", "[a", ". ", "\n", "```\n", "P.S. ", "SECTION 1", '"']
)
def test_every_reader_ends(unit: str) -> None:
    with cpu_limit(10):
        for name, given_, *_ in CASES:
            for text in ((unit * 120_000)[:120_000], f"{unit}{' ' * 120_000}x"):
                graded([[name, given_]], text)
