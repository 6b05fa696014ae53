"""A thread that does what is put off, in order: no caller, and no event loop, waits for the disk or another's lock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from r2_router.errors import R2Error

_T = TypeVar("_T")
_Jobs: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]"


class Writer:
    """Runs one job after the other; its thread begins with the first one. All methods may be called anywhere."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may come between
        self._jobs: _Jobs | None = None
        self._thread: threading.Thread | None = None

    def submit(self, job: Callable[[], _T]) -> Future[_T]:
        """Have `job` done soon; what is returned brings its result or its error, and cancels it if it has not begun."""
        future: Future[_T] = Future()
        with self._lock:
            if self._jobs is None:
                self._jobs = SimpleQueue()
                self._thread = threading.Thread(target=_work, args=(self._jobs,), name="r2-ledger", daemon=True)
                self._thread.start()
            self._jobs.put((future, job))
        return future

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was put off before is done, at most `timeout_s` seconds."""
        if self._thread is None or self._thread is threading.current_thread():
            return
        done = threading.Event()
        self.submit(done.set)
        done.wait(timeout_s)

    def stop(self, *, wait: bool = True) -> None:
        """End the thread when all is done; the next job starts another."""
        with self._lock:
            thread, jobs = self._thread, self._jobs
            self._thread = self._jobs = None
        if jobs is not None:
            jobs.put(None)
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()


def _work(jobs: _Jobs) -> None:
    while (given := jobs.get()) is not None:
        future, job = given
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(job())
            except BaseException as error:
                if not isinstance(error, R2Error):  # a fault of ours, for which perhaps nobody waits
                    logging.getLogger("r2_router").error("The ledger's thread failed.", exc_info=error)
                future.set_exception(error)
        del given, future, job  # they keep a ledger alive
