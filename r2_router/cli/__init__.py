"""The command line `r2-router`: one file a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from r2_router.errors import R2Error

_COMMANDS = (
    "setup_",
    "ask",
    "route",
    "explain",
    "models",
    "import_",
    "collect",
    "train",
    "evaluate",
    "feedback",
    "calibrate",
    "stats",
    "prune",
    "doctor",
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    import r2_router

    parser = argparse.ArgumentParser(
        prog="r2-router",
        description="Choose the LLM and the length of its answer that are worth their price.",
    )
    parser.add_argument("--version", action="version", version=f"r2-router {r2_router.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        import_module(f"r2_router.cli.{name}").register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: a typed error, said on stderr; 2: wrong usage; 130: interrupted."""
    from r2_router.cli.common import note, silence_broken_pipe

    args = build_parser().parse_args(argv)
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
