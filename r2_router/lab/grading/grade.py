"""Grade and Grader: what graders have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from r2_router.lab.data.questions import Question
from r2_router.records import Record

Ask: TypeAlias = Callable[[Sequence[dict[str, str]]], Awaitable[tuple[str, float]]]  # messages -> text, USD

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Grade(Record):
    """quality 0..1, None where no final answer could be read (`note` says why); `found` is what was taken for it."""

    quality: float | None
    found: str = ""
    note: str = ""
    cost_usd: float = 0.0


class Grader(Protocol):
    """Judges answers. `id` names it, its version and whatever changes its judgement: another id grades anew."""

    @property
    def id(self) -> str: ...

    def check(self, question: Question) -> None:
        """Raise InputError for a question it cannot judge answers to, so that none is paid for."""
        ...

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        """The grade of answer `text` to a question that was checked; `cut`: it ends where it does because its tokens
        were used up."""
        ...


def verdict(right: bool, found: str) -> Grade:
    """Right or wrong, by what was found."""
    return Grade(1.0 if right else 0.0, shortened(found))


def unparsable(note: str) -> Grade:
    """No final answer."""
    return Grade(None, note=shortened(note))


def shortened(text: str) -> str:
    """`text` on one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
