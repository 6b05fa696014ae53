"""Sockets, and the server that listens on them; uvicorn, with less patience."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from r2_router.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

_KEEP_ALIVE_S = 30
_BACKLOG = 2048
_SWITCH_S = 0.0005


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


def address(host: str, sockets: Sequence[socket.socket]) -> str:
    """The address that clients on this machine find what listens on `sockets` at."""
    return f"http://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"


def switch_often() -> None:
    """After each read or write the event loop waits for the interpreter while a thread decides: Python's own 5 ms make
    many clients slower than one."""
    sys.setswitchinterval(_SWITCH_S)


def http_server(app: ASGIApp, *, receive_s: float = 30.0, drain_s: int = 1) -> uvicorn.Server:
    """What serves `app`; `run(sockets=...)` does until SIGINT or SIGTERM, and then for up to `drain_s` seconds what is
    being answered. `receive_s`: how long the head of a request may take."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

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
                self._closing = self.loop.call_later(receive_s, self.timeout_keep_alive_handler)

        def _unwatch(self) -> None:
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None

    config = uvicorn.Config(
        app, http=Impatient, log_level="warning", timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=drain_s
    )
    return uvicorn.Server(config)
