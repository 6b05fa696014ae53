"""The options of a request, made of the wishes the router knows: those of the command line and of a notebook's cell."""

from __future__ import annotations

import argparse
from typing import Any

from r2_router.routing.wishes import Wish, wish_options

_FURTHER_NAMES = {"lambda_val": ("--lambda_val", "--lambda")}


def add_wish_options(parser: Any) -> None:
    """Add an option a wish to `parser`, a parser or a group of one; those not given are None."""
    trade_off = parser.add_mutually_exclusive_group()
    for name, wish in wish_options().items():
        _add(trade_off if wish.trade_off else parser, name, wish)


def add_setup_options(parser: Any) -> None:
    """Add the options of setup, those of the command line and of a notebook, to `parser`."""
    from r2_router.setup.pool_file import DEFAULT_NAME

    parser.add_argument("--yes", action="store_true", help="write the pool without asking")
    parser.add_argument("--models", metavar="A,B", help="these models: names, ids or globs, comma-separated")
    parser.add_argument("--name", metavar="NAME", default=DEFAULT_NAME, help="the pool's name (default: %(default)s)")
    parser.add_argument(
        "--base-url", metavar="URL", action="append", default=[], help="another OpenAI-compatible server; repeatable"
    )


def wishes(args: argparse.Namespace) -> dict[str, Any]:
    """The wishes in parsed options, as keyword arguments of Request.read and of R2Router."""
    return {name: getattr(args, name) for name in wish_options()}


def option(name: str) -> str:
    """How the command line spells a wish: --max-cost-usd."""
    return f"--{name.replace('_', '-')}"


def _add(group: Any, name: str, wish: Wish) -> None:
    spellings = (option(name), *_FURTHER_NAMES.get(name, ()))
    group.add_argument(*spellings, dest=name, type=wish.reads, metavar=wish.unit, help=wish.help)
