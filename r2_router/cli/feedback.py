"""`r2-router feedback`: say how good an answer was."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.ledger import Entry, Ledger

_LISTED = 10
_QUERY_CHARS = 50


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "feedback",
        help="say how good an answer was",
        description="Label an answer of the ledger, or say which of two to one prompt is the better. `r2-router "
        "calibrate` compares the labels with what was predicted, `r2-router learn` learns from both.",
    )
    parser.add_argument(
        "answer_id",
        metavar="ANSWER_ID",
        nargs="?",
        help="the answer's id as `ask` and the MCP tools show it, its beginning or end, or `last`",
    )
    parser.add_argument("quality", metavar="good|bad|0..1", nargs="?", help="the label: good is 1, bad is 0")
    parser.add_argument(
        "--list",
        type=common.count_above_zero,
        nargs="?",
        const=_LISTED,
        metavar="N",
        help=f"show the last N answers that have no label (default: {_LISTED})",
    )
    parser.add_argument("--prefer", metavar="ID", help="the better of two answers to one prompt")
    parser.add_argument("--over", metavar="ID", help="the worse of them")
    parser.add_argument("--json", action="store_true", help="one JSON object an answer on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.ledger import Ledger

    with Ledger.configured() as ledger:
        ways = [args.answer_id is not None, args.list is not None, args.prefer is not None or args.over is not None]
        if sum(ways) > 1:
            raise InputError("Give an answer's id and a label, or --list, or --prefer and --over: one of them.")
        if ways[2]:
            _prefer(ledger, args.prefer, args.over, as_json=args.json)
            return 0
        if args.list is not None:
            _list(ledger, args.list, as_json=args.json)
            return 0
        if args.answer_id is None or args.quality is None:
            raise InputError(
                "Say which answer and how good it was: `r2-router feedback ANSWER_ID good` (or bad, or 0..1). "
                "`r2-router feedback --list` shows the answers."
            )
        _label(ledger, args.answer_id, args.quality, as_json=args.json)
    return 0


def _label(ledger: Ledger, reference: str, label: str, *, as_json: bool) -> None:
    from r2_router.ledger.labels import find_answer, read_quality

    quality = read_quality(label)
    entry = find_answer(ledger, reference)
    ledger.set_quality(entry.id, quality)
    if as_json:
        common.print_json({**entry.to_dict(), "quality": quality, "previous_quality": entry.quality})
    else:
        said = f"{entry.quality_by} said" if entry.quality_by else "it was"
        before = "" if entry.quality is None else f" ({said} {entry.quality:g})"
        expected = "" if entry.predicted_quality is None else f", predicted {entry.predicted_quality:.2f}"
        print(f"{entry.id}: quality {quality:g}{before}{expected}. {_described(entry)}")
    if entry.outcome == "partial":
        common.note("note: the answer was broken off; calibrate and train leave it out")
    elif entry.query is None:
        common.note(
            "note: the query's text was not kept, so the label calibrates but cannot train; R2_LOG_TEXT=1 keeps"
        )


def _prefer(ledger: Ledger, better: str | None, over: str | None, *, as_json: bool) -> None:
    from r2_router.ledger.labels import prefer

    if better is None or over is None:
        raise InputError("Name both answers: `r2-router feedback --prefer ID --over ID`.")
    preferred, worse = prefer(ledger, better, over)
    if as_json:
        common.print_json({"preferred": preferred.to_dict(), "over": worse.to_dict()})
        return
    print(f"{preferred.id} is preferred to {worse.id}. {_described(preferred)}; over {worse.model} @ {worse.budget}")
    if (preferred.model, preferred.budget) == (worse.model, worse.budget):
        common.note("note: both are of one model and length, so there is nothing to learn for a choice")
    elif preferred.query is None or worse.query is None:
        common.note("note: the query's text was not kept, so nothing can be learned from it; R2_LOG_TEXT=1 keeps")


def _list(ledger: Ledger, count: int, *, as_json: bool) -> None:
    from r2_router.ledger.labels import unjudged

    found = unjudged(ledger, count)
    if as_json:
        for entry in found:
            common.print_json(entry.to_dict())
        return
    if not found:
        print("No answer waits for a label.")
        return
    from r2_router.show.tables import show_table

    columns = ("id", "time (UTC)", "model", "budget", "tokens", "predicted", "query")
    show_table(columns, [_row(entry) for entry in found], numbers={3, 4, 5})
    common.note("Label one: r2-router feedback ID good|bad|0..1 (the id's last characters are enough)")


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.id,
        _when(entry),
        entry.model,
        str(entry.budget),
        "-" if entry.output_tokens is None else f"{entry.output_tokens:,}",
        "-" if entry.predicted_quality is None else f"{entry.predicted_quality:.2f}",
        _start(entry) or "-",
    )


def _described(entry: Entry) -> str:
    """Whose answer to what, and when."""
    text = f": {_start(entry)}" if _start(entry) else ""
    return f"{entry.model} @ {entry.budget}, {_when(entry)} UTC{text}"


def _when(entry: Entry) -> str:
    return entry.time[:16].replace("T", " ")


def _start(entry: Entry) -> str:
    """The beginning of the query on one line, without what would move a terminal's cursor."""
    line = " ".join((entry.query or "").split())
    line = "".join(ch for ch in line if ch.isprintable())
    return line if len(line) <= _QUERY_CHARS else line[: _QUERY_CHARS - 1] + "…"
