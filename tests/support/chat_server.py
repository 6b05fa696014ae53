"""A loopback server of the OpenAI chat API that answers rightly, or misbehaves the way each test asks.

    with chat_server(says("Hello")) as server:
        ...  # ask server.url; server.requests holds what was asked

It runs on a loop in its own thread, so it serves synchronous and asynchronous tests alike. A behaviour is a
coroutine function of one `Exchange`; `server.then(a, b, c)` plays them one a request, the last one for ever.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

Behaviour = Callable[["Exchange"], Awaitable[None]]

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(
        self,
        server: ChatServer,
        path: str,
        headers: dict[str, str],
        body: Any,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server = server
        self.path = path
        self.headers = headers
        self.body = body
        self.reader = reader
        self.writer = writer

    async def raw(self, data: bytes) -> None:
        """These bytes and no others."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, **headers: object) -> None:
        """Status line and headers; content_type and the like are spelt with an underscore."""
        lines = [f"HTTP/1.1 {status} Test", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def whole(self, body: bytes, status: int = 200, **headers: object) -> None:
        """A complete response of known length."""
        await self.head(status, **{"content_type": "application/json", **headers}, content_length=len(body))
        await self.raw(body)

    async def start(self, **headers: object) -> None:
        """The head of an event stream."""
        await self.head(200, **{"content_type": "text/event-stream", **headers}, transfer_encoding="chunked")

    async def chunk(self, data: bytes) -> None:
        """A piece of a chunked body."""
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, document: object) -> None:
        await self.chunk(f"data: {json.dumps(document)}\n\n".encode())

    async def say(self, text: str, **choice: object) -> None:
        await self.event(delta(content=text, **choice))

    async def finish(self, reason: str | None = "stop", usage: object = USAGE, done: bool = True) -> None:
        """What ends a stream: a finish_reason, the usage, [DONE], the end of the body."""
        if reason is not None:
            await self.event(delta(finish_reason=reason))
        if usage is not None:
            await self.event({"id": "gen-1", "model": "served/model", "choices": [], "usage": usage})
        if done:
            await self.chunk(b"data: [DONE]\n\n")
        await self.end()

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def hang(self) -> None:
        """Say nothing until the client goes; the server that stops cancels this."""
        await self.reader.read(1)
        self.writer.close()

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


def delta(*, index: int = 0, finish_reason: str | None = None, **said: object) -> dict[str, Any]:
    """A chunk of a stream; `said` is what the delta holds."""
    choice = {"index": index, "delta": said, "finish_reason": finish_reason}
    return {"id": "gen-1", "model": "served/model", "choices": [choice]}


def completion(text: object, reason: str = "stop", usage: object = USAGE) -> dict[str, Any]:
    """A whole answer, not streamed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"id": "gen-1", "model": "served/model", "choices": [choice], "usage": usage}


# -- behaviours ----------------------------------------------------------------------------------------------


def event(document: object) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


def says(*pieces: str, reason: str | None = "stop", usage: object = USAGE, done: bool = True) -> Behaviour:
    """Stream `pieces`, as a good server does."""

    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        for piece in pieces:
            await exchange.say(piece)
        await exchange.finish(reason, usage, done)

    return behave


def thinks(*pieces: str, reason: str = "length", field: str = "reasoning", usage: object = USAGE) -> Behaviour:
    """Reason, and write nothing."""

    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        for piece in pieces:
            await exchange.event(delta(**{field: piece}))
        await exchange.finish(reason, usage)

    return behave


def sends(body: object, status: int = 200, **headers: object) -> Behaviour:
    """A response in one piece: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda exchange: exchange.whole(data, status, **headers)


def fails(status: int, message: str = "no", **headers: object) -> Behaviour:
    """An error in the usual form."""
    return sends({"error": {"message": message}}, status, **headers)


def streams(*chunks: bytes, **headers: object) -> Behaviour:
    """A 200 whose body is exactly `chunks`."""

    async def behave(exchange: Exchange) -> None:
        await exchange.start(**headers)
        for chunk in chunks:
            await exchange.chunk(chunk)
        await exchange.end()

    return behave


def resets(*pieces: str) -> Behaviour:
    """Stream `pieces`, then break the connection; before the head if there are none."""

    async def behave(exchange: Exchange) -> None:
        if pieces:
            await exchange.start()
        for piece in pieces:
            await exchange.say(piece)
        exchange.reset()

    return behave


def hangs(*pieces: str) -> Behaviour:
    """Stream `pieces`, then say no more; not even the head if there are none."""

    async def behave(exchange: Exchange) -> None:
        if pieces:
            await exchange.start()
        for piece in pieces:
            await exchange.say(piece)
        await exchange.hang()

    return behave


def by_model(**behaviours: Behaviour) -> Behaviour:
    """Behave as the model that is asked does, told by the last part of its id."""
    return lambda exchange: behaviours[exchange.body["model"].rpartition("/")[2]](exchange)


def meets(count: int, then: Behaviour) -> Behaviour:
    """Wait until so many requests have come, for a minute at most, then behave."""

    async def behave(exchange: Exchange) -> None:
        async with asyncio.timeout(60):
            while len(exchange.server.requests) < count:
                await asyncio.sleep(0.01)
        await then(exchange)

    return behave


# -- the server ----------------------------------------------------------------------------------------------


class ChatServer:
    """Made by `chat_server`. `requests` are the exchanges so far; `connections` were made for them, `open` are left."""

    def __init__(self, behaviours: tuple[Behaviour, ...], tls: ssl.SSLContext | None) -> None:
        self.requests: list[Exchange] = []
        self.open: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.port = 0
        self.tls = tls
        self._idle = threading.Event()
        self._idle.set()
        self.then(*behaviours)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    def then(self, *behaviours: Behaviour) -> None:
        """Behave so, one a request from now on, the last one for ever."""
        self._behaviours = list(behaviours)

    @property
    def bodies(self) -> list[Any]:
        """The JSON that was asked."""
        return [exchange.body for exchange in self.requests]

    def wait_closed(self, seconds: float = 5.0) -> bool:
        """Whether every connection is gone, now or soon."""
        return self._idle.wait(seconds)

    async def serve(self, ready: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self.stopping.wait()
        with suppress(NotImplementedError):  # on Windows
            for listening in server.sockets:
                self.loop.remove_reader(listening.fileno())
        for _ in range(5):  # a connection just taken becomes a task that runs: before, nobody would close it
            await asyncio.sleep(0)
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    exchange = await self._read(reader, writer)
                    if task not in self.open:
                        self.open.add(task)
                        self.connections += 1
                        self._idle.clear()
                    self.requests.append(exchange)
                    await self._next_behaviour()(exchange)
        finally:
            with suppress(OSError, asyncio.CancelledError):
                writer.close()
                await writer.wait_closed()
            self.open.discard(task)
            if not self.open:
                self._idle.set()

    def _next_behaviour(self) -> Behaviour:
        return self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Exchange(self, lines[0].split(" ")[1], headers, json.loads(body or b"null"), reader, writer)


@contextmanager
def chat_server(*behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> Generator[ChatServer]:
    """A running server that plays `behaviours`, one a request, the last one for ever."""
    server = ChatServer(behaviours or (says("Hello"),), tls)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(ready)), name="chat-server")
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.stopping.set)
        thread.join()
