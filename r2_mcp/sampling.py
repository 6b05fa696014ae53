"""The client's own LLM, asked by sampling where no model of ours can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.resolve import Sample
from mcp_types import CreateMessageResult, ModelHint, ModelPreferences, SamplingMessage, TextContent
from mcp_types.version import is_version_at_least

from r2_mcp.replies import sampled_reply
from r2_router.errors import InputError
from r2_router.records import Budget

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp_types import CallToolResult

    from r2_router.router import R2Router
    from r2_router.routing.decision import Candidate, Decision

_ASKS_IN_RESULTS = "2026-07-28"  # from here on a question to the client rides on a result
_MAX_TOKENS = 4096  # of an unlimited answer: the protocol wants a number


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision, and the candidate of it that is asked: the best, or the one forced."""

    decision: Decision
    candidate: Candidate


def client_offers_sampling(ctx: Context[Any, Any]) -> bool:
    """Whether the client's LLM may be asked, and this connection has a way back to it."""
    capabilities, version = ctx.client_capabilities, ctx.protocol_version
    if capabilities is None or capabilities.sampling is None or version is None:
        return False
    return is_version_at_least(version, _ASKS_IN_RESULTS) or ctx.session.can_send_request


def choose(router: R2Router, query: str, model: str, budget: Budget | None, wishes: Mapping[str, Any]) -> Choice:
    """The decision among all models of the pool, whether or not they can be asked.

    Raises what `route_text` raises, and InputError for a budget nobody was measured with.
    """
    forced: dict[str, Any] = {"models": escape(model)} if model else {}
    if isinstance(budget, int):
        forced["max_tokens"] = budget
    decision = router.route_text(query, **{**wishes, **forced})
    fitting = (c for c in decision.candidates if budget in (None, c.budget))
    candidate = next(fitting, None)
    if candidate is None:
        raise InputError(f"Budget {budget} was not measured for any model allowed here; 'unlimited' was.")
    return Choice(decision, candidate)


def question(
    router: R2Router, candidate: Candidate, messages: Sequence[Mapping[str, Any]], system: str, max_tokens: int
) -> Sample:
    """What the client's LLM is asked: the conversation, told its length as our models are, the model as a hint."""
    from r2_router.routing.messages import check_messages, content_text, instruct

    instruction = router.checkpoint.instruction
    told = instruct(check_messages(messages), instruction, candidate.budget)
    prompt = "\n\n".join(filter(None, [system, *(content_text(m) for m in told if m["role"] == "system")]))
    turns = [
        SamplingMessage(role=m["role"], content=TextContent(type="text", text=content_text(m)))
        for m in told
        if m["role"] in ("user", "assistant")
    ]
    return Sample(
        turns,
        max_tokens=instruction.cap(candidate.budget) or max_tokens or _MAX_TOKENS,
        system_prompt=prompt or None,
        model_preferences=ModelPreferences(hints=[ModelHint(name=candidate.model_id)]),
    )


def client_reply(router: R2Router, choice: Choice, sampled: CreateMessageResult) -> CallToolResult:
    """The tool's result for what the client's LLM said; the ledger notes the decision, for nothing was spent."""
    entry = router.desk.record(choice.decision, strongest=router.checkpoint.strongest)
    return sampled_reply(sampled, choice.decision, choice.candidate, entry)
