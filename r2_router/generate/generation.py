"""One answer on its way: tries, retries and fallbacks until a model answers or nobody will."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

from r2_router.checkpoints.format import Instruction
from r2_router.errors import ConfigError, EmptyAnswerError, InputError, ProviderError, R2Error, SpendLimitError
from r2_router.generate.answer import Answer, Attempt, Event
from r2_router.generate.answered import make_answer
from r2_router.generate.billing import bill, worst_case
from r2_router.generate.body import Body, Options, is_thinking_off, without_thinking
from r2_router.generate.client import ask
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.faults import ThoughtOnlyError, TryError, WrongFormatError
from r2_router.generate.format_check import FormatCheck
from r2_router.generate.prepared import Prepared
from r2_router.generate.refused import CAPS, Complaint, Quirks, known_quirks, remember
from r2_router.generate.refused_needs import refused_need
from r2_router.generate.tool_calls import ToolCallDelta
from r2_router.generate.wire import Reply
from r2_router.pools.can import lacks, remember_refusal
from r2_router.pools.model import Model
from r2_router.routing.considered import Candidate
from r2_router.routing.decision import Decision
from r2_router.routing.messages import Message
from r2_router.routing.needs import PLAIN, Form, read_needs

Resolve: TypeAlias = Callable[[Model], Endpoint | Awaitable[Endpoint]]

_RENEW_SECONDS = 60.0
_LOADING_SECONDS = 2.0  # between looks at a model that is being loaded


class Guard(Protocol):
    """Keeps spending limits. All calls are made on the event loop: what may wait is awaited, or put off."""

    async def reserve(self, candidate: Candidate, worst_case_usd: float, /) -> Any:
        """Before each try: set the dollars aside. What is returned is given to `settle`, once, whatever happens;
        one that is cancelled sets nothing aside.

        Raises an R2Error for a limit that leaves no room; nothing more is asked then.
        """

    def settle(self, reservation: Any, cost_usd: float, /) -> None:
        """After the try: what it really costs, or the most it may have where nobody knows."""

    def renew(self, reservation: Any, /) -> None:
        """While the try goes on, every `_RENEW_SECONDS`: its owner lives."""


class NoLimit:
    """The guard of someone who set no limit."""

    async def reserve(self, candidate: Candidate, worst_case_usd: float, /) -> None:
        pass

    def settle(self, reservation: None, cost_usd: float, /) -> None:
        pass

    def renew(self, reservation: None, /) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Request:
    """One candidate, ready to be asked; `prompt_tokens` is an estimate, `tries` counts those that failed.

    `body` is what we would like to ask, `quirks` what the model does not take of it.
    """

    candidate: Candidate
    model: Model
    endpoint: Endpoint
    body: Body
    prompt_tokens: int
    quirks: Quirks
    tries: int = 0
    thought_only: bool = False  # a try brought reasoning but no answer

    @property
    def sent(self) -> Body:
        return self.quirks.apply(self.body)

    @property
    def worst_case_usd(self) -> float:
        """The most that a try may cost."""
        sent = self.sent
        return worst_case(self.model, self.prompt_tokens, next(sent[cap] for cap in CAPS if cap in sent))


class Generation:
    """The answer of candidates[0], or of the best one after it that answers.

    Iterate it for the text as it comes; `answer` is there afterwards. Or `await result()`. The fallbacks are of
    other models, at most `max_cost_usd` (dollars, with what failed tries cost), and none is asked once text came:
    what came is then kept, as a partial answer. Cancelled or closed half-way, it keeps what came too.

    `resolve` says where a model is asked; an R2Error it raises counts as that model's failure. `guard` keeps the
    spending limits. `on_event` is told what goes on while no text comes. `decision` goes into the answer.

    `hits`, in a chat, are the rates at which caches are found (PromptMemory.hits); None outside of one.

    `messages` are a checked conversation (routing.messages.check_messages), `form` the tools and the format that come
    with it.

    Iterating raises ProviderError (EmptyAnswerError where the tokens went into reasoning), the error of `resolve`
    or that of `guard`, when there is no answer.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        messages: Sequence[Message],
        *,
        instruction: Instruction,
        models: Mapping[str, Model],
        resolve: Resolve,
        options: Options | None = None,
        max_cost_usd: float | None = None,
        guard: Guard | None = None,
        on_event: Callable[[Event], None] | None = None,
        decision: Decision | None = None,
        hits: Mapping[str, float] | None = None,
        form: Form = PLAIN,
    ) -> None:
        if not candidates:
            raise InputError("There is no candidate to ask. Give at least one model and budget.")
        self.answer: Answer | None = None
        self._needs = read_needs(messages, form)
        self._check = FormatCheck(form) if form.checked else None
        self._wrong = 0  # answers that were not in the format asked for
        self._models = models
        self._resolve = resolve
        self._options = options or Options()
        self._prepared = Prepared(messages, instruction=instruction, options=self._options, form=form, hits=hits)
        self._max_cost_usd = max_cost_usd
        self._guard: Guard = guard or NoLimit()
        self._on_event = on_event
        self._decision = decision
        self._candidates: Iterator[Candidate] = iter(candidates)
        self._asked: set[str] = set()
        self._refusing: set[Endpoint] = set()
        self._attempts: list[Attempt] = []
        self._failures: list[R2Error] = []
        self._first_token_s: float | None = None
        self._shows_calls = False
        self._tried = False
        self._loading_since: float | None = None
        self._room_usd: float | None = None  # what a spending limit left when it refused a try
        self._first: _Request | None = None  # as it was quoted
        self._pieces = self._run()

    def __aiter__(self) -> Generation:
        return self

    async def __anext__(self) -> str:
        while not isinstance(piece := await anext(self._pieces), str):
            pass
        return piece

    async def parts(self) -> AsyncGenerator[str | ToolCallDelta]:
        """The text as it comes, and the calls of tools between it, piece by piece, after which no model is asked."""
        self._shows_calls = True
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        """Stop; `answer` keeps what came, None if nothing did."""
        await self._pieces.aclose()

    async def result(self) -> Answer:
        """The answer, once it is whole; errors as in iterating."""
        async with aclosing(self):
            async for _ in self:
                pass
        if self.answer is None:
            raise ProviderError("The generation was ended before any text came.", tuple(self._attempts))
        return self.answer

    async def quote(self, guard: Guard) -> tuple[Candidate, float]:
        """What will be asked first, as `guard` allows now, and the most dollars that try may cost. Nothing is asked yet
        and nothing stays set aside. Errors as in iterating, which comes after."""
        self._start_clock()
        afforded = await self._afford(await self._next_model(), guard)
        if afforded is None:
            raise self._error()
        self._first, reservation = afforded
        guard.settle(reservation, 0.0)
        return self._first.candidate, self._first.worst_case_usd

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far, with what it costs."""
        return tuple(self._attempts)

    # -- the course of it ------------------------------------------------------------------------------------

    async def _run(self) -> AsyncGenerator[str | ToolCallDelta]:
        self._start_clock()
        afforded = await self._afford(self._first or await self._next_model(), self._guard)
        while afforded is not None:
            request, reservation = afforded
            try:
                async with aclosing(self._try(request, reservation)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except TryError as error:
                failure = error
            afforded = await self._afford(await self._after(request, failure), self._guard)
        raise self._error()

    def _start_clock(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._start = self._now()
        self._until = self._start + self._options.total_s

    async def _try(self, request: _Request, reservation: object) -> AsyncGenerator[str | ToolCallDelta]:
        """One try, from reservation to bill. Raises TryError where no text came, or none of the format asked for."""
        reply, start = Reply(), self._now()
        reason, held = "it was interrupted", list[str | ToolCallDelta]()
        self._keep_renewed(reservation)
        try:
            self._tell("asking", request.candidate)
            asked = ask(request.model, request.endpoint, request.sent, self._options, self._until, reply)
            async with aclosing(asked) as pieces:
                async for piece in pieces:
                    if not isinstance(piece, str) or piece:
                        if self._first_token_s is None:
                            self._first_token_s = self._now() - self._start
                        if self._check is None:
                            yield piece
                        else:
                            held.append(piece)  # until it is known to be right
                    else:
                        self._tell("thinking", request.candidate, pieces=len(reply.reasoning_pieces))
            self._hold_to_format(reply)
            for piece in held:
                yield piece
            reason = ""
        except TryError as failure:
            reason, reply.status = failure.reason, failure.status or reply.status
            if not self._given(reply):
                raise
        finally:
            self._renewal.cancel()
            if reply.status == 200:
                remember(request.endpoint.base_url, request.model.id, request.quirks)
            self._record(request, reservation, reply, reason, self._now() - start)

    def _keep_renewed(self, reservation: object) -> None:
        """Renew `reservation` now and then, while the try goes on."""
        self._renewal = asyncio.get_running_loop().call_later(_RENEW_SECONDS, self._renew, reservation)

    def _renew(self, reservation: object) -> None:
        self._guard.renew(reservation)
        self._keep_renewed(reservation)

    def _hold_to_format(self, reply: Reply) -> None:
        """Raise WrongFormatError for an answer that is not what was asked for; the call of a tool is no answer yet."""
        fault = self._check.fault(reply.text) if self._check and not reply.calls else ""
        if fault:
            raise WrongFormatError(fault)

    def _given(self, reply: Reply) -> bool:
        """Whether something of the answer has been handed on."""
        return self._check is None and self._shown(reply)

    def _shown(self, reply: Reply) -> bool:
        return reply.shown or (self._shows_calls and bool(reply.calls))

    def _record(self, request: _Request, reservation: object, reply: Reply, reason: str, seconds: float) -> None:
        """Settle the bill of a try, note it, and make the answer if it gave one."""
        billed = bill(request.model, request.prompt_tokens, request.worst_case_usd, reply)
        self._guard.settle(reservation, billed.cost_usd)
        candidate = request.candidate
        self._attempts.append(
            Attempt(candidate.model, candidate.budget, reason, reply.status, seconds, billed.cost_usd)
        )
        if reason and not self._given(reply):
            return
        self.answer = make_answer(
            reply,
            billed,
            candidate,
            request.model,
            request.endpoint,
            attempts=tuple(self._attempts),
            latency_s=self._now() - self._start,
            first_token_s=self._first_token_s,
            error=reason,
            decision=self._decision,
        )

    # -- what follows a failed try ---------------------------------------------------------------------------

    async def _after(self, request: _Request, failure: TryError) -> _Request | None:
        """What is asked after `failure`, once it is time: the same model again, the next one, or nothing."""
        if (need := refused_need(failure, self._needs)) is not None:
            remember_refusal(request.model, need.kind)
            return await self._another(request, TryError(f"it {need.refusal}: {failure.reason}", status=failure.status))
        if isinstance(failure, WrongFormatError):
            self._wrong += 1
            return await self._another(request, failure, last=self._wrong > 1)
        again = self._changed(request, failure)
        wait_s = 0.0 if again else self._backoff(request, failure)
        if wait_s is not None:
            when = f"in {wait_s:.1f} s" if wait_s else "at once"
            self._tell("failed", request.candidate, f"{failure.reason}; asking again {when}")
            await asyncio.sleep(wait_s)
            return again or replace(request, tries=request.tries + (not failure.loading))
        return await self._another(request, failure)

    async def _another(self, request: _Request, failure: TryError, *, last: bool = False) -> _Request | None:
        """The next model, once it is noted why this one is not asked again; `last`: no other one either."""
        self._failures.append(self._failure(request, failure))
        if failure.refuses_key:
            self._refusing.add(request.endpoint)
        self._tell("failed", request.candidate, failure.reason)
        return None if last else await self._next_model()

    def _changed(self, request: _Request, failure: TryError) -> _Request | None:
        """The request in a form that may do better at once, None if there is none."""
        if isinstance(failure, ThoughtOnlyError) and not request.thought_only:
            return replace(request, body=without_thinking(request.body, request.endpoint), thought_only=True)
        if failure.status not in (400, 422):
            return None
        quirks = request.quirks.learn(request.body, Complaint.read(failure.message))
        if quirks is None:
            return None
        changed = replace(request, quirks=quirks)
        return None if request.thought_only and not is_thinking_off(changed.sent, request.endpoint) else changed

    def _backoff(self, request: _Request, failure: TryError) -> float | None:
        """Seconds to wait before the same is asked again, None if it should not be."""
        options = self._options
        if failure.loading and (wait_s := self._until_loaded(failure)) is not None:
            return wait_s
        if not failure.retry or request.tries + 1 >= options.tries:
            return None
        if failure.timed_out and (failure.status is not None or request.model.thinking_tokens):
            return None  # it was at work, and what it did is billed: to ask again would be to pay again
        if self._spent_usd and not self._affordable(request.candidate):
            return None
        chance = random.random()  # noqa: S311  (keeps clients apart, no secret)
        if failure.wait_s is not None:
            wait_s = failure.wait_s + chance * options.backoff_s
            if failure.wait_s > options.max_wait_s:
                return None
        else:
            wait_s = chance * min(options.max_wait_s, options.backoff_s * 2**request.tries)
        return wait_s if self._now() + wait_s < self._until else None

    def _until_loaded(self, failure: TryError) -> float | None:
        """Seconds to wait for a model that is being loaded, None once it had the time that `Options.loading_s` is."""
        self._loading_since = self._now() if self._loading_since is None else self._loading_since
        wait_s = min(_LOADING_SECONDS if failure.wait_s is None else failure.wait_s, self._options.loading_s / 4)
        end = min(self._until, self._loading_since + self._options.loading_s)
        return wait_s if self._now() + wait_s < end else None

    async def _next_model(self) -> _Request | None:
        """The choice, or the best candidate left of a model that was not asked; None if there is none."""
        for candidate in self._candidates:
            if len(self._asked) >= self._options.models or self._now() >= self._until:
                return None
            if candidate.model in self._asked or (self._tried and not self._affordable(candidate)):
                continue
            if self._tried and self._cannot(candidate):
                continue
            self._tried = True
            self._asked.add(candidate.model)
            start = self._now()
            try:
                request = await self._request(candidate)
            except R2Error as error:
                self._failures.append(error)
                self._attempts.append(
                    Attempt(candidate.model, candidate.budget, str(error), None, self._now() - start, 0.0)
                )
                continue
            self._loading_since = None
            if request.endpoint in self._refusing:
                continue
            if self._room_usd is None or request.worst_case_usd <= self._room_usd:
                return request
            self._asked.discard(candidate.model)  # of a smaller budget it may fit
        return None

    async def _afford(self, request: _Request | None, guard: Guard) -> tuple[_Request, Any] | None:
        """`request`, or the best candidate left for which `guard` leaves room, with what it set aside for it; None, and
        the refusal kept, where there is none."""
        while request is not None:
            try:
                return request, await guard.reserve(request.candidate, request.worst_case_usd)
            except SpendLimitError as refusal:
                request = await self._cheaper(request, refusal)
            except R2Error as refusal:
                self._failures.append(refusal)
                return None
        return None

    async def _cheaper(self, request: _Request, refusal: SpendLimitError) -> _Request | None:
        """The best candidate left that fits what a spending limit leaves; None, and the refusal kept, if none does."""
        room_usd = max(0.0, refusal.limit_usd - refusal.spent_usd - refusal.reserved_usd)
        self._room_usd = room_usd if self._room_usd is None else min(room_usd, self._room_usd)
        self._asked.discard(request.candidate.model)
        cheaper = await self._next_model()
        if cheaper is None:
            self._failures.append(refusal)
        else:
            self._tell("failed", request.candidate, f"{refusal} Asking {cheaper.candidate.label} instead")
        return cheaper

    def _cannot(self, candidate: Candidate) -> bool:
        """Whether its model is known, by now, not to do what is needed."""
        model = self._models.get(candidate.model)
        return model is not None and any(lacks(model, need.kind) for need in self._needs)

    def _affordable(self, candidate: Candidate) -> bool:
        limit = self._max_cost_usd
        return limit is None or self._spent_usd + candidate.predicted_cost_usd <= limit

    async def _request(self, candidate: Candidate) -> _Request:
        model = self._models.get(candidate.model)
        if model is None:
            raise ConfigError(f"{candidate.model} is not in the pool, so nobody knows where to ask it.")
        reads = self._prepared.reads(candidate, model)  # before anything is started: it wants a price
        endpoint = await self._endpoint(candidate, model)
        body = self._prepared.body(candidate, model, endpoint, reads)
        return _Request(candidate, model, endpoint, body, reads, known_quirks(endpoint.base_url, model.id))

    async def _endpoint(self, candidate: Candidate, model: Model) -> Endpoint:
        endpoint = self._resolve(model)
        if isinstance(endpoint, Endpoint):
            return endpoint
        self._tell("loading", candidate)
        try:
            async with asyncio.timeout_at(self._until):
                return await endpoint
        except TimeoutError:
            raise ProviderError(f"{model.name} was not ready after {self._options.total_s:g} s.") from None

    # -- what is told ----------------------------------------------------------------------------------------

    @property
    def _spent_usd(self) -> float:
        return sum(attempt.cost_usd for attempt in self._attempts)

    def _tell(
        self,
        kind: Literal["loading", "asking", "thinking", "failed"],
        candidate: Candidate,
        detail: str = "",
        pieces: int = 0,
    ) -> None:
        if self._on_event:
            self._on_event(Event(kind, candidate.model, candidate.budget, detail, pieces))

    def _failure(self, request: _Request, failure: TryError) -> ProviderError:
        """What is said of a model that gave no answer."""
        label, attempts = request.candidate.label, tuple(self._attempts)
        if request.thought_only:
            return EmptyAnswerError(
                f"{label} spent all its tokens thinking and wrote no answer. Give it a larger budget, set "
                f"thinking_tokens of {request.model.name} in the pool, or exclude it.",
                attempts,
            )
        tries = f" ({request.tries + 1} tries)" if request.tries else ""
        return ProviderError(f"{label} gave no answer: {failure.reason}{tries}. {failure.advice}".rstrip(), attempts)

    def _error(self) -> R2Error:
        """What is raised when nobody answered."""
        attempts = self.attempts
        if len(self._failures) == 1:
            self._failures[0].attempts = attempts
            return self._failures[0]
        empty = all(isinstance(failure, EmptyAnswerError) for failure in self._failures)
        kind = EmptyAnswerError if self._failures and empty else ProviderError
        return kind(f"No model answered. {' '.join(str(failure) for failure in self._failures)}".strip(), attempts)
