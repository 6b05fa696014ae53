"""What came of a prompt in a provider's batch: its row, its bill, its line in the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from r2_router.batches.batch_apis import BatchResult
from r2_router.batches.batch_calls import compact
from r2_router.batches.jobs import Outcome, SentPrompt
from r2_router.batches.mapped import Mapped
from r2_router.errors import ProviderError
from r2_router.generate.answer import Attempt
from r2_router.generate.answered import make_answer
from r2_router.generate.billing import bill
from r2_router.generate.client import check_whole
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.faults import TryError
from r2_router.generate.wire import BodyError, Reply
from r2_router.ledger.entry import Entry
from r2_router.ledger.money import to_nanos
from r2_router.ledger.recorder import concluded
from r2_router.pools.model import Model


class BatchAnswers:
    """Reads the results of the batch `batch_id`, of `model` at its price in a batch; `seconds` since it was sent."""

    def __init__(self, model: Model, endpoint: Endpoint, batch_id: str, seconds: float) -> None:
        self._model = model
        self._endpoint = endpoint
        self._batch_id = endpoint.shown(batch_id)
        self._seconds = seconds

    def read(self, prompt: SentPrompt, result: BatchResult, entry_id: str) -> Outcome:
        """What became of `prompt`; `entry_id` was drawn for its line in the ledger."""
        if result.kind == "answered" and result.document is not None:
            return self._answered(prompt, result.document, entry_id)
        said = self._endpoint.shown(result.reason)
        if result.kind == "unasked":
            return self.unasked(prompt, f"{said.rstrip('.')}. The same command asks it again")
        status = f"HTTP {result.status} " if result.status else ""
        return self._failed(prompt, f"{status}({said})", result.status, 0.0, entry_id)

    def unasked(self, prompt: SentPrompt, reason: str) -> Outcome:
        """A prompt that no model was asked."""
        return self._outcome(prompt, Mapped(prompt.index, error=f"{prompt.candidate.label} was not asked: {reason}."))

    def lost(self, prompt: SentPrompt, entry_id: str) -> Outcome:
        """A prompt of which its batch told nothing: it may have been billed, and counts as spent in full."""
        return self._failed(prompt, "its batch brought no result for it", None, prompt.most_usd, entry_id)

    def _answered(self, prompt: SentPrompt, document: dict[str, Any], entry_id: str) -> Outcome:
        reply, reason = Reply(status=200, unbilled=False), ""
        try:
            reply.take(compact(document))
            check_whole(reply, self._endpoint, tools=False)
        except BodyError as error:
            reason = self._endpoint.shown(error.reason)
        except TryError as error:
            reason = error.reason
        billed = bill(self._model, prompt.reads, prompt.most_usd, reply)
        if reason and not reply.shown:
            return self._failed(prompt, reason, 200, billed.cost_usd, entry_id)
        answer = make_answer(
            reply,
            billed,
            prompt.candidate,
            self._model,
            self._endpoint,
            attempts=(self._attempt(prompt, reason, 200, billed.cost_usd),),
            latency_s=self._seconds,
            error=reason,
        )
        mapped = Mapped(prompt.index, None, answer, reason, billed.cost_usd, self._batch_id)
        entry = replace(concluded(prompt.entry, answer), latency_s=None)  # its hours are the batch's, not the model's
        return replace(
            self._outcome(prompt, mapped),
            failed=False,
            entry=self._entry(entry, entry_id),
            said=answer.text if prompt.alone else "",
        )

    def _failed(self, prompt: SentPrompt, reason: str, status: int | None, cost_usd: float, entry_id: str) -> Outcome:
        attempt = self._attempt(prompt, reason, status, cost_usd)
        error = ProviderError(f"{prompt.candidate.label} gave no answer: {reason}.", (attempt,))
        mapped = Mapped(prompt.index, error=str(error), cost_usd=cost_usd, provider_batch=self._batch_id)
        return replace(self._outcome(prompt, mapped), entry=self._entry(concluded(prompt.entry, None, error), entry_id))

    def _outcome(self, prompt: SentPrompt, mapped: Mapped) -> Outcome:
        best = prompt.candidate
        decided = {
            "model": best.model,
            "budget": str(best.budget),
            "predicted_quality": best.predicted_quality,
            "predicted_output_tokens": best.predicted_output_tokens,
            "predicted_cost_usd": best.predicted_cost_usd,
        }
        return Outcome(prompt.index, {**mapped.row(), **decided}, to_nanos(mapped.cost_usd, "cost_usd"))

    def _entry(self, entry: Entry, entry_id: str) -> Entry:
        return replace(entry, id=entry_id, provider_batch=self._batch_id)

    def _attempt(self, prompt: SentPrompt, reason: str, status: int | None, cost_usd: float) -> Attempt:
        return Attempt(prompt.candidate.model, prompt.candidate.budget, reason, status, self._seconds, cost_usd)
