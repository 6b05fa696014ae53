"""`r2-router route`: the ranked candidates for a prompt, and the one to take."""

from __future__ import annotations

import argparse

from r2_router.cli import common


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "route",
        help="choose model and answer length for a prompt",
        description="Choose model and answer length for a prompt. Nothing is sent to any LLM.",
    )
    common.add_query_options(parser)
    common.add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument(
        "--top", type=common.count_above_zero, metavar="N", help="candidates shown (default: 5; with --json: all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a query on stdout")
    parser.add_argument("--verbose", action="store_true", help="every candidate, and what was filtered out and why")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    queries = common.read_queries(args)
    router = common.make_router(args)
    wishes = common.wishes(args)
    for query in queries:
        decision = router.route_text(query, args.lambda_val, **wishes)
        router.desk.record(decision, strongest=router.checkpoint.strongest)
        if decision.truncated:
            common.note(f"note: the query is long; its beginning and end were embedded ({len(query):,} characters)")
        if decision.familiar is False:
            common.note("note: unlike the queries this checkpoint was trained on; take the numbers with care")
        if args.json:
            common.print_json(decision.to_dict(top=args.top))
            continue
        from r2_router.cli import render

        render.show_decision(router, decision, top=None if args.verbose else args.top or 5, excluded=args.verbose)
    return 0
