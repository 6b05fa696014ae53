"""Streamable HTTP: stateless, so that replicas can stand behind a balancer, unless sessions are asked for."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

import r2_router
from r2_router.ledger import Ledger
from r2_router.ledger.named_tokens import Tokens, who_asks
from r2_router.serving.gate import Gate, HttpLimits, allowed_names, send_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from r2_mcp.server import R2Server

PATH = "/mcp"
TOKEN_VARIABLE = "R2_MCP_TOKEN"

_HOW = (
    "give those who ask tokens (r2-router token add NAME), or set "
    f"{TOKEN_VARIABLE} to a long random text; clients send either as `Authorization: Bearer ...`"
)
_METADATA = f"/.well-known/oauth-protected-resource{PATH}"


def http_app(
    server: R2Server,
    *,
    host: str = "127.0.0.1",
    allowed_hosts: Sequence[str] = (),
    token: str = "",
    limits: HttpLimits | None = None,
    stateless: bool = True,
    authorization_servers: Sequence[str] = (),
) -> ASGIApp:
    """The ASGI application that serves `server` at /mcp, and /health for the balancer.

    `host` is the address it will be bound to; `allowed_hosts` are the names clients use, with or without a port
    (default: loopback's). `stateless=False` keeps sessions, which questions to clients of the older protocol need.
    `token` opens, and each named token of the ledger does. `authorization_servers` are where clients are told to get
    theirs (RFC 9728), if somebody before this server turns what they get there into one of ours.

    Raises ConfigError where an address that others can reach has no token, or no name.
    """
    limits = limits or HttpLimits()
    tokens = Tokens(Ledger.configured())
    names = allowed_names(host, allowed_hosts, has_token=bool(token or tokens.all()), how=_HOW)
    server.custom_route("/health", methods=["GET"])(_health)
    open_paths, challenge = ["/health"], "Bearer"
    if authorization_servers:
        resource = f"https://{allowed_hosts[0]}" if allowed_hosts else f"http://{host}"
        server.custom_route(_METADATA, methods=["GET"])(_metadata(f"{resource}{PATH}", authorization_servers))
        open_paths.append(_METADATA)
        challenge = f'Bearer resource_metadata="{resource}{_METADATA}"'
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
    return Gate(
        _PostOnly(app) if stateless else app,
        who_asks(token, tokens),
        _refusal,
        limits,
        open_paths=open_paths,
        how=f"Send your token, or that of {TOKEN_VARIABLE}, as a bearer token.",
        challenge=challenge,
    )


def _metadata(resource: str, servers: Sequence[str]) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def respond(_: Request) -> JSONResponse:
        known = {"resource": resource, "authorization_servers": list(servers), "bearer_methods_supported": ["header"]}
        return JSONResponse({**known, "resource_name": "R2-Router"})

    return respond


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
