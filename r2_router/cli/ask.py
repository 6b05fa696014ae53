"""`r2-router ask`: route a prompt and print the answer as it comes."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.cli.options import add_wish_options
from r2_router.cli.pull_progress import pull_shown
from r2_router.errors import R2Error
from r2_router.words import for_terminal

if TYPE_CHECKING:
    from r2_router.generate import AnswerStream, Event
    from r2_router.router import R2Router
    from r2_router.routing.decision import Decision


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "ask",
        help="route a prompt and print the answer",
        description="Choose model and length for a prompt, ask that model, print the answer as it comes. Ctrl-C "
        "stops it and keeps what came.",
    )
    common.add_query_options(parser)
    add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument("--system", metavar="TEXT", help="a system message before the prompt")
    parser.add_argument("--dry-run", action="store_true", help="show what would be asked and cost, ask nothing")
    parser.add_argument("--json", action="store_true", help="the whole answer as one JSON object a query on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    requests = common.read_requests(args)
    router = common.make_router(args)
    if args.dry_run:
        return max(_dry_run(router.decide(request, ready_only=True), args) for request in requests)
    _fetch_first_model(router)
    return max(_answer(router.ask(request, on_event=_tell), args) for request in requests)


def _answer(stream: AnswerStream, args: argparse.Namespace) -> int:
    code = print_answer(stream, quiet=args.json)
    answer = stream.answer
    if args.json and answer is not None:
        common.print_json({"id": stream.id, **answer.to_dict()})
    elif not args.json:
        common.note(f"How was it? r2-router feedback {stream.id} good|bad")
    return code


def _fetch_first_model(router: R2Router) -> None:
    """Where no model at all can be asked and weights are all that is missing, fetch the smallest, as a start: but not
    for one who has models of his own to set up."""
    from r2_router.config.settings import load_settings
    from r2_router.local.first_model import smallest_missing

    if any(not router.not_ready(model) for model in router.models) or router.unused:
        return
    folder = load_settings().models_dir
    if (smallest := smallest_missing(router.models, folder)) is not None:
        common.note(f"No model is here yet: fetching the smallest, {smallest.name}, once.")
        pull_shown(smallest, folder)


def print_answer(stream: AnswerStream, *, quiet: bool = False) -> int:
    """Print the answer as it comes, unless `quiet`, and what it took. 0: whole; 1: it broke off; 130: interrupted."""
    from r2_router.generate import iterate
    from r2_router.generate.answer import answer_facts
    from r2_router.routing.rows import choice

    common.note_warnings(stream.decision)
    common.note(f"{choice(stream.decision.best)} …")
    code = 0
    try:
        with closing(iterate(stream)) as pieces:
            for piece in pieces:
                if not quiet:
                    sys.stdout.write(for_terminal(piece, sys.stdout))
                    sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
        if stream.answer is None:
            raise
    answer = stream.answer
    if answer is None:  # iterating without an answer raises
        raise R2Error("No answer came.")
    if not quiet:
        print()
        common.note(answer_facts(answer))
    return code or (1 if answer.partial else 0)


def _dry_run(decision: Decision, args: argparse.Namespace) -> int:
    common.note_warnings(decision)
    if args.json:
        common.print_json(decision.to_dict())
    else:
        from r2_router.show.terminal import show_decision

        show_decision(decision, top=5, excluded=True)
    return 0


def _tell(event: Event) -> None:
    if event.kind in ("failed", "loading"):
        from r2_router.show.facts import event_text

        common.note(event_text(event))
