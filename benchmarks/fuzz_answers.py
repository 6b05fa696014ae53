"""Fuzzes the reader of answers: streams of odd chunks, cut anywhere, and odd bodies of errors, for some minutes.

    python benchmarks/fuzz_answers.py [--minutes 10] [--seed 1]

Every case must end in text, in usage that makes sense, or in a known error; a well-formed text must come out as it
went in, wherever it was cut; a learned request must keep its model, its messages and a cap. One case in fifty goes
over loopback through a whole generation, whose guard must be balanced and whose bill must cover what was told.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import string
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from common import publish
from support.chat_server import ChatServer, Exchange, chat_server
from support.generations import Books, generation, options

from r2_router.errors import R2Error
from r2_router.generate.refused import Complaint, Quirks
from r2_router.generate.usage import read_usage
from r2_router.generate.wire import BodyError, BodyReader, Reply

KEYS = [
    *("choices", "delta", "message", "content", "reasoning", "reasoning_content", "refusal", "tool_calls"),
    *("function", "arguments", "name", "finish_reason", "usage", "x_groq", "prompt_tokens"),
    *("completion_tokens", "total_tokens", "prompt_tokens_details", "cached_tokens", "cost", "total_cost"),
    *("completion_tokens_details", "reasoning_tokens", "cache_read_input_tokens", "is_byok", "error", "errors"),
    *("detail", "loc", "msg", "param", "code", "type", "status", "index", "id", "model", "object", "metadata"),
    *("raw", "details", "retryDelay", "text", "thinking"),
]
WORDS = [
    *("'temperature'", "max_tokens", "max_completion_tokens", "'stop'", "'stream'", "stream_options"),
    *("reasoning_effort", "minimal", "low", "at", "least", "at", "most", "16", "4096", "8192", "maximum"),
    *("context", "length", "is", "4096", "tokens", "100", "input", "tokens", "system", "role", "not"),
    *("supported", ">=", "[1,", "9]", "Unsupported", "parameter:", "too", "large", "quota", "try", "again"),
    *("in", "4s", "loading", "model"),
]
TEXTS = [
    "Rome",
    "<think>",
    "</think>",
    "<th",
    "\n",
    " ",
    "\ud83c",
    "\udf1e",
    "é",
    "日本",
    "🌞",
    "\x00",
    "data: x",
    "",
    "[DONE]",
]
SENT: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 500,
    "temperature": 0.0,
    "stop": ["x"],
    "reasoning_effort": "none",
}


def value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(11 if depth < 5 else 7)
    if kind < 2:
        return chance.choice([None, True, False, 0, 1, -1, 2, 15, 10**12, 1.5, 1e308, float("nan")])
    if kind < 7:
        return chance.choice([chance.choice(TEXTS), " ".join(chance.choices(WORDS, k=chance.randrange(9))), "stop"])
    if kind < 9:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def chunk(chance: random.Random) -> Any:
    """A chunk as servers send it, with a part of it replaced now and then."""
    delta = {chance.choice(["content", "reasoning", "reasoning_content", "refusal"]): chance.choice(TEXTS)}
    choice = {
        "index": chance.choice([0, 0, 0, 1]),
        "delta": delta,
        "finish_reason": chance.choice([None] * 8 + ["stop"]),
    }
    known = {"id": "x", "model": "m", "choices": [choice], "usage": chance.choice([None, None, value(chance)])}
    for place in (known, choice, delta):
        if chance.random() < 0.15:
            place[chance.choice(KEYS)] = value(chance)
    return known if chance.random() < 0.9 else value(chance)


def body(chance: random.Random) -> bytes:
    newline = chance.choice([b"\n", b"\r\n", b"\r"])
    parts = [chance.choice([b"", b"\xef\xbb\xbf"])]
    for _ in range(chance.randrange(9)):
        parts.append(chance.choice([b"", b": ping" + newline * 2, b"event: x" + newline]))
        parts.append(b"data: " + json.dumps(chunk(chance)).encode() + newline * 2)
    if chance.random() < 0.5:
        parts.append(b"data: [DONE]" + newline * 2)
    whole = b"".join(parts)
    if chance.random() < 0.1:
        whole = json.dumps(chunk(chance)).encode()
    if chance.random() < 0.1 and whole:
        at = chance.randrange(len(whole))
        whole = whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :]
    return whole


def cut(chance: random.Random, whole: bytes) -> list[bytes]:
    edges = sorted({0, len(whole), *(chance.randrange(len(whole) + 1) for _ in range(chance.randrange(8)))})
    return [whole[a:b] for a, b in itertools.pairwise(edges)]


def read(blocks: list[bytes]) -> tuple[Reply, str, str]:
    """What blocks become: the reply, the text that was shown, and the error."""
    reply, reader, shown, error = Reply(), BodyReader(1 << 20), "", ""
    try:
        for block in blocks:
            for data in reader.feed(block):
                shown += reply.take(data) or ""
        for data in reader.close():
            shown += reply.take(data) or ""
    except BodyError as broken:
        error = broken.reason
        error.encode()
    shown += reply.close()
    return reply, shown, error


def check_stream(chance: random.Random) -> str:
    whole = body(chance)
    reply, shown, error = read(cut(chance, whole))
    again, shown_again, error_again = read([whole])
    assert (reply.text, shown, error, reply.usage) == (again.text, shown_again, error_again, again.usage)
    reply.text.encode()
    assert shown in (reply.text, "")
    usage = reply.usage
    if usage is not None:
        assert usage.prompt_tokens >= usage.cache_read_tokens >= 0
        assert usage.completion_tokens >= (usage.reasoning_tokens or 0) >= 0
        assert usage.cost_usd is None or usage.cost_usd >= 0
    return "error" if error else "text" if reply.shown else "nothing"


def check_text(chance: random.Random) -> str:
    letters = string.printable + "éß日本🌞👩🏽‍🚀"
    text = "".join(chance.choices(letters, k=chance.randrange(1, 60)))
    units = text.encode("utf-16-le")
    halves = [p.decode("utf-16-le", "surrogatepass") for p in _even(chance, units)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": half}}]} for half in halves]
    whole = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    reply, _, error = read(cut(chance, whole))
    assert (reply.text, error) == (text, "")
    return "text"


def _even(chance: random.Random, units: bytes) -> list[bytes]:
    edges = sorted({0, len(units), *(2 * chance.randrange(len(units) // 2 + 1) for _ in range(5))})
    return [units[a:b] for a, b in itertools.pairwise(edges)]


def check_refusal(chance: random.Random) -> str:
    said = json.dumps(value(chance)) if chance.random() < 0.7 else " ".join(chance.choices(WORDS, k=20))
    quirks, steps = Quirks(), 0
    while (learned := quirks.learn(SENT, Complaint.read(said))) is not None:
        quirks, steps = learned, steps + 1
        assert steps < 20
    sent = quirks.apply(SENT)
    assert sent["model"] == "m"
    assert sent["messages"]
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) > 0
    read_usage(value(chance))
    return f"{steps} steps"


class Odd:
    """A server of odd bodies; `told` is what the last one said it bills."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    async def behave(self, exchange: Exchange) -> None:
        chance, whole = self.chance, body(self.chance)
        if chance.random() < 0.3:
            await exchange.whole(json.dumps(value(chance)).encode(), chance.choice([400, 422, 429, 500, 503]))
            return
        await exchange.start()
        for block in cut(chance, whole):
            if block:
                await exchange.chunk(block)
        if chance.random() < 0.1:
            exchange.reset()
        else:
            await exchange.end()


