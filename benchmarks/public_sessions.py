"""A public log of conversations, request by request through the router: `python benchmarks/public_sessions.py LOG`.

LOG is a file of tau-bench's published trajectories, by default taken to be gpt-4o's as an airline's clerk
(github.com/sierra-research/tau-bench, historical_trajectories/gpt-4o-airline.json, 4 MB): a JSON list, of which each
element holds the messages of one conversation with a simulated customer, tools and their results among them, as
"traj". The first try of every task is played, each message of the model a request, as benchmarks/agent_session.py does
it: the texts, their lengths and the calls of tools are the log's; it knows neither pauses nor what its tools take, so a
message of the customer comes after 20 seconds to 7 minutes, by chance and the same for all ways, and tools are offered
by name. Qualities are what the prior expects of its three models, no measurement. Results go into
benchmarks/results/public_sessions.json; some minutes.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from common import publish, table
from played_session import ACTION_S, BLIND, WAYS, Request, play, playing

from r2_router.pools.known_prices import snapshot_date
from r2_router.routing.messages import Message, message_tokens

WORTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
PAUSE_S = (20.0, 420.0)
SUMMED = ("billed_usd", "net_usd", "switches", "inside_a_turn", "switch_usd")


def offered(sessions: list[list[Message]]) -> list[dict[str, Any]]:
    """The tools that are called anywhere in the log."""
    names = {c["function"]["name"] for s in sessions for m in s for c in m.get("tool_calls") or ()}
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in sorted(names)]


def kept(message: Message) -> Message:
    """A message of the log as chat APIs take it."""
    said: Message = {"role": message["role"], "content": message.get("content") or ""}
    return said | {name: message[name] for name in ("tool_calls", "tool_call_id") if message.get(name)}


def requests(session: list[Message], tools: list[dict[str, Any]], chance: np.random.Generator) -> list[Request]:
    """What was asked of the model, one request for each of its messages."""
    messages = [kept(message) for message in session]
    found: list[Request] = []
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            of_user = messages[place - 1]["role"] == "user"
            pause = float(np.exp(chance.uniform(*map(math.log, PAUSE_S)))) if of_user else ACTION_S
            found.append(Request(messages[:place], tools, pause, message))
    return found


def measure(sessions: list[list[Request]]) -> dict[str, Any]:
    """By worth and way: the mean session's sums, expected quality, and net value over cache-blind routing."""
    found: dict[str, Any] = {}
    count = sum(map(len, sessions))
    with playing() as loopback:
        for worth in WORTHS:
            played = {way: [play(way, loopback, session, worth) for session in sessions] for way in WAYS}
            for way, all_of in played.items():
                over = np.array([a["net_usd"] - b["net_usd"] for a, b in zip(all_of, played[BLIND], strict=True)])
                if (answered := sum(of["answered"] for of in all_of)) != count:
                    raise RuntimeError(f"{way}: {count - answered} requests got no answer")
                found.setdefault(str(worth), {})[way] = {
                    **{name: float(np.mean([of[name] for of in all_of])) for name in SUMMED},
                    "quality": sum(of["quality"] * len(s) for of, s in zip(all_of, sessions, strict=True)) / count,
                    "over_blind_usd": float(over.mean()),
                    "over_blind_half_95": float(1.96 * over.std() / math.sqrt(len(over))),
                }
        lost = loopback.provider.calls_lost
    return {"requests": count, "requests_with_a_call_lost": lost, "worths": found}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("log", type=Path, metavar="LOG")
    options.add_argument("--sessions", type=int, help="play the first ones only")
    told = options.parse_args()
    log = [tried["traj"] for tried in json.loads(told.log.read_text()) if tried.get("trial", 0) == 0]
    log = log[: told.sessions]
    chance, tools = np.random.default_rng(0), offered(log)
    sessions = [requests(session, tools, chance) for session in log]
    found = measure(sessions)
    rows = [["worth, $", "way", "billed, $", "switches", "expected quality", "net, $", "over cache-blind, $"]]
    for worth, ways in found["worths"].items():
        for way, of in ways.items():
            over = f"{of['over_blind_usd']:+.4f} ±{of['over_blind_half_95']:.4f}"
            net = f"{of['net_usd']:.4f}"
            rows.append(
                [worth, way, f"{of['billed_usd']:.4f}", f"{of['switches']:.1f}", f"{of['quality']:.3f}", net, over]
            )
    table(rows)
    sizes = [sum(map(message_tokens, s[-1].messages)) for s in sessions]
    about = {"log": told.log.name, "prices": snapshot_date(), "sessions": len(sessions), "tools": len(tools)}
    about |= {"last_tokens": [min(sizes), float(np.median(sizes)), max(sizes)]}
    publish("public_sessions", "python benchmarks/public_sessions.py LOG", {**about, **found})


if __name__ == "__main__":
    main()
