"""`r2-router token`: named tokens for those who ask a gateway or a server of yours, each with limits of its own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from r2_router.cli.common import Commands, note, print_json

if TYPE_CHECKING:
    from r2_router.acting import Caller
    from r2_router.ledger.named_tokens import Tokens


def register(commands: Commands) -> None:
    parser = commands.add_parser(
        "token",
        help="named tokens for a gateway's callers, with limits of their own",
        description="Give each person or program that asks `r2-router serve`, or `r2-mcp` over HTTP, a token of its "
        "own. Their spend is counted by name, and held to their own limits beside yours. They lie, hashed, in the "
        "ledger: in Postgres all machines know them. Where there is one, nobody is answered without.",
    )
    own = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    adding = own.add_parser("add", help="make a token, and print it once")
    adding.add_argument("name", metavar="NAME", help="letters, digits and . _ @ + -")
    adding.add_argument("--max-usd-per-day", type=float, metavar="USD", help="most dollars a UTC day")
    adding.add_argument("--max-usd-per-month", type=float, metavar="USD", help="most dollars a UTC month")
    worth = adding.add_mutually_exclusive_group()
    worth.add_argument(
        "--worth-usd", type=float, metavar="USD", help="their worth of a perfect answer, unless they say"
    )
    worth.add_argument("--preset", default="", metavar="NAME", help="the same, by a preset's name")
    adding.set_defaults(run=_add)
    listing = own.add_parser("list", help="who has a token")
    listing.add_argument("--json", action="store_true", help="one JSON object on stdout")
    listing.set_defaults(run=_list)
    removing = own.add_parser("remove", help="end a token, within five seconds everywhere")
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(run=_remove)


def _add(args: argparse.Namespace) -> int:
    from r2_router.acting import Caller
    from r2_router.routing.request import read_wishes

    worth = {"worth_usd": args.worth_usd} if args.worth_usd is not None else {}
    read_wishes(None, worth)  # type: ignore[arg-type]  # a worth that is none is said now
    caller = Caller(args.name, args.max_usd_per_day, args.max_usd_per_month, args.worth_usd, args.preset)
    print(_tokens().add(caller))
    note(f"This is the token of {args.name}, to be sent as an API key. It is shown this once.")
    return 0


def _list(args: argparse.Namespace) -> int:
    callers = _tokens().all()
    if args.json:
        print_json({"tokens": [caller.to_dict() for caller in callers]})
    elif callers:
        from r2_router.show.tables import show_table

        show_table(("name", "a day", "a month", "worth", "added"), [_row(caller) for caller in callers], numbers=[1, 2])
    else:
        note("Nobody has a token: r2-router token add NAME.")
    return 0


def _remove(args: argparse.Namespace) -> int:
    _tokens().remove(args.name)
    note(f"The token of {args.name} is ended.")
    return 0


def _row(caller: Caller) -> tuple[str, ...]:
    from r2_router.words import usd

    worth = caller.preset or usd(caller.worth_usd)
    return caller.name, usd(caller.max_usd_per_day), usd(caller.max_usd_per_month), worth, caller.added[:10]


def _tokens() -> Tokens:
    from r2_router.ledger import Ledger
    from r2_router.ledger.named_tokens import Tokens

    return Tokens(Ledger.configured())
