"""Answers as models write them, read by the graders that go by rule."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading import Grade, make_grader

LISTED = "What helps a fish to swim?\nA: fins\nB: scales of the tail\nC: a dog\nD: The gills."
NUMBERED = "What grows?\n1: less water\n2: fewer foxes\n3: no shelter\n4: little food"


def graded(spec: str, answer: str, text: str, query: str = "?", kind: str = "") -> Grade:
    question = Question("q", query, answer, kind)
    grader = make_grader(spec)
    grader.check(question)
    return asyncio.run(grader.grade(question, text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A", "A"),
        ("A: fins.", "A"),
        ("(B)", "B"),
        ("B)", "B"),
        ("c", "C"),
        ("**B**", "B"),
        ("It is **B: scales of the tail**, since it must.", "B"),
        ("Let us see.\n\nThe correct answer is \\boxed{D}.", "D"),
        ("\\boxed{\\text{C}}", "C"),
        ("Answer: (C) a dog", "C"),
        ("The answer is fins.", "A"),
        ("A fish swims with its fins.", "A"),
        ("A dog barks, so the answer is B.", "B"),
        ("Final answer:\n\nD", "D"),
        ("Option B is the correct one.", "B"),
        ("The Gills", "D"),
        ("A: fins\nB: scales of the tail\nC: a dog\nD: The gills.", ""),
        ("Consider these:\nA: fins.\nB: scales of the tail.\nC: a dog.\nD: The gills.", ""),
        ("A: it slows.\nB: it hurries.\nC: a dog\nD: nothing", ""),
        ("A: fins\nB:", ""),
        ("A: fins\nB: scales of the tail\nC: a dog\nD: The gills.\n\nThe answer is: C", "C"),
        ("A: A: A: A: A: A: A", ""),
        ("To find out what helps a fish, we look at each of", ""),
        ("A fish needs", ""),
        ("", ""),
    ],
)
def test_a_choice_is_read_as_a_reader_would(text: str, found: str) -> None:
    for right in "ABCD":
        grade = graded("choice", right, text, LISTED)
        assert grade.found == found
        assert grade.quality == (None if not found else float(found == right))
        assert bool(grade.note) == (not found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2", "2"),
        ("2: fewer foxes", "2"),
        ("It is most likely 3: no shelter.", "3"),
        ("The answer is 4.", "4"),
        ("\\boxed{1}", "1"),
        ("There will be fewer foxes.", "2"),
        ("1: less water\n2: fewer foxes\n3: no shelter\n4: little food", ""),
    ],
)
def test_options_may_be_numbered(text: str, found: str) -> None:
    assert graded("choice", "2", text, NUMBERED).found == found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("The answer is 1,234,567 people.", 1234567),
        ("She pays $1,250.50 in all.", 1250.5),
        ("His profit is $40 - $100 = -$60.", -60),
        ("a loss of −$5", -5),
        ("12 + 6 + 4 * 3 = 30 magazines", 30),
        ("It took 3 days.\n#### 17", 17),
        ("\\boxed{\\frac{3}{4}} is what remains of 8.", 0.75),
        ("\\boxed{12\\,000}, found in 3 steps", 12000),
        ("**18** eggs, of 24", 18),
        ("The answer is 7. I took 2 steps, then 3.", 7),
        ("about 25%", 25),
        ("3/8 of it", 0.375),
        ("1.5e3", 1500),
        ("6.02 × 10^23", 6.02e23),
        ("It is twelve.", 12),
        ("from 3 to 5, so 8.", 8),
        ("7 + 5 * 6 = 7 + 30 = 37", 37),
        ("x = -54 / 6", -9),
        ("6 days to hours = 6 * 1", None),
        ("Adding these: \\[ 4 +", None),
        ("The total = $", None),
        ("She is getting her hair cut, so it is", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_a_reader_would(text: str, value: float | None) -> None:
    grade = graded("number", repr(value) if value is not None else "1", text)
    assert grade.quality == (None if value is None else 1.0), grade
    assert graded("number", "98765", text).quality == (None if value is None else 0.0)


def test_numbers_agree_to_a_part_in_a_million() -> None:
    assert graded("number", "1000000", "1000000.9").quality == 1
    assert graded("number", "1000000", "1000002").quality == 0


FORMS = st.sampled_from(
    ["{}", "The answer is {}.", "Answer: **{}**", "\\boxed{{{}}}", "3 and 4 make it {}", "#### {}", "So 5 * 2 = {}"]
)


@pytest.mark.slow
@given(st.integers(-(10**12), 10**12), st.integers(0, 999), FORMS, st.booleans())
def test_any_number_is_read_back(whole: int, thousandths: int, form: str, separators: bool) -> None:
    digits = f"{whole:,}" if separators else str(whole)
    said = f"{digits}.{thousandths:03}" if thousandths else digits
    wanted = said.replace(",", "")
    assert graded("number", wanted, form.format(said)).quality == 1


@pytest.mark.parametrize(
    ("answer", "text", "quality"),
    [
        ("Paris", "paris.", 1),
        ("Paris", "The answer is Paris.", 1),
        ("Paris", "It is **Paris**, in France.", 1),
        ("abba", 'Reversed, that gives "abba".', 1),
        ("New  York", "Let me think.\nnew york", 1),
        ("Paris", "Paris is in France, so it is Lyon.", 0),
        ("Paris", "", None),
    ],
)
def test_exact(answer: str, text: str, quality: float | None) -> None:
    assert graded("exact", answer, text).quality == quality


@pytest.mark.parametrize(
    ("answer", "text", "quality"),
    [
        ("art", "Fine ART!", 1),
        ("art", "a party", 0),
        ("c++", "use C++.", 1),
        ("new york", "New\nYork", 1),
        ("x", " ", None),
    ],
)
def test_contains_goes_by_whole_words(answer: str, text: str, quality: float | None) -> None:
    assert graded("contains", answer, text).quality == quality


def test_regex_and_its_time_limit() -> None:
    assert graded("regex", r"\b1\d{3}\b", "in 1984").quality == 1
    assert graded("regex", r"\b1\d{3}\b", "in 84").quality == 0
    slow = graded("regex", r"^(\w+\s?)*$", "word " * 40 + "!")
    assert slow.quality in (None, 0)  # a cleverer engine may be done in time
    with pytest.raises(InputError, match="no regular expression"):
        graded("regex", "(", "x")


def test_auto_goes_by_the_question() -> None:
    assert graded("auto", "B", "B", LISTED, "choice").quality == 1
    assert graded("auto", "3", "three", kind="number").quality == 1
    with pytest.raises(InputError, match="answer_type 'essay'"):
        graded("auto", "3", "three", kind="essay")
    with pytest.raises(InputError, match="no answer_type"):
        graded("auto", "3", "three")


def test_what_cannot_be_graded_is_said_before() -> None:
    for spec in ("choice", "number", "exact", "contains", "regex"):
        with pytest.raises(InputError, match="no answer to grade by"):
            graded(spec, " ", "x")
    with pytest.raises(InputError, match="is no number"):
        graded("number", "many", "3")
    with pytest.raises(InputError, match="No grader 'guess'"):
        make_grader("guess")


PIECES = st.sampled_from(
    [
        "answer is ",
        "\\boxed{",
        "}",
        "**",
        "####",
        "A",
        "B: ",
        "(C)",
        "\n",
        "1,000",
        "/0",
        "e999",
        "-",
        "$",
        "=",
        "9" * 5000,
    ]
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join)))
def test_no_text_upsets_a_grader(text: str) -> None:
    for spec, answer in (("choice", "B"), ("number", "3"), ("exact", "x"), ("contains", "x"), ("regex", "x")):
        grade = graded(spec, answer, text, LISTED)
        assert grade.quality is None or grade.quality in (0.0, 1.0)
        assert len(grade.found) <= 200
        assert math.isfinite(grade.cost_usd)
        assert (grade.quality is not None) or grade.note
