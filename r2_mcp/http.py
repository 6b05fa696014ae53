"""Streamable HTTP: stateless, so that replicas can stand behind a balancer, and careful about who asks for what."""

from __future__ import annotations

import asyncio
import errno
import hmac
import ipaddress
import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

import r2_router
from r2_router.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

    from r2_mcp.server import R2Server

PATH = "/mcp"
TOKEN_VARIABLE = "R2_MCP_TOKEN"

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_KEEP_ALIVE_S = 30
_LAST_WORD_S = 1.0
_BACKLOG = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What clients may take: bytes of a request, requests answered at once, seconds to send the head of one, to send
    the rest of it, and to be answered."""

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
    return _Gate(app, token, limits, stateless=stateless)


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
    """Lets a request in if it has the token, has come whole and in time, and there is room.

    What still comes, and a session's stream that waits for news, takes nobody's room.
    """

    def __init__(self, app: ASGIApp, token: str, limits: HttpLimits, *, stateless: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._limits = limits
        self._stateless = stateless
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/health":
            await self._app(scope, receive, send)
        elif not self._has_token(scope):
            header = ("www-authenticate", "Bearer")
            await _refuse(send, 401, f"Send the token of {TOKEN_VARIABLE} as a bearer token.", header)
        elif self._stateless and scope["path"] == PATH and scope["method"] != "POST":
            why = "This server keeps no sessions, so there is no stream to wait on: send each request with POST."
            await _refuse(send, 405, why, ("allow", "POST"))
        elif scope["method"] == "GET":
            await self._app(scope, receive, send)
        elif (parts := await self._received(receive)) is None:
            await _refuse(send, 408, "The request was not sent in time.", ("connection", "close"))
        elif not parts:
            pass  # the client went: nobody is left to be told anything
        elif self._requests >= self._limits.max_requests:
            await _refuse(send, 503, "Too many requests at once; try again.", ("retry-after", "1"))
        else:
            self._requests += 1
            try:
                await self._serve(scope, parts, receive, send)
            finally:
                self._requests -= 1

    def _has_token(self, scope: Scope) -> bool:
        if not self._token:
            return True
        stated = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = stated.partition(b" ")
        return hmac.compare_digest(token.strip(), self._token) and kind.lower() == b"bearer"

    async def _received(self, receive: Receive) -> list[Message] | None:
        """The parts of a request, up to what makes it too large; none if its client goes, None if it is too slow."""
        parts: list[Message] = []
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.receive_s):
                while True:
                    part = await receive()
                    if part["type"] == "http.disconnect":
                        return []
                    parts.append(part)
                    size += len(part.get("body", b""))
                    if not part.get("more_body") or size > self._limits.max_bytes:
                        return parts
        return None

    async def _serve(self, scope: Scope, parts: Sequence[Message], receive: Receive, send: Send) -> None:
        left = iter(parts)
        begun = ended = False

        async def again() -> Message:
            part = next(left, None)
            return await receive() if part is None else part

        async def tell(message: Message) -> None:
            nonlocal begun, ended
            begun, ended = True, message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            async with asyncio.timeout(self._limits.answer_s):
                await self._app(scope, again, tell)
        except TimeoutError:
            if not begun:
                await _refuse(send, 504, "The answer took too long.")
            elif not ended:
                with suppress(TimeoutError):  # a client that does not even read is cut off by the server
                    async with asyncio.timeout(_LAST_WORD_S):
                        await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, status: int, why: str, *headers: tuple[str, str]) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": why}}).encode()
    known = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    await send(
        {"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in known]}
    )
    await send({"type": "http.response.body", "body": body})


# -- the sockets ---------------------------------------------------------------------------------------------


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host`; port 0 lets the system choose one.

    Raises ConfigError where the port is taken or the host is none of this machine's.
    """
    sockets: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in addresses):
            chosen = sockets[0].getsockname()[1] if sockets else port
            opened = socket.create_server((str(address[0]), chosen), family=family, backlog=_BACKLOG)
            # asyncio sends small pieces at once (TCP_NODELAY) only where a socket says that it is TCP's. Without, the
            # second piece of an answer waits 40 ms for the client to say that it has the first.
            sockets.append(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=opened.detach()))
    except OSError as error:
        for listening in sockets:
            listening.close()
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there already" if taken else (error.strerror or str(error)).lower()
        raise ConfigError(f"Cannot serve on {host}, port {port}: {why}. Choose with --host and --port.") from None
    return sockets


def http_server(app: ASGIApp, limits: HttpLimits | None = None) -> uvicorn.Server:
    """What serves `app`; `run(sockets=...)` does until SIGINT or SIGTERM."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    seconds = (limits or HttpLimits()).receive_s

    class Impatient(H11Protocol):
        """Closes the connection of a client that does not send the head of its first or next request in time."""

        _closing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._unwatch()

        def _watch(self) -> None:
            cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
            if cycle is not None and not cycle.response_complete:
                self._unwatch()  # the head is here; how long the rest may take is the gate's to say
            elif self._closing is None:
                self._closing = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def _unwatch(self) -> None:
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None

    config = uvicorn.Config(
        app, http=Impatient, log_level="warning", timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=1
    )
    return uvicorn.Server(config)
