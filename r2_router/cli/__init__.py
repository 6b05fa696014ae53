"""The command line `r2-router`: one file a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from r2_router.errors import R2Error

_MODULES = {
    "setup": "setup_",
    "ask": "ask",
    "route": "route",
    "explain": "explain",
    "batch": "batch_",
    "serve": "serve",
    "token": "token_",
    "models": "models",
    "import": "import_",
    "collect": "collect",
    "train": "train",
    "evaluate": "evaluate",
    "feedback": "feedback",
    "learn": "learn",
    "calibrate": "calibrate",
    "stats": "stats",
    "ledger": "prune",
    "doctor": "doctor",
}
"""Command -> the module that registers it."""


class _Version(argparse.Action):
    """`--version`, looked up when asked for: reading the package's metadata takes longer than any other option."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import r2_router

        print(f"r2-router {r2_router.__version__}")
        parser.exit()


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of every command, or of the one named `command`, without what the others import."""
    parser = argparse.ArgumentParser(
        prog="r2-router",
        description="Choose the LLM and the length of its answer that are worth their price.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in [command] if command in _MODULES else _MODULES:
        import_module(f"r2_router.cli.{_MODULES[name]}").register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: a typed error, said on stderr; 2: wrong usage; 130: interrupted."""
    from r2_router.cli.common import note, silence_broken_pipe

    given = sys.argv[1:] if argv is None else list(argv)
    args = build_parser(given[0] if given else None).parse_args(given)
    try:
        return args.run(args)
    except R2Error as error:
        note(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        silence_broken_pipe()
        return 0
