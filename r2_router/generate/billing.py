"""What a try costs: the provider's own figures where it gives them, else estimates that say so."""

from __future__ import annotations

from dataclasses import dataclass

from r2_router.generate.wire import Reply
from r2_router.pools.model import Model
from r2_router.routing.tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens used and dollars owed. completion_tokens holds reasoning_tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_usd: float = 0.0


def bill(model: Model, prompt_tokens: int, reply: Reply) -> Bill:
    """The bill for `reply`: nothing before the model wrote something. `prompt_tokens` is the estimate."""
    if not reply.begun:
        return Bill()
    thought = estimate_tokens("".join(reply.reasoning_pieces)) if reply.reasoning_pieces else 0
    usage = reply.usage
    if usage is None or (usage.completion_tokens == 0 and (thought or reply.text_pieces)):
        completion = thought + (estimate_tokens(reply.text) if reply.text_pieces else 0)
        return Bill(prompt_tokens, completion, thought, True, model.cost_usd(prompt_tokens, completion))
    reasoning = usage.reasoning_tokens
    return Bill(
        usage.prompt_tokens,
        usage.completion_tokens,
        min(thought, usage.completion_tokens) if reasoning is None else reasoning,
        False,
        model.cost_usd(usage.prompt_tokens, usage.completion_tokens) if usage.cost_usd is None else usage.cost_usd,
    )
