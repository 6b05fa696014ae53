"""`r2-router route`: the ranked candidates for a prompt, and the one to take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.cli.options import add_wish_options

if TYPE_CHECKING:
    from r2_router.routing.decision import Decision


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "route",
        help="choose model and answer length for a prompt",
        description="Choose model and answer length for a prompt. Nothing is sent to any LLM.",
    )
    common.add_query_options(parser)
    add_wish_options(parser)
    common.add_router_options(parser)
    parser.add_argument(
        "--top", type=common.count_above_zero, metavar="N", help="candidates shown (default: 5; with --json: all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a query on stdout")
    parser.add_argument("--verbose", action="store_true", help="every candidate, and what was filtered out and why")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    requests = common.read_requests(args)
    router = common.make_router(args)
    show = _shown(args)
    for request in requests:
        decision = router.decide(request)
        router.record(decision)
        common.note_warnings(decision)
        show(decision)
    return 0


def _shown(args: argparse.Namespace) -> Callable[[Decision], None]:
    """What puts a decision on stdout; what it needs is loaded while the embedder is."""
    if args.json:
        return lambda decision: common.print_json(decision.to_dict(top=args.top))
    from r2_router.show.terminal import show_decision

    return lambda decision: show_decision(decision, top=None if args.verbose else args.top or 5, excluded=args.verbose)
