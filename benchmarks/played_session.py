"""Sessions of many requests, played through the router to a provider on loopback that keeps prompts as its rules say.

The provider bills real prices and answers what it is told to. A session is played in one of several ways: as ours; as
if there were no caches; with the model of the first request for all; with the strongest or the cheapest for all.
Expected quality is the prior's, no measurement.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.chat_server import Behaviour, Exchange, chat_server, delta

from r2_router import R2Router
from r2_router.embedders import Embedder
from r2_router.pools import profiles, prompt_caches
from r2_router.pools.known_prices import known_prices
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.pools.prompt_caches import cache_rule, multiples
from r2_router.routing.messages import Message, message_tokens
from r2_router.routing.prompt_memory import PromptMemory
from r2_router.routing.tokens import estimate_tokens

OPENROUTER = "https://openrouter.ai/api/v1"
MODELS = ("anthropic/claude-opus-5", "anthropic/claude-sonnet-5", "anthropic/claude-haiku-4.5")
OURS, BLIND, PINNED = "ours", "cache-blind", "pinned to the first"
WAYS = (OURS, BLIND, PINNED, "always the strongest", "always the cheapest")
ACTION_S = 5.0  # from an answer to the request that brings what a tool said
KEY = "AGENT_SESSION_KEY"  # a model without one would be of this machine, and unrated


@dataclass
class Request:
    """What is sent, after which pause, and the message that answers it."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    pause_s: float
    answer: Message


# -- the provider ------------------------------------------------------------------------------------------------


@dataclass
class Provider:
    """Keeps what is marked, model by model, by the rule for it; answers what it is told to answer."""

    models: dict[str, Model]
    now: float = 0.0
    answer: Message = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)  # of the request that is at hand
    tools: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[tuple[str, str], float] = field(default_factory=dict)
    read: int = 0  # tokens, last time
    calls_lost: int = 0

    @property
    def behaviour(self) -> Behaviour:
        async def behave(exchange: Exchange) -> None:
            body = exchange.body
            self.calls_lost += calls(self.sent) != calls(body["messages"])
            usage = self._usage(body)
            await exchange.start()
            if self.answer["content"]:
                await exchange.say(self.answer["content"])
            if "tool_calls" in self.answer:
                said = [{"index": i, **call} for i, call in enumerate(self.answer["tool_calls"])]
                await exchange.event(delta(tool_calls=said))
            await exchange.finish("tool_calls" if "tool_calls" in self.answer else "stop", usage)

        return behave

    def _usage(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self.models[body["model"]]
        rule = cache_rule(model)
        total, read, written, prefix, ends = self._tool_tokens, 0, 0, str(hash(json.dumps(self.tools))), []
        for sent in body["messages"]:
            total += message_tokens(sent)
            prefix = str(hash((prefix, plain(sent))))
            seen = self.kept.get((model.id, prefix))
            if seen is not None and self.now - seen < rule.ttl_s and total >= rule.min_tokens:
                read = total
            if "cache_control" in json.dumps(sent) and total >= rule.min_tokens:
                ends.append(prefix)
                written = max(0, total - read)
        self.kept |= {(model.id, end): self.now for end in ends}
        self.read = read
        completion = max(1, message_tokens(self.answer))
        details = {"cached_tokens": read, "cache_write_tokens": written}
        return {"prompt_tokens": total, "completion_tokens": completion, "prompt_tokens_details": details}

    @property
    def _tool_tokens(self) -> int:
        return estimate_tokens(json.dumps(self.tools))

    def warm_tokens(self, model_id: str) -> int:
        """The most tokens of the last request that lie in the cache of a model by now."""
        rule, total, found = cache_rule(self.models[model_id]), self._tool_tokens, 0
        prefix = str(hash(json.dumps(self.tools)))
        for sent in self.sent:
            total += message_tokens(sent)
            prefix = str(hash((prefix, plain(sent))))
            if self.now - self.kept.get((model_id, prefix), -1e9) < rule.ttl_s and total >= rule.min_tokens:
                found = total
        return found


def plain(sent: Message) -> str:
    """What a message says, marked or not."""
    content = sent.get("content") or ""
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return json.dumps([sent["role"], text, sent.get("tool_calls")])


def calls(messages: list[Message]) -> list[Any]:
    """The calls of tools in a conversation and the results that name them, in order."""
    return [(m.get("tool_calls"), m.get("tool_call_id")) for m in messages]


def models(url: str) -> dict[str, Model]:
    """The models at OpenRouter's prices, asked at `url`; the strongest first."""
    made: dict[str, Model] = {}
    for model_id in MODELS:
        prices = known_prices(OPENROUTER, model_id)
        if prices is None:
            raise LookupError(model_id)
        kept = {name: prices[name] for name in prices if name.startswith(("input_usd", "output_usd", "cache_"))}
        made[model_id] = Model(
            model_id.partition("/")[2], model_id, base_url=url, api_key_env=KEY, context_window=200_000, **kept
        )
    return made


@dataclass(frozen=True)
class Played:
    """A provider that listens, and what makes vectors."""

    provider: Provider
    embedder: Embedder


@contextmanager
def playing() -> Iterator[Played]:
    """A provider on loopback whose rules are OpenRouter's, in a home of its own."""
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, {"R2_HOME": home, KEY: "loopback"}):
        (Path(home) / "providers.toml").write_text('[openrouter]\nhosts = ["127.0.0.1"]\n')
        forget_providers()
        with chat_server() as server:
            provider = Provider(models(server.url))
            server.then(provider.behaviour)
            yield Played(provider, R2Router.from_pretrained("prior").embedder)
    forget_providers()


