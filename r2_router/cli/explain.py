"""`r2-router explain`: why this model and this length."""

from __future__ import annotations

import argparse

from r2_router.cli import common


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "explain",
        help="say why: runner-up, where the choice flips, the frontier, the baseline",
        description="Explain a decision: runner-up, the worth at which it flips, the quality-cost frontier, what "
        "always asking the strongest model would cost, and what was filtered out.",
    )
    common.add_query_options(parser)
    common.add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a query on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    queries = common.read_queries(args)
    router = common.make_router(args)
    for query in queries:
        explanation = router.explain(query, args.lambda_val, **common.wishes(args))
        if args.json:
            common.print_json(explanation.to_dict())
        else:
            from r2_router.cli import render

            render.show_explanation(router, explanation)
    return 0
