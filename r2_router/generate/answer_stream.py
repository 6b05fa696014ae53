"""AnswerStream: an answer on its way, whose end, whatever it is, is recorded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from r2_router.errors import R2Error
    from r2_router.generate.answer import Answer
    from r2_router.generate.generation import Generation, Guard
    from r2_router.generate.tool_calls import ToolCallDelta
    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision


class AnswerStream:
    """The text of an answer as it comes: iterate it, async, or `await result()`.

    `decision` is there from the start, `answer` when it is over; None before, and if nothing came. `id` names the
    entry of the ledger, "" until it is over. Iterating raises ProviderError, SpendLimitError or ConfigError.
    """

    def __init__(self, generation: Generation, decision: Decision, record: Callable[..., str]) -> None:
        self.decision = decision
        self.id = ""
        self._generation = generation
        self._record = record

    @property
    def answer(self) -> Answer | None:
        return self._generation.answer

    def __aiter__(self) -> AnswerStream:
        return self

    async def __anext__(self) -> str:
        try:
            return await anext(self._generation)
        except StopAsyncIteration:
            self._close(None)
            raise
        except BaseException as error:
            self._close(error)
            raise

    async def parts(self) -> AsyncGenerator[str | ToolCallDelta]:
        """The text as it comes, and the calls of tools between it, piece by piece. Instead of iterating the stream; a
        piece of a call counts as text: no other model is asked after it. Raises what iterating raises."""
        try:
            async for part in self._generation.parts():
                yield part
        except GeneratorExit:
            await self.aclose()
            raise
        except BaseException as error:
            self._close(error)
            raise
        self._close(None)

    async def quote(self, guard: Guard) -> tuple[Candidate, float]:
        """What will be asked first, as `guard` allows now, and the most dollars that try may cost; nothing is asked
        yet. Raises what iterating raises."""
        try:
            return await self._generation.quote(guard)
        except BaseException as error:
            self._close(error)
            raise

    def refuse(self, error: R2Error) -> NoReturn:
        """Nothing is to be asked: the ledger notes why. Raises `error`."""
        self._close(error)
        raise error

    async def aclose(self) -> None:
        """Stop; `answer` keeps what came."""
        await self._generation.aclose()
        self._close(None)

    async def result(self) -> Answer:
        """The answer, once it is whole. Raises what iterating raises."""
        try:
            answer = await self._generation.result()
        except BaseException as error:
            self._close(error)
            raise
        self._close(None)
        return answer

    def _close(self, error: BaseException | None) -> None:
        if not self.id:
            attempts = self._generation.attempts
            self.id = self._record(self.decision, answer=self.answer, error=error, attempts=attempts)
