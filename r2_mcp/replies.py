"""From the core's records to the results of the tools: the structured part, and the words beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from mcp_types import CallToolResult, TextContent

from r2_mcp.schemas import ExplainResult, GenerateResult, RouteResult

if TYPE_CHECKING:
    from mcp_types import CreateMessageResult

    from r2_router.generate import Answer
    from r2_router.router import R2Router
    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision
    from r2_router.routing.explanation import Explanation, FrontierPoint

_DIGITS = 3  # of a prediction
_BILLED_DIGITS = 9  # of what a call took
_FRONTIER = 6  # points shown where fewer candidates are asked for

_EXPECTED = ("model", "budget", "predicted_quality", "predicted_output_tokens", "predicted_cost_usd")
_CANDIDATE = ("model", "budget", "predicted_quality", "predicted_cost_usd", "net_usd")
_ATTEMPT = ("model", "budget", "reason", "seconds", "cost_usd")
_ANSWER = (
    *("text", "partial", "model", "served_model", "budget", "finish_reason", "predicted_quality"),
    *("predicted_cost_usd", "cost_usd", "prompt_tokens", "completion_tokens", "reasoning_tokens"),
    *("usage_estimated", "latency_s"),
)


def reply(result: Mapping[str, Any], *texts: str, digits: int = _DIGITS) -> CallToolResult:
    """`result` as structured content, whatever is None left out, numbers of so many `digits`, with `texts` for clients
    that show only text."""
    content = [TextContent(type="text", text=_encodable(text)) for text in texts if text]
    return CallToolResult(content=list(content), structured_content=_compact(result, digits))


# -- decisions -----------------------------------------------------------------------------------------------


def route_reply(router: R2Router, decision: Decision, top_k: int, best_ready: str = "") -> CallToolResult:
    """What `route` answers: the choice, and all it takes to ask it oneself."""
    from r2_router.routing.explanation import explain
    from r2_router.show.facts import how_to_ask

    best, explanation = decision.best, explain(decision)
    instruction = router.checkpoint.instruction
    base_url = next((m.base_url for m in router.models if m.name == best.model), "")
    cap, words = instruction.cap(best.budget) or decision.limits.max_tokens, instruction.render(best.budget)
    result: RouteResult = cast(
        "RouteResult",
        {
            **_fields(best, (*_EXPECTED, "model_id")),
            "base_url": base_url or None,
            "max_tokens": cap,
            "instruction": words or None,
            "saved_usd": explanation.baseline and explanation.baseline.saved_usd,
            "ready": not decision.not_ready,
            "best_ready": best_ready or None,
            **_terms(explanation),
            "others": _rows(decision.candidates[1:top_k]),
        },
    )
    return reply(result, _lines(_headline(best), explanation, [how_to_ask(best.model_id, base_url, cap, words)]))


def explain_reply(decision: Decision, top_k: int, compare: str) -> CallToolResult:
    """What `explain_candidates` answers. Raises InputError where `compare` means no candidate."""
    from r2_router.routing.explanation import explain, why_not
    from r2_router.routing.rows import excluded_texts

    explanation = explain(decision)
    compared = why_not(explanation, compare) if compare else ""
    choosable = [point for point in explanation.frontier if point.from_worth_usd is not None]
    excluded = excluded_texts(explanation.excluded)
    result: ExplainResult = cast(
        "ExplainResult",
        {
            **_terms(explanation),
            "candidates": _rows(decision.candidates[:top_k]),
            "frontier": [_point(p) for p in choosable[: max(top_k, _FRONTIER)]],
            "excluded": excluded[:top_k],
            "excluded_total": len(explanation.excluded),
            "compared": compared or None,
        },
    )
    rows = [f"{rank}. {_headline(c)}" for rank, c in enumerate(decision.candidates[:top_k], 1)]
    out = [f"Filtered out: {text}" for text in excluded[:top_k]]
    rest = [f"… and {len(excluded) - len(out)} more filtered out"] if len(excluded) > len(out) else []
    return reply(result, _lines(_headline(decision.best), explanation, [compared, *rows, *out, *rest]))


def why(explanation: Explanation) -> str:
    """The reasons for a decision, as every face says them."""
    from r2_router.routing.explanation import reasons

    return " ".join(reasons(explanation))


def _lines(headline: str, explanation: Explanation, rows: Sequence[str]) -> str:
    """The words beside a structured result: the choice, why, what to know, and whatever else."""
    lines = [headline, why(explanation), *explanation.decision.warnings(), *rows]
    return "\n".join(line for line in lines if line)


def _rows(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [_fields(c, _CANDIDATE) for c in candidates]


def _terms(explanation: Explanation) -> dict[str, Any]:
    from r2_router.routing.explanation import reasons

    decision = explanation.decision
    return {
        "why": reasons(explanation)[0].removeprefix("Why: "),
        "warnings": decision.warnings(),
        "worth_usd": decision.worth_usd,
        "candidates_total": len(decision.candidates),
    }


def _point(point: FrontierPoint) -> dict[str, Any]:
    expected = _fields(point.candidate, ("predicted_quality", "predicted_cost_usd"))
    return {"choice": point.candidate.label, **expected, "from_worth_usd": point.from_worth_usd}


# -- answers -------------------------------------------------------------------------------------------------


def answer_reply(answer: Answer, decision: Decision, entry_id: str) -> CallToolResult:
    """What `route_and_generate` answers: the text, then a line on what it took."""
    from r2_router.generate.answer import answer_facts
    from r2_router.routing.explanation import explain

    explanation = explain(decision)
    baseline = explanation.baseline
    result: GenerateResult = cast(
        "GenerateResult",
        {
            **_fields(answer, _ANSWER),
            "attempts": [_fields(a, _ATTEMPT) for a in answer.attempts],
            "error": answer.error or None,
            "answered_by": "provider",
            "why": why(explanation),
            "warnings": decision.warnings(),
            "saved_usd": None if baseline is None else baseline.candidate.predicted_cost_usd - answer.cost_usd,
            "id": entry_id,
        },
    )
    facts = f"[{answer_facts(answer)} Id {entry_id}: rate_answer says whether it was good.]"
    return reply(result, answer.text, "\n".join([facts, *decision.warnings()]), digits=_BILLED_DIGITS)


def sampled_reply(sampled: CreateMessageResult, decision: Decision, entry_id: str) -> CallToolResult:
    """The answer of the client's own LLM, which this server neither pays nor meters."""
    from r2_router.routing.explanation import explain

    blocks = sampled.content if isinstance(sampled.content, list) else [sampled.content]
    text = "".join(block.text for block in blocks if isinstance(block, TextContent))
    best = decision.best
    result: GenerateResult = {
        "text": text,
        "partial": False,
        "answered_by": "client",
        "model": best.model,
        "served_model": sampled.model,
        "budget": best.budget,
        "finish_reason": sampled.stop_reason or "",
        "why": why(explain(decision)),
        "warnings": decision.warnings(),
        "predicted_quality": best.predicted_quality,
        "predicted_cost_usd": best.predicted_cost_usd,
        "attempts": [],
        "id": entry_id,
    }
    return reply(result, text, f"[{sampled.model}, the client's own model, in place of {best.label}.]")


def _headline(c: Candidate) -> str:
    """A candidate on one line."""
    from r2_router.routing.rows import ranking_row

    _, model, budget, quality, tokens, cost, net, _ = ranking_row(0, c)
    return f"{model} @ {budget}: expected quality {quality}, {tokens} tokens, {cost}, net value {net}."


# -- JSON ----------------------------------------------------------------------------------------------------


def _fields(record: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Those fields of a record, as JSON."""
    from r2_router.records import to_json

    return {name: to_json(record[name]) for name in names}


def _compact(value: Any, digits: int) -> Any:
    """`value` without None, its numbers of so many digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, list):
        return [_compact(item, digits) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: _compact(item, digits) for key, item in items if item is not None}
    return value


def _encodable(text: str) -> str:
    """Half a surrogate pair, which no JSON in UTF-8 can say, becomes "?"."""
    return text.encode("utf-8", "replace").decode()