def forget_providers() -> None:
    """What is read once in a process is read anew."""
    profiles.forget()
    prompt_caches.forget()


# -- one way through it ------------------------------------------------------------------------------------------


def play(way: str, played: Played, requests: list[Request], worth: float) -> dict[str, Any]:
    """Dollars, switches and what they cost, expected quality and net value of a session."""
    provider = played.provider
    pool = Pool("agent", {m.name: m for m in provider.models.values()})
    router = R2Router.from_pretrained("prior", pool=pool, embedder=played.embedder)
    router._memory = router._deciders.in_use._memory = PromptMemory(lambda: provider.now)
    if way == BLIND:
        router._deciders.in_use._warmth = lambda *_, **__: None
    names = [m.name for m in pool]
    forced = {"always the strongest": names[0], "always the cheapest": names[-1]}.get(way)
    provider.kept.clear()
    found: dict[str, Any] = {
        "billed_usd": 0.0,
        "quality": 0.0,
        "switches": 0,
        "inside_a_turn": 0,
        "switch_usd": 0.0,
        "answered": 0,
    }
    last = ""
    chosen: list[str] = []
    for request in requests:
        provider.now += request.pause_s
        provider.sent, provider.tools, provider.answer = request.messages, request.tools, request.answer
        warm = provider.warm_tokens(pool.models[last].id) if last else 0
        asked = {"worth_usd": worth, "model": forced, "budget": "unlimited", "tools": request.tools}
        answer = router.route_and_generate(request.messages, **asked)
        chosen.append(answer.model)
        found["answered"] += answer.text == request.answer["content"]
        found["billed_usd"] += answer.cost_usd
        found["quality"] += answer.predicted_quality / len(requests)
        if last not in ("", answer.model):
            found["switches"] += 1
            found["inside_a_turn"] += request.pause_s == ACTION_S
            model = pool.models[answer.model]
            read, write = multiples(model, cache_rule(model))
            again = max(0, warm - provider.read) * model.input_usd_per_million / 1e6
            found["switch_usd"] += again * (write - read)
        last = answer.model
        forced = forced or (answer.model if way == PINNED else None)
    shares = {name: chosen.count(name) / len(chosen) for name in names}
    return {**found, "net_usd": worth * found["quality"] * len(requests) - found["billed_usd"], "models": shares}
