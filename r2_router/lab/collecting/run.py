"""Asks: every cell that has no answer yet, side by side, within rate and spending limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from r2_router.errors import R2Error, SpendLimitError
from r2_router.generate import Answer, Generation, Options, Resolve
from r2_router.generate.generation import Guard, NoLimit
from r2_router.generate.logprobs import ASKED
from r2_router.lab.collecting.answers import CallGuard, Store, StoredAnswer
from r2_router.lab.collecting.plan import Cell, Key, Pace, Plan, in_turn
from r2_router.pools.model import Model
from r2_router.routing.considered import Candidate
from r2_router.routing.messages import check_messages

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

_ROUNDS = 3  # times a cell is asked whose answer broke off
_HOPELESS = 8  # failures of a model in a row after which it is asked no more in this run

Answered = Callable[[Cell, StoredAnswer], Awaitable[None]]


@dataclass(slots=True)
class Outcome:
    """How a run ended. `given_up` maps a model to why it was asked no more; `over_limit` is the limit that ended
    the run, "" if none did."""

    answers: int = 0
    failures: int = 0
    ungraded: int = 0
    given_up: dict[str, str] = field(default_factory=dict[str, str])
    over_limit: str = ""


async def ask_all(
    plan: Plan,
    store: Store,
    *,
    resolve: Resolve,
    paces: Mapping[str, Pace] | None = None,
    max_usd: float | None = None,
    guard: Guard | None = None,
    options: Options | None = None,
    on_answer: Answered | None = None,
    on_failure: Callable[[Cell, str], None] | None = None,
    outcome: Outcome | None = None,
) -> Outcome:
    """Ask every cell of `plan` that `store` has no answer to. Each answer is in the store before anything else
    happens to it; then `on_answer` is awaited.

    Models on this machine are asked one after the other, the others side by side, each at its pace (by name).
    `max_usd` is never passed: what the store holds as spent, and the most each call may cost, counts. `guard` keeps
    the user's own limits besides. Cancelled, it leaves a store that the next run goes on with.
    """
    run = _Run(
        plan=plan,
        store=store,
        resolve=resolve,
        paces=paces or {},
        max_usd=max_usd,
        guard=guard or NoLimit(),
        options=options or Options(),
        on_answer=on_answer,
        on_failure=on_failure,
        answered=store.answered(),
        outcome=outcome or Outcome(),
    )
    store.give_up_calls()
    try:
        async with asyncio.TaskGroup() as group:
            for model in plan.models:
                if not in_turn(model):
                    group.create_task(run.ask_model(model))
            group.create_task(run.ask_in_turn([model for model in plan.models if in_turn(model)]))
    except BaseExceptionGroup as failed:
        raise _first(failed) from None
    return run.outcome


def _first(failed: BaseException) -> BaseException:
    """What went wrong first: the others ended because of it."""
    while isinstance(failed, BaseExceptionGroup):
        failed = cast("BaseException", failed.exceptions[0])
    return failed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The arguments of `ask_all`, and the cells that were answered before it."""

    plan: Plan
    store: Store
    resolve: Resolve
    paces: Mapping[str, Pace]
    max_usd: float | None
    guard: Guard
    options: Options
    on_answer: Answered | None
    on_failure: Callable[[Cell, str], None] | None
    answered: set[Key]
    outcome: Outcome

    async def ask_in_turn(self, models: Sequence[Model]) -> None:
        for model in models:
            await self.ask_model(model)

    async def ask_model(self, model: Model) -> None:
        pace = self.paces.get(model.name, Pace())
        cells = (cell for cell in self.plan.cells(model) if cell.key not in self.answered)
        lane = _Lane(self, model, pace, cells)
        async with asyncio.TaskGroup() as group:
            for _ in range(pace.concurrency):
                group.create_task(lane.work())


