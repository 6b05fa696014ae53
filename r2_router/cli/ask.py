"""`r2-router ask`: route a prompt and print the answer as it comes."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.cli.pull_progress import pull_shown
from r2_router.errors import R2Error
from r2_router.records import Budget, typed_budget
from r2_router.words import for_terminal

if TYPE_CHECKING:
    from r2_router.generate import Event
    from r2_router.generate.desk import Asked
    from r2_router.router import R2Router


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "ask",
        help="route a prompt and print the answer",
        description="Choose model and length for a prompt, ask that model, print the answer as it comes. Ctrl-C "
        "stops it and keeps what came.",
    )
    common.add_query_options(parser)
    common.add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument("--model", metavar="NAME", help="ask this model")
    parser.add_argument("--budget", type=_budget, metavar="N", help="ask for at most N tokens; or unlimited")
    parser.add_argument("--system", metavar="TEXT", help="a system message before the prompt")
    parser.add_argument("--dry-run", action="store_true", help="show what would be asked and cost, ask nothing")
    parser.add_argument("--json", action="store_true", help="the whole answer as one JSON object a query on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    queries = common.read_queries(args)
    router = common.make_router(args)
    if not args.dry_run:
        _fetch_first_model(router)
    code = 0
    for query in queries:
        asked = router.stream(
            query,
            args.lambda_val,
            model=args.model,
            budget=args.budget,
            system=args.system,
            on_event=_tell,
            **common.wishes(args),
        )
        code = max(code, _dry_run(router, asked, args) if args.dry_run else _answer(asked, args))
    return code


def _fetch_first_model(router: R2Router) -> None:
    """Where no model at all can be asked and weights are all that is missing, fetch the smallest, as a start."""
    from r2_router.local import find_weights, known_weights

    if any(not router.desk.not_ready(model) for model in router.models):
        return
    known = known_weights()
    local = [known[m.weights] for m in router.models if m.weights in known and not m.base_url and m.available]
    if not local or find_spec("xllamacpp") is None:
        return
    smallest = min(local, key=lambda weights: weights.size_bytes)
    if find_weights(smallest.name, router.settings.models_dir) is None:
        common.note(f"No model is here yet: fetching the smallest, {smallest.name}, once.")
        pull_shown(smallest, router.settings.models_dir)


def _answer(asked: Asked, args: argparse.Namespace) -> int:
    """Print the answer as it comes. 0: whole; 1: it broke off; 130: interrupted."""
    from r2_router.generate import iterate
    from r2_router.show.ranking import choice
    from r2_router.show.reasons import answer_facts

    common.note(f"{choice(asked.decision.best)} …")
    code = 0
    try:
        with closing(iterate(asked)) as pieces:
            for piece in pieces:
                if not args.json:
                    sys.stdout.write(for_terminal(piece, sys.stdout))
                    sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
        if asked.answer is None:
            raise
    answer = asked.answer
    if answer is None:  # iterating without an answer raises
        raise R2Error("No answer came.")
    if args.json:
        common.print_json({"id": asked.id, **answer.to_dict()})
    else:
        print()
        common.note(answer_facts(answer))
        common.note(f"How was it? r2-router feedback {asked.id} good|bad")
    return code or (1 if answer.partial else 0)


def _dry_run(router: R2Router, asked: Asked, args: argparse.Namespace) -> int:
    if args.json:
        common.print_json(asked.decision.to_dict())
    else:
        from r2_router.cli import render

        render.show_decision(router, asked.decision, top=5, excluded=True)
    return 0


def _tell(event: Event) -> None:
    if event.kind == "failed":
        common.note(f"{event.model}: {event.detail}")


def _budget(text: str) -> Budget:
    budget = typed_budget(text)
    if budget is None:
        raise argparse.ArgumentTypeError(f"a number of tokens, or unlimited; got '{text}'")
    return budget
