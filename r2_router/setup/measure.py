"""How fast the servers on this machine read and write: one short answer of each model, which also sets its price."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from r2_router.errors import ConfigError
from r2_router.generate import Endpoint, Options, run
from r2_router.generate.body import chat_body
from r2_router.generate.client import ask
from r2_router.generate.faults import ThoughtOnlyError, TryError
from r2_router.generate.wire import Reply
from r2_router.routing.tokens import estimate_tokens
from r2_router.setup.ways import Way, at_speeds

_PROMPT = (
    "A small town lies between a river and a wooded hill. Its market is held on Saturdays, when farmers bring "
    "apples, bread, cheese and honey, and a band plays by the fountain. In winter the square is quiet, snow covers the "
    "roofs, and children skate on the pond behind the school. The baker opens before dawn, the library at ten, and the "
    "last train leaves at a quarter past eleven. Describe in a few sentences what a visitor could do here in a day."
)
_WRITTEN = 64  # tokens of the answer
_LOADING_S = 120.0  # a server may have to read the weights first
_LEAST_S = 1e-3
_MOST_PER_SECOND = 1e6


def measured(ways: Sequence[Way], usd_per_hour: float, tell: Callable[[str], None]) -> tuple[list[Way], dict[str, str]]:
    """`ways` with those of this machine at the price of their measured speed; and by name why one gave no answer, which
    is left out. `tell` is given the name of each that is asked."""
    kept: list[Way] = []
    failures: dict[str, str] = {}
    for way in ways:
        if way.measured:
            kept.append(way)
            continue
        tell(way.model.name)
        try:
            kept.append(at_speeds(way, run(_speeds(way)), usd_per_hour=usd_per_hour, measured=True))
        except (TryError, ConfigError) as error:
            failures[way.model.name] = getattr(error, "reason", "") or str(error)
    return kept, failures


async def _speeds(way: Way) -> tuple[float, float]:
    """Tokens per second, read and written. Asked twice: at the first time the weights may have to be loaded."""
    await _answer(way, "Say yes.", 1)
    return await _answer(way, _PROMPT, _WRITTEN)


async def _answer(way: Way, prompt: str, tokens: int) -> tuple[float, float]:
    """The speeds of one answer: read until its first token came, written from there to its end."""
    now = asyncio.get_running_loop().time
    body = chat_body(way.model, [{"role": "user", "content": prompt}], tokens, {"temperature": 0})
    options, reply, start = Options(first_token_s=_LOADING_S), Reply(), now()
    pieces = ask(way.model, Endpoint(way.model.base_url), body, options, start + _LOADING_S, reply)
    first: float | None = None
    try:
        async with aclosing(pieces):
            async for _ in pieces:
                first = first or now()
    except ThoughtOnlyError:  # thoughts take as long as words
        pass
    end = now()
    first = first or end
    thought = "".join(reply.reasoning_pieces)
    read = reply.usage.prompt_tokens if reply.usage else estimate_tokens(prompt)
    written = reply.usage.completion_tokens if reply.usage else estimate_tokens(reply.text + thought)
    return _per_second(read, first - start), _per_second(max(written - 1, 1), end - first)


def _per_second(tokens: float, seconds: float) -> float:
    return float(f"{min(_MOST_PER_SECOND, max(tokens, 1) / max(seconds, _LEAST_S)):.3g}")
