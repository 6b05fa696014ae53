"""Connections: kept alive between requests, closed with the event loop they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from r2_router.net.loopback import UNPROXIED

if TYPE_CHECKING:
    import ssl

    import httpx

_CONNECT_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 60.0
_MAX_IDLE = 16


@asynccontextmanager
async def lent_client() -> AsyncGenerator[httpx.AsyncClient]:
    """An httpx client for one request at a time, with the connections that earlier ones left open.

    One client for all would do, but the work in its connection pool grows with the square of the requests under
    way: five hundred at once keep it busy for most of a minute.
    """
    idle = await _idle_clients()
    client = idle.clients.pop() if idle.clients else _new_client()
    try:
        yield client
    finally:
        if idle.closed or len(idle.clients) >= _MAX_IDLE:
            await client.aclose()
        else:
            idle.clients.append(client)


class _IdleClients:
    """The clients of one loop that nobody uses, the last one used on top."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []
        self.closed = False
        self.until_loop_ends = self._wait_and_close()

    async def _wait_and_close(self) -> AsyncGenerator[None]:
        """A loop that shuts down closes its async generators; closing this one closes the clients."""
        try:
            yield
        finally:
            self.closed = True
            for client in self.clients:
                await client.aclose()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _IdleClients] = WeakKeyDictionary()


async def _idle_clients() -> _IdleClients:
    loop = asyncio.get_running_loop()
    idle = _of_loop.get(loop)
    if idle is None or idle.closed:
        idle = _of_loop[loop] = _IdleClients()
        await anext(idle.until_loop_ends)  # from here on the loop knows of it
    return idle


def _new_client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(
        verify=trusted(),
        timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # other limits are the caller's
        limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_SECONDS),
        mounts=dict.fromkeys(UNPROXIED),  # no proxy between this machine and itself
    )


def sync_client(read_s: float, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """A client for code that blocks: `read_s` seconds for each answer to go on, no proxy for loopback, no redirects."""
    import httpx

    timeout = httpx.Timeout(read_s, connect=_CONNECT_SECONDS)
    return httpx.Client(verify=trusted(), headers=headers, timeout=timeout, mounts=dict.fromkeys(UNPROXIED))


@cache
def trusted() -> ssl.SSLContext:
    """The certificate authorities to trust. To read them takes longer than a local answer."""
    import httpx

    return httpx.create_ssl_context()
