"""The options of a command that serves HTTP."""

from __future__ import annotations

import argparse

_LAST_PORT = 65535


def add_address_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Where to serve, and by which names clients come; `port` is the default."""
    parser.add_argument("--host", default="127.0.0.1", help="address to serve HTTP on (default: this machine only)")
    parser.add_argument(
        "--port", type=_port, default=port, help="port to serve HTTP on; 0: one that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which HTTP clients reach this server, with or without :PORT; may be repeated",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to {_LAST_PORT}; got '{text}'")
    return int(text)
