"""What our client adds to a call: ours, litellm and a bare httpx request, one after the other, to one loopback server.

    python benchmarks/generate.py [--litellm-python PYTHON]

The server (a process of its own) streams a short answer at once, so what is timed is the client. PYTHON is one in
which litellm and httpx are installed; it is not a dependency:

    python -m venv litellm && litellm/bin/pip install litellm && python benchmarks/generate.py \\
        --litellm-python litellm/bin/python
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from common import duration, publish, spread, table

ROUNDS, WARM_UP = 400, 40
MESSAGES = [{"role": "user", "content": "What is the capital of Italy?"}]
SERVER = """
import sys; sys.path.insert(0, sys.argv[1])
from support.chat_server import chat_server, says
with chat_server(says("Rome", ".")) as server:
    print(server.url, flush=True); sys.stdin.read()
"""
LITELLM = """
import asyncio, json, sys, time, warnings
warnings.simplefilter("ignore")
import litellm
async def main(url, messages, rounds, warm_up):
    seconds = []
    for _ in range(rounds + warm_up):
        start = time.perf_counter()
        stream = await litellm.acompletion(
            model="openai/any", api_base=url, api_key="none", messages=messages, stream=True,
            max_tokens=40, stream_options={"include_usage": True})
        text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
        seconds.append(time.perf_counter() - start)
        assert text == "Rome.", text
    print(json.dumps(seconds[warm_up:]))
asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm-python", default="")
    args = parser.parse_args()
    tests = Path(__file__).resolve().parent.parent / "tests"
    command = [sys.executable, "-c", SERVER, str(tests)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        rows = asyncio.run(both(url))
        if args.litellm_python:
            rows["litellm"] = litellm(args.litellm_python, url)
        server.stdin.close()
    report({name: spread(seconds) for name, seconds in rows.items()}, args.litellm_python)


async def both(url: str) -> dict[str, list[float]]:
    """Seconds a call of a bare httpx request and of ours, in turn."""
    bare, ours = bare_call(url), our_call(url)
    rows: dict[str, list[float]] = {"bare httpx": [], "ours": []}
    for i in range(ROUNDS + WARM_UP):
        for name, call in (("bare httpx", bare), ("ours", ours)):
            start = time.perf_counter()
            assert await call() == "Rome."
            if i >= WARM_UP:
                rows[name].append(time.perf_counter() - start)
    return rows


def bare_call(url: str) -> Callable[[], Awaitable[str]]:
    """The least a client can do: post, read the events, join the text."""
    import httpx

    client = httpx.AsyncClient()
    body = {
        "model": "any",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 40,
    }

    async def call() -> str:
        text = ""
        async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    choices = json.loads(line[6:])["choices"]
                    text += (choices[0]["delta"].get("content") or "") if choices else ""
        return text

    return call


def our_call(url: str) -> Callable[[], Awaitable[str]]:
    from r2_router.checkpoints.format import Instruction
    from r2_router.generate import Endpoint, Generation
    from r2_router.pools.model import Model
    from r2_router.routing.considered import Candidate

    model = Model("any", "any", 0.1, 0.4, base_url=url)
    choice = Candidate("any", "any", 40, 0.5, None, 20.0, 1e-5, 0.0, 0.0)
    instruction = Instruction("Keep the whole reply under {words} words.")

    async def call() -> str:
        generation = Generation(
            [choice], MESSAGES, instruction=instruction, models={"any": model}, resolve=lambda m: Endpoint(m.base_url)
        )
        return (await generation.result()).text

    return call


def litellm(python: str, url: str) -> list[float]:
    command = [python, "-c", LITELLM, url, json.dumps(MESSAGES), str(ROUNDS), str(WARM_UP)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(rows: dict[str, dict[str, float]], litellm_python: str) -> None:
    floor = rows["bare httpx"]["median_s"]
    table(
        [("one streamed call", "median", "p99", "added")]
        + [
            (k, duration(v["median_s"]), duration(v["p99_s"]), f"{(v['median_s'] - floor) * 1e3:.2f} ms")
            for k, v in rows.items()
        ]
    )
    print("\ngoal: added under 3 ms, and less than litellm")
    command = "python benchmarks/generate.py" + (" --litellm-python litellm/bin/python" if litellm_python else "")
    publish("generate", command, {name: {**row, "added_s": row["median_s"] - floor} for name, row in rows.items()})


if __name__ == "__main__":
    main()