async def check_generations(server: ChatServer, count: int) -> Counter[str]:
    ended: Counter[str] = Counter()
    limits = options(tries=2, first_token_s=5, idle_s=5, loading_s=0.01, max_wait_s=0.01)
    for _ in range(count):
        books = Books()
        try:
            got = await generation(server, guard=books, options=limits).result()
            got.text.encode()
            json.dumps(got.to_dict(), ensure_ascii=False).encode()
            ended["partial" if got.partial else "answered"] += 1
        except R2Error as error:
            str(error).encode()
            ended["failed"] += 1
        assert books.balanced
        assert all(cost >= 0 for cost in books.settled.values())
    return ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance, start = random.Random(args.seed), time.monotonic()
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("streams", "texts", "refusals", "generations")}
    with chat_server(Odd(random.Random(args.seed + 1)).behave) as server:
        while time.monotonic() - start < 60 * args.minutes:
            for _ in range(500):
                counts["streams"][check_stream(chance)] += 1
                counts["texts"][check_text(chance)] += 1
                counts["refusals"][check_refusal(chance)] += 1
            counts["generations"] += asyncio.run(check_generations(server, 30))
            server.requests.clear()
    minutes = (time.monotonic() - start) / 60
    found = {name: {"cases": sum(count.values()), **dict(sorted(count.items()))} for name, count in counts.items()}
    for name, count in found.items():
        print(f"{name}: {count}")
    command = f"python benchmarks/fuzz_answers.py --minutes {args.minutes:g} --seed {args.seed}"
    publish("fuzz_answers", command, {"minutes": round(minutes, 2), **found, "failures": 0})


if __name__ == "__main__":
    main()
