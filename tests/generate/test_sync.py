"""The synchronous face: from plain code, inside a running loop, interrupted, forked, at exit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType

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
        assert server.wait_closed()
    assert asked.answer is not None
    assert (asked.answer.text, asked.answer.partial) == ("Rome", True)
    assert books.balanced
    assert run(double(2)) == 4


def interrupted_at(step: int, pieces: AsyncGenerator[str]) -> bool:
    """Iterate `pieces` with Ctrl-C at that step of sync.py; False: it has fewer.

    A step is what Python looks for signals after: a call that begins or has returned.
    """
    steps = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        goes_on = frame.f_back if event == "return" else frame  # whose next step it is
        if event != "c_call" and goes_on and goes_on.f_code.co_filename == sync.__file__:
            steps += 1
            if steps > step:
                sys.setprofile(None)
                raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        with suppress(KeyboardInterrupt), closing(iterate(pieces)) as some:
            for _ in some:
                pass
    finally:
        sys.setprofile(before)
    return steps > step  # also where it was lost: Python ignores one that comes in a callback of the collector


@pytest.mark.filterwarnings("ignore:Exception ignored in. <function WeakSet:pytest.PytestUnraisableExceptionWarning")
def test_wherever_ctrl_c_comes_nothing_goes_on() -> None:
    running = 0

    async def three() -> AsyncGenerator[str]:
        nonlocal running
        running += 1
        try:
            for letter in "abc":
                await asyncio.sleep(0)
                yield letter
        finally:
            await asyncio.sleep(0)
            running -= 1

    run(double(1))  # the loop runs
    step = 0
    while interrupted_at(step, pieces := three()):
        assert running == 0, f"it went on after an interrupt at step {step}"
        assert not pieces.ag_running
        step += 1
    assert step > 50


@pytest.mark.skipif(sys.platform == "win32", reason="there, Ctrl-C cannot be sent to one process")
def test_a_second_ctrl_c_does_not_wait_for_what_does_not_end() -> None:
    ended = threading.Event()

    async def stubborn() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            ended.wait()  # and nothing else runs on the loop

    with pytest.raises(KeyboardInterrupt):
        run(stubborn())
    ended.set()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there, Ctrl-C cannot be sent to one process")
def test_what_came_is_kept_however_long_the_end_takes() -> None:
    """The wait is for the cleaning up, which is neither given up nor cancelled."""
    steps: list[str] = []

    async def slow() -> AsyncGenerator[str]:
        try:
            yield "a"
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0.1)
            steps.append("cleaned up")

    with closing(iterate(slow())) as pieces, pytest.raises(KeyboardInterrupt):
        steps.extend(pieces)
    assert steps == ["a", "cleaned up"]


@pytest.mark.slow
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


@pytest.mark.slow
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
