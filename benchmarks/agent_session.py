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
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from agent_record import RECORDED
from agent_script import TURNS
from common import publish, table
from played_session import ACTION_S, OURS, WAYS, Played, Request, play, playing

from r2_router.generate import prepared
from r2_router.pools.known_prices import snapshot_date
from r2_router.routing.messages import Message, message_tokens, unmark
from r2_router.routing.tokens import estimate_tokens

WORTHS = (0.1, 0.5, 1.0, 2.0, 5.0)
MARKS = ("client", "router", "none")  # who marks prompts for the cache; each at one worth
MARKED_WORTH = 1.0
USER_S = (0.0, 120.0, 45.0, 30.0, 420.0, 90.0, 20.0)
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


# -- ways through it ---------------------------------------------------------------------------------------------


def marked(played: Played, requests: list[Request]) -> dict[str, float]:
    """Dollars billed for the session, routed as ours, by who marks its prompts."""
    bare = [replace(request, messages=unmark(request.messages)) for request in requests]
    found: dict[str, float] = {}
    for who in MARKS:
        sent = requests if who == "client" else bare
        hints = patch.object(prepared, "cache_hints", lambda _, __, sent, *___: (list(sent), {}))
        with hints if who == "none" else nullcontext():
            found[who] = play(OURS, played, sent, MARKED_WORTH)["billed_usd"]
    return found


def main() -> None:
    client, requests = session()
    rows = [["worth, $", "way", "billed, $", "switches", "cost of them, $", "expected quality", "net, $"]]
    found: dict[str, Any] = {}
    with playing() as loopback:
        for worth in WORTHS:
            for way in WAYS:
                played = found.setdefault(str(worth), {})[way] = play(way, loopback, requests, worth)
                if played["answered"] != len(requests):
                    raise RuntimeError(f"{way}: {len(requests) - played['answered']} requests got no answer")
                figures = [f"{played[n]:.3f}" for n in ("switch_usd", "quality", "net_usd")]
                rows.append([f"{worth:g}", way, f"{played['billed_usd']:.3f}", str(played["switches"]), *figures])
        by_marks = marked(loopback, requests)
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
        "requests_with_a_call_lost": loopback.provider.calls_lost,
        "tokens": [first, last],
        "marks": {"worth_usd": MARKED_WORTH, "billed_usd": by_marks},
    }
    print(told)
    publish("agent_session", "python benchmarks/agent_session.py", {**told, "worths": found})


if __name__ == "__main__":
    main()
