"""A provider with a prompt cache: it keeps what it reads, for a while and above a minimum, and says so in its usage."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from r2_router.routing.tokens import estimate_tokens
from support.chat_server import Behaviour, Exchange

TABLES = """
[caching]
hosts = ["127.0.0.1"]
"""


def rules(*, min_tokens: int = 100, ttl_s: int = 300, write: float = 1.25, marked: bool = False, asks: str = "") -> str:
    """prompt_caches.toml for a `CachingProvider` on loopback."""
    return f"""
[caching]
provider = "caching"
models = ["*"]
read = 0.1
write = {write}
min_tokens = {min_tokens}
ttl_s = {ttl_s}
marked = {str(marked).lower()}
asks = "{asks}"
"""


@dataclass
class CachingProvider:
    """`spelling` is how its usage is written: openai, anthropic or deepseek; `clock` gives seconds. With `marked`, only
    what ends in a message that holds a `cache_control` is kept."""

    clock: Callable[[], float]
    spelling: str = "openai"
    min_tokens: int = 100
    ttl_s: float = 300
    marked: bool = False
    kept: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    counts: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])  # prompt, read, written

    @property
    def behaviour(self) -> Behaviour:
        async def behave(exchange: Exchange) -> None:
            usage = self._read(exchange.body)
            await exchange.start()
            await exchange.say("The answer.")
            await exchange.finish(usage=usage)

        return behave

    def _read(self, body: dict[str, Any]) -> dict[str, Any]:
        now, model = self.clock(), body["model"]
        parts = [_plain(message) for message in body["messages"]]
        marks = ["cache_control" in json.dumps(message) for message in body["messages"]]
        total, read, written = estimate_tokens("".join(parts)), 0, 0
        for end in range(1, len(parts) + 1):
            text = "".join(parts[:end])
            seen, tokens = self.kept.get((model, text)), estimate_tokens(text)
            if seen is not None and now - seen < self.ttl_s and tokens >= self.min_tokens:
                read = tokens
            if marks[end - 1] or not self.marked:
                self.kept[model, text] = now
                written = max(0, tokens - read) if tokens >= self.min_tokens else 0
        self.counts.append((total, read, written))
        return self._usage(total, read, written)

    def _usage(self, total: int, read: int, written: int) -> dict[str, Any]:
        if self.spelling == "anthropic":
            plain = {"input_tokens": total - read - written, "output_tokens": 3}
            return {**plain, "cache_read_input_tokens": read, "cache_creation_input_tokens": written}
        usage: dict[str, Any] = {"prompt_tokens": total, "completion_tokens": 3, "total_tokens": total + 3}
        if self.spelling == "deepseek":
            return {**usage, "prompt_cache_hit_tokens": read, "prompt_cache_miss_tokens": total - read}
        return {**usage, "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written}}


def _plain(message: dict[str, Any]) -> str:
    """What a message says, marked or not."""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return json.dumps([message["role"], text, message.get("tool_calls")])
