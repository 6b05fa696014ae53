"""A coding agent's session, request by request through the router: `python benchmarks/agent_session.py`.

The session is a real client's (benchmarks/agent_record.py): 31 requests with tools and their results, in the client's
own order, with its own marks for the prompt cache. Each is sent with R2Router to a provider on loopback that keeps
prompts as the rules for OpenRouter say and bills real prices; it answers what the recorded model did, calls of tools
too. Texts that the record does not hold are filled with others of the same length. A request comes 5 seconds after the
one before it, a message of the user after 20 seconds to 7 minutes. Ours is compared with routing as if there were no
caches, with the model of the first request for all, and with the strongest or the cheapest for all; at one worth, the
client's marks with those that the router sets in their place. Expected quality is the prior's, no measurement. Results
go into benchmarks/results/agent_session.json; a minute.
"""

import json
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from agent_record import RECORDED
from agent_script import TURNS
from common import publish, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.chat_server import Behaviour, Exchange, chat_server, delta

from r2_router import R2Router
from r2_router.generate import generation
from r2_router.pools.known_prices import known_prices, snapshot_date
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.pools.prompt_caches import cache_rule, multiples
from r2_router.routing.messages import Message, message_tokens, unmark
from r2_router.routing.prompt_memory import PromptMemory
from r2_router.routing.tokens import estimate_tokens

OPENROUTER = "https://openrouter.ai/api/v1"
MODELS = ("anthropic/claude-opus-5", "anthropic/claude-sonnet-5", "anthropic/claude-haiku-4.5")
WORTHS = (0.1, 0.5, 1.0, 2.0, 5.0)
OURS, BLIND, PINNED = "ours", "cache-blind", "pinned to the first"
WAYS = (OURS, BLIND, PINNED, "always the strongest", "always the cheapest")
MARKS = ("client", "router", "none")  # who marks prompts for the cache; each at one worth
MARKED_WORTH = 1.0
ACTION_S, USER_S = 5.0, (0.0, 120.0, 45.0, 30.0, 420.0, 90.0, 20.0)
KEY = "AGENT_SESSION_KEY"  # a model without one would be of this machine, and unrated
WORDS = "the cache keeps what was read for a while and gives it back at a lower price than the plain tokens "


# -- the session -------------------------------------------------------------------------------------------------


def filler(chars: int, seed: str) -> str:
    """A text of so many characters, another for each seed."""
    return (f"[{seed}] {WORDS * (chars // len(WORDS) + 1)}")[:chars]


def message(kept: dict, marked: bool) -> Message:
    """A recorded message as it is sent."""
    texts = [part.get("text") or filler(part["chars"], part["sha256"]) for part in kept["parts"]]
    texts = [
        f"<system-reminder>{text}</system-reminder>" if part.get("reminder") else text
        for part, text in zip(kept["parts"], texts, strict=True)
    ]
    sent: Message = {"role": kept["role"], "content": "".join(texts) or None}
    if marked and texts:
        parts: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
        parts[-1]["cache_control"] = {"type": "ephemeral"}
        sent["content"] = parts
    if kept["role"] == "tool":
        sent["tool_call_id"] = kept["call"]
    if "calls" in kept:
        sent["tool_calls"] = [
            {
                "id": c["id"],
                "type": "function",
                "function": {"name": c["name"], "arguments": json.dumps(c["arguments"])},
            }
            for c in kept["calls"]
        ]
    return sent


def offered(count: int) -> list[dict[str, Any]]:
    """So many tools, by name: what the client said of its own is part of the recorded instructions."""
    return [{"type": "function", "function": {"name": f"tool_{i}", "parameters": {}}} for i in range(count)]


@dataclass
class Request:
    """What is sent, after which pause, and the message that answers it."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    pause_s: float
    answer: Message


def session() -> tuple[str, list[Request]]:
    """The client, and its requests."""
    recorded = json.loads(RECORDED.read_text())
    known, requests = recorded["messages"], recorded["requests"]
    users = {said for said, _ in TURNS}
    pauses = iter(USER_S)
    found: list[Request] = []
    for place, request in enumerate(requests):
        places, marks = request["messages"], set(request["marks"])
        sent = [message(known[m], i in marks) for i, m in enumerate(places)]
        new = known[places[-1]] if place else known[places[1]]
        of_user = not place or any(part.get("text") in users for m in places[-2:] for part in known[m]["parts"][-1:])
        last = {"role": "assistant", "content": TURNS[-1][1][-1][0]}
        after = requests[place + 1]["messages"] if place + 1 < len(requests) else ()
        answer = message(known[after[len(places)]], False) if after else last
        found.append(
            Request(
                sent, offered(request["tools"]), next(pauses) if of_user and new["role"] != "tool" else ACTION_S, answer
            )
        )
    return recorded["client"], found


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


# -- one way through it ------------------------------------------------------------------------------------------


def play(way: str, url: str, provider: Provider, requests: list[Request], worth: float) -> dict[str, Any]:
    """Dollars, switches and what they cost, expected quality and net value of a session."""
    pool = Pool("agent", {m.name: m for m in provider.models.values()})
    router = R2Router.from_pretrained("prior", pool=pool, embedder=EMBEDDER)
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


def marked(url: str, provider: Provider, requests: list[Request]) -> dict[str, float]:
    """Dollars billed for the session, routed as ours, by who marks its prompts."""
    bare = [replace(request, messages=unmark(request.messages)) for request in requests]
    found: dict[str, float] = {}
    for who in MARKS:
        sent = requests if who == "client" else bare
        hints = patch.object(generation, "cache_hints", lambda _, __, sent, *___: (list(sent), {}))
        with hints if who == "none" else nullcontext():
            found[who] = play(OURS, url, provider, sent, MARKED_WORTH)["billed_usd"]
    return found


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


def main() -> None:
    client, requests = session()
    rows = [["worth, $", "way", "billed, $", "switches", "cost of them, $", "expected quality", "net, $"]]
    found: dict[str, Any] = {}
    with chat_server() as server:
        provider = Provider(models(server.url))
        server.then(provider.behaviour)
        for worth in WORTHS:
            for way in WAYS:
                played = found.setdefault(str(worth), {})[way] = play(way, server.url, provider, requests, worth)
                if played["answered"] != len(requests):
                    raise RuntimeError(f"{way}: {len(requests) - played['answered']} requests got no answer")
                figures = [f"{played[n]:.3f}" for n in ("switch_usd", "quality", "net_usd")]
                rows.append([f"{worth:g}", way, f"{played['billed_usd']:.3f}", str(played["switches"]), *figures])
        by_marks = marked(server.url, provider, requests)
    table(rows)
    print(by_marks)
    first, last = (
        sum(map(message_tokens, r.messages)) + estimate_tokens(json.dumps(r.tools)) for r in (requests[0], requests[-1])
    )
    told = {
        "client": client,
        "prices": snapshot_date(),
        "requests": len(requests),
        "calls": sum(len(r.answer.get("tool_calls", ())) for r in requests),
        "requests_with_a_call_lost": provider.calls_lost,
        "tokens": [first, last],
        "marks": {"worth_usd": MARKED_WORTH, "billed_usd": by_marks},
    }
    print(told)
    publish("agent_session", "python benchmarks/agent_session.py", {**told, "worths": found})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"R2_HOME": home, KEY: "loopback"}
        (Path(home) / "providers.toml").write_text('[openrouter]\nhosts = ["127.0.0.1"]\n')
        EMBEDDER = R2Router.from_pretrained("prior").embedder
        main()
