"""Learns by itself from what the ledger holds, in a process of its own, at a quiet moment, when enough has come."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from r2_router.checkpoints.find import learned_folder
from r2_router.checkpoints.learned import Run, counted, runs
from r2_router.config.folders import is_pool_file
from r2_router.errors import LedgerError
from r2_router.ledger.shared_learning import take_news

if TYPE_CHECKING:
    from r2_router.config.settings import Settings
    from r2_router.ledger.store import Ledger
    from r2_router.pools.pool import Pool

_QUIET_S = 5.0  # without an answer
_PATIENCE_S = 600.0  # after which it need not be quiet
_LOOK_AGAIN_S = 60.0  # between two looks at the ledger
_PART = 0.1  # of what was learned from: so much must be new, for it to change anything
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_ANSWERS = "SELECT COUNT(*) FROM entries WHERE time >= ? AND outcome = 'answered' AND query IS NOT NULL"
_LABELS = "SELECT COUNT(*) FROM entries WHERE quality IS NOT NULL"
_PREFERENCES = "SELECT COUNT(*) FROM preferences"


@dataclass(frozen=True, slots=True)
class Holds:
    """What the ledger has to teach: answers whose query was kept, labels, preferences."""

    answers: int
    labels: int
    preferences: int


def held(ledger: Ledger, last: Run | None = None) -> Holds:
    """What `ledger` holds, found from what it did at the `last` run on. Raises LedgerError."""
    with ledger.reading() as db:
        if db is None:
            return Holds(0, 0, 0)
        answers, labels, preferences = (
            int(db.execute(query, values).fetchone()[0])
            for query, values in ((_ANSWERS, (last.time if last else "",)), (_LABELS, ()), (_PREFERENCES, ()))
        )
    return Holds(answers + (last.answers if last else 0), labels, preferences)


def is_due(ledger: Ledger, folder: Path, after: int) -> bool:
    """Whether `after` answers, labels and preferences, and no less than a tenth of what was learned from, came since
    what is in `folder` was learned or undone; a fault counts as a run. Raises LedgerError."""
    done = runs(folder)
    last = done[-1] if done else None
    if after <= 0:
        return False
    found = held(ledger, last)
    new = found.answers + found.labels + found.preferences - (counted(last) if last else 0)
    return new >= max(after, _PART * counted(last) if last else 0)


class QuietLearner:
    """Runs `r2-router learn` for `pool`, by the name it is found by, when `after` have come. `learned` is told, in a
    thread, that something new was learned, here or on a machine that shares the ledger. What goes wrong is a warning in
    the log of `r2_router`, once, and never an error."""

    def __init__(self, ledger: Ledger, pool: Pool, name: str, after: int, learned: Callable[[], None]) -> None:
        self._ledger, self._pool, self._name, self._after = ledger, pool, name, after
        self._folder = learned_folder(pool)
        self._learned = learned
        self._lock = threading.Lock()
        self._last_answer = 0.0
        self._looked = -_LOOK_AGAIN_S
        self._waiting = False
        self._warned = False
        _learners.add(self)

    def answered(self) -> None:
        """An answer was recorded: at the next quiet moment, see whether enough has come."""
        now = self._last_answer = time.monotonic()
        with self._lock:
            if self._waiting or now - self._looked < _LOOK_AGAIN_S:
                return
            self._waiting = True
        threading.Thread(target=self._when_quiet, name="r2-learn", daemon=True).start()

    def _when_quiet(self) -> None:
        began = time.monotonic()
        while (now := time.monotonic()) - self._last_answer < _QUIET_S and now - began < _PATIENCE_S:
            time.sleep(max(self._last_answer + _QUIET_S - now, 0.01))
        process = self._look()
        if process is not None:
            self._tell(process.wait())

    def at_exit(self) -> None:
        """The process ends: look now, if somebody waits for quiet; what is started goes on without it."""
        process = self._look()
        if process is not None:
            process.returncode = 0  # nobody waits for it

    def _look(self) -> subprocess.Popen[bytes] | None:
        """Start the command if enough has come."""
        with self._lock:
            if not self._waiting:
                return None
            self._waiting, self._looked = False, time.monotonic()
        try:
            if take_news(self._ledger, self._pool):
                self._learned()
            return _start(self._name) if is_due(self._ledger, self._folder, self._after) else None
        except (OSError, LedgerError) as error:
            self._warn(str(error))
            return None

    def _tell(self, code: int) -> None:
        """What came of it. One that failed is tried again by the next process."""
        if code == 0:
            self._learned()
            return
        self._looked = float("inf")
        done = runs(self._folder)
        self._warn(done[-1].fault if done and done[-1].fault else "`r2-router learn` says why.")

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            logging.getLogger("r2_router").warning(
                "Nothing could be learned from use: %s Answers go on as before; learn_after = 0 ends the attempts.", why
            )


def quiet_learner(settings: Settings, ledger: Ledger, pool: Pool, learned: Callable[[], None]) -> QuietLearner | None:
    """What learns from the answers of the settings' `pool`, where text is kept and no checkpoint is named; else None.
    `learned` as in QuietLearner."""
    if not (settings.log_text and settings.learn_after) or settings.checkpoint:
        return None
    name = str(Path(settings.pool).expanduser().resolve()) if is_pool_file(settings.pool) else settings.pool
    return QuietLearner(ledger, pool, name, settings.learn_after, learned)


def _start(pool: str) -> subprocess.Popen[bytes]:
    """The command, in a process that hears and says nothing, and outlives this one."""
    named = ["--pool", pool] if pool else []
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "r2_router.cli", "learn", "--automatic", *named],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(os.environ),
        start_new_session=True,
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
    )


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """One thread of arithmetic: the others' answers come first. Found where this process found it."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, own.get("PYTHONPATH", "")]))
    return {**own, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": path}


_learners: WeakSet[QuietLearner] = WeakSet()


def _at_exit() -> None:
    for learner in list(_learners):
        with suppress(RuntimeError):  # no process can be started any more
            learner.at_exit()


atexit.register(_at_exit)
