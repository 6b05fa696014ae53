"""`r2-router batch`: every prompt of a file routed, or answered, into a Parquet file."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from r2_router.cli import common
from r2_router.cli.options import add_wish_options, wishes
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.batches.batch_file import BatchFile
    from r2_router.batches.each import RunGuard
    from r2_router.generate import AnswerStream
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
    add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.lab.data.files import parquet_module

    parquet_module(ROWS)  # before anything is paid, not after
    if args.max_usd is not None and not args.answer:
        raise InputError("--max-usd limits what answers cost, and routing is free: add --answer, or leave it out.")
    common_read = _reader(args)
    common_read(".")  # a wish that cannot be used is an error of the command, and not of each prompt
    router = common.make_router(args)
    output = Path(args.output).expanduser()
    return _answer(args, router, output) if args.answer else _route(args, router, output)


def _reader(args: argparse.Namespace) -> Any:
    from r2_router.routing.request import Request

    wished = {name: value for name, value in wishes(args).items() if value is not None}

    def read(prompt: Any) -> Request:
        return Request.read(prompt, system=args.system, **wished)

    return read


def _prompts(args: argparse.Namespace) -> Iterator[tuple[int, Any]]:
    from r2_router.lab.data.prompts import prompts

    return enumerate(islice(prompts(Path(args.file).expanduser(), args.column), args.rows))


# -- only routed -----------------------------------------------------------------------------------------------


def _route(args: argparse.Namespace, router: R2Router, output: Path) -> int:
    from r2_router.batches.each import route_each

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

    _write(output / ROWS, pages())
    return _report(args, {"file": str(output / ROWS), "prompts": done, "failed": failed, "spent_usd": 0.0})


# -- answered --------------------------------------------------------------------------------------------------


def _answer(args: argparse.Namespace, router: R2Router, output: Path) -> int:
    from r2_router.batches.batch_file import BatchFile
    from r2_router.generate import run as run_loop

    total, digest = _counted(args)
    with BatchFile(output / _STORE) as store:
        store.settle_on({"prompts": digest, "wishes": _said(args)})
        store.max_usd = args.max_usd
        store.give_up_calls()
        store.forget_failures()
        try:
            whole = run_loop(_answered(args, router, store, total))
        except KeyboardInterrupt:
            common.note("Stopped. Every answer is kept: the same command goes on from here.")
            raise
        _write(output / ROWS, store.pages())
        answered, failed = store.counts()
        spent = store.spent_usd
    found = {"file": str(output / ROWS), "prompts": total, "answered": answered, "failed": failed, "spent_usd": spent}
    if not whole:
        common.note(f"--max-usd {args.max_usd:g} leaves {total - answered - failed:,} prompts unanswered.")
    return _report(args, found)


async def _answered(args: argparse.Namespace, router: R2Router, store: BatchFile, total: int) -> bool:
    """Answer what is not answered yet; whether all prompts were gone through."""
    from r2_router.batches.each import answer_each
    from r2_router.show.tables import is_terminal
    from r2_router.words import usd

    batch, options = store.fact("prompts"), router.options

    def ask(request: Request, guard: RunGuard) -> AnswerStream:  # who was cut off asks with the same key again
        return router.ask(request, guard=guard, options=replace(options, request_key=f"{batch}\n{guard.index}"))

    left = ((index, prompt) for index, prompt in _prompts(args) if not store.holds(index))
    found = answer_each(
        left,
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
    return sum(store.counts()) == total


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


# -- the output ------------------------------------------------------------------------------------------------

_TYPES = {
    **{"index": "int64", "model": "string", "budget": "string", "predicted_quality": "float64"},
    **{"predicted_output_tokens": "float64", "predicted_cost_usd": "float64", "answer": "string"},
    **{"finish_reason": "string", "partial": "bool", "prompt_tokens": "int64", "completion_tokens": "int64"},
    **{"cost_usd": "float64", "latency_s": "float64", "error": "string"},
}


def _write(path: Path, pages: Iterable[list[dict[str, Any]]]) -> None:
    """Pages of rows as one Parquet file, which appears when it is whole. Raises InputError where it cannot be
    written."""
    from importlib import import_module

    from r2_router.config.safe_files import replacing
    from r2_router.lab.data.files import parquet_module

    pa, parquet = cast("Any", import_module("pyarrow")), parquet_module(path.name)
    schema = pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in _TYPES.items()])
    try:
        with replacing(path) as stream, parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
            for page in pages:
                columns = {name: [row[name] for row in page] for name in _TYPES}
                writer.write_table(pa.Table.from_pydict(columns, schema))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from None


def _report(args: argparse.Namespace, found: dict[str, Any]) -> int:
    from r2_router.words import usd

    if args.json:
        common.print_json(found)
    else:
        answered = f"{found['answered']:,} answered, " if "answered" in found else ""
        print(f"{found['prompts']:,} prompts, {answered}{found['failed']:,} failed, {usd(found['spent_usd'])} spent.")
        print(f"One row a prompt: {found['file']}")
    return 0 if found["failed"] == 0 and found.get("answered", found["prompts"]) == found["prompts"] else 1
