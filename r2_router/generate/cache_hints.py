"""Hints to a provider's prompt cache, set for the user where they pay: `cache_control` marks, `prompt_cache_key`.

What the user set himself is sent as it is, and then nothing is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from r2_router.pools.model import Model
from r2_router.pools.prompt_caches import cache_rule
from r2_router.routing.messages import Message, is_marked, mark, message_tokens
from r2_router.routing.prompt_memory import chat_names, leading_systems
from r2_router.routing.warm_prices import marks_pay

FIELDS = ("cache_control", "prompt_cache_key")


def cache_hints(
    model: Model,
    messages: Sequence[Message],
    sent: Sequence[Message],
    asked: Mapping[str, Any],
    prompt_tokens: float,
    hits: Mapping[str, float] | None,
) -> tuple[list[Message], dict[str, Any]]:
    """`sent`, which is `messages` with the instruction in it, as `model` is to be sent it, and more fields of the body.

    `asked` is what else is asked for; `hits` are the rates at which caches are found, None outside of a chat: a premium
    for writing is paid only where the next turns are expected to pay it back.
    """
    rule = cache_rule(model)
    own = is_marked(messages) or not asked.keys().isdisjoint(FIELDS)
    if rule is None or own or prompt_tokens < rule.min_tokens:
        return list(sent), {}
    if rule.asks == "cache_control" and hits is not None and marks_pay(model, prompt_tokens, hits):
        return mark(sent, messages), {}
    if rule.asks == "prompt_cache_key" and _is_a_chats_own(messages, asked, rule.min_tokens):
        return list(sent), {"prompt_cache_key": chat_names(messages)[1].hex()}
    return list(sent), {}


def _is_a_chats_own(messages: Sequence[Message], asked: Mapping[str, Any], min_tokens: int) -> bool:
    """Whether it is the chat that can be found in a cache, and not system messages that many chats begin with: a key
    for each would lead these away from the server that has read them."""
    shared = sum(message_tokens(message) for message in messages[: leading_systems(messages)])
    return bool(asked.get("tools")) or shared < min_tokens
