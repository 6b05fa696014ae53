"""What a collection will ask, and what that will take: calls, tokens, dollars, hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from r2_router.checkpoints.format import Instruction, budget_key
from r2_router.errors import InputError
from r2_router.generate.billing import worst_case
from r2_router.lab.data.questions import Question
from r2_router.pools.model import Model
from r2_router.records import Budget, Record, read_budget
from r2_router.routing.candidates import matches
from r2_router.routing.tokens import estimate_tokens

Key: TypeAlias = tuple[str, str, Budget]

MAX_OUTPUT = 4096  # tokens at which an unlimited answer is cut
_GUESSED_OUTPUT = 400  # tokens of an unlimited answer, before one was seen
_TOKENS_PER_SECOND = 50.0  # of one answer, before one was seen
_FIRST_TOKEN_S = 0.5
_OVERHEAD_TOKENS = 10  # what a chat template puts around the query


@dataclass(frozen=True, slots=True)
class Cell:
    """One question for one model within one budget."""

    question: Question
    model: Model
    budget: Budget

    @property
    def key(self) -> Key:
        return self.question.query_id, self.model.name, self.budget


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a model may be asked: requests at once, requests a minute, tokens (in and out) a minute; None: no
    limit."""

    concurrency: int = 4
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Questions x models x budgets, in the order they are asked: all of a question before the next.

    `instruction` tells a model its budget; `max_output` cuts answers without one. Raises InputError for an empty
    or repeated part, ConfigError for a model without a price.
    """

    questions: Sequence[Question]
    models: Sequence[Model]
    budgets: Sequence[Budget]
    instruction: Instruction
    max_output: int = MAX_OUTPUT

    def __post_init__(self) -> None:
        if not (self.questions and self.models and self.budgets):
            raise InputError("There is nothing to ask: give at least one query, one model and one budget.")
        if len(set(self.budgets)) < len(self.budgets):
            raise InputError(f"A budget stands twice in {', '.join(map(str, self.budgets))}.")
        if self.max_output < 1:
            raise InputError(f"max_output is tokens and at least 1; got {self.max_output}.")
        for model in self.models:
            model.cost_usd(0, 0)  # raises where nobody can say what asking it costs

    def cells(self, model: Model) -> Iterator[Cell]:
        """What `model` is asked."""
        budgets = sorted(self.budgets, key=budget_key)
        return (Cell(question, model, budget) for question in self.questions for budget in budgets)

    def cut(self, cell: Cell) -> int:
        """The output tokens at which the answer to `cell` is cut."""
        cap = self.instruction.cap(cell.budget)
        return self.max_output if cap is None else cap + cell.model.thinking_tokens

    def input_tokens(self, cell: Cell) -> int:
        """Tokens the model reads, estimated."""
        sentence = self.instruction.render(cell.budget)
        return estimate_tokens(f"{cell.question.query}\n\n{sentence}") + _OVERHEAD_TOKENS

    def most_usd(self, cell: Cell) -> float:
        """The most a call can cost."""
        return worst_case(cell.model, self.input_tokens(cell), self.cut(cell))


# -- what is known of answers so far -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """Means over the answers so far of one (model, budget)."""

    output_tokens: float
    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEstimate(Record):
    """What asking one model will take. `most_usd` is reached if every answer runs to its cut."""

    model: str
    calls: int
    done: int
    input_tokens: int
    output_tokens: int
    expected_usd: float
    most_usd: float
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Record):
    """What a collection will take; `hours` where all models are asked side by side but those in `in_turn`."""

    models: tuple[ModelEstimate, ...]
    calls: int
    expected_usd: float
    most_usd: float
    hours: float
    guessed: tuple[str, ...] = field(default=())  # models of which no answer was seen yet


def estimate(
    plan: Plan,
    answered: Iterable[Key] = (),
    seen: Mapping[tuple[str, Budget], Seen] | None = None,
    paces: Mapping[str, Pace] | None = None,
) -> Estimate:
    """What the calls that are left will take, by means over answers `seen`, else by rough guesses."""
    done, known = set(answered), seen or {}
    rows = tuple(_of_model(plan, model, done, known, (paces or {}).get(model.name, Pace())) for model in plan.models)
    local = {model.name for model in plan.models if in_turn(model)}
    return Estimate(
        models=rows,
        calls=sum(row.calls for row in rows),
        expected_usd=sum(row.expected_usd for row in rows),
        most_usd=sum(row.most_usd for row in rows),
        hours=max(
            [sum(row.hours for row in rows if row.model in local), *(r.hours for r in rows if r.model not in local)]
        ),
        guessed=tuple(m.name for m in plan.models if not any((m.name, budget) in known for budget in plan.budgets)),
    )


def in_turn(model: Model) -> bool:
    """Whether the model runs on this machine, so that it is asked when the others are done."""
    return bool(model.weights) and not model.base_url


def _of_model(
    plan: Plan, model: Model, done: set[Key], seen: Mapping[tuple[str, Budget], Seen], pace: Pace
) -> ModelEstimate:
    cells = [cell for cell in plan.cells(model) if cell.key not in done]
    reads = sum(plan.input_tokens(cell) for cell in cells)
    writes = seconds = expected = most = 0.0
    for cell in cells:
        known = seen.get((model.name, cell.budget)) or _guess(plan.cut(cell))
        writes += known.output_tokens
        seconds += known.latency_s
        expected += model.cost_usd(plan.input_tokens(cell), known.output_tokens)
        most += plan.most_usd(cell)
    minutes = [seconds / 60 / pace.concurrency]
    if pace.requests_per_minute:
        minutes.append(len(cells) / pace.requests_per_minute)
    if pace.tokens_per_minute:
        minutes.append((reads + writes) / pace.tokens_per_minute)
    return ModelEstimate(
        model=model.name,
        calls=len(cells),
        done=len(plan.questions) * len(plan.budgets) - len(cells),
        input_tokens=reads,
        output_tokens=round(writes),
        expected_usd=expected,
        most_usd=most,
        hours=max(minutes) / 60,
    )


def _guess(cut: int) -> Seen:
    tokens = min(cut, _GUESSED_OUTPUT)
    return Seen(tokens, _FIRST_TOKEN_S + tokens / _TOKENS_PER_SECOND)


# -- by name -------------------------------------------------------------------------------------------------


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """ "10,30,unlimited" as budgets, rising. Raises InputError for anything else."""
    budgets: list[Budget] = []
    for part in (part.strip() for part in text.split(",")):
        budget = read_budget(part)
        if budget is None:
            raise InputError(f"budgets are numbers of tokens or 'unlimited', separated by commas; got '{part}'.")
        budgets.append(budget)
    return tuple(sorted(budgets, key=budget_key))


def parse_rates(texts: Sequence[str], what: str) -> tuple[tuple[str, float], ...]:
    """["60", "gpt-*=500"] as (glob, number) pairs, the first that matches a model counting last given first."""
    rates: list[tuple[str, float]] = []
    for text in texts:
        glob, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise InputError(f"{what} is N or GLOB=N, N above 0; got '{text}'.")
        rates.append((glob or "*", value))
    return tuple(reversed(rates))


def rate_of(model: str, rates: Sequence[tuple[str, float]]) -> float | None:
    """The rate of the first glob that matches, None if none does."""
    return next((rate for glob, rate in rates if matches(glob, model)), None)
