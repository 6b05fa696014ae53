"""A span of OpenTelemetry for each request, in the words of its GenAI conventions. Without an SDK nothing is recorded;
no text of a conversation is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2_router.gateway.api import ended
from r2_router.gateway.failures import Failure

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from r2_router.gateway.seen import Seen

_ROUTER = "r2"  # the provider, as far as the client knows
_NS = 1_000_000_000


def trace(seen: Seen) -> None:
    """Record a request that is over, as part of the trace that its client began, if it did."""
    from opentelemetry import propagate
    from opentelemetry.trace import ProxyTracerProvider, SpanKind, Status, StatusCode, get_tracer_provider

    provider = get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):
        return  # no SDK is there
    span = provider.get_tracer("r2_router.gateway").start_span(
        f"chat {seen.asked or _ROUTER}",
        context=propagate.extract(seen.headers),
        kind=SpanKind.SERVER,
        start_time=seen.began_ns,
        attributes=_attributes(seen),
    )
    if isinstance(seen.outcome, Failure):
        span.set_status(Status(StatusCode.ERROR, seen.outcome.code))
        span.set_attribute("error.type", seen.outcome.code or seen.outcome.kind)
    span.end(seen.began_ns + int(seen.ended_s * _NS))


def _attributes(seen: Seen) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _ROUTER,
        "gen_ai.request.model": seen.asked or _ROUTER,
        "http.route": seen.path,
    }
    if seen.told is not None:
        best = seen.told.decision.best
        found |= {"r2.budget": str(best.budget), "r2.predicted_quality": best.predicted_quality}
        found |= {"r2.predicted_cost_usd": best.predicted_cost_usd, "gen_ai.response.model": seen.told.model}
    if (answer := seen.answer) is not None:
        found |= {
            "gen_ai.usage.input_tokens": answer.prompt_tokens,
            "gen_ai.usage.output_tokens": answer.completion_tokens,
            "gen_ai.response.finish_reasons": [ended(answer)],
            "r2.cost_usd": answer.cost_usd,
            "r2.tries": len(answer.attempts),
        }
    return found
