"""From the core's records to the results of the tools: the structured part, and the words beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from mcp_types import CallToolResult, TextContent

from r2_mcp.schemas import ExplainResult, GenerateResult, RouteResult

if TYPE_CHECKING:
    from mcp_types import CreateMessageResult

    from r2_router.generate import Answer
    from r2_router.routing.decision import Candidate, Decision
    from r2_router.routing.explanation import Baseline, Explanation, Flip

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


def route_reply(decision: Decision, baseline: Baseline | None, not_ready: str, top_k: int) -> CallToolResult:
    """What `route` answers; `not_ready` says why the chosen model cannot be asked now, "" if it can."""
    best = decision.best
    result: RouteResult = cast(
        "RouteResult",
        {
            **_fields(best, (*_EXPECTED, "model_id")),
            "not_ready": not_ready or None,
            **_terms(decision, baseline),
            "candidates": [_fields(c, _CANDIDATE) for c in decision.candidates[:top_k]],
            "truncated": len(decision.candidates) > top_k,
        },
    )
    note = f"This server cannot ask it now: {not_ready}." if not_ready else ""
    return reply(result, "\n".join(filter(None, [_headline(best), result["why"], note])))


def explain_reply(explanation: Explanation, top_k: int) -> CallToolResult:
    """What `explain_candidates` answers."""
    decision, frontier = explanation.decision, explanation.frontier
    excluded = _grouped(explanation)
    shown = max(top_k, _FRONTIER)
    result: ExplainResult = cast(
        "ExplainResult",
        {
            **_terms(decision, explanation.baseline),
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
    rows = [_row(i, c) for i, c in enumerate(decision.candidates[:top_k], 1)]
    return reply(result, "\n".join([_headline(decision.best), result["why"], *rows, *_outlook(explanation)]))


def why(decision: Decision, baseline: Baseline | None) -> str:
    """The reason for a decision in one sentence or two."""
    best, worth = decision.best, decision.worth_usd
    goal = "With quality all that counts" if worth is None else f"At {usd(worth)} a perfect answer"
    runner_up = decision.candidates[1] if len(decision.candidates) > 1 else None
    second = f", ahead of {runner_up.label}" if runner_up else " and alone meets the limits"
    said = f"{goal}, {best.label} is worth most{second}."
    if baseline and baseline.saved_usd > 0:
        c = baseline.candidate
        said += f" Always {c.label}: quality {c.predicted_quality:.2f} for {usd(c.predicted_cost_usd)}."
    return said


def _terms(decision: Decision, baseline: Baseline | None) -> dict[str, Any]:
    return {
        "why": why(decision, baseline),
        "worth_usd": decision.worth_usd,
        "lambda_val": decision.lambda_val,
        "query_cut": decision.truncated,
        "familiar": decision.familiar,
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


def answer_reply(answer: Answer, decision: Decision, baseline: Baseline | None, entry_id: str) -> CallToolResult:
    """What `route_and_generate` answers: the text, then a line on what it took."""
    saved = None if baseline is None else baseline.candidate.predicted_cost_usd - answer.cost_usd
    result: GenerateResult = cast(
        "GenerateResult",
        {
            **_fields(answer, _ANSWER),
            "attempts": [_fields(a, _ATTEMPT) for a in answer.attempts],
            "error": answer.error or None,
            "answered_by": "provider",
            "why": why(decision, baseline),
            "saved_usd": saved,
            "id": entry_id,
        },
    )
    took = f"{answer.completion_tokens} tokens, {usd(answer.cost_usd)}, {answer.latency_s:.1f} s"
    tries = f", {len(answer.attempts)} attempts" if len(answer.attempts) > 1 else ""
    end = f" Incomplete: {answer.error}" if answer.partial else ""
    return reply(result, answer.text, f"[{answer.model} @ {answer.budget}: {took}{tries}.{end}]")


def sampled_reply(
    sampled: CreateMessageResult, decision: Decision, candidate: Candidate, entry_id: str
) -> CallToolResult:
    """The answer of the client's own LLM, which this server neither pays nor meters."""
    blocks = sampled.content if isinstance(sampled.content, list) else [sampled.content]
    text = "".join(block.text for block in blocks if isinstance(block, TextContent))
    result: GenerateResult = {
        "text": text,
        "partial": False,
        "answered_by": "client",
        "model": candidate.model,
        "served_model": sampled.model,
        "budget": candidate.budget,
        "finish_reason": sampled.stop_reason or "",
        "why": why(decision, None),
        "predicted_quality": candidate.predicted_quality,
        "predicted_cost_usd": candidate.predicted_cost_usd,
        "attempts": [],
        "id": entry_id,
    }
    return reply(result, text, f"[{sampled.model}, the client's own model, in place of {candidate.label}.]")


# -- words ---------------------------------------------------------------------------------------------------


def usd(amount: float) -> str:
    """Dollars with three digits that count: $0.000123, $12.3."""
    if amount == 0 or not math.isfinite(amount):
        return f"${amount:g}"
    return f"${amount:.{max(2, 2 - math.floor(math.log10(abs(amount))))}f}"


def _headline(c: Candidate) -> str:
    tokens = f"{c.predicted_output_tokens:.0f} tokens"
    return f"{c.label}: expected quality {c.predicted_quality:.2f}, {tokens}, {usd(c.predicted_cost_usd)}."


def _row(rank: int, c: Candidate) -> str:
    net = "" if c.net_usd is None else f", net {usd(c.net_usd)}"
    return f"{rank}. {_headline(c)[:-1]}{net}, risk {c.risk:.6f}"


def _outlook(explanation: Explanation) -> list[str]:
    lines: list[str] = []
    for word, flip in (("above", explanation.flip_up), ("below", explanation.flip_down)):
        if flip is not None:
            lines.append(f"Worth {word} {usd(flip.worth_usd)}: {flip.candidate.label}.")
    if explanation.excluded:
        lines.append(f"{len(explanation.excluded)} candidates were taken out by the limits.")
    return lines


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
