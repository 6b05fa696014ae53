"""From a decision to an answer: where each model is asked, who can be asked now, what is recorded."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from r2_router.config.settings import LLM_API_KEY, Settings
from r2_router.errors import ConfigError, LedgerError, SpendLimitError
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.routing.decision import Decision
from r2_router.routing.explanation import baseline

if TYPE_CHECKING:
    from r2_router.generate import Answer, Attempt, Endpoint, Generation
    from r2_router.ledger import Face, Ledger, Outcome, SpendGuard
    from r2_router.local import LocalServers


class Desk:
    """What answering needs besides a decision, made when first used: local servers, the ledger, the limits."""

    def __init__(self, settings: Settings, *, face: Face = "python") -> None:
        self.settings = settings
        self.face: Face = face
        self._lock = threading.RLock()
        self._servers: LocalServers | None = None
        self._ledger: Ledger | None = None
        self._guard: SpendGuard | None = None

    # -- where a model is asked ------------------------------------------------------------------------------

    def resolve(self, model: Model) -> Endpoint | Awaitable[Endpoint]:
        """The endpoint of `model`: the configured server for all, the model's own, or a local one, started.

        Raises ConfigError naming the variable of a missing key, or a typed error of the local server.
        """
        from r2_router.generate import Endpoint

        if self.settings.llm_api_base:
            return Endpoint(self.settings.llm_api_base, self.settings.key(LLM_API_KEY))
        if model.base_url:
            if why := self.missing_key(model):
                raise ConfigError(f"{model.name}: {why}.")
            return Endpoint(model.base_url, self.settings.key(model.api_key_env))
        return self._local(model)

    def missing_key(self, model: Model) -> str:
        """ "" or which variable must hold the key of `model`."""
        if self.settings.llm_api_base or not model.api_key_env or self.settings.key(model.api_key_env):
            return ""
        return f"{model.api_key_env} is not set; set it in the environment or in keys.toml"

    async def _local(self, model: Model) -> Endpoint:
        from r2_router.generate import Endpoint

        return Endpoint(await asyncio.to_thread(self.servers.base_url, model))

    @property
    def servers(self) -> LocalServers:
        """The local servers of this process."""
        from r2_router.local import LocalServers

        with self._lock:
            if self._servers is None:
                self._servers = LocalServers(self.settings)
            return self._servers

    def not_ready(self, model: Model) -> str:
        """ "" if `model` can be asked now, else why not and what to do about it."""
        if model.unavailable:
            return model.unavailable
        if self.settings.llm_api_base:
            return ""
        if model.base_url:
            return self.missing_key(model)
        from r2_router.local import readiness

        return readiness(model, self.settings)

    def ready(self, pool: Pool) -> Pool:
        """`pool` with every model that cannot be asked now unavailable, for the reason why."""
        return Pool(pool.name, {m.name: replace(m, unavailable=self.not_ready(m)) for m in pool})

    # -- what is spent and recorded --------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        from r2_router.ledger import Ledger

        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger(log_text=self.settings.log_text)
            return self._ledger

    @property
    def guard(self) -> SpendGuard:
        from r2_router.ledger import SpendGuard

        with self._lock:
            if self._guard is None:
                s = self.settings
                limits = (s.max_usd_per_call, s.max_usd_per_day, s.max_usd_per_month)
                self._guard = SpendGuard(self.ledger, *limits)
            return self._guard

    def record(
        self,
        decision: Decision,
        *,
        strongest: str = "",
        answer: Answer | None = None,
        error: BaseException | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> str:
        """Write a decision, its answer or its failure to the ledger; the entry's id."""
        from r2_router.ledger import Entry

        best = decision.best
        obvious = baseline(decision, strongest)
        outcome, reason = _outcome(answer, error)
        tried = answer.attempts if answer else attempts or getattr(error, "attempts", ())
        return self.ledger.record(
            Entry(
                face=self.face,
                outcome=outcome,
                reason=reason,
                model=answer.model if answer else best.model,
                budget=answer.budget if answer else best.budget,
                checkpoint=decision.checkpoint,
                query=decision.query,
                input_tokens=decision.input_tokens,
                lambda_val=decision.lambda_val,
                worth_usd=decision.worth_usd,
                predicted_quality=_known(answer.predicted_quality if answer else best.predicted_quality),
                predicted_output_tokens=_known(_tokens(decision, answer)),
                predicted_cost_usd=_known(answer.predicted_cost_usd if answer else best.predicted_cost_usd),
                output_tokens=answer.completion_tokens if answer else None,
                cost_usd=sum(attempt.cost_usd for attempt in tried) if tried else None,
                baseline_cost_usd=None if obvious is None else obvious.candidate.predicted_cost_usd,
                latency_s=answer.latency_s if answer else None,
                attempts=len(tried),
            )
        )


class Asked:
    """A generation whose end, whatever it is, goes into the ledger. Used as `generate.Generation` is."""

    def __init__(self, generation: Generation, decision: Decision, record: Callable[..., str]) -> None:
        self.decision = decision
        self.id = ""  # of the ledger's entry, once it is over
        self._generation = generation
        self._record = record

    @property
    def answer(self) -> Answer | None:
        """What came, once it is over; None before, and if nothing came."""
        return self._generation.answer

    def __aiter__(self) -> Asked:
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
            tried = self._generation.attempts
            self.id = self._record(self.decision, answer=self.answer, error=error, attempts=tried)


def _outcome(answer: Answer | None, error: BaseException | None) -> tuple[Outcome, str]:
    reason = type(error).__name__ if error is not None else ""
    if answer is not None:
        return ("partial" if answer.partial else "answered"), reason or answer.error[:80]
    if error is None:
        return "decided", ""
    return ("refused" if isinstance(error, (SpendLimitError, LedgerError)) else "failed"), reason


def _tokens(decision: Decision, answer: Answer | None) -> float:
    if answer is None:
        return decision.predicted_output_tokens
    label = (answer.model, answer.budget)
    found = (c.predicted_output_tokens for c in decision.candidates if (c.model, c.budget) == label)
    return next(found, math.nan)


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
