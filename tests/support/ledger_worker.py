"""What the tests run as processes of their own: `python ledger_worker.py MODE LEDGER ARGUMENT...`.

Each prints what it did, one JSON value a line, after the ledger has it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))

from r2_router.errors import LedgerError, SpendLimitError
from r2_router.ledger import Entry, Ledger, SpendGuard
from support.ledgers import ledger_at

CANDIDATE = SimpleNamespace(model="m", label="m @ 10")


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


def entry(cost_usd: float | None = None) -> Entry:
    return Entry(face="python", outcome="answered", model="m", budget=10, query="q", cost_usd=cost_usd)


def wait_for_start() -> None:
    """Every worker is ready before the first begins: the test closes their stdin."""
    say("ready")
    sys.stdin.read()


def record(path: str, count: str, nanos: str) -> None:
    """Records of `nanos`, nanos + 1, ... nano-dollars."""
    wait_for_start()
    ledger = ledger_at(path)
    for i in range(int(count)):
        answer_id = ledger.record(entry((int(nanos) + i) / 1e9))
        ledger.flush()
        say(answer_id)


def spend(path: str, count: str, worst: str, real: str, limit: str) -> None:
    """Calls that may cost `worst` dollars each; "-" as the real cost never settles them."""
    wait_for_start()
    guard = SpendGuard(ledger_at(path), per_day=float(limit))
    for _ in range(int(count)):
        try:
            reservation = guard.reserve(CANDIDATE, float(worst))
        except SpendLimitError:
            say("refused")
            continue
        if real != "-":
            guard.settle(reservation, float(real))
        say("granted")


def reserve_and_record(path: str, worst: str) -> None:
    """One reservation, then records until killed."""
    ledger = ledger_at(path)
    SpendGuard(ledger, per_day=1.0).reserve(CANDIDATE, float(worst))
    while True:
        answer_id = ledger.record(entry())
        ledger.flush()
        say(answer_id)


def record_without_pause(path: str) -> None:
    """Records as fast as it can until killed."""
    ledger = ledger_at(path)
    ledger.record(entry())
    ledger.flush()
    say("ready")
    while True:
        ledger.record(entry())


def fork(path: str, count: str) -> None:
    """Parent and child go on writing, while a thread writes too, so that the fork falls into its transactions."""
    ledger = ledger_at(path)
    guard = SpendGuard(ledger, per_day=100.0)
    ledger.record(entry())
    stop = threading.Event()
    written: list[str] = []

    def write_on() -> None:
        while not stop.is_set():
            written.append(ledger.record(entry()))
            ledger.flush()

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                for _ in range(int(count)):
                    ledger.record(entry())
                    guard.settle(guard.reserve(CANDIDATE, 0.01), 0.01)
                ledger.flush()
                os._exit(0)
            for _ in range(int(count)):
                written.append(ledger.record(entry()))
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    say(1 + len(written) + 10 * int(count))


def fill_disk(folder: str) -> None:
    """Records until the disk is full and on; says what was logged, what arrived, and how a limit takes it."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda message: messages.append(message.getMessage())
    logging.getLogger("r2_router").addHandler(handler)
    ledger = Ledger(f"{folder}/ledger.sqlite3")
    ids: list[str] = []
    for _ in range(800):
        ids.append(ledger.record(entry()))
        ledger.flush()
    say(messages)
    say([ledger.find(answer_id) is not None for answer_id in ids])
    with open(f"{folder}/filler", "wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(512))
    try:
        SpendGuard(Ledger(f"{folder}/another.sqlite3"), per_day=1.0).reserve(CANDIDATE, 0.5)
    except LedgerError as error:
        say(str(error))


if __name__ == "__main__":
    modes = {f.__name__: f for f in (record, spend, reserve_and_record, record_without_pause, fork, fill_disk)}
    modes[sys.argv[1]](*sys.argv[2:])
