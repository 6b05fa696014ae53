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
    from r2_router.routing.decision import Candidate, Decision
    from r2_router.routing.explanation import Explanation, Flip

_DIGITS = 9
_FRONTIER = 12  # points shown where fewer candidates are asked for

_EXPECTED = ("model", "budget", "predicted_quality", "predicted_output_tokens", "predicted_cost_usd")
_CANDIDATE = (*_EXPECTED, "quality_error", "risk", "net_usd")
_ATTEMPT = ("model", "budget", "reason", "seconds", "cost_usd")
_ANSWER = (
    *("text", "partial", "model", "served_model", "budget", "finish_reason", "predicted_quality"),
    *("predicted_cost_usd", "cost_usd", "prompt_tokens", "completion_tokens", "reasoning_tokens"),
    *("usage_estimated", "latency_s"),
)


def reply(result: Mapping[str, Any], *texts: str) -> CallToolResult:
    """`result` as structured content, whatever is None left out, with `texts` for clients that show only text."""
    content = [TextContent(type="text", text=_encodable(text)) for text in texts if text]
    return CallToolResult(content=list(content), structured_content=_compact(result))


# -- decisions -----------------------------------------------------------------------------------------------


def route_reply(decision: Decision, top_k: int) -> CallToolResult:
    """What `route` answers."""
    from r2_router.routing.explanation import explain

    best, explanation = decision.best, explain(decision)
    result: RouteResult = cast(
        "RouteResult",
        {
            **_fields(best, (*_EXPECTED, "model_id")),
            "not_ready": decision.not_ready or None,
            **_terms(explanation),
            "candidates": [_fields(c, _CANDIDATE) for c in decision.candidates[:top_k]],
            "truncated": len(decision.candidates) > top_k,
        },
    )
    return reply(result, _lines(_headline(best), explanation))


def explain_reply(decision: Decision, top_k: int) -> CallToolResult:
    """What `explain_candidates` answers."""
    from r2_router.routing.explanation import explain

    explanation = explain(decision)
    frontier = explanation.frontier
    excluded = _grouped(explanation)
    shown = max(top_k, _FRONTIER)
    result: ExplainResult = cast(
        "ExplainResult",
        {
            **_terms(explanation),
            "candidates": [_fields(c, _CANDIDATE) for c in decision.candidates[:top_k]],
            "runner_up": explanation.runner_up and _fields(explanation.runner_up, _CANDIDATE),
            "gap_risk": explanation.gap_risk,
            "gap_usd": explanation.gap_usd,
            "flip_up": _flip(explanation.flip_up),
            "flip_down": _flip(explanation.flip_down),
            "frontier": [
                {"candidate": _fields(p.candidate, _CANDIDATE), **_fields(p, ("from_worth_usd", "to_worth_usd"))}
                for p in frontier[:shown]
            ],
            "excluded": excluded[:top_k],
            "excluded_total": len(explanation.excluded),
            "truncated": len(decision.candidates) > top_k or len(frontier) > shown or len(excluded) > top_k,
        },
    )
    rows = [f"{rank}. {_headline(c)}" for rank, c in enumerate(decision.candidates[:top_k], 1)]
    return reply(result, _lines(_headline(decision.best), explanation, rows))


def why(explanation: Explanation) -> str:
    """The reasons for a decision, as every face says them."""
    from r2_router.show.reasons import reasons

    return " ".join(reasons(explanation))


def _lines(headline: str, explanation: Explanation, rows: Sequence[str] = ()) -> str:
    """The words beside a structured result: the choice, why, what to know, and the rows of a list."""
    from r2_router.show.reasons import excluded_texts

    texts = excluded_texts(explanation.excluded) if rows else []
    out = [f"Filtered out: {text}" for text in texts[: len(rows)]]
    rest = [f"… and {len(texts) - len(out)} more filtered out"] if len(texts) > len(out) else []
    return "\n".join([headline, why(explanation), *explanation.decision.warnings(), *rows, *out, *rest])


def _terms(explanation: Explanation) -> dict[str, Any]:
    decision, baseline = explanation.decision, explanation.baseline
    return {
        "why": why(explanation),
        "warnings": decision.warnings(),
        "worth_usd": decision.worth_usd,
        "lambda_val": decision.lambda_val,
        "checkpoint": decision.checkpoint,
        "baseline": baseline
        and {"candidate": _fields(baseline.candidate, _CANDIDATE), "saved_usd": baseline.saved_usd},
        "candidates_total": len(decision.candidates),
    }


def _grouped(explanation: Explanation) -> list[dict[str, Any]]:
    """What was taken out, one row for each model and kind of reason: the numbers differ, the reason does not."""
    rows: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for e in explanation.excluded:
        kind = tuple("".join(ch for ch in reason if not ch.isdigit() and ch != ".") for reason in e.reasons)
        new: dict[str, Any] = {"model": e.candidate.model, "budgets": [], "reasons": list(e.reasons)}
        rows.setdefault((e.candidate.model, kind), new)["budgets"].append(str(e.candidate.budget))
    return list(rows.values())


def _flip(flip: Flip | None) -> dict[str, Any] | None:
    return flip and {"worth_usd": flip.worth_usd, "candidate": _fields(flip.candidate, _CANDIDATE)}


# -- answers -------------------------------------------------------------------------------------------------


def answer_reply(answer: Answer, decision: Decision, entry_id: str) -> CallToolResult:
    """What `route_and_generate` answers: the text, then a line on what it took."""
    from r2_router.routing.explanation import explain
    from r2_router.show.reasons import answer_facts

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
    return reply(result, answer.text, "\n".join([f"[{answer_facts(answer)}]", *decision.warnings()]))


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
    from r2_router.show.ranking import ranking_row

    _, model, budget, quality, tokens, cost, net, _ = ranking_row(0, c)
    return f"{model} @ {budget}: expected quality {quality}, {tokens} tokens, {cost}, net value {net}."


# -- JSON ----------------------------------------------------------------------------------------------------


def _fields(record: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Those fields of a record, as JSON."""
    from r2_router.records import to_json

    return {name: to_json(record[name]) for name in names}


def _compact(value: Any) -> Any:
    """`value` without None and without digits that no prediction has."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, list):
        return [_compact(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: _compact(item) for key, item in items if item is not None}
    return value


def _encodable(text: str) -> str:
    """Half a surrogate pair, which no JSON in UTF-8 can say, becomes "?"."""
    return text.encode("utf-8", "replace").decode()
