"""The options of `%%r2`: as on the command line, and those of a notebook."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from r2_router.generate import Messages
    from r2_router.routing.request import Request

FORMATS = ("markdown", "text", "code", "json")
COMMANDS = {
    "models": "who can answer, at what price, and why not",
    "last": "the last answer and what it took",
    "explain": "why the choice is the choice: of the last cell, or of a TEXT",
    "curve": "each model's predicted quality against its cost: of the last cell, or of a TEXT",
    "stats": "what was spent and saved, and whether the predictions came true",
    "config": "the settings in force and where each comes from",
    "setup": "a pool of your own models, from keys and servers that are here; --yes writes it",
    "what-if": "what other worths would choose, what each step up costs and buys",
    "pull": "fetch the weights of a local model, by default of the smallest",
    "good": "the last answer was good: a label to learn from",
    "bad": "it was not; `%r2 good 0.7` says how good",
    "prefer": "of the answers that --compare showed, `%r2 prefer 1` is the better",
    "map": "route many prompts, `%r2 map df.prompt`; with --max-usd answer them",
    "reset": "forget the conversation; read settings, keys and pools again",
}

_EXAMPLES = """
examples:
  %%r2                                  the best trade of quality and cost
  %%r2 --worth-usd 0.01 -o reply        a perfect answer is worth a cent; keep it in `reply`
  %%r2 --preset quality --history 3     with the last three turns as context
  %%r2 --route-only --top 10            the ranking, nothing is asked
  %%r2 --compare 2                      two answers side by side; then %r2 prefer 1
  %%r2 --format code --models Qwen      the code goes into a new cell below

One line asks too: %r2 What is 7 * 6?
{name} in a cell is replaced by your variable of that name, if there is one; {{name}} stands for {name}.
Defaults: %config R2Magics.worth_usd = 0.01 (%config R2Magics shows all).
"""


_MAP = re.compile(r"(.*?)(\s-{1,2}[A-Za-z].*)?", re.DOTALL)  # an expression, and the options behind it


class OptionError(ValueError):
    """The option line cannot be read."""


class HelpAsked(Exception):  # noqa: N818  (not an error)
    """--help: its text."""


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process, and prints nothing."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}. %r2 --help shows all options.")

    def print_help(self, file: object = None) -> None:
        raise HelpAsked(self.format_help())


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The option line, split into words; options not given are None.

    Raises OptionError for a line that cannot be read, HelpAsked for --help.
    """
    return parser().parse_args(words)


def setup_parser() -> argparse.ArgumentParser:
    """The parser of what follows `%r2 setup`; it raises as `parse` does."""
    from r2_router.cli.options import add_setup_options

    p = _Parser(
        prog="%r2 setup", description="Propose a pool of the models that your keys and servers offer; --yes writes it."
    )
    add_setup_options(p)
    return p


def map_parser() -> argparse.ArgumentParser:
    """The parser of the options of `%r2 map`; it raises as `parse` does."""
    from r2_router.cli.options import add_wish_options

    p = _Parser(
        prog="%r2 map",
        usage="%%r2 map PROMPTS [options]",
        description="PROMPTS is an expression, such as df.prompt. They are routed, which is free; with --max-usd they "
        "are answered too, and never cost more.",
    )
    add_wish_options(p)
    p.add_argument("--max-usd", type=float, metavar="USD", help="answer, for so many dollars all together at most")
    p.add_argument("-o", "--out", type=_variable, metavar="VAR", help="keep the table in this variable")
    return p


def split_map(line: str) -> tuple[str, list[str]]:
    """The expression of a line `%r2 map`, as typed, and the words of the options behind it. Raises OptionError."""
    expression, options = _MAP.fullmatch(line).groups()  # type: ignore[union-attr]  # anything matches
    return expression.strip(), split(options or "")


def split(line: str) -> list[str]:
    """The words of an option line, quoted as in a POSIX shell. Raises OptionError."""
    try:
        return shlex.split(line)
    except ValueError as fault:
        raise OptionError(f"the option line cannot be read: {fault}") from None


def request(query: Messages, args: argparse.Namespace, *, system: str | None = None) -> Request:
    """What a cell asks: its text, or a conversation that ends with it, and the options of its first line."""
    from r2_router.cli.options import wishes
    from r2_router.routing.request import Request

    return Request.read(query, system=system, **wishes(args))


def names(of: argparse.ArgumentParser | None = None) -> list[str]:
    """The long options of a parser, by default of `%%r2`."""
    actions = (of or parser())._actions  # pyright: ignore[reportPrivateUsage]  (argparse tells them nowhere else)
    return sorted(name for action in actions for name in action.option_strings if name.startswith("--"))


@cache
def parser() -> argparse.ArgumentParser:
    """The parser of the option line."""
    p = _Parser(
        prog="%%r2",
        usage="%%%%r2 [options]           the cell is the prompt\n       "
        "%%r2 [COMMAND [TEXT]]      without a command: status",
        description="Route the cell to the model and the answer length that are worth their price; show the ranking "
        "and the answer.",
        epilog="commands:\n" + "".join(f"  {name:<9}{text}\n" for name, text in COMMANDS.items()) + _EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    _add_asking(p.add_argument_group("which answer"))
    _add_output(p.add_argument_group("what to do with it"))
    return p


def _add_asking(group: Any) -> None:
    from r2_router.cli.options import add_wish_options

    add_wish_options(group)
    group.add_argument("--system", metavar="VAR", help="a variable that holds a system message")
    group.add_argument(
        "--eval", action="store_true", default=None, help="braces may hold expressions: {n + 1}, {df.shape[0]:,}"
    )
    group.add_argument("--compare", type=_at_least(2), metavar="N", help="answers of N candidates side by side")
    group.add_argument("--history", type=_at_least(0), metavar="N", help="the last N turns as context")


def _add_output(group: Any) -> None:
    group.add_argument("-o", "--out", type=_variable, metavar="VAR", help="keep the answer in this variable")
    group.add_argument("--route-only", action="store_true", default=None, help="show the ranking, ask nothing")
    group.add_argument("--top", type=_at_least(1), metavar="N", help="candidates shown")
    group.add_argument("--quiet", action="store_true", default=None, help="show the answer only")
    group.add_argument("--no-stream", action="store_true", default=None, help="show the answer when it is whole")
    group.add_argument("--format", choices=FORMATS, help="code: into a new cell below, not run; json: checked")


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    number.__name__ = "whole number"
    return number


def _variable(text: str) -> str:
    if not text.isidentifier() or iskeyword(text):
        raise argparse.ArgumentTypeError(f"'{text}' cannot be the name of a variable")
    return text
