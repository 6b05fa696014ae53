"""Answers to one prompt beside each other, as a cell shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r2_router.generate.answer import answer_took
from r2_router.pages import html
from r2_router.routing.rows import choice
from r2_router.words import quality_text, visible, whole_characters

if TYPE_CHECKING:
    from r2_magic.answer import CellAnswer
    from r2_router.routing.considered import Candidate

_HOW = "Say which is the better: %r2 prefer 1"


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a candidate: its answer, whole or as far as it came, and the id of that in the ledger; else why
    there is none."""

    candidate: Candidate
    answer: CellAnswer | None = None
    id: str = ""
    error: str = ""

    @property
    def whole(self) -> bool:
        """Whether there is an answer that did not break off."""
        return self.answer is not None and not self.answer.partial

    @property
    def facts(self) -> str:
        """Expected quality, and what the answer took."""
        expected = quality_text(self.candidate.predicted_quality, self.candidate.quality_error)
        return f"expected quality {expected}; {answer_took(self.answer) if self.answer else self.error}"

    @property
    def text(self) -> str:
        return visible(whole_characters(self.answer.text)) if self.answer else ""


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Answers to one prompt, as the router ranks them: `comparison[0]` is the first that came whole."""

    query: str
    compared: tuple[Compared, ...]

    @property
    def answers(self) -> list[CellAnswer]:
        return [each.answer for each in self.compared if each.answer and each.whole]

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, i: int) -> CellAnswer:
        return self.answers[i]

    def __repr__(self) -> str:
        parts = [f"{n}. {choice(c.candidate)}: {c.facts}\n\n{c.text}\n" for n, c in enumerate(self.compared, 1)]
        return "\n".join([*parts, *([_HOW] if len(self) > 1 else [])])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        columns = [(f"{n}. {choice(c.candidate)}", c.facts, c.text) for n, c in enumerate(self.compared, 1)]
        page = html.page(html.side_by_side(columns), html.paragraph(_HOW if len(self) > 1 else "", "r2-note"))
        return {"text/html": page, "text/plain": repr(self)}
