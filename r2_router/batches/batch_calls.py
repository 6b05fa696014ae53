"""Calls of a provider's batch API: JSON in and out, files, and why one failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from r2_router.generate.endpoint import Endpoint
from r2_router.generate.wire import BodyError, read_error, read_json
from r2_router.net.connections import lent_client

if TYPE_CHECKING:
    import httpx

_CALL_S = 60.0
_FILE_S = 900.0  # for a file of requests or answers
_MOST_BYTES = 1 << 30  # of all answers of a batch
_MOST_LINE = 32 << 20


class CallError(Exception):
    """A call failed; `reason` is fit to be shown. `refused`: the server did not do what was asked; else nobody knows.
    `status` is that of HTTP, None where none came."""

    def __init__(self, reason: str, *, status: int | None = None, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.refused = refused


@dataclass(frozen=True, slots=True)
class BatchServer:
    """Where batches are sent: `endpoint`, more headers for each call, and the header of the key where it is not the
    usual one."""

    endpoint: Endpoint
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    key_header: str = ""

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The JSON at `path`, under the endpoint's base. Raises CallError."""
        return await self._json("GET", path, params=params)

    async def post(self, path: str, content: bytes = b"", **headers: str) -> dict[str, Any]:
        """What the server answers to JSON. Raises CallError."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._json("POST", path, content=content, headers={"Content-Type": "application/json", **named})

    async def upload(self, path: str, name: str, content: bytes, **fields: str) -> dict[str, Any]:
        """What the server answers to a file. Raises CallError."""
        return await self._json("POST", path, files={"file": (name, content, "application/jsonl")}, data=fields)

    async def lines(self, path: str) -> AsyncGenerator[bytes]:
        """The lines of the file at `path`. Raises CallError, also for one that does not end."""
        import httpx

        held, left = b"", _MOST_BYTES
        try:
            async with asyncio.timeout(_FILE_S), lent_client() as http:
                response = await http.send(self._request(http, "GET", path), stream=True, auth=self._sign())
                try:
                    if response.status_code != 200:
                        raise self._refusal(response.status_code, (await response.aread())[:_MOST_LINE])
                    async for block in response.aiter_bytes():
                        left -= len(block)
                        *whole, held = (held + block).split(b"\n")
                        if left < 0 or len(held) > _MOST_LINE:
                            raise CallError(f"{self.endpoint.host} sent more than answers can hold")
                        for line in whole:
                            yield line
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(error) from None
        yield held

    async def documents(self, path: str) -> AsyncGenerator[dict[str, Any]]:
        """The JSON objects of the file at `path`, one a line. A line that is none is left out: whose it is cannot be
        told, so its prompt is left without a result. Raises CallError."""
        async for line in self.lines(path):
            if line.strip():
                try:
                    yield read_json(line)
                except BodyError:
                    continue

    async def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        import httpx

        seconds = _FILE_S if more.get("files") or more.get("content") else _CALL_S
        try:
            async with asyncio.timeout(seconds), lent_client() as http:
                request = self._request(http, method, path, **more)
                response = await http.send(request, auth=self._sign(), follow_redirects=False)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(error) from None
        if not 200 <= response.status_code < 300:
            raise self._refusal(response.status_code, response.content)
        try:
            return read_json(response.content)
        except BodyError as error:
            raise CallError(f"{self.endpoint.host} {error.reason}", status=response.status_code) from None

    def _request(self, http: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Request:
        headers = {"User-Agent": "r2-router", **self.headers, **more.pop("headers", {})}
        return http.build_request(method, self.endpoint.base_url.rstrip("/") + path, headers=headers, **more)

    def _sign(self) -> Callable[[httpx.Request], httpx.Request]:
        return partial(self.endpoint.sign, header=self.key_header)

    def _refusal(self, status: int, body: bytes) -> CallError:
        try:
            error = read_error(read_json(body), refused=True)
            said = error.reason if error else ""
        except BodyError:
            said = "" if body.lstrip().startswith(b"<") else body.decode("utf-8", "replace")
        said = self.endpoint.shown(said)
        refused = 400 <= status < 500 and status not in (408, 409, 499)
        return CallError(
            f"{self.endpoint.host}: HTTP {status}{f' ({said})' if said else ''}", status=status, refused=refused
        )

    def _broken(self, error: Exception) -> CallError:
        import httpx

        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL)):
            return CallError(f"cannot connect to {self.endpoint.base_url}", refused=True)
        what = "did not answer in time" if isinstance(error, TimeoutError) else "broke the connection"
        return CallError(f"{self.endpoint.host} {what}")


def id_of(document: Mapping[str, Any]) -> str:
    """The id by which a server names what it made. Raises CallError where there is none."""
    found = document.get("id")
    if not isinstance(found, str) or not found:
        raise CallError("the server named no id")
    return found


def compact(document: object) -> bytes:
    """JSON on one line, its keys in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
