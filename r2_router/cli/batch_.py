"""`r2-router batch`: every prompt of a file routed, or answered, into a Parquet file."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2_router.cli import common, provider_batch
from r2_router.cli.options import add_wish_options, wishes
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.batches.batch_file import BatchFile
    from r2_router.batches.each import RunGuard
    from r2_router.cluster.on_ray import Work
    from r2_router.generate import AnswerStream
    from r2_router.lab.data.spans import Span
    from r2_router.router import R2Router
    from r2_router.routing.request import Request

ROWS = "rows.parquet"
_STORE = "batch.sqlite3"
_SAID_EVERY_S = 5.0
_ROWS_A_BLOCK = 4096


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "batch",
        help="route, or answer, every prompt of a file",
        description="Route every prompt of a Parquet, CSV or JSONL file, which is free; or answer them all with "
        "--answer. Each answer is kept at once: run the same command again to go on after a stop of any kind, and to "
        "try again what failed. The output is DIR/rows.parquet, one row a prompt.",
    )
    parser.add_argument("file", metavar="FILE", help="prompts, texts or lists of messages: .parquet, .csv, .jsonl")
    parser.add_argument("--output", metavar="DIR", required=True, help="the folder of the batch")
    parser.add_argument("--column", metavar="NAME", default="", help="where prompts stand (default: prompt, query …)")
    parser.add_argument("--rows", type=common.count_above_zero, metavar="N", help="only the first N prompts")
    parser.add_argument("--answer", action="store_true", help="ask the models; costs money unless they are local")
    parser.add_argument("--max-usd", type=float, metavar="USD", help="most dollars the whole batch may cost")
    parser.add_argument(
        "--at-once", type=common.count_above_zero, metavar="N", default=8, help="answers under way (default: 8)"
    )
    parser.add_argument("--system", metavar="S", help="a system message before each prompt")
    parser.add_argument(
        "--engine",
        choices=("here", "ray"),
        default="here",
        help="ray: on the cluster that RAY_ADDRESS names, or on one of this machine (default: here, in one process); "
        "FILE may then be a folder of Parquet files, or an address such as s3://bucket/folder",
    )
    parser.add_argument(
        "--workers", type=common.count_above_zero, metavar="N", help="with --engine ray (default: one a core)"
    )
    provider_batch.add_options(parser)
    add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.lab.data.files import parquet_module

    parquet_module(ROWS)  # before anything is paid, not after
    if args.max_usd is not None and not args.answer:
        raise InputError("--max-usd limits what answers cost, and routing is free: add --answer, or leave it out.")
    if args.max_usd is not None:
        from r2_router.ledger.money import check_amount

        check_amount(args.max_usd, "--max-usd")
    if args.workers is not None and args.engine != "ray":
        raise InputError("--workers is for --engine ray: here one process uses all cores.")
    provider_batch.check_options(args)
    common_read = _reader(args)
    common_read(".")  # a wish that cannot be used is an error of the command, and not of each prompt
    if args.engine == "ray":
        from r2_router.cluster.engine import ray_module

        ray_module()
    router = common.make_router(args)
    if args.engine == "ray" and not args.answer:
        return _route_on_ray(args)
    output = Path(args.output).expanduser()
    return _answer(args, router, output) if args.answer else _route(args, router, output)


def _reader(args: argparse.Namespace) -> Any:
    from r2_router.routing.request import Request

    wished = {name: value for name, value in wishes(args).items() if value is not None}
    return partial(Request.read, system=args.system, **wished)


def _prompts(args: argparse.Namespace) -> Iterator[tuple[int, Any]]:
    from r2_router.lab.data.prompts import prompts

    if args.engine == "ray":
        from r2_router.lab.data.spans import read_span

        return chain.from_iterable(map(read_span, _spans(args)))
    return enumerate(islice(prompts(Path(args.file).expanduser(), args.column), args.rows))


def _spans(args: argparse.Namespace) -> list[Span]:
    from r2_router.lab.data.spans import spans

    return spans(_address(args.file), args.column, args.rows)


def _address(stated: str) -> str:
    """A path that every process understands alike, or an address as it is."""
    return stated if "://" in stated else str(Path(stated).expanduser().absolute())


def _work(args: argparse.Namespace) -> Work:
    from r2_router.cluster.on_ray import Work
    from r2_router.config.folders import is_path, is_pool_file
    from r2_router.router import router_for

    checkpoint = _address(args.checkpoint) if is_path(args.checkpoint or "") else args.checkpoint
    pool = _address(args.pool) if is_pool_file(args.pool or "") else args.pool
    make = partial(router_for, "cli", checkpoint, pool=pool, embed_url=args.embed_url)
    return Work(make, _reader(args))


# -- only routed -----------------------------------------------------------------------------------------------


def _route(args: argparse.Namespace, router: R2Router, output: Path) -> int:
    from r2_router.batches.each import route_each
    from r2_router.lab.data.mapped_rows import write_mapped_rows

    done = failed = 0
    began = said = time.monotonic()

    def pages() -> Iterator[list[dict[str, Any]]]:
        nonlocal done, failed, said
        found = route_each(_prompts(args), _reader(args), router.decide_all)
        while page := [mapped.row() for mapped in islice(found, _ROWS_A_BLOCK)]:
            done += len(page)
            failed += sum(row["error"] is not None for row in page)
            if time.monotonic() - said > _SAID_EVERY_S:
                said = time.monotonic()
                common.note(f"{done:,} prompts routed, {done / (said - began):,.0f} a second")
            yield page

    write_mapped_rows(output / ROWS, pages())
    return _report(args, {"file": str(output / ROWS), "prompts": done, "failed": failed, "spent_usd": 0.0})


def _route_on_ray(args: argparse.Namespace) -> int:
    from r2_router.cluster.on_ray import route_on_ray
    from r2_router.lab.data.spans import inside

    output = inside(_address(args.output), "rows")
    prompts, failed = route_on_ray(_spans(args), _work(args), output, args.workers)
    return _report(args, {"file": output, "prompts": prompts, "failed": failed, "spent_usd": 0.0})


# -- answered --------------------------------------------------------------------------------------------------


def _answer(args: argparse.Namespace, router: R2Router, output: Path) -> int:
    from r2_router.batches.batch_file import BatchFile
    from r2_router.generate import run as run_loop
    from r2_router.lab.data.mapped_rows import write_mapped_rows

    total, digest = _counted(args)
    path = output / _STORE
    with BatchFile(path) as store:
        store.settle_on({"prompts": digest, "wishes": _said(args)})
        store.max_usd = args.max_usd
        store.give_up_calls()
        store.forget_failures()
        if args.engine == "here":
            _stoppable(lambda: run_loop(_asked(args, router, store, total)), store)
    if args.engine == "ray":  # its keeper opens the file
        _stoppable(lambda: _answered_on_ray(args, path, total, digest))
    with BatchFile(path) as store:
        write_mapped_rows(output / ROWS, store.pages())
        answered, failed = store.counts()
        spent = store.spent_usd
        waiting = provider_batch.note_waiting(store)
    found = {"file": str(output / ROWS), "prompts": total, "answered": answered, "failed": failed, "spent_usd": spent}
    if args.provider_batch:
        found["waiting"] = waiting
    if left := total - answered - failed - waiting:
        why = f"--max-usd {args.max_usd:g} leaves" if args.max_usd is not None else "The cancelled batches leave"
        common.note(f"{why} {left:,} prompts unanswered.")
    return _report(args, found)


def _stoppable(work: Callable[[], object], store: BatchFile | None = None) -> None:
    try:
        work()
    except KeyboardInterrupt:
        common.note("Stopped. Every answer is kept: the same command goes on from here.")
        if store is not None:
            provider_batch.note_waiting(store, stopped=True)
        raise


def _answered_on_ray(args: argparse.Namespace, store: Path, total: int, key: str) -> None:
    from r2_router.cluster.on_ray import answer_on_ray
    from r2_router.words import usd

    began = said = time.monotonic()
    first: int | None = None

    def tell(done: int, spent_usd: float) -> None:
        nonlocal first, said
        first = done if first is None else first
        if time.monotonic() - said >= _SAID_EVERY_S and done > first:
            said = time.monotonic()
            common.note(_progress(done, total, (done - first) / (said - began), usd(spent_usd)))

    answer_on_ray(
        _spans(args),
        _work(args),
        store,
        key=key,
        max_usd=args.max_usd,
        at_once=args.at_once,
        workers=args.workers,
        on_progress=tell,
    )


async def _asked(args: argparse.Namespace, router: R2Router, store: BatchFile, total: int) -> None:
    """Answer what is not answered yet."""

    def left() -> Iterator[tuple[int, Any]]:
        return ((index, prompt) for index, prompt in _prompts(args) if not store.holds(index))

    async def ask(prompts: Iterable[tuple[int, Any]]) -> None:
        await _answered(args, router, store, total, prompts)

    if not args.provider_batch:
        await ask(left())
        return
    await provider_batch.answered_by_batches(args, router, store, _reader(args), left, ask)


async def _answered(
    args: argparse.Namespace, router: R2Router, store: BatchFile, total: int, prompts: Iterable[tuple[int, Any]]
) -> None:
    """Ask these prompts at once, and keep what is answered."""
    from r2_router.batches.each import answer_each
    from r2_router.show.tables import is_terminal
    from r2_router.words import usd

    batch, options = store.fact("prompts"), router.options

    def ask(request: Request, guard: RunGuard) -> AnswerStream:  # who was cut off asks with the same key again
        return router.ask(request, guard=guard, options=replace(options, request_key=f"{batch}\n{guard.index}"))

    found = answer_each(
        prompts,
        _reader(args),
        ask,
        guard=router.guard,
        limit=store,
        max_usd=args.max_usd,
        at_once=args.at_once,
    )
    began, now, every = time.monotonic(), 0, 0.5 if is_terminal(stderr=True) else _SAID_EVERY_S
    said = began
    async with aclosing(found):
        async for mapped in found:
            now += 1
            if mapped.error and mapped.answer is None:
                common.note(f"prompt {mapped.index}: {mapped.error}")
            if time.monotonic() - said >= every:
                said = time.monotonic()
                common.note(_progress(sum(store.counts()), total, now / (said - began), usd(store.spent_usd)))


def _progress(done: int, total: int, rate: float, spent: str) -> str:
    left = (total - done) / rate / 60
    return f"{done:,} of {total:,} prompts, {spent} spent, {rate * 60:,.0f} a minute, {left:,.0f} minutes left"


def _counted(args: argparse.Namespace) -> tuple[int, str]:
    """How many prompts there are, and what tells them from others."""
    digest, count = hashlib.sha256(), 0
    for _, prompt in _prompts(args):
        digest.update(repr(prompt).encode("utf-8", "surrogatepass") + b"\0")
        count += 1
    return count, digest.hexdigest()[:16]


def _said(args: argparse.Namespace) -> dict[str, Any]:
    """What of the command decides about answers."""
    wished = {name: value for name, value in wishes(args).items() if value is not None}
    named = {name: getattr(args, name) for name in ("system", "checkpoint", "pool") if getattr(args, name)}
    return {**wished, **named}


def _report(args: argparse.Namespace, found: dict[str, Any]) -> int:
    from r2_router.words import usd

    if args.json:
        common.print_json(found)
    else:
        answered = f"{found['answered']:,} answered, " if "answered" in found else ""
        print(f"{found['prompts']:,} prompts, {answered}{found['failed']:,} failed, {usd(found['spent_usd'])} spent.")
        print(f"One row a prompt: {found['file']}")
    return 0 if found["failed"] == 0 and found.get("answered", found["prompts"]) == found["prompts"] else 1
