"""Answers that were cut: a number on the way is not the answer."""

import asyncio

import pytest

from r2_router.lab.data.questions import Question
from r2_router.lab.grading import make_grader


def grade(text, cut, answer="45"):
    return asyncio.run(make_grader("number").grade(Question("q", "How many?", answer), text, cut=cut))


@pytest.mark.parametrize(
    "text",
    [
        "There are 45 stamps and then",
        "First take the 45 and add",
        "16 + 19 + 10 = 45. Next, we",
        "After eating, he has 45 loll",
        "x = 45\n\nSo the length of",
    ],
)
def test_a_number_on_the_way_is_no_answer(text):
    assert grade(text, cut=True).quality is None
    assert grade(text, cut=False).quality == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "16 + 19 + 10 = 45",
        "Total: 16 + 29 = 45 stamps",
        "45",
        "$45",
        "The answer is 45. The",
        r"\boxed{45} and",
        "**45** sta",
    ],
)
def test_a_result_at_the_end_or_a_stated_answer_is_one(text):
    assert grade(text, cut=True).quality == 1.0


def test_what_is_wrong_is_wrong_cut_or_not():
    assert grade("16 + 19 = 35", cut=True).quality == 0.0
    assert grade("It is 35.", cut=False).quality == 0.0


def test_the_id_says_that_graders_changed():
    assert make_grader("number").id == "number/3"
