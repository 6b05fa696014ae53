"""A synchronous face for the async core: one event loop in a background thread of each process.

Works where asyncio.run does not: inside a running loop, as a notebook has. Ctrl-C ends a wait as soon as what was
running is cancelled and has cleaned up, so that what came can be reported; a second Ctrl-C ends it at once.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from functools import cache
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

_POLL_SECONDS = 0.5  # on Windows a wait without end cannot be interrupted
_CANCEL_SECONDS = 10.0  # longer than cleaning up ever takes: the ledger waits five seconds for a lock
_EXIT_SECONDS = 2.0
_END: Any = object()


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """What `coroutine` returns or raises. KeyboardInterrupt, or whatever else ends the wait, cancels it.

    Raises RuntimeError on the background loop itself, where it would wait for ever.
    """
    job: _Job[_T] | None = None
    try:
        job = _Job(lambda: coroutine, _loop_for_wait())
        return job.wait()
    finally:
        if job is None or not job.started:
            coroutine.close()


def iterate(pieces: AsyncIterator[_T]) -> Generator[_T]:
    """The items of `pieces` as they come. Its `aclose` is called at the end, also on an error, a break or Ctrl-C.

    Use `with contextlib.closing(iterate(...)) as items` to be sure that the end is now, not when the garbage is
    collected.
    """
    job: _Job[_T] | None = None
    try:
        while True:
            job = _Job(lambda: _next(pieces), _loop_for_wait())
            if (item := job.wait()) is _END:
                return
            yield item
    finally:
        over = job is None or job.stop()
        close = getattr(pieces, "aclose", None)
        if over and close is not None:  # if not: it was cancelled, and ends by itself
            run(close())


async def _next(pieces: AsyncIterator[_T]) -> _T:
    return await anext(pieces, _END)


class _Job(Generic[_T]):
    """A coroutine for another thread's loop, and the wait for it.

    Making one starts nothing: Ctrl-C can come between any two steps, also after a call has done its work and
    before what it returns has a name. What runs must have one, to be stopped by.
    """

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, _T]], loop: asyncio.AbstractEventLoop) -> None:
        self._begin = begin
        self._loop = loop
        self._over = threading.Event()
        self.started = self._cancelled = self._stopping = False

    def wait(self) -> _T:
        try:
            self._loop.call_soon_threadsafe(self._start)
            while not self._over.wait(_POLL_SECONDS):
                pass
        except BaseException:
            self.stop()
            raise
        return self._task.result()

    def stop(self) -> bool:
        """Cancel what still runs, and give it time to end, once. Whether it ended."""
        if not self._over.is_set():
            first, self._stopping = not self._stopping, True
            self._loop.call_soon_threadsafe(self._cancel)
            if first:
                self._over.wait(_CANCEL_SECONDS)
        return self._over.is_set()

    # -- on the loop, in the order they were asked for -------------------------------------------------------

    def _start(self) -> None:
        if self._stopping:
            return
        self.started = True
        self._task = self._loop.create_task(self._begin())
        self._task.add_done_callback(lambda _: self._over.set())

    def _cancel(self) -> None:
        if not self.started:
            self._over.set()
        elif not self._cancelled:  # a second time would cancel the cleaning up
            self._cancelled = True
            self._task.cancel()


# -- the loop ------------------------------------------------------------------------------------------------


class _Background:
    """A thread that runs an event loop until `stop`."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="r2-router", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _serve(self) -> None:
        """What asyncio.run does, but for the thread it waits with for the threads of the executor: while a process
        ends, Python 3.12 and later start none. Closing the loop lets them go."""
        self.loop = asyncio.new_event_loop()
        try:
            self.loop.run_until_complete(self._until_stopped())
            self.loop.run_until_complete(_cancel_others())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    async def _until_stopped(self) -> None:
        self._stopped = asyncio.Event()
        self._ready.set()
        await self._stopped.wait()

    def stop(self) -> None:
        """Cancel what runs, close connections, end the thread."""
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_EXIT_SECONDS)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


_lock = threading.Lock()
_background: _Background | None = None
_of_parents: list[_Background] = []  # loops that a fork copied: not ours to run, close or collect


def stop() -> None:
    """End the background loop, if there is one; the next `run` starts another."""
    global _background  # noqa: PLW0603  (one loop a process is the point)
    with _lock:
        if _background is not None:
            _background.stop()
            _background = None


def _loop_for_wait() -> asyncio.AbstractEventLoop:
    """The background loop, for a thread that may wait for it."""
    loop = _background_loop()
    if _running_loop() is loop:
        raise RuntimeError("This is code of the background loop: await the coroutine instead.")
    return loop


def _background_loop() -> asyncio.AbstractEventLoop:
    global _background  # noqa: PLW0603
    _prepare_process()
    with _lock:
        if _background is None:
            _background = _Background()
        return _background.loop


@cache
def _prepare_process() -> None:
    atexit.register(stop)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_parent)


def _forget_parent() -> None:
    """In a forked child the thread is gone, and the lock may be held by nobody."""
    global _background, _lock
    if _background is not None:
        _of_parents.append(_background)
    _background, _lock = None, threading.Lock()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
