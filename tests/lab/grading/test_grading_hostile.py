"""Answers made to keep a grader busy: each is graded, in a time that grows with its length and no faster."""

from __future__ import annotations

import asyncio

import pytest
from support.cpu_limit import cpu_limit

from r2_router.lab.data.questions import Question
from r2_router.lab.grading import finals
from r2_router.lab.grading.code import answer_code
from r2_router.lab.grading.judge import Judge
from r2_router.lab.grading.rules import RULES

CHARS = 120_000  # a quadratic reading of so many takes longer than CPU_SECONDS
CPU_SECONDS = 10
UNITS = [
    *(
        "`",
        "``` x",
        "\\boxed{",
        "\\boxed {",
        "[",
        "(",
        "{",
        "*",
        "#### ",
        "\\",
        "\\text{",
        "1/",
        "-$",
        "= ",
        "\\frac{1}",
    ),
    *("A: ", "A) ", "answer is ", "answer to ", "is" + " " * 100, '"a', " ", "GRADE: *", "a"),
]
HOSTILE = [
    *((unit * CHARS)[:CHARS] for unit in UNITS),
    *(f"{start}{filler * CHARS}x" for start, filler in (("=", " "), ("1 +", "\t"), ("answer", ":"), ("GRADE", "\n"))),
    "```" + " " * CHARS + "x",
]
QUESTION = Question("q", "Which?\nA: x\nB: y", "A")
NUMBERED = Question("q", "Which?\n1: x\n2: y", "1")
NUMBER = Question("q", "How many?", "7")


def grade(name: str, question: Question, text: str, *, cut: bool = False) -> float | None:
    return asyncio.run(RULES[name].grade(question, text, cut=cut)).quality


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:10]))
def test_every_reader_ends(text: str) -> None:
    with cpu_limit(CPU_SECONDS):
        for question in (QUESTION, NUMBERED):
            grade("choice", question, text)
        for cut in (False, True):
            grade("number", NUMBER, text, cut=cut)
        grade("exact", NUMBER, text)
        grade("contains", NUMBER, text)
        finals.options(text)
        finals.lettered(text, "x")
        answer_code(text)


def test_the_judges_words_are_read_to_their_end() -> None:
    async def judged(said: str) -> float | None:
        async def ask(messages: object) -> tuple[str, float]:
            return said, 0.0

        return (await Judge(ask, "j").grade(QUESTION, "x")).quality

    with cpu_limit(CPU_SECONDS):
        for text in HOSTILE:
            asyncio.run(judged(text))
        assert asyncio.run(judged("GRADE" + " " * CHARS + "\nGRADE: 0.5")) == 0.5
    for said in ("GRADE: 0.25", "grade 0.25", "GRADE: **0.25**", "**GRADE:** 1/4", "GRADE:\n0.25"):
        assert asyncio.run(judged(said)) == 0.25


def test_what_is_right_is_found_among_it() -> None:
    with cpu_limit(CPU_SECONDS):
        assert grade("number", NUMBER, "\\boxed{" * 16_000 + "7}") == 1.0
        assert grade("number", NUMBER, "= 3" + " " * 40_000 + "\nThe answer is 7") == 1.0
        assert grade("choice", QUESTION, "`" * 40_000 + "\nThe answer is A.") == 1.0
        assert answer_code("``` x" * 8_000 + "\n```\n```python\nx = 1\n```") == "x = 1\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na\n```\n```\nb\n```", "a\n"),
        ("```py extra\na\n``` and ```py\nb\n```", "b\n"),
        ("```\na", "a"),
        ("```js\na\n```", "a\n"),
        ("say ```x``` and\nno more", "no more"),
        ("``` only", None),
    ],
)
def test_fences_as_models_write_them(text: str, code: str | None) -> None:
    assert answer_code(text) == code


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        ("\\boxed{7}", "7"),
        ("\\boxed{\\frac{1}{2}} and {", "\\frac{1}{2}"),
        ("\\boxed{7} then \\boxed{8", "7"),
        ("} \\boxed{{a}{b}} }", "{a}{b}"),
        ("\\boxed{" + "7" * 1000 + "}", None),
        ("\\boxed{a {b}", None),
    ],
)
def test_the_last_box_that_closes(text: str, boxed: str | None) -> None:
    assert next(finals.stated(text), None) == boxed
