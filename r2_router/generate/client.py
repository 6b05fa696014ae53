"""One try: one request to one endpoint, its text as it comes, every failure a TryError."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from r2_router.generate.body import Body, Options, offers_tools
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.faults import MAY_BE_BILLED, ThoughtOnlyError, TryError, status_error
from r2_router.generate.tool_calls import ToolCallDelta
from r2_router.generate.wire import BodyError, BodyReader, Reply, read_error, read_json, unpacker
from r2_router.net.connections import lent_client
from r2_router.net.retry_after import asked_wait
from r2_router.pools.model import Model
from r2_router.routing.tokens import MOST_A_CHARACTER, estimate_tokens

if TYPE_CHECKING:
    import httpx

_AFTERMATH_SECONDS = 2.0  # for what is of use but not needed: the usage after a whole text, the words of a refusal
_THOUGHTS_PER_SECOND = 50.0  # tokens a slow model thinks
_DRAIN_SECONDS = 0.05  # for the end of the body, so that the connection can be used again
_MAX_REFUSAL_BYTES = 64 << 10
# An answer is cut where it has passed its cap by more than an estimate of tokens may be wrong.
_OVER, _OVER_TOKENS = 1.5, 64
_FILTERED = ("content_filter", "safety", "recitation", "prohibited", "blocklist", "sensitive", "refusal")
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",  # packing would hold tokens back
    "User-Agent": "r2-router",
}

_T = TypeVar("_T")


async def ask(
    model: Model, endpoint: Endpoint, body: Body, options: Options, until: float, reply: Reply
) -> AsyncGenerator[str | ToolCallDelta]:
    """Send `body` and yield the text of the answer as it comes, "" for a piece of reasoning, and pieces of the calls of
    tools; `reply` keeps it all.

    `until` is when patience ends in any case, on the loop's clock. Raises TryError, also for an answer that came only
    in part.
    """
    clock, meter = _Clock(options, model.thinking_tokens, until), _Meter(body)
    try:
        with _translated(model, endpoint, clock, reply):
            async with _posted(endpoint, body, options.request_key, clock, reply) as response:
                reply.status = response.status_code
                if response.status_code != 200:
                    reply.unbilled = response.status_code not in MAY_BE_BILLED
                    raise await _refusal(response, model, endpoint, clock)
                reply.request_id = response.headers.get("x-request-id", "")
                reader = BodyReader(options.max_bytes, response.headers.get("content-encoding", ""))
                blocks = response.aiter_raw()
                while not reply.ended:
                    block = await _next_block(blocks, clock, reply)
                    clock.alive()
                    for data in reader.feed(block) if block else reader.close():
                        called = len(reply.call_pieces)
                        piece = reply.take(data)
                        if piece is not None:
                            yield piece
                            for call in reply.call_pieces[called:]:
                                yield call
                            clock.heard(shown=reply.shown)
                            meter.check(reply)
                    if not block:
                        break
                    if reply.finish_reason:
                        clock.hurry()
                await _drain(blocks)
        if last := reply.close():
            yield last
    finally:
        reply.close()
    check_whole(reply, endpoint, offers_tools(body))


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


def check_whole(reply: Reply, endpoint: Endpoint, tools: bool) -> None:
    """Raise TryError unless the provider said that it is done, and gave an answer: text, or the call of a tool where
    `tools` were offered."""
    if not reply.whole:
        raise TryError("the provider broke off" if reply.begun else "the provider sent no answer", retry=True)
    reason = reply.finish_reason.lower()
    if any(word in reason for word in _FILTERED):
        stopped = "cut the answer off" if reply.shown else "let nothing through"
        raise TryError(f"the provider's content filter {stopped}")
    if reply.refusal_pieces:
        raise TryError(f"the model refused: {endpoint.shown(''.join(reply.refusal_pieces))}")
    if reply.shown or (tools and reply.calls):
        return
    if reason in ("length", "max_tokens"):
        raise ThoughtOnlyError("all its tokens went by before a word of the answer")
    if reply.call_pieces:
        raise TryError("the model called a tool and wrote no answer")
    if reply.reasoning_pieces:
        raise TryError("the model thought and wrote no answer")
    if not reply.begun:
        raise TryError("the provider sent no answer", retry=True)
    raise TryError("the model wrote nothing")


class _Meter:
    """Cuts an answer that runs on past the cap it was given."""

    def __init__(self, body: Body) -> None:
        self._cap = body.get("max_tokens", body.get("max_completion_tokens"))
        self._most = math.inf if self._cap is None else self._cap * _OVER + _OVER_TOKENS
        self._counted = 0.0  # tokens of the first `_size` characters
        self._size = 0
        self._pieces = (0, 0, 0)

    def check(self, reply: Reply) -> None:
        """Raise TryError if what came is more than the cap allows."""
        if self._counted + MOST_A_CHARACTER * (reply.size - self._size) <= self._most:
            return  # however it is counted
        self._size = reply.size
        counts = (len(reply.text_pieces), len(reply.reasoning_pieces), len(reply.call_pieces))
        before, self._pieces = self._pieces, counts
        calls = (call.arguments for call in reply.call_pieces[before[2] :])
        new = (*reply.text_pieces[before[0] :], *reply.reasoning_pieces[before[1] :], *calls)
        self._counted += estimate_tokens("".join(new))
        if self._counted <= self._most:
            return
        # Counted part by part, words that came in two parts count for more than they are.
        self._counted = estimate_tokens(reply.written) + estimate_tokens("".join(reply.reasoning_pieces))
        if self._counted > self._most:
            raise TryError(f"the answer ran on past its limit of {self._cap} tokens")


# -- one exchange --------------------------------------------------------------------------------------------


class _Clock:
    """When patience ends: with the first token, then with each next one, at last with the whole try.

    A model that may think first, and says nothing meanwhile, gets the time its thoughts may take. Whatever else comes,
    be it a comment that keeps the connection open, says that somebody is at work.
    """

    def __init__(self, options: Options, thinking_tokens: int, until: float) -> None:
        self._now = asyncio.get_running_loop().time
        thinking_s = thinking_tokens / _THOUGHTS_PER_SECOND
        self._first_s, self._idle_s = options.first_token_s + thinking_s, options.idle_s
        self._start = self._now()
        self._end = min(until, self._start + options.try_s + thinking_s)
        self._patience_s, self._what = self._first_s, "no token"
        self._next = self._start + self._patience_s
        self._hurried = False

    def heard(self, *, shown: bool) -> None:
        """A token came: the next one may take as long again, and longer while the model may still be thinking."""
        if not self._hurried:
            self._patience_s = self._idle_s if shown else max(self._first_s, self._idle_s)
            self._what = "no further token"
            self._next = self._now() + self._patience_s

    def alive(self) -> None:
        """Something came, if no token."""
        if not self._hurried:
            self._next = self._now() + self._patience_s

    def hurry(self) -> None:
        """Nothing that is still to come is needed."""
        self._hurried = True
        self._next = min(self._next, self._now() + _AFTERMATH_SECONDS)

    @property
    def reason(self) -> str:
        """Why `wait` gave up."""
        if self._next < self._end:
            return f"{self._what} came within {self._patience_s:g} s"
        return f"it was not done after {self._end - self._start:.3g} s"

    async def wait(self, awaitable: Awaitable[_T]) -> _T:
        """`awaitable`, or TimeoutError when patience ends first."""
        async with asyncio.timeout_at(min(self._next, self._end)):
            return await awaitable


@asynccontextmanager
async def _posted(
    endpoint: Endpoint, body: Body, key: str, clock: _Clock, reply: Reply
) -> AsyncGenerator[httpx.Response]:
    content = json.dumps(body).encode()
    named = {"Idempotency-Key": _request_name(key, content)} if key else {}
    async with lent_client() as http:
        request = http.build_request("POST", endpoint.chat_url, content=content, headers={**_HEADERS, **named})
        reply.unbilled = False  # from here on nobody knows, until the server says so
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
    status = response.status_code
    if response.has_redirect_location:
        target = urlsplit(urljoin(endpoint.chat_url, response.headers["location"]))
        return status_error(status, f"redirects to {target.scheme}://{target.hostname}", model, endpoint)
    message = (await _refusal_body(response, clock)).decode("utf-8", "replace")
    error = _refusal_error(message)
    if error.status == 402:  # an exhausted account calls itself 429 at some providers
        status = 402
    return status_error(status, error.reason, model, endpoint, asked_wait(response.headers, message), message)


async def _refusal_body(response: httpx.Response, clock: _Clock) -> bytes:
    """The body of a refusal, as far as it comes."""
    import httpx

    body = b""
    clock.hurry()
    with suppress(TimeoutError, httpx.TransportError, BodyError):
        unpack = unpacker(response.headers.get("content-encoding", ""))
        blocks = response.aiter_raw()
        while len(body) < _MAX_REFUSAL_BYTES and (block := await clock.wait(anext(blocks, b""))):
            body += unpack(block, _MAX_REFUSAL_BYTES - len(body))[:_MAX_REFUSAL_BYTES]
    return body


def _refusal_error(message: str) -> BodyError:
    """The error that a refusal states, as far as it states one."""
    try:
        return read_error(read_json(message.encode()), refused=True) or BodyError("")
    except BodyError:
        return BodyError("" if message.lstrip().startswith("<") else message)


@contextmanager
def _translated(model: Model, endpoint: Endpoint, clock: _Clock, reply: Reply) -> Generator[None]:
    """Every failure as a TryError that holds neither the request nor the key; `reply` learns what was not billed."""
    import httpx

    try:
        yield
    except TimeoutError:
        raise TryError(clock.reason, retry=True, timed_out=True) from None
    except BodyError as error:
        if not reply.begun and (error.strange or (error.status or 408) not in MAY_BE_BILLED):
            reply.unbilled = True
        if error.status is not None:
            message = error.raw.decode("utf-8", "replace")
            raise status_error(error.status, error.reason, model, endpoint, asked_wait({}, message), message) from None
        raise TryError(f"{endpoint.host} {endpoint.shown(error.reason)}", retry=True) from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        reply.unbilled = True
        raise _connect_error(error, endpoint) from None
    except httpx.TransportError:
        raise TryError(f"the connection to {endpoint.host} broke", retry=True) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        reply.unbilled = True
        raise TryError(f"{endpoint.host} cannot be asked", advice="Check its base_url in the pool.") from None


def _connect_error(error: Exception, endpoint: Endpoint) -> TryError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        advice = "Set SSL_CERT_FILE to the certificate authority it is signed by, if that is your own."
        return TryError(f"the certificate of {endpoint.host} is not trusted", advice=advice)
    return TryError(f"cannot connect to {endpoint.base_url}", retry=True, advice="Is its server running?")
