"""Labels from a judge: a model of the pool grades a share of the ledger's answers, within a limit of dollars."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from r2_router.errors import R2Error, SpendLimitError
from r2_router.lab.collecting.judging import RunJudge, likely_usd, most_usd
from r2_router.lab.collecting.plan import in_turn
from r2_router.lab.data.questions import Question, query_id
from r2_router.lab.grading.judge import Judge, judge_messages
from r2_router.records import Record
from r2_router.words import counted, usd

if TYPE_CHECKING:
    from r2_router.ledger import Entry, Ledger
    from r2_router.pools.model import Model

T = TypeVar("T")

_AT_ONCE = 4
HOPELESS = 8  # failures in a row after which the judge is asked no more

Waiting = Sequence[tuple["Entry", str]]


@dataclass(slots=True, kw_only=True)
class Judged(Record):
    """What a judge made of `waiting` answers: `labels` with their mean `quality`, those it gave no grade for, those it
    could not be asked about, and why it was asked no more, "" where it came to the end. `own`: answers of the judge
    itself."""

    judge: str
    waiting: int
    own: int
    labels: int = 0
    quality: float | None = None
    ungraded: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    stopped: str = ""

    def lines(self) -> list[str]:
        """In words."""
        if not self.waiting:
            return [
                f"No answer waits for {self.judge}: it looks at answers without a label whose text was kept "
                "(R2_LOG_TEXT=1 while asking), each once, and of these at the --share."
            ]
        mean = "" if self.quality is None else f", {self.quality:.2f} in the mean"
        stated = [
            f"{self.judge} judged {self.labels:,} of {counted(self.waiting, 'answer')}{mean}, for {usd(self.cost_usd)}."
        ]
        if self.own:
            stated.append(f"{self.own:,} of them are its own: a judge tends to like those.")
        if self.ungraded:
            stated.append(f"Of {self.ungraded:,} more it gave no grade; it is not asked about them again.")
        if self.failed:
            stated.append(f"{self.failed:,} could not be judged now: run the same command again.")
        if self.stopped:
            stated.append(f"Stopped: {self.stopped}")
        return stated


@dataclass(frozen=True, slots=True)
class Ahead(Record):
    """What judging `waiting` answers would cost, about and at most."""

    judge: str
    waiting: int
    expected_usd: float
    most_usd: float

    def lines(self, max_usd: float) -> list[str]:
        """In words."""
        return [
            f"{self.judge} would judge {counted(self.waiting, 'answer')}, for about {usd(self.expected_usd)} (at most "
            f"{usd(min(self.most_usd, max_usd))})."
        ]


def ahead(judge: Model, waiting: Waiting) -> Ahead:
    """What it would cost; nobody is asked."""
    asked = [judge_messages(question_of(entry), text) for entry, text in waiting]
    expected, most = (sum(cost(judge, messages) for messages in asked) for cost in (likely_usd, most_usd))
    return Ahead(judge.name, len(waiting), expected, most)


async def judge_answers(ledger: Ledger, waiting: Waiting, ask: RunJudge) -> Judged:
    """Have each answer judged, and noted in the ledger at once as the judge's, "judge:MODEL": one that the user judged
    meanwhile stays as the user found it. Ends where the limit of `ask`, or one of the user's own, leaves nothing.

    Raises LedgerError where a label cannot be written.
    """
    judge = ask.judge
    own = sum(entry.model == judge.name for entry, _ in waiting)
    run = _Run(ledger, ask, Judge(ask, judge.name), Judged(judge=judge.name, waiting=len(waiting), own=own))
    await several(judge, waiting, lambda each: run.one(*each), lambda: bool(run.told.stopped))
    told = run.told
    told.quality = sum(run.grades) / len(run.grades) if run.grades else None
    told.cost_usd = ask.limit.spent_usd
    return told


async def several(
    judge: Model, waiting: Sequence[T], one: Callable[[T], Awaitable[None]], stopped: Callable[[], bool]
) -> None:
    """`one` for each of those that wait, some at once where the judge takes that, until it is `stopped`."""
    left = iter(waiting)

    async def work() -> None:
        for each in left:
            if stopped():
                return
            await one(each)

    await asyncio.gather(*(work() for _ in range(1 if in_turn(judge) else _AT_ONCE)))


@dataclass(slots=True)
class _Run:
    ledger: Ledger
    ask: RunJudge
    judge: Judge
    told: Judged
    grades: list[float] = field(default_factory=list[float])
    failed_in_a_row: int = 0

    async def one(self, entry: Entry, text: str) -> None:
        told = self.told
        try:
            grade = await self.judge.grade(question_of(entry), text)
        except SpendLimitError as error:
            told.stopped = str(error)
            return
        except R2Error as error:
            told.failed += 1
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= HOPELESS:
                told.stopped = str(error)
            return
        self.failed_in_a_row = 0
        await asyncio.to_thread(self.ledger.set_quality, entry.id, grade.quality, f"judge:{self.told.judge}")
        if grade.quality is None:
            told.ungraded += 1
        else:
            told.labels += 1
            self.grades.append(grade.quality)


def question_of(entry: Entry) -> Question:
    """What was asked, as graders are told it."""
    query = entry.query or ""
    return Question(query_id(query), query)
