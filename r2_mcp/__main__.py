"""`r2-mcp`: serve over stdio or HTTP, or install into a client."""

from __future__ import annotations

import os
import sys

import r2_mcp

# `python -m` looks for modules in the folder it is started in first, and clients start servers in folders of other
# people's code: whatever lies there under the name of a library would be run. The script `r2-mcp` does not look there.
if __name__ == "__main__" and sys.path[:1] == [os.getcwd()] != [os.path.dirname(r2_mcp.__path__[0])]:  # noqa: PTH109, PTH120
    del sys.path[0]

import argparse
import signal
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from r2_router.errors import R2Error

_LAST_WRITES_S = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. 0: done; 1: a typed error, said on stderr; 2: wrong usage."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except R2Error as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    import r2_router
    from r2_mcp import install
    from r2_router.serving.address_options import add_address_options

    parser = argparse.ArgumentParser(
        prog="r2-mcp",
        description="An MCP server that chooses the LLM and the length of its answer that are worth their price.",
    )
    parser.add_argument("--version", action="version", version=f"r2-mcp {r2_router.__version__}")
    parser.add_argument("--transport", choices=("stdio", "streamable-http"), default="stdio")
    add_address_options(parser, 8000)
    parser.add_argument(
        "--sessions",
        action="store_true",
        help="keep sessions over HTTP: clients of the protocol before 2026-07-28 can then be asked questions, and show "
        "pages in full; for one process without replicas",
    )
    parser.add_argument(
        "--authorization-server",
        action="append",
        default=[],
        metavar="URL",
        help="tell HTTP clients to get their token there (RFC 9728); a proxy before this server checks it and sends "
        "one of ours on; may be repeated",
    )
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    install.register(commands)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from r2_router.serving.sockets import switch_often

    switch_often()
    if args.transport == "stdio":
        _serve_stdio()
    return _serve_http(args)


def _serve_stdio() -> None:
    """Serve until stdin ends or a signal comes, then end at once: no thread that still loads weights is waited for.

    Local model servers hold a pipe of this process, and end with it.
    """
    _end_on_signals()
    from r2_mcp.server import create_server

    with suppress(BrokenPipeError):  # the client went without a word
        create_server().run("stdio")
    _end(0)


def _serve_http(args: argparse.Namespace) -> int:
    from r2_mcp.http import TOKEN_VARIABLE, http_app
    from r2_mcp.loading import RouterLoader
    from r2_mcp.server import create_server
    from r2_router.serving.sockets import address, http_server, listen

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    loader = RouterLoader()
    app = http_app(
        create_server(loader, shared_secret=token),
        host=args.host,
        allowed_hosts=args.allowed_host,
        token=token,
        stateless=not args.sessions,
        authorization_servers=args.authorization_server,
    )
    sockets = listen(args.host, args.port)
    loader.start()
    sys.stderr.write(f"r2-mcp: {address(args.host, sockets)}/mcp\n")
    sys.stderr.flush()
    _end_on_signals()  # uvicorn ends what runs, then raises the signal anew
    http_server(app).run(sockets=sockets)
    return 0


def _end_on_signals() -> None:
    def end(number: int, _: FrameType | None) -> None:
        _end(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _end(code: int) -> None:
    """End now, whatever threads still do; only what the ledger has put off is written first."""
    if (ledger := sys.modules.get("r2_router.ledger")) is not None:
        ledger.flush_all(_LAST_WRITES_S)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
