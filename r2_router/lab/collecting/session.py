"""A collection: a plan, its store in a folder, a grader; asks, grades, and writes the table."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from r2_router.config.settings import Settings, load_settings
from r2_router.errors import ConfigError, R2Error, SpendLimitError
from r2_router.generate.providers import Providers
from r2_router.lab.collecting.answers import Store, StoredAnswer, StoredGrade
from r2_router.lab.collecting.export import Counts, Unparsable, export
from r2_router.lab.collecting.judging import JudgeCalls, find_judge, last_call
from r2_router.lab.collecting.plan import Cell, Pace, Plan, Seen
from r2_router.lab.collecting.run import Outcome, ask_all, failed_usd
from r2_router.lab.data.questions import Question
from r2_router.ledger.recorder import Recorder
from r2_router.pools.pool import Pool
from r2_router.records import Budget, Record

if TYPE_CHECKING:
    from r2_router.lab.grading import Grader
    from r2_router.lab.grading.judge import Agreement

STORE = "answers.sqlite3"
TABLE = "table.parquet"
ANSWERS = "answers.parquet"
NO_GRADER = "none"
_GRADED_AT_ONCE = 4


class Watch(Protocol):
    """Who is told how a collection goes on."""

    def answered(self, cell: Cell, answer: StoredAnswer, spent_usd: float) -> None: ...
    def failed(self, cell: Cell, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Record):
    """What a run did and what the collection holds now."""

    table: str
    answers: str
    asked: int
    failures: int
    missing: int  # cells without an answer
    spent_usd: float
    over_limit: str
    given_up: Mapping[str, str]
    losses: Sequence[Mapping[str, Any]]
    counts: Counts
    ungraded: int
    agreement: Agreement | None = None

    @property
    def complete(self) -> bool:
        return not (self.missing or self.ungraded)

    def lines(self) -> list[str]:
        """The report in words."""
        from r2_router.words import usd

        counts = self.counts
        lines = [f"{self.asked:,} calls answered now; {counts.answers:,} answers in all, {usd(self.spent_usd)} spent."]
        if counts.graded:
            lines.append(f"Mean quality {counts.mean_quality:.3f} over {counts.graded:,} graded answers.")
        lines += counts.unparsable_lines()
        lines += [f"{model} was asked no more: {why}" for model, why in self.given_up.items()]
        lines += [
            f"Lost: {loss['calls']:,} calls of {loss['model']} @ {loss['budget']}, {usd(loss['cost_usd'])}: "
            f"{loss['reason']}"
            for loss in self.losses
        ]
        if self.over_limit:
            lines.append(f"Stopped by {self.over_limit}.")
        if self.agreement:
            figures = self.agreement.to_dict().items()
            lines.append("Grader and people: " + ", ".join(f"{k.replace('_', ' ')} {_short(v)}" for k, v in figures))
        if self.ungraded:
            lines.append(f"{self.ungraded:,} answers could not be graded now: run the same command again.")
        if self.missing:
            lines.append(f"{self.missing:,} cells have no answer yet: run the same command again.")
        lines.append(f"Table: {self.table}" if self.table else "No table yet: no answer is graded.")
        lines.append(f"Answers as they came: {self.answers}")
        return lines


@dataclass(slots=True)
class Collection:
    """What is to be measured, in the folder where it is kept. A context manager: it holds the folder's lock.

    `grader` is a spec of `make_grader`, None for the questions' own answer types, "none" for no grading; `judge` a
    model of `pool`. `unparsable` says when an answer in which no final answer can be found is wrong: if it was "cut",
    always ("0"), or never ("drop"); otherwise it is left out of the table. Dollars in `max_usd` are for everything the
    folder holds, grading included.
    """

    plan: Plan
    folder: Path
    pool: Pool
    grader: str | None = None
    judge: str | None = None
    labels: str | None = None
    unparsable: Unparsable = "cut"
    paces: Mapping[str, Pace] = field(default_factory=dict[str, Pace])
    max_usd: float | None = None
    settings: Settings | None = None
    store: Store = field(init=False)
    providers: Providers = field(init=False)
    recorder: Recorder = field(init=False)
    _questions: dict[str, Question] = field(init=False, default_factory=dict[str, Question])

    def __post_init__(self) -> None:
        self.store = Store(self.folder / STORE)
        settings = self.settings or load_settings()
        self.providers, self.recorder = Providers(settings), Recorder(settings, "cli")

    def __enter__(self) -> Self:
        self.store.__enter__()
        try:
            plan = self.plan
            self.store.settle_on({"instruction": plan.instruction.to_dict(), "max_output": plan.max_output})
            self.store.add_questions(plan.questions)
            self._questions = self.store.questions()
        except BaseException:
            self.store.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    def seen(self) -> dict[tuple[str, Budget], Seen]:
        """Mean length and time of the answers so far, by (model, budget)."""
        groups: dict[tuple[str, Budget], list[StoredAnswer]] = {}
        for answer in self.store.answers():
            groups.setdefault((answer.model, answer.budget), []).append(answer)
        return {
            key: Seen(_mean(a.output_tokens for a in found), _mean(a.latency_s for a in found))
            for key, found in groups.items()
        }

    def check_ready(self) -> None:
        """Raise ConfigError for a model that cannot be asked now, before anything is paid."""
        for model in self.plan.models:
            if why := self.providers.not_ready(model):
                raise ConfigError(f"{model.name} cannot be asked: {why}.")

    async def run(self, watch: Watch) -> Report:
        """Ask what is missing, grade what is not graded, write the table; what that came to."""
        grader, outcome = self._grader(), Outcome()
        if grader is not None:
            for question in self.plan.questions:
                grader.check(question)
        agreement = await self._agreement(grader)
        await self._grade_stored(grader, outcome)

        async def on_answer(cell: Cell, answer: StoredAnswer) -> None:
            watch.answered(cell, answer, self.store.spent_usd)
            if grader is not None:
                await self._grade(grader, answer, outcome)

        await ask_all(
            self.plan,
            self.store,
            resolve=self.providers.resolve,
            paces=self.paces,
            max_usd=self.max_usd,
            guard=self.recorder.guard,
            on_answer=on_answer,
            on_failure=watch.failed,
            outcome=outcome,
        )
        return self._report(outcome, grader, agreement)

    # -- grading ---------------------------------------------------------------------------------------------

    def _grader(self) -> Grader | None:
        if self.grader == NO_GRADER:
            return None
        from r2_router.lab.grading import make_grader

        if not self.judge:
            return make_grader(self.grader or "auto")
        model = find_judge(self.pool, self.judge, self.providers)
        ask = JudgeCalls(model, self.store, self.providers.resolve, self.recorder.guard, self.max_usd)
        return make_grader(self.grader or "judge", ask=ask, judge=model.name)

    async def _agreement(self, grader: Grader | None) -> Agreement | None:
        """How far the grader agrees with the people who labelled `labels`; found out once for each file and grader."""
        if self.labels is None or grader is None:
            return None
        from r2_router.lab.grading.judge import Agreement, agreement, read_labels

        labels = read_labels(self.labels)
        digest = hashlib.sha256(Path(self.labels).read_bytes()).hexdigest()[:16]
        name = f"agreement of {grader.id} with {digest}"
        if (known := self.store.fact(name)) is not None:
            return Agreement(**known)
        given: list[float | None] = []
        for label in labels:
            last_call.set(None)
            grade = await grader.grade(label.question, label.text)
            given.append(grade.quality)
            if (call := last_call.get()) is not None:
                self.store.lose(call, "asked about a labelled answer", grade.cost_usd)
        found = agreement([label.quality for label in labels], given)
        self.store.settle_on({name: found.to_dict()})
        return found

    async def _grade_stored(self, grader: Grader | None, outcome: Outcome) -> None:
        """Grade the answers of earlier runs that this grader has not seen."""
        if grader is not None:
            self.store.give_up_calls()
            waiting = iter(self.store.ungraded(grader.id))

            async def work() -> None:
                for answer in waiting:
                    if outcome.over_limit:
                        return
                    await self._grade(grader, answer, outcome)

            await asyncio.gather(*(work() for _ in range(_GRADED_AT_ONCE)))

    async def _grade(self, grader: Grader, answer: StoredAnswer, outcome: Outcome) -> None:
        """Grade an answer; one whose judge fails stays ungraded, for the next run."""
        last_call.set(None)
        try:
            question, cut = self._questions[answer.query_id], answer.finish_reason == "length"
            grade = await grader.grade(question, answer.text, cut=cut)
        except R2Error as error:
            outcome.ungraded += 1
            if isinstance(error, SpendLimitError):
                outcome.over_limit = str(error)
            if (call := last_call.get()) is not None:
                self.store.lose(call, f"the judge failed: {error}", failed_usd(error))
            return
        self.store.grade(
            StoredGrade(
                query_id=answer.query_id,
                model=answer.model,
                budget=answer.budget,
                grader=grader.id,
                quality=grade.quality,
                found=grade.found,
                note=grade.note,
                cost_usd=grade.cost_usd,
            ),
            last_call.get(),
        )

    # -- what it came to -------------------------------------------------------------------------------------

    def _report(self, outcome: Outcome, grader: Grader | None, agreement: Agreement | None) -> Report:
        counts = export(
            self.store,
            self.plan,
            table=self.folder / TABLE,
            answers=self.folder / ANSWERS,
            grader="" if grader is None else grader.id,
            unparsable=self.unparsable,
        )
        missing = len(self.plan.questions) * len(self.plan.models) * len(self.plan.budgets) - counts.planned
        names = ("model", "budget", "reason", "calls", "cost_usd")
        return Report(
            table=str(self.folder / TABLE) if counts.graded else "",
            answers=str(self.folder / ANSWERS),
            asked=outcome.answers,
            failures=outcome.failures,
            missing=missing,
            spent_usd=self.store.spent_usd,
            over_limit=outcome.over_limit,
            given_up=dict(outcome.given_up),
            losses=[dict(zip(names, loss, strict=True)) for loss in self.store.losses()],
            counts=counts,
            ungraded=outcome.ungraded,
            agreement=agreement,
        )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
