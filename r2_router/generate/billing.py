"""What a try costs: the provider's own figures where it gives them, else the most it may have billed."""

from __future__ import annotations

from dataclasses import dataclass

from r2_router.generate.wire import Reply
from r2_router.pools.model import Model
from r2_router.pools.prompt_caches import cache_priced
from r2_router.routing.tokens import estimate_tokens

# An estimate of tokens may be a third too low; what is held for a try, or told without figures, must not be.
_MARGIN = 1.5
_MARGIN_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens used and dollars owed. completion_tokens holds reasoning_tokens, prompt_tokens those of the cache.

    `estimated`: the provider gave no figures. Then `cost_usd` is on the safe side: a whole answer is counted with a
    margin, and a try of which nobody knows how far it went costs the most that it may have. `cache_saved_usd`: what
    the prompt cost less than without a cache, by the prices; below 0 where more was written to it than read.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_usd: float = 0.0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_saved_usd: float = 0.0


def worst_case(model: Model, prompt_tokens: float, max_tokens: float) -> float:
    """The most in USD that a try may cost which reads `prompt_tokens`, estimated, and writes up to its cap.

    Raises ConfigError for a model without a price.
    """
    return cache_priced(model).most_usd(_at_most(prompt_tokens), max_tokens)


def bill(model: Model, prompt_tokens: int, worst_case_usd: float, reply: Reply) -> Bill:
    """The bill for `reply`. `prompt_tokens` is the estimate, `worst_case_usd` the most that the try may cost."""
    usage = reply.usage
    thought = estimate_tokens("".join(reply.reasoning_pieces)) if reply.reasoning_pieces else 0
    counted = usage is not None and usage.completion_tokens > 0 and not thought
    stated = 0 if counted else estimate_tokens(reply.written)
    if usage is None or (usage.completion_tokens == 0 and usage.cost_usd is None and (thought or stated)):
        if reply.unbilled:
            return Bill()
        most_usd = worst_case_usd  # nobody bills more than the cap that was sent; what was set aside for it holds
        if reply.whole and (thought or stated) and (thought or not model.thinking_tokens):
            most_usd = min(worst_case_usd, worst_case(model, prompt_tokens, _at_most(thought + stated)))
        return Bill(prompt_tokens, thought + stated, thought, True, most_usd)
    completion, reasoning, estimated = usage.completion_tokens, usage.reasoning_tokens, False
    if usage.cost_usd is None and thought and completion < (thought + stated) / 2:  # it counts the text alone
        completion, reasoning, estimated = completion + thought, thought, True
    if reasoning is None:
        reasoning = min(thought, completion)
    cost_usd = usage.cost_usd
    if cost_usd is None:
        cost_usd = cache_priced(model).cost_usd(
            usage.prompt_tokens,
            completion,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            thinking_tokens=reasoning,
        )
    if not (reply.usage_final or reply.whole):  # it told of a part, and broke off
        cost_usd, estimated = max(cost_usd, worst_case_usd), True
    cached = (usage.cache_read_tokens, usage.cache_write_tokens)
    saved_usd = _saved(model, usage.prompt_tokens, *cached)
    return Bill(usage.prompt_tokens, completion, reasoning, estimated, cost_usd, *cached, saved_usd)


def _saved(model: Model, prompt_tokens: int, read: int, written: int) -> float:
    """What the cache took off the price of a prompt, in USD."""
    known = cache_priced(model)
    billed = known.cost_usd(prompt_tokens, 0, cache_read_tokens=read, cache_write_tokens=written)
    return known.cost_usd(prompt_tokens, 0) - billed


def _at_most(tokens: float) -> float:
    return tokens * _MARGIN + _MARGIN_TOKENS
