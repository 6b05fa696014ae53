"""One try: one request to one endpoint, its text as it comes, every failure a TryError."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from r2_router.generate.body import Body, Options
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.faults import ThoughtOnlyError, TryError, status_error
from r2_router.generate.wire import BodyError, BodyReader, Reply, read_error, read_json, unpacker
from r2_router.net.connections import lent_client
from r2_router.net.retry_after import retry_after
from r2_router.pools.model import Model

if TYPE_CHECKING:
    import httpx

_AFTERMATH_SECONDS = 2.0  # for what is of use but not needed: the usage after a whole text, the words of a refusal
_DRAIN_SECONDS = 0.05  # for the end of the body, so that the connection can be used again
_MAX_REFUSAL_BYTES = 64 << 10
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",  # packing would hold tokens back
    "User-Agent": "r2-router",
}

_T = TypeVar("_T")


async def ask(
    model: Model, endpoint: Endpoint, body: Body, options: Options, until: float, reply: Reply
) -> AsyncGenerator[str]:
    """Send `body` and yield the text of the answer as it comes, "" for a piece of reasoning; `reply` keeps it all.

    `until` is when patience ends in any case, on the loop's clock. Raises TryError.
    """
    clock = _Clock(options, until)
    with _translated(model, endpoint, clock):
        async with _posted(endpoint, body, options.request_key, clock) as response:
            reply.status = response.status_code
            if response.status_code != 200:
                raise await _refusal(response, model, endpoint, clock)
            reply.request_id = response.headers.get("x-request-id", "")
            reader = BodyReader(options.max_bytes, response.headers.get("content-encoding", ""))
            blocks = response.aiter_raw()
            while not reply.ended:
                block = await _next_block(blocks, clock, reply)
                for data in reader.feed(block) if block else reader.close():
                    piece = reply.take(data)
                    if piece is not None:
                        yield piece
                        clock.heard()
                if not block:
                    break
                if reply.finish_reason:
                    clock.hurry()
            await _drain(blocks)
    _check_whole(reply)


async def _next_block(blocks: AsyncIterator[bytes], clock: _Clock, reply: Reply) -> bytes:
    """The next bytes of the body, b"" at its end."""
    import httpx

    try:
        return await clock.wait(anext(blocks, b""))
    except (TimeoutError, httpx.TransportError):
        if not reply.finish_reason:
            raise
        reply.ended = True  # the text is whole, only its usage is missing
        return b""


async def _drain(blocks: AsyncIterator[bytes]) -> None:
    import httpx

    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in blocks:
                pass


def _check_whole(reply: Reply) -> None:
    """Raise TryError unless the provider said that it is done, and gave an answer."""
    if reply.finish_reason == "error" or not (reply.finish_reason or reply.ended):
        raise TryError("the provider broke off" if reply.begun else "the provider sent no answer", retry=True)
    if reply.shown:
        return
    if reply.finish_reason == "length":
        raise ThoughtOnlyError("all its tokens went by before a word of the answer")
    if reply.finish_reason == "content_filter":
        raise TryError("the provider's content filter let nothing through")
    if not reply.finish_reason:
        raise TryError("the provider sent no answer", retry=True)


# -- one exchange --------------------------------------------------------------------------------------------


class _Clock:
    """When patience ends: with the first token, then with each next one, at last with the whole try."""

    def __init__(self, options: Options, until: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._idle_s = options.idle_s
        self._start = self._now()
        self._end = min(until, self._start + options.try_s)
        self._next = self._start + options.first_token_s
        self._reason = f"no token came within {options.first_token_s:g} s"

    def heard(self) -> None:
        """A token came: the next one may take as long again."""
        self._next = self._now() + self._idle_s
        self._reason = f"no further token came within {self._idle_s:g} s"

    def hurry(self) -> None:
        """Nothing that is still to come is needed."""
        self._next = min(self._next, self._now() + _AFTERMATH_SECONDS)

    @property
    def reason(self) -> str:
        """Why `wait` gave up."""
        return self._reason if self._next < self._end else f"it was not done after {self._end - self._start:.3g} s"

    async def wait(self, awaitable: Awaitable[_T]) -> _T:
        """`awaitable`, or TimeoutError when patience ends first."""
        async with asyncio.timeout_at(min(self._next, self._end)):
            return await awaitable


@asynccontextmanager
async def _posted(endpoint: Endpoint, body: Body, key: str, clock: _Clock) -> AsyncGenerator[httpx.Response]:
    content = json.dumps(body).encode()
    named = {"Idempotency-Key": _request_name(key, content)} if key else {}
    async with lent_client() as http:
        request = http.build_request("POST", endpoint.chat_url, content=content, headers={**_HEADERS, **named})
        response = await clock.wait(http.send(request, stream=True, auth=endpoint.sign, follow_redirects=False))
        try:
            yield response
        finally:
            await response.aclose()


def _request_name(key: str, content: bytes) -> str:
    """One for each request of `key`: a body that was changed after a refusal is another request."""
    return hashlib.sha256(key.encode() + b"\n" + content).hexdigest()[:32]


async def _refusal(response: httpx.Response, model: Model, endpoint: Endpoint, clock: _Clock) -> TryError:
    """What a status other than 200 means."""
    status, wait_s = response.status_code, retry_after(response.headers.get("retry-after"))
    if response.has_redirect_location:
        target = urlsplit(urljoin(endpoint.chat_url, response.headers["location"]))
        return status_error(status, f"redirects to {target.scheme}://{target.hostname}", model, endpoint)
    error = await _refusal_error(response, clock)
    if error.status == 402:  # an exhausted account calls itself 429 at some providers
        status = 402
    return status_error(status, error.reason, model, endpoint, wait_s)


async def _refusal_error(response: httpx.Response, clock: _Clock) -> BodyError:
    """The error in the body of a refusal, as far as there is one."""
    import httpx

    body = b""
    clock.hurry()
    with suppress(TimeoutError, httpx.TransportError, BodyError):
        unpack = unpacker(response.headers.get("content-encoding", ""))
        blocks = response.aiter_raw()
        while len(body) < _MAX_REFUSAL_BYTES and (block := await clock.wait(anext(blocks, b""))):
            body += unpack(block, _MAX_REFUSAL_BYTES - len(body))[:_MAX_REFUSAL_BYTES]
    try:
        return read_error(read_json(body)) or BodyError("")
    except BodyError:
        return BodyError("" if body.lstrip().startswith(b"<") else body.decode("utf-8", "replace"))


@contextmanager
def _translated(model: Model, endpoint: Endpoint, clock: _Clock) -> Generator[None]:
    """Every failure as a TryError that holds neither the request nor the key."""
    import httpx

    try:
        yield
    except TimeoutError:
        raise TryError(clock.reason, retry=True) from None
    except BodyError as error:
        if error.status is not None:
            raise status_error(error.status, error.reason, model, endpoint) from None
        raise TryError(f"{endpoint.host} {endpoint.shown(error.reason)}", retry=True) from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise _connect_error(error, endpoint) from None
    except httpx.TransportError:
        raise TryError(f"the connection to {endpoint.host} broke", retry=True) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise TryError(f"{endpoint.host} cannot be asked", advice="Check its base_url in the pool.") from None


def _connect_error(error: Exception, endpoint: Endpoint) -> TryError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        advice = "Set SSL_CERT_FILE to the certificate authority it is signed by, if that is your own."
        return TryError(f"the certificate of {endpoint.host} is not trusted", advice=advice)
    return TryError(f"cannot connect to {endpoint.base_url}", retry=True, advice="Is its server running?")
