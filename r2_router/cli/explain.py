"""`r2-router explain`: why this model and this length."""

from __future__ import annotations

import argparse

from r2_router.cli import common
from r2_router.cli.options import add_wish_options


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "explain",
        help="say why: runner-up, where the choice flips, the frontier, the baseline",
        description="Explain a decision: runner-up, the worth at which it flips, the quality-cost frontier, what "
        "always asking the strongest model would cost, and what was filtered out.",
    )
    common.add_query_options(parser)
    add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a query on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.routing.explanation import explain

    requests = common.read_requests(args)
    router = common.make_router(args)
    for request in requests:
        explanation = explain(router.decide(request))
        common.note_warnings(explanation.decision)
        if args.json:
            common.print_json(explanation.to_dict())
        else:
            from r2_router.show.terminal import show_explanation

            show_explanation(explanation)
    return 0
