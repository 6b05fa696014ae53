"""What an HTTP request passes before a face of ours sees it: who asks, by which name, how slowly, how much at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from r2_router.acting import Caller, acting_for
from r2_router.errors import ConfigError, R2Error
from r2_router.net.loopback import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

WhoAsks: TypeAlias = Callable[[str], Awaitable[object]]
"""The token that a request brings, "" if none, -> who that is, None for nobody; what is done for a Caller is done in
their name."""

Refusal: TypeAlias = Callable[[Mapping[str, Any], int, str], bytes]
"""The scope of a request, a status, why -> the JSON body of the refusal, in the form its client reads."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_LAST_WORD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What clients may take: bytes of a request, requests answered at once, seconds to send the head of one, to send
    the rest of it, and to be answered."""

    max_bytes: int = 4 << 20
    max_requests: int = 256
    receive_s: float = 30.0
    answer_s: float = 900.0  # more than the longest generation


def allowed_names(host: str, given: Sequence[str], *, has_token: bool, how: str) -> list[str]:
    """The names by which clients reach a server bound to `host`: those `given`, and loopback's; one without a port
    stands for itself at any port, "NAME:*".

    Raises ConfigError where others can reach `host` but there is no token, which is set as `how` says, or no name.
    """
    if not is_loopback(host):
        if not has_token:
            raise ConfigError(f"Others can reach {host}: {how}. Or serve on --host 127.0.0.1.")
        if not given:
            raise ConfigError(
                "Say by which names clients reach this server: --allowed-host r2.example.org. It answers to no other."
            )
    return [form for name in (*given, *_LOOPBACK_NAMES) for form in _forms(name)]


def _forms(name: str) -> Iterator[str]:
    yield name
    if name.endswith("]") or not name.rpartition(":")[2].isdecimal():
        yield f"{name}:*"


class Gate:
    """Lets a request in to `app` if somebody known asks, it has come whole and in time, and there is room.

    What still comes, and a GET, such as a session's stream that waits for news, takes nobody's room. `open_paths` ask
    for no token, and have room always. Browsers of other sites are kept out where `names` are given: a request must
    be for one of them, and come from none or from one of them; else that is for `app` to look at. `how` says to
    strangers how to be known, `challenge` says it to their programs (RFC 9110, 11.6.1).
    """

    def __init__(
        self,
        app: ASGIApp,
        who: WhoAsks,
        refusal: Refusal,
        limits: HttpLimits,
        *,
        names: Sequence[str] = (),
        open_paths: Sequence[str] = ("/health",),
        how: str,
        challenge: str = "Bearer",
    ) -> None:
        self._app = app
        self._who = who
        self._refusal = refusal
        self._limits = limits
        self._names = frozenset(names)
        self._open_paths = frozenset(open_paths)
        self._how = how
        self._challenge = challenge
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
        elif (stranger := self._stranger(scope)) is not None:
            await self._refuse(scope, send, *stranger)
        else:
            await self._known_or_refused(scope, receive, send)

    async def _known_or_refused(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller = await self._who(_token(scope))
        except R2Error as error:  # who keeps the tokens is away
            await self._refuse(scope, send, 503, str(error), ("retry-after", "5"))
            return
        if caller is None:
            await self._refuse(scope, send, 401, self._how, ("www-authenticate", self._challenge))
        else:
            with acting_for(caller if isinstance(caller, Caller) else None):
                await self._let_in(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
        elif (parts := await self._received(receive)) is None:
            await self._refuse(scope, send, 408, "The request was not sent in time.", ("connection", "close"))
        elif not parts:
            pass  # the client went: nobody is left to be told anything
        elif _size(parts) > self._limits.max_bytes:
            await self._refuse(scope, send, 413, f"A request has at most {self._limits.max_bytes:,} bytes.")
        elif self._requests >= self._limits.max_requests:
            await self._refuse(scope, send, 503, "Too many requests at once; try again.", ("retry-after", "1"))
        else:
            self._requests += 1
            try:
                await self._serve(scope, parts, receive, send)
            finally:
                self._requests -= 1

    def _stranger(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused for the name it is for, or for the site it comes from."""
        if not self._names:
            return None
        host, origin = _header(scope, b"host"), _header(scope, b"origin")
        if not self._known(host):
            return 421, "This server does not go by that name: start it with --allowed-host NAME."
        if origin and not (origin.startswith(("http://", "https://")) and self._known(origin.partition("://")[2])):
            return 403, "Pages of other sites may not ask this server."
        return None

    def _known(self, name: str) -> bool:
        bare = name if name.endswith("]") else name.rpartition(":")[0]
        return name in self._names or (bool(bare) and f"{bare}:*" in self._names)

    async def _received(self, receive: Receive) -> list[Message] | None:
        """The parts of a request; none if its client goes, None if it is too slow. What follows the part that makes it
        too large is read, for its client to listen to the refusal then, but not kept."""
        parts: list[Message] = []
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.receive_s):
                while True:
                    part = await receive()
                    if part["type"] == "http.disconnect":
                        return []
                    if size <= self._limits.max_bytes:
                        parts.append(part)
                        size += len(part.get("body", b""))
                    if not part.get("more_body"):
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
                await self._refuse(scope, send, 504, "The answer took too long.")
            elif not ended:
                with suppress(TimeoutError):  # a client that does not even read is cut off by the server
                    async with asyncio.timeout(_LAST_WORD_S):
                        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, scope: Scope, send: Send, status: int, why: str, *headers: tuple[str, str]) -> None:
        await send_json(send, status, self._refusal(scope, status, why), *headers)


def _size(parts: Sequence[Message]) -> int:
    return sum(len(part.get("body", b"")) for part in parts)


async def send_json(send: Send, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    """A whole response of JSON."""
    known = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode()) for name, value in known]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _header(scope: MutableMapping[str, Any], name: bytes) -> str:
    return next((value for known, value in scope["headers"] if known == name), b"").decode("latin-1")


def _token(scope: MutableMapping[str, Any]) -> str:
    """The token that a request brings: as a bearer, or as Anthropic's clients send a key."""
    kind, _, token = _header(scope, b"authorization").partition(" ")
    return token.strip() if kind.lower() == "bearer" else _header(scope, b"x-api-key").strip()
