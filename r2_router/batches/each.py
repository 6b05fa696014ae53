"""Runs a router over many prompts: in chunks where they are only routed, side by side where they are answered.

A prompt that is none, or that no candidate is left for, is an error of its own; the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from r2_router.batches.mapped import Mapped
from r2_router.errors import R2Error, SpendLimitError
from r2_router.routing.request import Request
from r2_router.words import usd

if TYPE_CHECKING:
    from r2_router.generate import AnswerStream
    from r2_router.generate.generation import Guard
    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision

CHUNK = 256  # prompts embedded together
AT_ONCE = 8  # answers under way

Read: TypeAlias = Callable[[Any], Request]
Prompt: TypeAlias = tuple[int, Any]


def route_each(
    prompts: Iterable[Prompt], read: Read, decide: Callable[[Sequence[Request]], list[Decision]]
) -> Iterator[Mapped]:
    """The decision for each (index, prompt), in order; no more than a chunk of them is held at a time."""
    waiting = iter(prompts)
    while chunk := list(islice(waiting, CHUNK)):
        found: dict[int, Mapped] = {}
        requests: dict[int, Request] = {}
        for index, prompt in chunk:
            try:
                requests[index] = read(prompt)
            except R2Error as error:
                found[index] = Mapped(index, error=str(error))
        found |= decided(requests, decide)
        yield from (found[index] for index, _ in chunk)


def decided(requests: dict[int, Request], decide: Callable[[Sequence[Request]], list[Decision]]) -> dict[int, Mapped]:
    """All together; one by one where one of them fails."""
    if not requests:
        return {}
    try:
        decisions = decide([*requests.values()])
    except R2Error as error:
        if len(requests) == 1:
            return {index: Mapped(index, error=str(error)) for index in requests}
        return {index: each for i, r in requests.items() for index, each in decided({i: r}, decide).items()}
    return {index: Mapped(index, decision) for index, decision in zip(requests, decisions, strict=True)}


# -- answers ---------------------------------------------------------------------------------------------------


class RunLimit(Protocol):
    """What all answers of a run may cost together, and where it is kept."""

    def begin(self, index: int, most_usd: float) -> bool:
        """Note that the prompt may cost so much by now; False, and nothing noted, where the limit would be passed."""
        ...

    def over(self, mapped: Mapped, *, kept: bool) -> None:
        """The prompt is answered, or failed, for what it says it cost; `kept`: it is not to be asked again."""
        ...


class MemoryLimit:
    """A limit of `max_usd` dollars, None for none, for as long as the process lives; `spent_usd` is spent of it."""

    def __init__(self, max_usd: float | None) -> None:
        self.max_usd = max_usd
        self.spent_usd = 0.0
        self._held: dict[int, float] = {}

    def begin(self, index: int, most_usd: float) -> bool:
        others = sum(self._held.values()) - self._held.get(index, 0.0)
        if self.max_usd is not None and self.spent_usd + others + most_usd > self.max_usd:
            return False
        self._held[index] = most_usd
        return True

    def over(self, mapped: Mapped, *, kept: bool) -> None:
        self._held.pop(mapped.index, None)
        self.spent_usd += mapped.cost_usd


class RunGuard:
    """Holds the tries of one prompt against the run's limit, then asks `guard`, which keeps the user's own limits.

    `limited` says what is limited: "max_usd leaves less: all prompts together".
    """

    def __init__(
        self,
        index: int,
        limit: RunLimit,
        max_usd: float | None,
        guard: Guard,
        limited: str = "max_usd leaves less: all prompts together",
    ) -> None:
        self.index, self._limit, self._max_usd, self._guard = index, limit, max_usd, guard
        self._limited = limited
        self.billed_usd = 0.0
        self.refused = False

    async def reserve(self, candidate: Candidate, worst_case_usd: float, /) -> Any:
        """Raises SpendLimitError where the try might pass what the run may cost."""
        if not self._limit.begin(self.index, self.billed_usd + worst_case_usd):
            self.refused = True
            raise SpendLimitError(
                f"{candidate.label} may cost up to {usd(worst_case_usd)}, and {self._limited} may cost "
                f"{usd(self._max_usd or 0.0)}."
            )
        self.refused = False
        return await self._guard.reserve(candidate, worst_case_usd)

    def settle(self, reservation: Any, cost_usd: float, /) -> None:
        self.billed_usd += cost_usd
        self._guard.settle(reservation, cost_usd)

    def renew(self, reservation: Any, /) -> None:
        self._guard.renew(reservation)


Ask: TypeAlias = "Callable[[Request, RunGuard], AnswerStream]"


async def answer_each(
    prompts: Iterable[Prompt],
    read: Read,
    ask: Ask,
    *,
    guard: Guard,
    limit: RunLimit,
    max_usd: float | None = None,
    at_once: int = AT_ONCE,
) -> AsyncGenerator[Mapped]:
    """What becomes of each (index, prompt), as it comes: `at_once` answers are under way, and none is begun that could
    make all together cost more than `limit` allows. From then on prompts are left out: the generator ends."""
    waiting, done = iter(prompts), asyncio.Queue[Mapped | None]()
    room, full = asyncio.Semaphore(2 * at_once), asyncio.Event()

    async def work() -> None:
        while not full.is_set():
            await room.acquire()  # nobody runs ahead of whoever takes the results
            if (prompt := next(waiting, None)) is None or full.is_set():
                return
            held = RunGuard(prompt[0], limit, max_usd, guard)
            mapped, refused = await _answered(*prompt, read, ask, held)
            limit.over(mapped, kept=not refused)
            if refused:
                full.set()
            else:
                done.put_nowait(mapped)

    async def all_of_them() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(work())
        finally:
            for _ in range(at_once):
                room.release()
            done.put_nowait(None)

    running = asyncio.create_task(all_of_them())
    try:
        while (mapped := await done.get()) is not None:
            yield mapped
            room.release()
        await running
    finally:
        running.cancel()


def in_order(found: Iterator[Mapped]) -> Iterator[Mapped]:
    """`found` by index: what came early waits."""
    early: dict[int, Mapped] = {}
    wanted = 0
    for mapped in found:
        early[mapped.index] = mapped
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1
    yield from (early[index] for index in sorted(early))


async def _answered(index: int, prompt: Any, read: Read, ask: Ask, guard: RunGuard) -> tuple[Mapped, bool]:
    """What became of one prompt, and whether the run's limit refused it."""
    decision: Decision | None = None
    try:
        async with aclosing(ask(read(prompt), guard)) as stream:
            decision = stream.decision
            async for _ in stream:
                pass
    except R2Error as error:
        return Mapped(index, decision, error=str(error), cost_usd=guard.billed_usd), guard.refused
    answer = stream.answer
    if answer is None:
        return Mapped(index, decision, error="The answer ended before any text came.", cost_usd=guard.billed_usd), False
    return Mapped(index, decision, answer, answer.error, guard.billed_usd), False
