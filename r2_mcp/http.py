"""Streamable HTTP: stateless, so that replicas can stand behind a balancer, and careful about who asks for what."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

import r2_router
from r2_router.errors import ConfigError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from r2_mcp.server import R2Server

PATH = "/mcp"
TOKEN_VARIABLE = "R2_MCP_TOKEN"

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one client may take: bytes of a request, requests at once, seconds to send one and to be answered."""

    max_bytes: int = 4 << 20
    max_requests: int = 256
    receive_s: float = 30.0
    answer_s: float = 900.0  # more than the longest generation


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
    names = _allowed(host, allowed_hosts, token)
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
    return _Gate(app, token, limits)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address bound to `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": r2_router.__version__})


def _allowed(host: str, given: Sequence[str], token: str) -> list[str]:
    if not is_loopback(host):
        if not token:
            raise ConfigError(
                f"Others can reach {host}: set {TOKEN_VARIABLE} to a long random text, which clients send as "
                "`Authorization: Bearer ...`. Or serve on --host 127.0.0.1."
            )
        if not given:
            raise ConfigError(
                "Say by which names clients reach this server: --allowed-host r2.example.org. It answers to no other."
            )
    return [form for name in (*given, *_LOOPBACK_NAMES) for form in _forms(name)]


def _forms(name: str) -> tuple[str, ...]:
    """A name with a port stands for itself, a bare one for itself at any port."""
    has_port = name.rpartition(":")[2].isdecimal() and not name.endswith("]")
    return (name,) if has_port else (name, f"{name}:*")


class _Gate:
    """Lets a request in if it has the token, there is room, and it does not dawdle."""

    def __init__(self, app: ASGIApp, token: str, limits: HttpLimits) -> None:
        self._app = app
        self._token = token.encode()
        self._limits = limits
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/health":
            await self._app(scope, receive, send)
        elif not self._has_token(scope):
            header = ("www-authenticate", "Bearer")
            await _refuse(send, 401, f"Send the token of {TOKEN_VARIABLE} as a bearer token.", header)
        elif self._requests >= self._limits.max_requests:
            await _refuse(send, 503, "Too many requests at once; try again.", ("retry-after", "1"))
        else:
            self._requests += 1
            try:
                await self._serve(scope, receive, send)
            finally:
                self._requests -= 1

    def _has_token(self, scope: Scope) -> bool:
        if not self._token:
            return True
        said = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = said.partition(b" ")
        return hmac.compare_digest(token.strip(), self._token) and kind.lower() == b"bearer"

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(receive, send, self._limits.receive_s)
        try:
            async with asyncio.timeout(self._limits.answer_s):
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.answering:
                raise  # the server breaks the connection off
            await _refuse(send, 504, "The answer took too long.")
        except Exception:
            if not exchange.late:  # else the application could not know that its client was sent away
                raise


class _Exchange:
    """A request and its answer: a client that has not sent all of the one in time gets 408 for the other."""

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self.answering = False
        self.late = False
        self._receive = receive
        self._send = send
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._received = False

    async def receive(self) -> Message:
        if self._received:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.late = self._received = True
            await _refuse(self._send, 408, "The request was not sent in time.", ("connection", "close"))
            return {"type": "http.disconnect"}
        self._received = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if not self.late:
            self.answering = True
            await self._send(message)


async def _refuse(send: Send, status: int, why: str, *headers: tuple[str, str]) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": why}}).encode()
    known = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    await send(
        {"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in known]}
    )
    await send({"type": "http.response.body", "body": body})


def serve(app: Any, *, host: str, port: int) -> None:
    """Serve `app` until SIGINT or SIGTERM."""
    import uvicorn

    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_keep_alive=30, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run()
