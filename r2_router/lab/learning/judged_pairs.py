"""Preferences from a judge: of two answers to one query in the ledger, which a model of the pool finds the better."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2_router.errors import R2Error, SpendLimitError
from r2_router.lab.collecting.judging import RunJudge, likely_usd, most_usd
from r2_router.lab.grading.pair_judge import compare_answers, pair_messages
from r2_router.lab.learning.judged import HOPELESS, question_of, several
from r2_router.ledger.labels import prefer, tie
from r2_router.records import Record
from r2_router.words import counted, usd

if TYPE_CHECKING:
    from r2_router.ledger import Entry, Ledger
    from r2_router.pools.model import Model

    Pair = tuple[tuple[Entry, str], tuple[Entry, str]]


@dataclass(slots=True, kw_only=True)
class JudgedPairs(Record):
    """What a judge made of `waiting` pairs of answers: in so many it has a preference, in `ties` none, in `ungraded` no
    verdict could be read, of `failed` it could not be asked; and why it was asked no more, "" at the end."""

    judge: str
    waiting: int
    preferred: int = 0
    ties: int = 0
    ungraded: int = 0
    failed: int = 0
    stopped: str = ""

    def lines(self) -> list[str]:
        """In words; none where no pair waits."""
        if not self.waiting:
            return []
        stated = [
            f"Of {counted(self.waiting, 'pair')} of answers to one query, each shown in both orders, {self.judge} "
            f"preferred one in {self.preferred:,}, none in {self.ties:,}."
        ]
        if left := self.ungraded + self.failed:
            stated.append(f"{counted(left, 'pair')} got no verdict now: run the same command again.")
        if self.stopped:
            stated.append(f"Stopped: {self.stopped}")
        return stated


def pairs_ahead(judge: Model, waiting: Sequence[Pair], max_usd: float) -> list[str]:
    """What it would cost, in words; nobody is asked."""
    asked = [pair_messages(question_of(a), one, other) for (a, one), (_, other) in waiting]
    expected, most = (2 * sum(cost(judge, messages) for messages in asked) for cost in (likely_usd, most_usd))
    said = f"It would compare {counted(len(waiting), 'pair')} of answers, for about {usd(expected)} more (at most "
    return [f"{said}{usd(min(most, max_usd))})."] if waiting else []


async def judge_pairs(ledger: Ledger, waiting: Sequence[Pair], ask: RunJudge) -> JudgedPairs:
    """As `judge_answers`: each preference is noted at once as the judge's, "judge:MODEL"; one that the user has stated
    meanwhile stays. A judge that contradicts itself has found a tie."""
    told, by, in_a_row = JudgedPairs(judge=ask.judge.name, waiting=len(waiting)), f"judge:{ask.judge.name}", 0

    async def one(pair: Pair) -> None:
        nonlocal in_a_row
        (a, first), (b, second) = pair
        try:
            verdict = await compare_answers(ask, question_of(a), first, second)
        except SpendLimitError as error:
            told.stopped = str(error)
            return
        except R2Error as error:
            told.failed, in_a_row = told.failed + 1, in_a_row + 1
            told.stopped = str(error) if in_a_row >= HOPELESS else told.stopped
            return
        in_a_row = 0
        if verdict is None:
            told.ungraded += 1
        elif verdict == 0:
            told.ties += 1
            await asyncio.to_thread(tie, ledger, a.id, b.id, by)
        else:
            told.preferred += 1
            better, worse = (a, b) if verdict > 0 else (b, a)
            await asyncio.to_thread(prefer, ledger, better.id, worse.id, by)

    await several(ask.judge, waiting, one, lambda: bool(told.stopped))
    return told
