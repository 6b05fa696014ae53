"""`r2-router setup`: a pool of the user's own from the keys and servers that are here, in use at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r2_router.cli.common import Commands, note, print_json
from r2_router.cli.models import NOT_WRITTEN
from r2_router.cli.options import add_setup_options
from r2_router.errors import InputError, R2Error
from r2_router.show.tables import is_terminal, show_table

if TYPE_CHECKING:
    from r2_router.setup.prepare import Setup


def register(commands: Commands) -> None:
    parser = commands.add_parser(
        "setup",
        help="route among your own models: from keys that are set and servers that run",
        description="Find provider keys (environment, keys.toml) and servers on this machine, propose three to eight "
        "of their models on the frontier of ability against price, write them as a pool and make it the default. Ends "
        "with one answer. Run it again to see what changed: it keeps what you changed in the pool.",
        epilog=f"Exit code {NOT_WRITTEN} says that nothing was written; 1, that there was nothing to write, or that "
        "the pool stands but its first answer failed.",
    )
    add_setup_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the proposal; write nothing, ask no model")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.config.settings import load_settings
    from r2_router.setup.prepare import look

    found = look(load_settings(), name=args.name, base_urls=args.base_url, models=args.models)
    if not args.json:
        _show_found(found)
        _show_proposal(found)
    if args.dry_run:
        return _end(found, args)
    agreed = found if args.yes else _agreed(found) if not args.json and _can_ask() else None
    if agreed is None:
        note("Nothing is written. `--yes` writes without asking.")
        return _end(found, args, code=NOT_WRITTEN)
    return _write(agreed, args)


def _write(found: Setup, args: argparse.Namespace) -> int:
    from r2_router.setup.pool_file import write_pool
    from r2_router.show.proposal import first_answer_failed, left_out, measuring, written

    found = found.measured(lambda name: note(measuring(name)))
    file = write_pool(found.plan)
    for line in (*left_out(found), *written(found.plan.name, file)):
        note(line)
    answer, fault = _first_answer(found.plan.name, args)
    if fault:
        note(first_answer_failed(fault))
    return _end(found, args, code=1 if fault else 0, written=str(file), answer=answer, fault=fault)


def _first_answer(pool: str, args: argparse.Namespace) -> tuple[dict[str, Any] | None, str]:
    """One query, routed and answered with the new pool; and why that failed, "" if it did not."""
    from r2_router.cli.ask import print_answer
    from r2_router.router import router_for
    from r2_router.routing.request import Request
    from r2_router.setup.prepare import FIRST_QUERY

    try:
        router = router_for("cli", pool=pool)
        stream = router.ask(Request.read(FIRST_QUERY))
        if not args.json:
            note(f"\n{FIRST_QUERY}")
        code = print_answer(stream, quiet=args.json)
    except R2Error as error:
        return None, str(error)
    answer = None if stream.answer is None else stream.answer.to_dict()
    return answer, "" if code == 0 else "it broke off"


def _end(
    found: Setup,
    args: argparse.Namespace,
    *,
    code: int = 0,
    written: str | None = None,
    answer: dict[str, Any] | None = None,
    fault: str = "",
) -> int:
    if args.json:
        sources = [
            {**o.source.to_dict(), "models": len(o.listed), "failure": o.failure, "snapshot": o.snapshot}
            for o in found.offers
        ]
        print_json(
            {
                "pool": found.plan.name,
                "ratings": found.ratings_date,
                "sources": sources,
                "models": [way.to_dict() for way in found.chosen],
                "changes": [step.to_dict() for step in found.plan.steps],
                "failures": dict(found.failures),
                "written": written,
                "answer": answer,
                "answer_error": fault,
            }
        )
    return code


# -- showing ---------------------------------------------------------------------------------------------------


def _show_found(found: Setup) -> None:
    from r2_router.show.proposal import found_lines

    for line in found_lines(found):
        note(line)


def _show_proposal(found: Setup) -> None:
    from r2_router.show.proposal import COLUMNS, NUMBERS, frontier_plot, notes, proposal_rows

    print()
    show_table(COLUMNS, proposal_rows(found.chosen), numbers=NUMBERS)
    print("\n".join(["", *frontier_plot(found.ways, found.chosen), ""]))
    for line in notes(found):
        note(line)
    _show_changes(found)


def _show_changes(found: Setup) -> None:
    """What differs from the pool that stands; of a new one, the table says it all."""
    from r2_router.show.proposal import change_lines

    if any(step.kind != "new" for step in found.plan.steps):
        for line in change_lines(found.plan):
            note(line)
    elif not found.plan.steps:
        note(f"Pool '{found.plan.name}': nothing has changed.")


# -- asking ----------------------------------------------------------------------------------------------------


def _can_ask() -> bool:
    return sys.stdin.isatty() and is_terminal(stderr=True)


def _agreed(found: Setup) -> Setup | None:
    """The proposal as the person at the terminal wants it; None where it is not to be written."""
    while True:
        print("Enter writes it; -NAME leaves one out, +NAME adds one, q stops: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line or line.strip().lower() in ("q", "n", "no"):
            return None
        words = line.split()
        if not words or line.strip().lower() in ("y", "yes"):
            return found
        try:
            found = _edited(found, words)
        except InputError as error:
            note(f"error: {error}")
            continue
        _show_proposal(found)


def _edited(found: Setup, words: Sequence[str]) -> Setup:
    """The choice with `+NAME` added and `-NAME` left out, in that order."""
    from r2_router.setup.propose import pick

    chosen = {way.model.name: way for way in found.chosen}
    wanted: set[str] = set()
    for word in words:
        if word[0] not in "+-" or len(word) < 2:
            raise InputError(f"'{word[:60]}' begins neither with + nor with -.")
        if word[0] == "+":
            added = {way.model.name: way for way in pick(found.ways, word[1:])}
            chosen |= added
            wanted |= added.keys()
        else:
            for way in pick(list(chosen.values()), word[1:]):
                del chosen[way.model.name]
    if not chosen:
        raise InputError("No model would be left.")
    return found.choose(sorted(chosen.values(), key=lambda way: way.typical_usd), wanted)
