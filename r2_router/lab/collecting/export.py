"""Writes what a store holds: the training table, and every answer as it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from r2_router.checkpoints.format import budget_key
from r2_router.lab.collecting.answers import Store, StoredAnswer, StoredGrade
from r2_router.lab.collecting.plan import Key, Plan
from r2_router.lab.data.questions import Question
from r2_router.lab.data.write import TableWriter
from r2_router.records import UNLIMITED, Budget, Record

# What an answer in which no final answer can be found counts for: wrong if it was cut, never, or wrong always.
Unparsable: TypeAlias = Literal["cut", "drop", "0"]
UNPARSABLE: tuple[Unparsable, ...] = ("cut", "drop", "0")

_BLOCK = 10_000
_ANSWER_COLUMNS = {
    "text": "string",
    "finish_reason": "string",
    "served_model": "string",
    "reasoning_tokens": "int64",
    "cost_usd": "float64",
    "latency_s": "float64",
    "time": "string",
    "grader": "string",
    "found": "string",
    "note": "string",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Record):
    """What was written. `planned`: answers to cells of the plan; `unparsable` by (model, budget), with how many
    answers there are; `counted_wrong` of them have quality 0, the others are left out of the table."""

    answers: int
    planned: int
    graded: int
    mean_quality: float
    unparsable: Sequence[tuple[str, Budget, int, int]]
    counted_wrong: int

    def unparsable_lines(self) -> list[str]:
        """What became of the answers in which no final answer was found, in words."""
        total = sum(row[2] for row in self.unparsable)
        if not total:
            return []
        left = total - self.counted_wrong
        fates = [f"{self.counted_wrong:,} count as wrong"] if self.counted_wrong else []
        fates += [f"{left:,} are left out of the table (--unparsable 0 counts them as wrong)"] if left else []
        rows = [f"  {model} @ {budget}: {count:,} of {of:,}" for model, budget, count, of in self.unparsable]
        return [f"{total:,} answers hold no final answer that could be read: {', '.join(fates)}:", *rows]


def export(store: Store, plan: Plan, *, table: Path, answers: Path, grader: str, unparsable: Unparsable) -> Counts:
    """Write the graded answers of `grader` as a training table and all answers as they came; what that came to.

    No table is written where nothing is graded.
    """
    questions, grades, found = store.questions(), store.grades(grader), store.answers()
    about = {"instruction": plan.instruction.to_dict(), "card": _card(plan, store, grader, unparsable)}
    with TableWriter(answers, about, _ANSWER_COLUMNS) as writer:
        for block in _blocks(found):
            writer.write(_columns(block, questions, grades, "drop", _ANSWER_COLUMNS))
    judged = [answer for answer in found if _key(answer) in grades]
    if judged:
        with TableWriter(table, about) as writer:
            for block in _blocks(judged):
                writer.write(_columns(block, questions, grades, unparsable, {}))
    return _counts(found, grades, plan, unparsable)


def _columns(
    block: Sequence[StoredAnswer],
    questions: Mapping[str, Question],
    grades: Mapping[Key, StoredGrade],
    unparsable: Unparsable,
    extra: Mapping[str, str],
) -> dict[str, list[Any]]:
    judged = [grades.get(_key(answer)) for answer in block]
    columns: dict[str, list[Any]] = {
        "query_id": [a.query_id for a in block],
        "query": [questions[a.query_id].query for a in block],
        "model": [a.model for a in block],
        "budget": [None if a.budget == UNLIMITED else a.budget for a in block],
        "quality": [_quality(a, g, unparsable) for a, g in zip(block, judged, strict=True)],
        "output_tokens": [a.output_tokens for a in block],
        "input_tokens": [a.input_tokens for a in block],
        "category": [questions[a.query_id].category for a in block],
        "mean_logprob": [a.mean_logprob for a in block],
    }
    for name in extra:
        sources: Sequence[Any] = judged if name in ("grader", "found", "note") else block
        columns[name] = [None if source is None else getattr(source, name) for source in sources]
    return columns


def _quality(answer: StoredAnswer, grade: StoredGrade | None, unparsable: Unparsable) -> float | None:
    """The quality in the table, None for none."""
    if grade is None or grade.quality is not None:
        return None if grade is None else grade.quality
    wrong = unparsable == "0" or (unparsable == "cut" and answer.finish_reason == "length")
    return 0.0 if wrong else None


def _counts(
    found: Sequence[StoredAnswer], grades: Mapping[Key, StoredGrade], plan: Plan, unparsable: Unparsable
) -> Counts:
    wanted = {cell.key for model in plan.models for cell in plan.cells(model)}
    per_candidate: Counter[tuple[str, Budget]] = Counter((a.model, a.budget) for a in found if _key(a) in grades)
    lost: Counter[tuple[str, Budget]] = Counter((g.model, g.budget) for g in grades.values() if g.quality is None)
    order = sorted(lost, key=lambda key: (key[0], budget_key(key[1])))
    known = [(grades[_key(a)], _quality(a, grades[_key(a)], unparsable)) for a in found if _key(a) in grades]
    qualities = [quality for _, quality in known if quality is not None]
    return Counts(
        answers=len(found),
        planned=sum(_key(a) in wanted for a in found),
        graded=len(qualities),
        mean_quality=sum(qualities) / len(qualities) if qualities else float("nan"),
        unparsable=[(model, budget, lost[model, budget], per_candidate[model, budget]) for model, budget in order],
        counted_wrong=sum(g.quality is None and quality is not None for g, quality in known),
    )


def _card(plan: Plan, store: Store, grader: str, unparsable: Unparsable) -> dict[str, Any]:
    return {
        "measured": (
            f"Real answers, one for each query, model and budget, collected until {datetime.now(UTC):%Y-%m-%d}. "
            f"Unlimited: no instruction, cut at {plan.max_output:,} tokens."
        ),
        "grader": grader,
        "unparsable": {"cut": "wrong if cut, else left out", "drop": "left out", "0": "wrong"}[unparsable],
        "spent_usd": store.spent_usd,
    }


def _blocks(found: Sequence[StoredAnswer]) -> Iterator[Sequence[StoredAnswer]]:
    return (found[i : i + _BLOCK] for i in range(0, len(found), _BLOCK))


def _key(row: StoredAnswer | StoredGrade) -> Key:
    return row.query_id, row.model, row.budget
