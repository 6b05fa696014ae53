"""What becomes one batch of a provider, and what is held of the limits for it before it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from r2_router.batches.batch_apis import custom_id
from r2_router.batches.batch_calls import compact
from r2_router.batches.batch_file import BatchFile
from r2_router.batches.jobs import Job, Jobs, SentPrompt
from r2_router.batches.mapped import Mapped
from r2_router.batches.planned import Lane, Planned
from r2_router.errors import LedgerError, SpendLimitError
from r2_router.ledger.money import to_nanos
from r2_router.ledger.recorder import Recorder

_MOST_BYTES = 64 << 20  # of a batch, whatever its provider takes: it is held in memory until it is sent
_MOST_REQUESTS = 20_000


class Lot:
    """Prompts for one model that are to be one batch; `sample` is a request of it without its texts."""

    def __init__(self, lane: Lane, recorder: Recorder) -> None:
        self.lane = lane
        self.key = secrets.token_hex(8)
        self.prompts: list[SentPrompt] = []
        self.sample: dict[str, Any] = {}
        self._recorder = recorder
        self._requests: dict[int, bytes] = {}
        self._bytes = 0

    def add(self, index: int, planned: Planned) -> bool:
        """Take the prompt in; False where it is full. The first one always fits."""
        request = compact(self.lane.api.request(custom_id(self.key, index), planned.sent))
        terms = self.lane.terms
        most, most_bytes = min(_MOST_REQUESTS, terms.max_requests), min(_MOST_BYTES, terms.max_bytes)
        if self.prompts and (len(self.prompts) >= most or self._bytes + len(request) > most_bytes):
            return False
        if not self.prompts:
            emptied = [{"role": message["role"], "content": ""} for message in planned.body["messages"]]
            self.sample = {**planned.body, "messages": emptied}
        self.prompts.append(self._prompt(index, planned))
        self._requests[index] = request
        self._bytes += len(request) + 1
        return True

    def requests_of(self, indices: Collection[int]) -> list[bytes]:
        """The requests of these prompts, in the order they were taken in."""
        return [request for index, request in self._requests.items() if index in indices]

    def _prompt(self, index: int, planned: Planned) -> SentPrompt:
        entry = self._recorder.entry(planned.decision)
        nanos = to_nanos(planned.most_usd, "The cost of a call")
        return SentPrompt(index, nanos, planned.reads, planned.decision.best, entry, planned.alone)


class Holding:
    """Takes what a lot may cost from the limit of `store`, and from the user's own that `recorder` keeps.

    `full`: something was left out that may fit once batches have come back.
    """

    def __init__(self, store: BatchFile, jobs: Jobs, recorder: Recorder) -> None:
        self.full = False
        self._store = store
        self._jobs = jobs
        self._recorder = recorder
        self._guard = recorder.guard

    async def hold(self, lot: Lot) -> Job | None:
        """A new job of as many of the lot's prompts as fit the limits; None where that is none. A prompt that the
        user's own limits leave no room for fails. Raises LedgerError where these cannot be kept."""
        prompts = self._fitting(lot.prompts)
        while prompts:
            reservation = self._guard.reservation(sum(p.most_usd for p in prompts))
            held = {name: getattr(reservation, name) for name in ("day", "nanos", "caller", "id")}
            model, place = lot.lane.model, lot.lane.endpoint.base_url
            job = Job(lot.key, model.name, model.id, place, sample=lot.sample, reservation=held)
            self._jobs.begin(job, prompts)  # before anything is held: whoever finds it knows what to give back
            try:
                await self._guard.hold(reservation, prompts[0].candidate, max(p.most_usd for p in prompts))
            except SpendLimitError as refusal:
                self._jobs.drop(job)
                prompts = self._within(prompts, refusal)
            except LedgerError:
                self.forget(job)
                raise
            else:
                return job
        return None

    def forget(self, job: Job) -> None:
        """Nothing was sent of a job: what is held for it is given back, and its prompts are as they were."""
        self._guard.settle(job.held(), 0.0)
        self._recorder.ledger.flush()
        self._jobs.drop(job)

    def _fitting(self, prompts: list[SentPrompt]) -> list[SentPrompt]:
        """The first of them that fit what all may cost together."""
        nanos, fitting = 0, list[SentPrompt]()
        for prompt in prompts:
            nanos += prompt.nanos
            if not self._store.fits(nanos):
                self.full = True
                break
            fitting.append(prompt)
        return fitting

    def _within(self, prompts: list[SentPrompt], refusal: SpendLimitError) -> list[SentPrompt]:
        """The prompts that `refusal` leaves room for; the others fail for it."""
        left = to_nanos(max(0.0, refusal.limit_usd - refusal.spent_usd - refusal.reserved_usd), "What a limit leaves")
        kept: list[SentPrompt] = []
        for prompt in prompts:
            if prompt.nanos <= left:
                kept.append(prompt)
                left -= 0 if refusal.period == "call" else prompt.nanos
            elif refusal.period != "call":
                break
        if len(kept) == len(prompts):  # somebody else took it meanwhile
            kept = []
        held = {prompt.index for prompt in kept}
        for prompt in prompts:
            if prompt.index not in held:
                self._store.write(Mapped(prompt.index, error=str(refusal)).row(), 0.0, failed=True, kept=True)
        return kept
