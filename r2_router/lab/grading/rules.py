"""Graders that go by rule: choice, number, exact, contains, regex; and auto, which goes by the question."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading import finals
from r2_router.lab.grading.grade import Grade, Grader, unparsable, verdict

_TOLERANCE = Fraction(1, 1_000_000)
_REGEX_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A grader that is one function of a question and an answer."""

    name: str
    version: int
    judge: Callable[[Question, str, bool], Grade]

    @property
    def id(self) -> str:
        return f"{self.name}/{self.version}"

    def check(self, question: Question) -> None:
        _need_answer(question)
        self.judge(question, "", False)

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        return self.judge(question, text, cut)


def _need_answer(question: Question) -> None:
    if not question.answer.strip():
        raise InputError(
            f"{question.query_id} has no answer to grade by. Fill its column `answer`, or grade with `judge` or a "
            f"function of your own."
        )


def _choice(question: Question, text: str, cut: bool) -> Grade:
    """Whether the answer chooses the letter of the right option (see finals.choice)."""
    wanted = question.answer.strip().strip("().: ").upper()
    query, given = finals.lettered(question.query, text)
    found = finals.choice(given, finals.options(query))
    if found is None:
        return unparsable("it chooses no option, or several")
    if query != question.query and wanted.isdecimal():  # the options are numbered
        found = str(ord(found) - ord("A") + 1)
    return verdict(found == wanted, found)


def _number(question: Question, text: str, cut: bool) -> Grade:
    """Whether the final number is the right one, to a part in a million (see finals.number)."""
    wanted = finals.numbers(question.answer)
    if not wanted:
        raise InputError(f"{question.query_id}: answer {question.answer[:40]!r} is no number; choose another grader.")
    found = finals.number(text, cut=cut)
    if found is None:
        return unparsable("it was cut before a final number" if cut else "it holds no final number")
    right = abs(found - wanted[-1]) <= _TOLERANCE * max(1, abs(wanted[-1]))
    return verdict(right, _shown(found))


def _shown(value: Fraction) -> str:
    if abs(value) > 10**30:
        return "a number beyond 1e30"
    return str(value) if value.denominator == 1 else f"{float(value):.10g}"


def _exact(question: Question, text: str, cut: bool) -> Grade:
    """Whether the final answer is the right one but for case, spaces and outer punctuation: what is stated to be the
    answer, what stands last in bold or in quotes, the whole text, or its last line."""
    if not text.strip():
        return unparsable("it is empty")
    wanted = _bare(question.answer)
    given = finals.lines(text)
    quoted = re.findall(r"[\"“']([^\"”'\n]{1,200})[\"”']", text)
    found = [*finals.stated(text), *list(finals.bold(text))[:1], *quoted[-1:], text, *given[-1:]]
    return verdict(any(_bare(each) == wanted for each in found), found[0])


def _contains(question: Question, text: str, cut: bool) -> Grade:
    """Whether the right answer occurs in the text as whole words, in any case."""
    if not text.strip():
        return unparsable("it is empty")
    match = finals.whole_words(question.answer).search(text)
    return verdict(match is not None, match[0] if match else "")


def _bare(text: str) -> str:
    return " ".join(text.split()).strip("\"'“”‘’`*_.,;:!?()[]{}$ ").casefold()


class Regex:
    """Whether the regular expression in `answer` is found in the text. It gets seconds, not for ever."""

    id = "regex/1"

    def check(self, question: Question) -> None:
        import regex

        _need_answer(question)
        try:
            regex.compile(question.answer)
        except regex.error as error:
            raise InputError(f"{question.query_id}: answer is no regular expression: {error}.") from None

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        import regex

        pattern = regex.compile(question.answer)
        if not text.strip():
            return unparsable("it is empty")
        try:
            match = await asyncio.to_thread(pattern.search, text, timeout=_REGEX_SECONDS)
        except TimeoutError:
            return unparsable(f"the expression was not done in {_REGEX_SECONDS:g} s")
        return verdict(match is not None, match[0] if match else "")


RULES: Mapping[str, Grader] = {
    "choice": Rule("choice", 2, _choice),
    "number": Rule("number", 3, _number),
    "exact": Rule("exact", 1, _exact),
    "contains": Rule("contains", 1, _contains),
    "regex": Regex(),
}


class Auto:
    """The grader that each question's answer_type names."""

    def __init__(self, graders: Mapping[str, Grader]) -> None:
        self._graders = graders

    @property
    def id(self) -> str:
        return "auto:" + ",".join(grader.id for grader in self._graders.values())

    def check(self, question: Question) -> None:
        self._of(question).check(question)

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        return await self._of(question).grade(question, text, cut=cut)

    def _of(self, question: Question) -> Grader:
        grader = self._graders.get(question.answer_type)
        if grader is None:
            given = f"answer_type {question.answer_type!r}" if question.answer_type else "no answer_type"
            raise InputError(
                f"{question.query_id} has {given}: it is one of {', '.join(self._graders)}. Or name one for all with "
                f"--grader."
            )
        return grader
