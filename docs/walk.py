"""The way of a query through the rooms, seen by a profiler: which rooms are entered, how often, and who climbs.

A stay begins where a function of one room calls a function of another; going back by a return begins none. A call
from a lower floor into a higher one is a climb. A coroutine that goes on after a wait was called already.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from floors import CORE, FACES, ROOT, floor, room

QUERY = "Write a Python function that returns the n-th prime."


@dataclass
class Walk:
    """What was seen. `stays` counts the stays in each room, rooms in the order they were first entered; `climbs`
    counts each (lower room, function of a higher room)."""

    stays: Counter[str] = field(default_factory=Counter)
    climbs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        rooms = [f"{name} ({count})" for name, count in self.stays.items()]
        climbs = [f"climb: {lower} calls {function} ({count})" for (lower, function), count in self.climbs.items()]
        return [" -> ".join(rooms), *(climbs or ["no climb"])]


def walk(work: Callable[[], object]) -> Walk:
    """Run `work` and watch it, in this thread and those it starts."""
    seen = Walk()
    begins: dict[CodeType, int] = {}
    here = threading.local()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "return":
            if stack := getattr(here, "stack", None):
                stack.pop()
            return
        if event != "call":
            return
        stack = here.__dict__.setdefault("stack", [])
        last = stack[-1] if stack else ""
        module = str(frame.f_globals.get("__name__", ""))
        now = (room(module) if module.partition(".")[0] in (CORE, *FACES) else "") or last
        stack.append(now)
        resumed = begins.setdefault(frame.f_code, frame.f_lasti) != frame.f_lasti
        if now != last and not resumed:
            seen.stays[now] += 1
            if last and floor(now) > floor(last):
                seen.climbs[last, f"{now}: {_called(frame.f_code)}"] += 1

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return seen


def _called(code: CodeType) -> str:
    """The name of a function; that of one written by dataclasses without what wrote it."""
    return code.co_qualname.removeprefix("__create_fn__.<locals>.").replace("<locals>.", "")


def walks() -> dict[str, Walk]:
    """The walks of the second query of a process, over the shipped checkpoint: a choice, and a streamed answer.

    The answer comes from a loopback server that stands for a provider.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    from support.chat_server import chat_server, says

    with chat_server(says("2, ", "3, ", "5")) as server, _own_home(server.url):
        from r2_router import R2Router

        router = R2Router.from_pretrained()

        def ask() -> None:
            async def read() -> None:
                async for _ in router.stream(QUERY):
                    pass

            asyncio.run(read())

        found: dict[str, Walk] = {}
        for name, work in {"route_text": lambda: router.route_text(QUERY), "stream": ask}.items():
            work()
            found[name] = walk(work)
        return found


@contextmanager
def _own_home(llm_api_base: str) -> Generator[None]:
    """No setting of whoever runs this; every model is asked at `llm_api_base`."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("R2_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ |= {"R2_HOME": str(Path(home)), "R2_LLM_API_BASE": llm_api_base}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
