"""`r2-router serve`: the gateway, for programs that speak a chat API."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from r2_router.cli import common
from r2_router.errors import InputError
from r2_router.gateway.agents import AGENTS, NO_TOKEN
from r2_router.serving.address_options import add_address_options

PORT = 4280
SET_UP = "`r2-router setup` makes a pool of what your keys and servers offer."
_DRAIN_S = 600  # no generation takes longer


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "serve",
        help="an OpenAI-compatible gateway: change a program's address, nothing else",
        description="Serve the chat APIs that programs speak. Model r2 is the router's choice, r2:economy, r2:balanced "
        "and r2:quality name a worth, other names a model of the pool. SIGTERM finishes what runs.",
    )
    add_address_options(parser, PORT)
    common.add_router_options(parser)
    parser.add_argument(
        "--for",
        dest="agent",
        choices=AGENTS,
        help="serve nothing: print the settings with which this agent asks the gateway at --host and --port",
    )
    parser.add_argument(
        "--write", action="store_true", help="with --for: merge them into the agent's file; a copy stays"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.write and not args.agent:
        raise InputError("--write goes with --for: which agent's settings?")
    return _show_settings(args) if args.agent else _serve(args)


def _show_settings(args: argparse.Namespace) -> int:
    from r2_router.gateway.agents import settings_of, write_settings

    host = args.allowed_host[0] if args.allowed_host else f"{args.host}:{args.port}"
    url = f"{'https' if args.allowed_host else 'http'}://{host}"
    if args.write:
        file, changed = write_settings(args.agent, url)
        common.note(f"wrote {file}" if changed else f"{file} already has it")
    else:
        file, text = settings_of(args.agent, url)
        print(text)
        common.note(f"Put this into {file}, or add --write.")
    if variable := AGENTS[args.agent].key_variable:
        common.note(f"It sends what {variable} holds as its key: export {variable}=any where the gateway wants none.")
    elif args.allowed_host:
        common.note(f"Put your token in the place of '{NO_TOKEN}'.")
    common.note(f"Start the gateway (r2-router serve), then {AGENTS[args.agent].start}.")
    return 0


def _serve(args: argparse.Namespace) -> int:
    from r2_router.gateway.app import TOKEN_VARIABLE, gateway_app
    from r2_router.router import router_for
    from r2_router.serving.sockets import address, http_server, listen, switch_often

    router = router_for("gateway", args.checkpoint, pool=args.pool, embed_url=args.embed_url)
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    app = gateway_app(router, host=args.host, allowed_hosts=args.allowed_host, token=token)
    sockets = listen(args.host, args.port)
    router.preload()
    switch_often()
    common.note(f"r2-router: {address(args.host, sockets)}/v1 answers model r2 from the pool {router.pool.name}")
    if all(router.not_ready(model) for model in router.models):
        common.note(f"No model can be asked yet, so every request is refused. {router.unused or SET_UP}")
    signal.signal(signal.SIGTERM, _end)  # uvicorn finishes what runs, then raises the signal anew
    http_server(app, drain_s=_DRAIN_S).run(sockets=sockets)
    return 0


def _end(*_: object) -> None:
    sys.exit(0)
