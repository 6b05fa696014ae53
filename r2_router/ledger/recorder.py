"""Recorder: the ledger of one face, the spending limits that rest on it, and the entry that each request becomes."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from r2_router.acting import acting
from r2_router.config.settings import Settings
from r2_router.errors import LedgerError, SpendLimitError
from r2_router.ledger.entry import Entry, Face, Outcome
from r2_router.ledger.loop_guard import LoopGuard
from r2_router.ledger.spend_limits import SpendGuard
from r2_router.ledger.store import Ledger
from r2_router.routing.explanation import baseline

if TYPE_CHECKING:
    from r2_router.generate import Answer, Attempt
    from r2_router.routing.decision import Decision


class Recorder:
    """Opens the ledger when it is first needed; `face` is who asks."""

    def __init__(self, settings: Settings, face: Face) -> None:
        self.settings = settings
        self.face: Face = face
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._guard: LoopGuard | None = None

    @property
    def ledger(self) -> Ledger:
        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger.configured(self.settings)
            return self._ledger

    @property
    def guard(self) -> LoopGuard:
        with self._lock:
            if self._guard is None:
                s = self.settings
                limits = (s.max_usd_per_call, s.max_usd_per_day, s.max_usd_per_month)
                self._guard = LoopGuard(SpendGuard(self.ledger, *limits), self.ledger)
            return self._guard

    def record(
        self,
        decision: Decision,
        *,
        answer: Answer | None = None,
        error: BaseException | None = None,
        attempts: tuple[Attempt, ...] = (),
        alone: bool = False,
    ) -> str:
        """Write a decision, its answer or its failure to the ledger; the entry's id. What was answered is kept, where
        text is, if the query was all that was asked (`alone`): else nobody could judge it later."""
        entry = concluded(self.entry(decision, answer), answer, error, attempts)
        return self.ledger.record(entry, said=answer.text if answer and alone else "")

    def entry(self, decision: Decision, answer: Answer | None = None) -> Entry:
        """A decision of which nothing came yet, by the candidate that gave the `answer`, if one did."""
        best, caller = decision.best, acting()
        obvious = baseline(decision)
        return Entry(
            face=self.face,
            caller=caller and caller.name,
            outcome="decided",
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
            baseline_cost_usd=None if obvious is None else obvious.candidate.predicted_cost_usd,
            explored_usd=_explored(decision, answer),
        )


def concluded(
    entry: Entry, answer: Answer | None, error: BaseException | None = None, attempts: Sequence[Attempt] = ()
) -> Entry:
    """`entry` with what came of it: an answer, a failure after these attempts, or nothing yet."""
    outcome, reason = _outcome(answer, error)
    told = None if answer is None or answer.usage_estimated else answer
    tried = answer.attempts if answer else attempts or getattr(error, "attempts", ())
    return replace(
        entry,
        outcome=outcome,
        reason=reason,
        output_tokens=answer.completion_tokens if answer else None,
        cost_usd=sum(attempt.cost_usd for attempt in tried) if tried else None,
        latency_s=answer.latency_s if answer else None,
        attempts=len(tried),
        prompt_tokens=told and told.prompt_tokens,
        cache_read_tokens=told and told.cache_read_tokens,
        cache_write_tokens=told and told.cache_write_tokens,
        cache_saved_usd=told and told.cache_saved_usd,
    )


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


def _explored(decision: Decision, answer: Answer | None) -> float | None:
    """What the exploration gave up, if it is what answered."""
    best, passed = decision.best, decision.explored
    if passed is None or answer is None or (answer.model, answer.budget) != (best.model, best.budget):
        return None
    return passed.given_up_usd


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
