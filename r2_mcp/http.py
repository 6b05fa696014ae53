"""Streamable HTTP: stateless, so that replicas can stand behind a balancer, unless sessions are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

import r2_router
from r2_router.serving.gate import Gate, HttpLimits, allowed_names, one_token, send_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from r2_mcp.server import R2Server

PATH = "/mcp"
TOKEN_VARIABLE = "R2_MCP_TOKEN"

_HOW = f"set {TOKEN_VARIABLE} to a long random text, which clients send as `Authorization: Bearer ...`"


def http_app(
    server: R2Server,
    *,
    host: str = "127.0.0.1",
    allowed_hosts: Sequence[str] = (),
    token: str = "",
    limits: HttpLimits | None = None,
    stateless: bool = True,
) -> ASGIApp:
    """The ASGI application that serves `server` at /mcp, and /health for the balancer.

    `host` is the address it will be bound to; `allowed_hosts` are the names clients use, with or without a port
    (default: loopback's). `stateless=False` keeps sessions, which questions to clients of the older protocol need.

    Raises ConfigError where an address that others can reach has no token, or no name.
    """
    limits = limits or HttpLimits()
    names = allowed_names(host, allowed_hosts, has_token=bool(token), how=_HOW)
    server.custom_route("/health", methods=["GET"])(_health)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=stateless,
        max_request_body_size=limits.max_bytes,
        transport_security=TransportSecuritySettings(
            allowed_hosts=names,
            allowed_origins=[f"{scheme}://{name}" for name in names for scheme in ("http", "https")],
        ),
        host=host,
    )
    how = f"Send the token of {TOKEN_VARIABLE} as a bearer token."
    return Gate(_PostOnly(app) if stateless else app, one_token(token), _refusal, limits, how=how)


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": r2_router.__version__})


class _PostOnly:
    """Without sessions there is no stream to wait on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] != "POST":
            why = "This server keeps no sessions, so there is no stream to wait on: send each request with POST."
            await send_json(send, 405, _refusal(scope, 405, why), ("allow", "POST"))
        else:
            await self._app(scope, receive, send)


def _refusal(_: Mapping[str, Any], __: int, why: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": why}}).encode()
