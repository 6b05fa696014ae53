"""An Answer, made of what a model sent and what that costs."""

from __future__ import annotations

import time

from r2_router.generate.answer import Answer, Attempt
from r2_router.generate.billing import Bill
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.wire import Reply
from r2_router.pools.model import Model
from r2_router.routing.considered import Candidate
from r2_router.routing.decision import Decision


def make_answer(
    reply: Reply,
    billed: Bill,
    candidate: Candidate,
    model: Model,
    endpoint: Endpoint,
    *,
    attempts: tuple[Attempt, ...],
    latency_s: float,
    first_token_s: float | None = None,
    error: str = "",
    decision: Decision | None = None,
) -> Answer:
    """The answer that `reply` is, the last of `attempts`; a partial one where there is an `error`. What the server says
    of itself is kept as it may be shown."""
    shown = endpoint.shown
    return Answer(
        text=reply.text,
        model=candidate.model,
        model_id=model.id,
        served_model=shown(reply.served_model) or model.id,
        budget=candidate.budget,
        prompt_tokens=billed.prompt_tokens,
        completion_tokens=billed.completion_tokens,
        reasoning_tokens=billed.reasoning_tokens,
        usage_estimated=billed.estimated,
        finish_reason=shown(reply.finish_reason),
        predicted_quality=candidate.predicted_quality,
        predicted_cost_usd=candidate.predicted_cost_usd,
        risk=candidate.risk,
        cost_usd=sum(attempt.cost_usd for attempt in attempts),
        latency_s=latency_s,
        first_token_s=first_token_s,
        attempts=attempts,
        request_id=shown(reply.request_id),
        cache_read_tokens=billed.cache_read_tokens,
        cache_write_tokens=billed.cache_write_tokens,
        cache_saved_usd=billed.cache_saved_usd,
        ended_at=time.time(),
        partial=bool(error),
        error=error,
        mean_logprob=reply.logprobs.mean,
        tool_calls=reply.calls.finished(whole=not error),
        decision=decision,
    )
