"""Answers by providers' batches: sent at once, at a batch's price, there within a day.

Nothing is sent before what it may cost is taken from the limits, and each step is noted before it is taken: a process
that ends at any moment leaves batches that the next one finds, and pays nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from r2_router.batches.batch_answers import BatchAnswers
from r2_router.batches.batch_apis import BatchResult, ProviderBatch, position_of
from r2_router.batches.batch_calls import CallError, compact
from r2_router.batches.batch_file import BatchFile
from r2_router.batches.each import CHUNK, Prompt, Read, decided
from r2_router.batches.jobs import Job, Jobs, Outcome
from r2_router.batches.lots import Holding, Lot
from r2_router.batches.mapped import Mapped
from r2_router.batches.planned import Lane, Planned, Planner
from r2_router.errors import ConfigError, R2Error
from r2_router.generate.refused import Complaint, Quirks, known_quirks, remember
from r2_router.routing.request import Request

_BARRED = (401, 403)  # HTTP: not with this key
_CROWDED = 429  # HTTP: too much at once
_MISSES = 3  # looks at which a provider does not know a batch, until it is taken for never made
_UNMADE = 3  # batches for one model that were never made, until no other is tried
_FIRST_LOOK_S, _LAST_LOOK_S = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """One batch that goes on: at which host, its provider's id ("" while it is looked for), the provider's word for how
    it stands, requests done and in all."""

    host: str
    batch_id: str
    status: str
    done: int
    total: int


class ProviderRun:
    """Sends what `store` does not hold as providers' batches, and brings what they answer into it.

    `tell` is told what the user should know, `progress` how the batches stand, each time they were looked at: every
    `every_s` seconds, or ever less often.
    """

    def __init__(
        self,
        store: BatchFile,
        planner: Planner,
        read: Read,
        *,
        tell: Callable[[str], None] = lambda text: None,
        progress: Callable[[Sequence[Waiting]], None] = lambda waiting: None,
        every_s: float | None = None,
    ) -> None:
        self._store = store
        self._jobs = Jobs(store)
        self._planner = planner
        self._read = read
        self._tell = tell
        self._progress = progress
        self._every_s = every_s
        self._guard = planner.recorder.guard
        self._holding = Holding(store, self._jobs, planner.recorder)
        self._seen: dict[str, ProviderBatch] = {}
        self._unmade: Counter[str] = Counter()

    async def run(
        self,
        left: Callable[[], Iterable[Prompt]],
        ask_apart: Callable[[Sequence[int]], Awaitable[None]],
        *,
        wait: bool = True,
    ) -> None:
        """Take up what an earlier process began, send what is `left`, and wait until all batches are over; what then
        fits the limits is sent too. `ask_apart` answers the prompts at those positions, whose models take no batches.
        Without `wait`: look once, send, and leave the batches to go on."""
        self.resume()
        if not wait:
            await self.look()
        while True:
            sent, apart = await self._send(left())
            if apart:
                await ask_apart(apart)
            if not wait or not (sent or self.waiting):
                self._progress(self.waiting)
                return
            await self._watch()

    async def cancel(self) -> None:
        """Stop every batch that can be stopped, wait until all are over, and bring in what they answered by then."""
        self.resume()
        for job in self._jobs.all("sending", "waiting"):
            lane = self._lane(job)
            try:
                if await self._known(job, lane):
                    await lane.api.cancel(job.batch_id)
                    self._tell(f"{job.batch_id} at {lane.endpoint.host} is being cancelled.")
            except CallError as error:
                self._tell(f"{job.batch_id or 'A batch'} goes on: {error.reason}.")
        await self._watch()

    def resume(self) -> None:
        """Forget what was never sent, and have the ledger know of what came."""
        for job in self._jobs.all("new"):
            self._holding.forget(job)
        for job in self._jobs.all("recording"):
            self._record(job)

    @property
    def waiting(self) -> list[Waiting]:
        """The batches that are not over, as they were last seen."""
        return [self._as_seen(job) for job in self._jobs.all("sending", "waiting")]

    # -- sending -----------------------------------------------------------------------------------------------

    async def _send(self, prompts: Iterable[Prompt]) -> tuple[int, list[int]]:
        """Send the prompts, in batches by model, as far as the limits allow: how many batches that made, and the
        positions of the prompts whose model takes none."""
        lots: dict[str, Lot] = {}
        apart: list[int] = []
        sent = 0
        self._holding.full = False
        for index, planned in self._planned(prompts, apart):
            model = planned.lane.model.name
            lot = lots.get(model) or lots.setdefault(model, Lot(planned.lane, self._planner.recorder))
            if not lot.add(index, planned):
                sent += await self._send_lot(lot)
                lots[model] = Lot(planned.lane, self._planner.recorder)
                lots[model].add(index, planned)
            if self._holding.full:
                return sent, apart
        for lot in lots.values():
            sent += await self._send_lot(lot)
        return sent, apart

    def _planned(self, prompts: Iterable[Prompt], apart: list[int]) -> Iterator[tuple[int, Planned]]:
        """Each prompt that goes into a batch; what is no prompt, or has no candidate, becomes an error at once."""
        rest = iter(prompts)
        while chunk := list(islice(rest, CHUNK)):
            requests: dict[int, Request] = {}
            found: dict[int, Mapped] = {}
            for index, prompt in chunk:
                try:
                    requests[index] = self._read(prompt)
                except R2Error as error:
                    found[index] = Mapped(index, error=str(error))
            found |= decided(requests, self._planner.decide)
            for index, mapped in sorted(found.items()):
                planned = mapped.decision and self._planner.plan(requests[index], mapped.decision)
                if planned is not None:
                    yield index, planned
                elif mapped.decision is not None:
                    apart.append(index)
                else:
                    self._store.write(mapped.row(), 0.0, failed=True, kept=True)

    async def _send_lot(self, lot: Lot) -> bool:
        """Send what of a lot the limits leave room for; whether a batch was made, or may have been."""
        job = await self._holding.hold(lot)
        if job is None:
            return False
        lane, requests = lot.lane, lot.requests_of(self._jobs.prompts(job))
        try:
            if self._unmade[job.model] >= _UNMADE:
                raise CallError(f"{lane.endpoint.host} made no batch, {_UNMADE} times over")
            file_id = await lane.api.upload(job.key, requests)
        except CallError as error:
            self._refuse(job, lane, error.reason, crowded=error.status == _CROWDED)
            return False
        self._jobs.sending(job)
        try:
            self._note(job, await lane.api.create(job.key, lane.model.id, requests, file_id))
        except CallError as error:
            if error.refused:
                self._refuse(job, lane, error.reason, crowded=error.status == _CROWDED)
                return False
            self._tell(f"{error.reason}; whether it made the batch is being looked up.")
        return True

    def _refuse(self, job: Job, lane: Lane, reason: str, *, crowded: bool = False) -> None:
        """The provider made no batch, or refused it: nothing is paid, and its prompts fail for the reason it gave.
        Where it is `crowded` by others that wait, they are as they were, until those have come back."""
        if crowded and any(other.key != job.key for other in self._jobs.all("sending", "waiting")):
            self._tell(f"{job.count:,} prompts for {job.model} wait until others have come back: {reason}.")
            self._holding.full = True
            self._holding.forget(job)
            return
        self._tell(f"No batch of {job.count:,} prompts for {job.model}: {reason}.")
        answers = BatchAnswers(lane.model, lane.endpoint, "", 0.0)
        self._finish(job, [answers.unasked(prompt, reason) for prompt in self._jobs.prompts(job).values()])

    # -- waiting -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        wait_s = self._every_s or _FIRST_LOOK_S
        await self.look()
        while self._jobs.all("sending", "waiting"):
            await asyncio.sleep(wait_s)
            wait_s = self._every_s or min(_LAST_LOOK_S, wait_s * 1.5)
            await self.look()

    async def look(self) -> None:
        """Look at every batch once, and bring in what those that are over have answered. Raises ConfigError where all
        that go on are at providers that no longer take the key."""
        barred: dict[str, str] = {}
        for job in self._jobs.all("sending", "waiting"):
            lane = self._lane(job)
            try:
                if not await self._known(job, lane):
                    continue
                batch = self._seen[job.key] = await lane.api.look(job.batch_id)
                if batch.over:
                    await self._bring(job, lane, batch)
                else:
                    self._guard.renew(job.held())
            except CallError as error:
                if error.status == 404 and job.batch_id:
                    self._lose(job, lane, error.reason)
                elif error.status in _BARRED:
                    barred[job.key] = f"{error.reason}. Set {lane.model.api_key_env or 'its key'} right"
                else:
                    self._tell(f"{job.batch_id or 'A batch'}: {error.reason}; looking again.")
        self._progress(self.waiting)
        if barred and barred.keys() >= {job.key for job in self._jobs.all("sending", "waiting")}:
            why = " and ".join(sorted(set(barred.values())))
            raise ConfigError(f"{why}, and run the same command again: the batches go on there, and nothing is lost.")

    async def _known(self, job: Job, lane: Lane) -> bool:
        """Whether the provider's id of the job's batch is known, found by now if it was not. One that the provider does
        not know, again and again, was never made: its prompts are as they were."""
        if job.batch_id:
            return True
        others = {other.batch_id for other in self._jobs.all() if other.batch_id}
        try:
            found = await lane.api.find(job.key, job.began, job.count, others)
        except CallError as error:
            if error.status not in (404, 405, 501):
                raise
            self._lose(job, lane, f"{lane.endpoint.host} lists no batches")
            return False
        if isinstance(found, ProviderBatch):
            self._note(job, found)
            return True
        job.misses = 0 if found == "unsure" else job.misses + 1
        self._jobs.save(job)
        if job.misses >= _MISSES:
            self._unmade[job.model] += 1
            self._holding.forget(job)
        return False

    def _note(self, job: Job, batch: ProviderBatch) -> None:
        self._jobs.waiting(job, batch.id)
        self._seen[job.key] = batch

    # -- what came ---------------------------------------------------------------------------------------------

    async def _bring(self, job: Job, lane: Lane, batch: ProviderBatch) -> None:
        """Write what a batch that is over has brought."""
        if batch.failure:
            reason = f"{batch.id}: {lane.endpoint.shown(batch.failure)}"
            self._refuse(job, lane, reason, crowded=batch.crowded)
            return
        prompts, outcomes = self._jobs.prompts(job), dict[int, Outcome]()
        answers = BatchAnswers(lane.model, lane.endpoint, batch.id, max(0.0, time.time() - job.began))
        asked = known_quirks(lane.endpoint.base_url, lane.model.id)
        draw = self._planner.recorder.ledger.draw_id
        async with aclosing(lane.api.results(batch)) as results:
            async for result in results:
                index = position_of(job.key, result.custom_id)
                if index in prompts and index not in outcomes:
                    learned = _learned(job, lane, asked, result)
                    outcomes[index] = Outcome(index) if learned else answers.read(prompts[index], result, draw())
        left = [prompt for index, prompt in prompts.items() if index not in outcomes]
        self._finish(job, [*outcomes.values(), *(answers.lost(prompt, draw()) for prompt in left)])

    def _lose(self, job: Job, lane: Lane, reason: str) -> None:
        """Nobody can tell what became of a batch: it counts as spent in full."""
        self._tell(f"A batch of {job.count:,} prompts for {job.model} is lost and counts as spent in full: {reason}.")
        answers = BatchAnswers(lane.model, lane.endpoint, job.batch_id, 0.0)
        draw = self._planner.recorder.ledger.draw_id
        self._finish(job, [answers.lost(prompt, draw()) for prompt in self._jobs.prompts(job).values()])

    def _finish(self, job: Job, outcomes: list[Outcome]) -> None:
        self._jobs.finish(job, outcomes)
        self._record(job)

    def _record(self, job: Job) -> None:
        """Have the ledger know what came of a job: a line for each answer, once, and what they cost in all."""
        ledger = self._planner.recorder.ledger
        for entry, said in self._jobs.unrecorded(job):
            if ledger.find(entry.id) is None:
                ledger.record(entry, said)
        self._guard.settle(job.held(), job.cost_usd)
        ledger.flush()
        self._jobs.recorded(job)

    def _lane(self, job: Job) -> Lane:
        """Where a job was sent. Raises ConfigError where the pool has it no longer."""
        lane = self._planner.lane(job.model)
        if lane is None or (lane.model.id, lane.endpoint.base_url) != (job.model_id, job.base_url):
            raise ConfigError(
                f"A batch waits at {job.base_url} that was sent to {job.model} ({job.model_id}), and the pool has no "
                f"such model there now. Put it back, and run the same command again."
            )
        return lane

    def _as_seen(self, job: Job) -> Waiting:
        seen = self._seen.get(job.key)
        host = job.base_url.partition("://")[2].partition("/")[0]
        done, status = (seen.done, seen.status) if seen else (0, "sent" if job.batch_id else "being looked for")
        return Waiting(host, job.batch_id, status, done, job.count)


def _learned(job: Job, lane: Lane, asked: Quirks, result: BatchResult) -> bool:
    """Whether a refusal tells how the model wants to be asked, which it was not: then it is asked so from now on."""
    if result.kind != "refused" or result.status not in (400, 422):
        return False
    complaint = Complaint.read(compact(result.document).decode() if result.document else result.reason)
    if asked.learn(job.sample, complaint) is None:
        return False
    place = lane.endpoint.base_url, lane.model.id
    if (learned := known_quirks(*place).learn(job.sample, complaint)) is not None:
        remember(*place, learned)
    return True
