"""Mapped: what became of one prompt of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r2_router.records import Record

if TYPE_CHECKING:
    from r2_router.generate import Answer
    from r2_router.routing.decision import Decision


@dataclass(frozen=True, slots=True)
class Mapped(Record):
    """The prompt at `index`, counted from 0: its decision, its answer where one was asked for, or the `error` that
    stands for them. `cost_usd` is what it took, failed tries included; `provider_batch` the id of the provider's batch
    in which it was asked, "" where it was asked alone."""

    index: int
    decision: Decision | None = None
    answer: Answer | None = None
    error: str = ""
    cost_usd: float = 0.0
    provider_batch: str = ""

    def row(self) -> dict[str, Any]:
        """One row of a table: numbers and texts only, None for what there is not."""
        decision, answer = self.decision, self.answer
        best = decision and decision.best
        return {
            "index": self.index,
            "model": answer.model if answer else best and best.model,
            "budget": str(answer.budget) if answer else best and str(best.budget),
            "predicted_quality": answer.predicted_quality if answer else best and best.predicted_quality,
            "predicted_output_tokens": best and best.predicted_output_tokens,
            "predicted_cost_usd": answer.predicted_cost_usd if answer else best and best.predicted_cost_usd,
            "answer": answer and answer.text,
            "finish_reason": answer and answer.finish_reason,
            "partial": answer and answer.partial,
            "prompt_tokens": answer and answer.prompt_tokens,
            "completion_tokens": answer and answer.completion_tokens,
            "cost_usd": self.cost_usd if answer or self.cost_usd else None,
            "latency_s": answer and answer.latency_s,
            "error": self.error or None,
            "provider_batch": self.provider_batch or None,
        }