class _Lane:
    """The calls to one model: workers that draw from one list of cells."""

    def __init__(self, run: _Run, model: Model, pace: Pace, cells: Iterator[Cell]) -> None:
        self._run = run
        self._model = model
        self._cells = cells
        self._failed_in_a_row = 0
        self._limiters = _limiters(pace)

    async def work(self) -> None:
        for cell in self._cells:
            if self._run.outcome.over_limit or self._model.name in self._run.outcome.given_up:
                return
            await self._ask(cell)

    async def _ask(self, cell: Cell) -> None:
        run, reason = self._run, ""
        for _ in range(_ROUNDS):
            async with AsyncExitStack() as waits:
                for limiter, tokens in self._limiters:
                    amount = run.plan.input_tokens(cell) + run.plan.cut(cell) if tokens else 1
                    await waits.enter_async_context(_Amount(limiter, amount))
            if not run.store.begin(cell.key, run.plan.most_usd(cell), run.max_usd):
                run.outcome.over_limit = f"--max-usd {run.max_usd:g}"
                return
            reason, again = await self._call(cell)
            if not reason:
                self._failed_in_a_row = 0
                return
            if not again:
                break
        if run.outcome.over_limit:
            return
        run.outcome.failures += 1
        self._failed_in_a_row += 1
        if run.on_failure:
            run.on_failure(cell, reason)
        if self._failed_in_a_row >= _HOPELESS:
            run.outcome.given_up[self._model.name] = reason

    async def _call(self, cell: Cell) -> tuple[str, bool]:
        """One call: "" once its answer is stored, else why there is none; and whether another may bring one."""
        run = self._run
        generation = self._generation(cell)
        try:
            answer = await generation.result()
        except SpendLimitError as error:
            run.store.lose(cell.key, "refused by a spending limit", failed_usd(error))
            run.outcome.over_limit = str(error)
            return str(error), False
        except R2Error as error:
            run.store.lose(cell.key, str(error), failed_usd(error))
            return str(error), False
        if answer.partial:
            run.store.lose(cell.key, f"broke off: {answer.error}", answer.cost_usd)
            return f"its answer broke off: {answer.error}", not answer.finish_reason
        stored = _stored(cell, answer)
        run.store.finish(stored)
        run.outcome.answers += 1
        if run.on_answer:
            await run.on_answer(cell, stored)
        return "", False

    def _generation(self, cell: Cell) -> Generation:
        run, model = self._run, cell.model
        sampling = {**ASKED, **run.options.sampling}
        if run.plan.instruction.temperature is not None:
            sampling = {"temperature": run.plan.instruction.temperature, **sampling}
        options = replace(
            run.options,
            models=1,
            max_tokens=run.plan.max_output,
            sampling=sampling,
            request_key="\n".join(map(str, cell.key)),
        )
        return Generation(
            [candidate(cell, run.plan)],
            check_messages(cell.question.query),
            instruction=run.plan.instruction,
            models={model.name: model},
            resolve=run.resolve,
            options=options,
            guard=CallGuard(run.store, cell.key, run.max_usd, run.guard),
        )


def failed_usd(error: R2Error) -> float:
    """What the tries that ended in `error` cost."""
    return sum(getattr(attempt, "cost_usd", 0.0) for attempt in error.attempts)


def candidate(cell: Cell, plan: Plan) -> Candidate:
    """The cell as a candidate nothing is predicted of, but that it runs to its cut."""
    return Candidate(
        cell.model.name, cell.model.id, cell.budget, 0.0, None, float(plan.cut(cell)), plan.most_usd(cell), 0.0, None
    )


def _stored(cell: Cell, answer: Answer) -> StoredAnswer:
    return StoredAnswer(
        query_id=cell.question.query_id,
        model=cell.model.name,
        budget=cell.budget,
        text=answer.text,
        finish_reason=answer.finish_reason,
        served_model=answer.served_model,
        input_tokens=answer.prompt_tokens,
        output_tokens=answer.completion_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        usage_estimated=answer.usage_estimated,
        cost_usd=answer.cost_usd,
        latency_s=answer.latency_s,
        mean_logprob=answer.mean_logprob,
    )


# -- rate limits ---------------------------------------------------------------------------------------------


def _limiters(pace: Pace) -> list[tuple[AsyncLimiter, bool]]:
    """The limiters of a pace, and whether each counts tokens."""
    rates = [(pace.requests_per_minute, False), (pace.tokens_per_minute, True)]
    if all(rate is None for rate, _ in rates):
        return []
    from aiolimiter import AsyncLimiter

    return [(AsyncLimiter(rate, 60), tokens) for rate, tokens in rates if rate is not None]


class _Amount:
    """Waits until `limiter` lets `amount` through; more than a minute holds is let through with a full minute."""

    def __init__(self, limiter: AsyncLimiter, amount: float) -> None:
        self._limiter = limiter
        self._amount = min(amount, limiter.max_rate)

    async def __aenter__(self) -> None:
        await self._limiter.acquire(self._amount)

    async def __aexit__(self, *_: object) -> None:
        return None
