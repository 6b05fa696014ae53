"""Eight processes spend one day's limit on a server that misbehaves in every way, and two of them are killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.chat_server import Exchange, chat_server, completion, delta, fails, sends

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
LIMIT = 6.0
KILLED = 2
FAULTS = [
    *("fine", "fine", "refused", "limit", "reset", "silent", "half", "broken"),
    *("uncounted", "empty", "tools", "hidden", "endless", "kill"),
]


class Biller:
    """A provider that bills what it did, whether anybody got it: at 100 and 1000 USD per million tokens."""

    def __init__(self) -> None:
        self.billed_usd = 0.0
        self.requests = 0
        self.to_kill = KILLED
        self.workers: dict[str, int] = {}  # name -> process
        self._chance = random.Random(11)

    def bill(self, prompt: int, written: int) -> dict[str, int]:
        self.billed_usd += (prompt * 100 + written * 1000) / 1e6
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}

    async def behave(self, exchange: Exchange) -> None:
        self.requests += 1
        cap, prompt = exchange.body["max_tokens"], 14
        fault = self._chance.choice(FAULTS)
        if fault == "kill" and self.to_kill and (asking := self.workers.pop(exchange.body["user"], None)):
            self.to_kill -= 1
            self.bill(prompt, cap)
            os.kill(asking, signal.SIGKILL)
            await exchange.hang()
        elif fault == "refused":
            await fails(503, "busy", retry_after="0")(exchange)
        elif fault == "limit":
            await fails(429, "Rate limit reached. Please try again in 5ms.")(exchange)
        elif fault == "reset":
            self.bill(prompt, cap)
            exchange.reset()
        elif fault == "silent":
            self.bill(prompt, cap)
            await exchange.hang()
        elif fault == "broken":
            self.bill(prompt, cap)
            await sends(b'{"choices": [{"mess')(exchange)
        elif fault == "tools":
            await sends({**completion(None, "tool_calls"), "usage": self.bill(prompt, 33)})(exchange)
        elif fault == "empty":
            await sends({**completion(""), "usage": self.bill(prompt, 51)})(exchange)
        else:
            await self._stream(exchange, fault, prompt, cap)

    async def _stream(self, exchange: Exchange, fault: str, prompt: int, cap: int) -> None:
        await exchange.start()
        if fault == "half":
            self.bill(prompt, cap)
            await exchange.say("Rome is ")
            exchange.reset()
        elif fault == "endless":
            self.bill(prompt, cap)
            while True:
                await exchange.say("and on and on ")
        elif fault == "uncounted":
            self.bill(prompt, 7)
            await exchange.say("Rome is the capital of Italy.")
            await exchange.finish(usage=None)
        elif fault == "hidden":
            usage = self.bill(prompt, 60)
            await exchange.say("Rome")
            await exchange.finish(usage={**usage, "completion_tokens": 2})
        else:
            await exchange.event(delta(role="assistant", content="Rome"))
            await exchange.finish(usage=self.bill(prompt, 3))


@pytest.mark.skipif(sys.platform == "win32", reason="nobody is killed like that there")
def test_no_fault_passes_the_limit_and_nothing_billed_is_missing(tmp_path: Path) -> None:
    biller, path = Biller(), tmp_path / "ledger.sqlite3"
    worker = [sys.executable, "-W", "error", "-m", "support.spending_worker"]
    root = TESTS.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(root)])}
    with chat_server(biller.behave) as server:
        workers = [
            subprocess.Popen(
                [*worker, server.url, str(path), str(LIMIT), f"worker-{i}"],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            for i in range(8)
        ]
        biller.workers = {f"worker-{i}": process.pid for i, process in enumerate(workers)}
        complaints = [process.communicate(timeout=240)[1] for process in workers]
    assert [text for text in complaints if text] == []
    assert sorted(process.returncode for process in workers) == [-signal.SIGKILL] * KILLED + [0] * 6
    with closing(sqlite3.connect(path)) as db:
        spent = db.execute("SELECT COALESCE(SUM(nanos), 0) FROM spend").fetchone()[0] / 1e9
        held = db.execute("SELECT COALESCE(SUM(nanos), 0) FROM reservations").fetchone()[0] / 1e9
    assert biller.requests > 50
    assert biller.billed_usd <= spent + held <= LIMIT
    assert spent + held > 0.9 * LIMIT  # the limit was used, not avoided
    assert held > 0  # what the killed had asked for
