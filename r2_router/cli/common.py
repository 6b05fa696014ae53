"""What the commands share: options, queries from the command line, and where output goes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from r2_router.cli.options import wishes
from r2_router.errors import InputError
from r2_router.words import for_terminal

if TYPE_CHECKING:
    from r2_router.config.settings import Settings
    from r2_router.pools.pool import Pool
    from r2_router.router import R2Router
    from r2_router.routing.decision import Decision
    from r2_router.routing.request import Request

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]


def note(text: str) -> None:
    """A line for the person, never for the pipe."""
    print(for_terminal(text, sys.stderr), file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


# -- options ---------------------------------------------------------------------------------------------------


def add_query_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="QUERY", nargs="?", help="the prompt")
    parser.add_argument("--query", metavar="Q", help="the prompt, as an option")
    parser.add_argument(
        "--file",
        metavar="F",
        help="a text file with one prompt, or JSONL with a `query` field a line; - is stdin",
    )
    parser.add_argument(
        "--messages",
        metavar="F",
        help="a JSON file with the messages of a chat, a list or under `messages` (with `tools` and `response_format` "
        "beside it); a prompt comes after them; - is "
        "stdin",
    )


def add_router_options(parser: argparse.ArgumentParser) -> None:
    """Which checkpoint, pool and embedder."""
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="a checkpoint's name, or the path of its directory or a released one, as in ./mine (default: local)",
    )
    parser.add_argument("--pool", metavar="NAME", help="a pool's name or TOML file (default: the checkpoint's own)")
    parser.add_argument("--embed-url", metavar="URL", help="an OpenAI-compatible embedding server")


def add_heads_option(parser: argparse.ArgumentParser, which: str) -> None:
    """Which regressor learns the heads."""
    parser.add_argument(
        "--heads",
        metavar="SPEC",
        default="",
        help=f'learn with this scikit-learn regressor, such as "BayesianRidge" or "Ridge(alpha=3)", instead of our own '
        f"ridge ({which})",
    )


def count_above_zero(text: str) -> int:
    """An option's whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1; got '{text}'")
    return int(text)


def since(stated: str) -> datetime:
    """The UTC midnight from which on entries of the ledger count: a date, or the last N days as "Nd"."""
    try:
        if stated.endswith("d"):
            days = int(stated[:-1])
            first = datetime.now(UTC).date() - timedelta(days=days - 1)
        else:
            days, first = 1, date.fromisoformat(stated)
    except (ValueError, OverflowError):
        days, first = 0, date.min
    if days < 1:
        raise argparse.ArgumentTypeError(f"'{stated}' is neither a date (2026-11-01) nor a number of days (7d)")
    return datetime.combine(first, time(), UTC)


def add_since_option(parser: argparse.ArgumentParser, text: str = "from this day on") -> None:
    parser.add_argument(
        "--since",
        type=since,
        metavar="DATE|Nd",
        help=f"{text} (2026-11-01), or the last N days, today included (7d)",
    )


def make_router(args: argparse.Namespace) -> R2Router:
    """The router that add_router_options describes, its embedder loading in the background."""
    from r2_router.router import router_for

    router = router_for("cli", args.checkpoint, pool=args.pool, embed_url=args.embed_url)
    router.preload()
    return router


def pool_in_use(settings: Settings) -> Pool:
    """The pool that the settings name, or the checkpoint's own."""
    from r2_router.checkpoints.find import checkpoint_and_pool

    return checkpoint_and_pool(settings)[1]


def read_requests(args: argparse.Namespace) -> list[Request]:
    """What the options ask: a request for each query that add_query_options names, after the chat if one is named.

    Raises InputError as `read_queries` and Request.read do, and for a file that holds no chat.
    """
    from r2_router.routing.request import Request

    system, asked = getattr(args, "system", None), wishes(args)
    if args.messages is None:
        return [Request.read(query, system=system, **asked) for query in read_queries(args)]
    if args.messages == args.file == "-":
        raise InputError("Stdin can be read once: as --messages, or as --file.")
    chat, form = _chat_of_json(_read(args.messages), args.messages)
    alone = (args.text, args.query, args.file) == (None, None, None)
    ends: list[list[Any]] = [[]] if alone else [[{"role": "user", "content": q}] for q in read_queries(args)]
    return [Request.read([*chat, *end], system=system, **asked, **form) for end in ends]


def note_warnings(decision: Decision) -> None:
    """What to know before relying on a decision, a line each."""
    for warning in decision.warnings():
        note(f"note: {warning}")


# -- queries ---------------------------------------------------------------------------------------------------


def read_queries(args: argparse.Namespace) -> list[str]:
    """The queries named by add_query_options, at least one.

    Raises InputError when none or more than one way is used, or the file cannot be read.
    """
    given = [value for value in (args.text, args.query, args.file) if value is not None]
    if len(given) != 1:
        raise InputError("Give the prompt once: as QUERY, with --query, or with --file (- for stdin).")
    if args.file is None:
        return [cast("str", given[0])]
    text = _read(args.file)
    lines = args.file.endswith((".jsonl", ".ndjson")) or (args.file == "-" and text.lstrip().startswith('{"'))
    return _queries_of_jsonl(text, args.file) if lines else [text.rstrip("\n")]


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).expanduser().read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {file}: {error.strerror or error}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text (byte {error.start}).") from None


def _chat_of_json(text: str, file: str) -> tuple[list[Any], dict[str, Any]]:
    """The messages in a JSON text, and the tools and the format that a request's body holds beside them, as they stand.

    Raises InputError where there is no list of messages.
    """
    from r2_router.routing.wishes import form_options

    body: dict[str, Any] = {}
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        known = None
    if isinstance(known, dict):
        body = cast("dict[str, Any]", known)
        known = body.get("messages")
    if not isinstance(known, list):
        raise InputError(f'{file} is no JSON list of messages such as [{{"role": "user", "content": "..."}}].')
    return cast("list[Any]", known), {name: body[name] for name in form_options() if name in body}


def _queries_of_jsonl(text: str, file: str) -> list[str]:
    queries: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            query = json.loads(line)["query"]
        except (ValueError, KeyError, TypeError, RecursionError):
            query = None
        if not isinstance(query, str):
            raise InputError(f'{file}, line {number}: not a JSON object with a text field "query".')
        queries.append(query)
    if not queries:
        raise InputError(f"{file} holds no query.")
    return queries


# -- output ----------------------------------------------------------------------------------------------------


def check_output(output: Path, *, force: bool) -> None:
    """Raise InputError where the folder `output` cannot be written into without harm to what is there."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file. Choose a directory for --output.")
    if output.is_dir() and any(output.iterdir()) and not force:
        raise InputError(f"{output} is not empty. Choose another --output, or add --force to write into it.")


def silence_broken_pipe() -> None:
    """After `| head` closed the pipe: nothing more to write, and no complaint at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
