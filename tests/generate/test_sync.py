"""The synchronous face: from plain code, inside a running loop, interrupted, forked, at exit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.chat_server import Exchange, chat_server, says
from support.generations import Books, generation

from r2_router.generate import iterate, run, sync

TESTS = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _no_loop_left() -> Iterator[None]:
    yield
    sync.stop()
    assert "r2-router" not in [thread.name for thread in threading.enumerate()]


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


async def letters(text: str, closed: list[str]) -> AsyncGenerator[str]:
    try:
        for letter in text:
            yield letter
    finally:
        await asyncio.sleep(0)
        closed.append(text)


def test_run_gives_the_result_or_the_error() -> None:
    async def fail() -> None:
        raise LookupError("no")

    async def time_out() -> None:
        raise TimeoutError("the coroutine's own")

    assert run(double(3)) == 6
    with pytest.raises(LookupError, match="no"):
        run(fail())
    with pytest.raises(TimeoutError, match="own"):
        run(time_out())


def test_one_loop_serves_all_threads() -> None:
    async def here() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loops = {run(here())}
    threads = [threading.Thread(target=lambda: loops.add(run(here()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loops) == 1


def test_run_works_inside_a_running_loop() -> None:
    async def notebook_cell() -> int:
        return run(double(4))

    assert asyncio.run(notebook_cell()) == 8


def test_run_on_its_own_loop_is_refused_and_not_a_deadlock() -> None:
    async def confused() -> int:
        return run(double(1))

    with pytest.raises(RuntimeError, match="await the coroutine instead"):
        run(confused())


def test_iterate_to_the_end_and_not() -> None:
    closed: list[str] = []
    assert list(iterate(letters("abc", closed))) == ["a", "b", "c"]
    assert closed == ["abc"]
    with closing(iterate(letters("def", closed))) as some:
        assert next(some) == "d"
    assert closed == ["abc", "def"]


def test_a_generation_without_async() -> None:
    with chat_server(says("Ro", "me")) as server:
        asked = generation(server)
        assert list(iterate(asked)) == ["Ro", "me"]
        assert asked.answer is not None
        assert run(generation(server).result()).text == "Rome"
        assert server.connections == 1
        sync.stop()
        assert server.wait_closed()


async def interrupt(exchange: Exchange) -> None:
    """Press Ctrl-C while the client waits for the second token."""
    await exchange.start()
    await exchange.say("Rome")
    while "Rome" not in exchange.server.seen:
        await asyncio.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
    await exchange.hang()


@pytest.mark.skipif(sys.platform == "win32", reason="there, Ctrl-C cannot be sent to one process")
def test_ctrl_c_keeps_what_came() -> None:
    books = Books()
    with chat_server(interrupt) as server:
        server.seen = []
        asked = generation(server, guard=books)
        with closing(iterate(asked)) as pieces, pytest.raises(KeyboardInterrupt):
            server.seen.extend(pieces)
        start = time.monotonic()
        assert server.wait_closed()
        assert time.monotonic() - start < 1
    assert asked.answer is not None
    assert (asked.answer.text, asked.answer.partial) == ("Rome", True)
    assert books.balanced
    assert run(double(2)) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="there, Ctrl-C cannot be sent to one process")
def test_ctrl_c_does_not_wait_for_what_cannot_be_cancelled() -> None:
    release = threading.Event()

    async def stubborn() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        release.wait()

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(stubborn())
    assert time.monotonic() - start < 2
    release.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    with chat_server(says("Rome")) as server:
        assert run(generation(server).result()).text == "Rome"
        child = os.fork()
        if child == 0:
            text = run(generation(server).result()).text
            os._exit(0 if text == "Rome" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert run(generation(server).result()).text == "Rome"


ENDINGS = ["", "sys.exit(3)", "raise SystemExit", "next(iterate(generation(server.url)))", "run(in_a_thread())"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_ends_quietly(ending: str) -> None:
    """An open connection, an open generation, a thread that was used: nothing is printed, nothing hangs.

    Looking up a name takes a thread of the loop's executor; Python 3.12 refuses the one that waits for it at the end.
    """
    script = f"""
        import asyncio, sys
        from support.generations import generation
        from r2_router.generate import iterate, run
        class server: url = sys.argv[1]
        async def in_a_thread(): await asyncio.to_thread(len, "")
        print(run(generation(server.url).result()))
        {ending}
    """
    with chat_server(says("Ro", "me")) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), server.url],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert server.wait_closed()
    assert (done.stdout, done.stderr) == ("Rome\n", "")
    assert done.returncode == (3 if "3" in ending else 0)
