"""The grader `instructions`: does an answer follow what its query asks of its form?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading.followed import KINDS, RELATIONS, Arguments, Counted, Stated
from r2_router.lab.grading.grade import Grade, unparsable, verdict

_SHORT = {name.partition(":")[2]: name for name in KINDS}


class Instructions:
    """1 if the answer follows every instruction, else 0; unparsable if it is empty.

    All or nothing, since the share would pay an answer of three words for every ban that three words cannot break. An
    answer that was cut has followed only what more text could not have undone: not "no commas", not "fewer than 50
    words", not an ending.

    The instructions are JSON, [[kind, arguments], ...], in the question's column `constraints`, else in its `answer`.
    """

    id = "instructions/1"

    def check(self, question: Question) -> None:
        _asked(question)

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        asked = _asked(question)
        if not text.strip():
            return unparsable("it is empty")
        broken: list[str] = []
        for name, given in asked:
            kind = KINDS[name]
            if not kind.followed(text, given):
                broken.append(name)
            elif cut and not kind.lasts(given):
                broken.append(f"{name} (it was cut)")
        return verdict(not broken, f"not followed: {', '.join(broken)}" if broken else f"all {len(asked)} followed")


def _asked(question: Question) -> list[tuple[str, Arguments]]:
    """The instructions of a question, checked; a null argument is one not given. Raises InputError."""
    place = question.query_id
    given: Any = question.extra.get("constraints") or question.answer
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise InputError(f"{place} has no instructions: {_FORM}") from None
    if not isinstance(given, list) or not given:
        raise InputError(f"{place} has no instructions: {_FORM}")
    return [_instruction(each, place) for each in cast("list[Any]", given)]


_FORM = (
    "its column `constraints`, or `answer`, is to hold JSON like "
    '[["number_words", {"relation": "at most", "num_words": 50}]].'
)


def _instruction(given: Any, place: str) -> tuple[str, Arguments]:
    match given:
        case [str(name)]:
            arguments: Mapping[str, Any] = {}
        case [str(name), {**found}]:
            arguments = {k: v for k, v in cast("dict[str, Any]", found).items() if v is not None}
        case _:
            raise InputError(f"{place}: {str(given)[:60]!r} is no instruction: {_FORM}")
    full = _SHORT.get(name, name)
    if full not in KINDS:
        raise InputError(f"{place}: instruction {name[:60]!r} cannot be checked. Known are {', '.join(_SHORT)}.")
    _check_arguments(KINDS[full], arguments, f"{place}, {name}")
    return full, arguments


def _check_arguments(kind: Counted | Stated, given: Arguments, place: str) -> None:
    needed = kind.needs(given)
    default = {kind.relation: kind.default} if isinstance(kind, Counted) else {}
    for name, what in needed.items():
        if not _FITS[what](given.get(name, default.get(name))):
            said = f"one of {', '.join(RELATIONS)}" if what == "a relation" else what
            raise InputError(f"{place}: its argument {name!r} is to be {said}.")
    if more := sorted(set(given) - set(needed)):
        raise InputError(f"{place}: it has no argument {more[0]!r}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: Any) -> bool:
    texts = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(texts) and all(map(_is_text, texts))


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "a text": _is_text,
    "a list of texts": _is_list,
    "a whole number": _is_number,
    "a whole number from 1 on": lambda value: _is_number(value) and value > 0,
    "a relation": lambda value: isinstance(value, str) and value in RELATIONS,
}
