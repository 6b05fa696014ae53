"""Providers' batches in the file of a batch: what was sent, where it stands, what came of it.

A job is `new` until its batch may exist, `sending` until the provider's id of it is known, `waiting` until it is over,
`recording` until the ledger knows of it too, then `over`. Each step is on the disk before the next one is taken.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast

from r2_router.batches.batch_file import BatchFile
from r2_router.ledger.entry import Entry
from r2_router.ledger.money import to_usd
from r2_router.ledger.spend_limits import Reservation
from r2_router.records import Record
from r2_router.routing.considered import Candidate

State = Literal["new", "sending", "waiting", "recording", "over"]


@dataclass(slots=True)
class Job:
    """One batch of a provider: `model` at `base_url`, sent at `began` (seconds since 1970); `sample` is a request of it
    without its texts. `reservation` is held in the ledger for it, `cost_usd` what it cost in the end."""

    key: str
    model: str
    model_id: str
    base_url: str
    state: State = "new"
    batch_id: str = ""
    began: float = 0.0
    sample: dict[str, Any] = field(default_factory=dict[str, Any])
    reservation: dict[str, Any] = field(default_factory=dict[str, Any])
    misses: int = 0  # how often the provider was asked for it, and did not know it
    count: int = 0
    cost_usd: float = 0.0

    def held(self) -> Reservation:
        """The reservation, as it is to be settled by whoever comes to it."""
        stated = self.reservation
        return Reservation(stated["day"], stated["nanos"], stated["caller"], stated["id"], written=True, tried=True)


@dataclass(frozen=True, slots=True)
class SentPrompt(Record):
    """A prompt in a batch: the most it may cost, the tokens it is read as, the ledger's `entry` of it so far;
    `alone` as in Recorder.record."""

    index: int
    nanos: int
    reads: int
    candidate: Candidate
    entry: Entry
    alone: bool

    @property
    def most_usd(self) -> float:
        return to_usd(self.nanos)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a prompt in a batch: its row, what it cost, and what the ledger is to have of it, if anything.
    Without a row it is to be asked again."""

    index: int
    row: dict[str, Any] | None = None
    nanos: int = 0
    failed: bool = True
    entry: Entry | None = None
    said: str = ""


class Jobs:
    """The jobs in `file`."""

    def __init__(self, file: BatchFile) -> None:
        self._file = file

    def all(self, *states: State) -> list[Job]:
        """Those in these states, all if none is named, oldest first."""
        rows = self._file.db.execute(
            "SELECT key, state, batch_id, began, about FROM jobs ORDER BY began, key"
        ).fetchall()
        jobs = [Job(key, state=s, batch_id=b, began=at, **json.loads(about)) for key, s, b, at, about in rows]
        return [job for job in jobs if not states or job.state in states]

    def begin(self, job: Job, prompts: Sequence[SentPrompt]) -> None:
        """Note a new job with its prompts: from here on what they may cost is taken from the limit."""
        rows = [(p.index, job.key, p.nanos, json.dumps(_stored(p))) for p in prompts]
        job.count = len(prompts)
        with self._file.transaction() as db:
            db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?)", _row(job))
            db.executemany("INSERT INTO sent VALUES (?, ?, ?, ?)", rows)

    def save(self, job: Job) -> None:
        """Write how a job stands."""
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)", _row(job))

    def sending(self, job: Job) -> None:
        """Its batch is about to be made."""
        job.state, job.began = "sending", time.time()
        self.save(job)

    def waiting(self, job: Job, batch_id: str) -> None:
        """Its batch is known by that id."""
        job.state, job.batch_id = "waiting", batch_id
        self.save(job)

    def drop(self, job: Job) -> None:
        """Its batch was never made: its prompts are as they were."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM sent WHERE job = ?", (job.key,))
            db.execute("DELETE FROM jobs WHERE key = ?", (job.key,))

    def prompts(self, job: Job) -> dict[int, SentPrompt]:
        """The prompts of a job that waits, by position."""
        rows = self._file.db.execute("SELECT position, nanos, about FROM sent WHERE job = ?", (job.key,))
        return {index: _prompt(index, nanos, json.loads(about)) for index, nanos, about in rows}

    def finish(self, job: Job, outcomes: Sequence[Outcome]) -> None:
        """Write what became of all prompts of a job and what they cost, at once. The ledger is to know it next."""
        spent = sum(o.nanos for o in outcomes)
        job.state, job.cost_usd = "recording", to_usd(spent)
        entries = [(o.entry.id, job.key, json.dumps(o.entry.to_dict()), o.said) for o in outcomes if o.entry]
        rows = [(o.index, int(o.failed), json.dumps(o.row, ensure_ascii=False)) for o in outcomes if o.row is not None]
        with self._file.transaction() as db:
            db.execute("DELETE FROM sent WHERE job = ?", (job.key,))
            db.execute("UPDATE spent SET nanos = nanos + ?", (spent,))
            db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
            db.executemany("INSERT INTO unrecorded VALUES (?, ?, ?, ?)", entries)
            db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)", _row(job))

    def unrecorded(self, job: Job) -> list[tuple[Entry, str]]:
        """What the ledger may not have yet of a job: entries, and what was said."""
        rows = self._file.db.execute("SELECT entry, said FROM unrecorded WHERE job = ?", (job.key,))
        return [(Entry(**json.loads(entry)), said) for entry, said in rows]

    def recorded(self, job: Job) -> None:
        """The ledger has it all."""
        job.state = "over"
        with self._file.transaction() as db:
            db.execute("DELETE FROM unrecorded WHERE job = ?", (job.key,))
            db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)", _row(job))


_COLUMNS = ("key", "state", "batch_id", "began")


def _row(job: Job) -> tuple[Any, ...]:
    about = {f.name: getattr(job, f.name) for f in fields(job) if f.name not in _COLUMNS}
    return (*(getattr(job, name) for name in _COLUMNS), json.dumps(about))


def _stored(prompt: SentPrompt) -> dict[str, Any]:
    return {name: value for name, value in prompt.to_dict().items() if name not in ("index", "nanos")}


def _prompt(index: int, nanos: int, about: dict[str, Any]) -> SentPrompt:
    stated = cast("dict[str, Any]", about["candidate"])
    known: dict[str, Any] = {
        name: math.nan if value is None and name not in _MAY_LACK else value for name, value in stated.items()
    }
    return SentPrompt(index, nanos, about["reads"], Candidate(**known), Entry(**about["entry"]), about["alone"])


_MAY_LACK = ("quality_error", "net_usd")
