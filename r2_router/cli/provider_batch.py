"""`r2-router batch --answer --provider-batch`: answers that can wait, at what providers take for batches."""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from r2_router.cli import common
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.batches.batch_file import BatchFile
    from r2_router.batches.by_provider import Waiting
    from r2_router.router import R2Router

_SAID_EVERY_S = 60.0
_LISTED = 3  # batches told one by one


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--provider-batch",
        action="store_true",
        help="with --answer: send the prompts as their providers' batches, at the price of those, mostly half; answers "
        "come within a day. Models whose provider takes none are asked at once, at their usual price",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="with --provider-batch: send, take in what is there, and end; the same command brings in the rest",
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        metavar="SECONDS",
        help="with --provider-batch: between looks at what waits (default: from 5, rising to 60)",
    )
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="with --provider-batch: stop the batches that wait, and take in what they answered; nothing is sent",
    )


def check_options(args: argparse.Namespace) -> None:
    """Raise InputError for options that do not go together."""
    given = [name for name in ("no_wait", "cancel", "every") if getattr(args, name)]
    if given and not args.provider_batch:
        option = f"--{given[0].replace('_', '-')}"
        raise InputError(f"{option} is about batches that wait: add --provider-batch, or leave it out.")
    if args.provider_batch and not args.answer:
        raise InputError("--provider-batch is a way of asking, and routing asks nobody: add --answer, or leave it out.")
    if args.provider_batch and args.engine == "ray":
        raise InputError("--provider-batch sends its batches from one process: leave out --engine ray.")


async def answered_by_batches(
    args: argparse.Namespace,
    router: R2Router,
    store: BatchFile,
    read: Any,
    left: Callable[[], Iterable[tuple[int, Any]]],
    ask: Callable[[Iterable[tuple[int, Any]]], Awaitable[None]],
) -> None:
    """Answer what is `left`; `ask` asks those prompts at once whose models take no batches."""
    from r2_router.batches.by_provider import ProviderRun
    from r2_router.router import batch_planner

    async def ask_apart(positions: Sequence[int]) -> None:
        apart = frozenset(positions)
        common.note(f"{len(apart):,} prompts go to models without batches: asked at once, at their usual price.")
        await ask(prompt for prompt in left() if prompt[0] in apart)

    telling = _Progress(store)
    planner = batch_planner(router, read("."))
    run = ProviderRun(store, planner, read, tell=common.note, progress=telling.tell, every_s=args.every)
    if args.cancel:
        await run.cancel()
    else:
        await run.run(left, ask_apart, wait=not args.no_wait)


def note_waiting(store: BatchFile, *, stopped: bool = False) -> int:
    """Say which prompts wait in batches, and how to go on; how many they are."""
    from r2_router.batches.jobs import Jobs

    jobs = Jobs(store).all("sending", "waiting")
    if not jobs:
        return 0
    prompts = sum(job.count for job in jobs)
    batches = "1 batch" if len(jobs) == 1 else f"{len(jobs)} batches"
    begin = "Stopped watching: " if stopped else ""
    common.note(
        f"{begin}{prompts:,} prompts wait in {batches} at their providers, which go on. The same command with "
        f"--provider-batch brings in what they answer; with --cancel too it stops them first."
    )
    return prompts


class _Progress:
    """Says how the batches stand, where that has changed, and now and then."""

    def __init__(self, store: BatchFile) -> None:
        self._store = store
        self._said = ""
        self._said_at = self._began = time.monotonic()

    def tell(self, waiting: Sequence[Waiting]) -> None:
        from r2_router.words import usd

        listed = [f"{w.batch_id or 'a batch'} at {w.host} {w.status}, {w.done:,} of {w.total:,}" for w in waiting]
        more = [f"{len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
        now, said = time.monotonic(), "; ".join((*listed[:_LISTED], *more))
        if not said or (said == self._said and now - self._said_at < _SAID_EVERY_S):
            return
        self._said, self._said_at = said, now
        minutes = (now - self._began) / 60
        common.note(
            f"{sum(self._store.counts()):,} prompts done, {usd(self._store.spent_usd)} spent at most, waiting for "
            f"{minutes:,.0f} minutes: {said}"
        )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"seconds, more than 0 and at most a day; got '{text}'")
    return seconds
