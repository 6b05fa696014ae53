"""The client's own LLM, asked by sampling where no model of ours can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.resolve import Sample
from mcp_types import CreateMessageResult, ModelHint, ModelPreferences, SamplingMessage, TextContent

from r2_mcp.consent import has_way_back
from r2_mcp.replies import sampled_reply

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp_types import CallToolResult

    from r2_router.router import R2Router
    from r2_router.routing.request import Request

_MAX_TOKENS = 4096  # of an unlimited answer: the protocol wants a number


def client_offers_sampling(ctx: Context[Any, Any]) -> bool:
    """Whether the client's LLM may be asked, and this connection has a way back to it."""
    capabilities = ctx.client_capabilities
    return capabilities is not None and capabilities.sampling is not None and has_way_back(ctx)


def question(router: R2Router, request: Request) -> Sample:
    """What the client's LLM is asked: the conversation, told its length as our models are, the model as a hint.

    Raises what `R2Router.decide` raises.
    """
    from r2_router.routing.messages import content_text, instruct

    best, instruction = router.decide(request).best, router.checkpoint.instruction
    instructed = instruct(request.messages, instruction, best.budget)
    prompt = "\n\n".join(filter(None, (content_text(m) for m in instructed if m["role"] == "system")))
    turns = [
        SamplingMessage(role=m["role"], content=TextContent(type="text", text=content_text(m)))
        for m in instructed
        if m["role"] in ("user", "assistant")
    ]
    return Sample(
        turns,
        max_tokens=instruction.cap(best.budget) or request.limits.max_tokens or _MAX_TOKENS,
        system_prompt=prompt or None,
        model_preferences=ModelPreferences(hints=[ModelHint(name=best.model_id)]),
    )


def client_reply(router: R2Router, request: Request, sampled: CreateMessageResult) -> CallToolResult:
    """The tool's result for what the client's LLM said; the ledger notes the decision, for nothing was spent."""
    decision = router.decide(request)
    return sampled_reply(sampled, decision, router.record(decision))
