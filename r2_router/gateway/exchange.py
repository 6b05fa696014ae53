"""One request and its response: read, decided, asked, told; with an end, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from starlette.responses import Response, StreamingResponse

from r2_router.acting import acting
from r2_router.errors import InputError, NoCandidateError, R2Error
from r2_router.gateway.api import Api, Body, Events, Told
from r2_router.gateway.asked import Asked, read_asked
from r2_router.gateway.failures import Failure, failure
from r2_router.gateway.seen import Observe, Seen
from r2_router.routing.candidates import meant
from r2_router.routing.messages import prompt_tokens

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from r2_router.generate import Answer, AnswerStream, Event, ToolCallDelta
    from r2_router.router import R2Router

    Part: TypeAlias = str | ToolCallDelta

_T = TypeVar("_T")

_SILENCE_S = 10.0  # after which something is sent, so that nobody on the way takes the connection for dead
_CLIENT_WENT = 499  # nobody reads it
INTERNAL = Failure(500, "The gateway failed; its log says more.", "internal")


class Exchange:
    """Answers the requests of one API with `router`; each of `observers` is told how each one ended."""

    def __init__(self, api: Api, router: R2Router, observers: Sequence[Observe] = ()) -> None:
        self._api = api
        self._router = router
        self._observers = observers

    async def count(self, request: Request) -> Response:
        """How many tokens a request would have models read, estimated."""
        try:
            asked = read_asked(self._api.chat(read_body(await request.body())), {}, self._router.options).request
            return json_response({"input_tokens": prompt_tokens(asked.messages, asked.form.text)})
        except R2Error as error:
            return self.refused(failure(error))

    async def answer(self, request: Request) -> Response:
        """The response to `request`; an error in its API's form where there is no answer."""
        caller = acting()
        seen = Seen(request.url.path, request.headers, caller.name if caller else "")
        asked: Asked | None = None
        try:
            body = read_body(await request.body())
            asked = read_asked(self._api.chat(body), request.headers, self._router.options)
            seen.asked = asked.model
            stream, told = await self._ask(asked, body)
            seen.told, seen.decided_s = told, seen.elapsed_s
            if asked.stream:
                return await self._streamed(stream, seen, told, usage=asked.usage)
            answer = await _unless_gone(request.receive, stream.result())
            if answer is None:
                self._over(seen)
                return Response(status_code=_CLIENT_WENT)
            told.entry, told.model = stream.id, answer.model
            self._over(seen, answer)
            return json_response(self._api.whole(answer, told), headers=told.headers)
        except R2Error as error:
            failed = self._failure(error, asked)
            self._over(seen, failed)
            return self.refused(failed, seen.told)

    def _over(self, seen: Seen, outcome: Answer | Failure | None = None) -> None:
        seen.outcome, seen.ended_s = outcome, seen.elapsed_s
        for observe in self._observers:
            observe(seen)

    def refused(self, failed: Failure, told: Told | None = None) -> Response:
        """The response that says why there is no answer."""
        headers = {**failed.headers, **(told.headers if told else {})}
        return json_response(self._api.failed(failed), failed.status, headers)

    async def _ask(self, asked: Asked, body: Body) -> tuple[AnswerStream, Told]:
        """The answer on its way. To decide takes milliseconds of work: they go to a thread, and others go on."""
        told: list[Told] = []

        def say(event: Event) -> None:
            if event.kind == "asking" and told:
                told[0].model = event.model

        def decide(asked: Asked) -> AnswerStream:
            return self._router.ask(asked.request, options=asked.options, on_event=say)

        try:
            stream = await asyncio.to_thread(decide, asked)
        except NoCandidateError:
            if asked.cap is None:
                raise
            stream = await asyncio.to_thread(decide, asked.without_cap)  # cut, then: it is what was asked for
        told.append(Told(body, stream.decision, stream.decision.model))
        return stream, told[0]

    def _failure(self, error: R2Error, asked: Asked | None) -> Failure:
        name = asked.model if asked else ""
        if name and isinstance(error, InputError) and not meant(name, list(self._router.pool)):
            return Failure(404, str(error), "model_not_found")
        return failure(error)

    # -- piece by piece ----------------------------------------------------------------------------------------

    async def _streamed(self, stream: AnswerStream, seen: Seen, told: Told, *, usage: bool) -> Response:
        """The response once the first piece is there, or it has taken long: until then a failure has a status."""
        ahead = _Ahead(stream)
        try:
            first = await ahead.next(_SILENCE_S)
        except BaseException:
            await ahead.aclose()
            raise
        headers = {**told.headers, "cache-control": "no-cache", "x-accel-buffering": "no"}
        pieces = self._pieces(ahead, first, stream, seen, told, self._api.events(told, usage=usage))
        return _Closing(pieces, ahead, media_type="text/event-stream", headers=headers)

    async def _pieces(
        self, ahead: _Ahead, parts: list[Part] | None, stream: AnswerStream, seen: Seen, told: Told, events: Events
    ) -> AsyncGenerator[bytes]:
        begun = False
        try:
            while parts is not None:
                opening = b"" if begun or not parts else events.begin()
                begun = begun or bool(parts)
                written = (events.text(part) if isinstance(part, str) else events.call(part) for part in parts)
                yield opening + b"".join(written) if parts else events.waiting
                parts = await ahead.next(_SILENCE_S)
            answer = cast("Answer", stream.answer)
            told.entry, told.model = stream.id, answer.model
            broke = Failure(502, f"The answer broke off: {answer.error}.", "broke_off") if answer.partial else None
            self._over(seen, answer)
            last = events.fail(broke) if broke else events.end(answer)
        except R2Error as error:
            failed = failure(error)
            self._over(seen, failed)
            last = events.fail(failed)
        except (asyncio.CancelledError, GeneratorExit):
            self._over(seen)
            raise
        except Exception:
            yield (b"" if begun else events.begin()) + events.fail(INTERNAL)
            raise
        yield (b"" if begun else events.begin()) + last


class _Ahead:
    """The parts of an answer, read by a task of its own: who waits for the next one may give up waiting for now."""

    def __init__(self, stream: AnswerStream) -> None:
        self._stream = stream
        self._parts: list[Part] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())
        self._task.add_done_callback(lambda _: self._news.set())

    async def _read(self) -> None:
        async with aclosing(self._stream.parts()) as parts:
            async for part in parts:
                self._parts.append(part)
                self._news.set()

    async def next(self, wait_s: float) -> list[Part] | None:
        """The parts that came since the last time, at least one; none if nothing came in `wait_s` seconds; None after
        the last one. Raises what iterating the answer raises."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        if self._parts:
            parts, self._parts = self._parts, []
            if not self._task.done():
                self._news.clear()
            return parts
        if not self._task.done():
            return []
        self._task.result()
        return None

    async def aclose(self) -> None:
        """Stop asking, if it is not over; what came is kept and paid for."""
        self._task.cancel()
        await asyncio.wait({self._task})


class _Closing(StreamingResponse):
    """A stream that stops asking when its client goes, whether it was ever iterated or not."""

    def __init__(self, content: AsyncGenerator[bytes], ahead: _Ahead, **options: Any) -> None:
        super().__init__(content, **options)
        self._ahead = ahead

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _unless_gone(receive, self.stream_response(send))
        finally:
            await asyncio.shield(self._ahead.aclose())


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T | None:
    """What `work` returns or raises; None where the client goes before, which ends it."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait({working})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# -- JSON ----------------------------------------------------------------------------------------------------


def read_body(data: bytes) -> Body:
    """The JSON object of a request. Raises InputError."""
    try:
        body: object = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("The request's body is no JSON.") from None
    if not isinstance(body, dict):
        raise InputError("The request's body is a JSON object.")
    return cast("Body", body)


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of JSON, in ASCII, which half a character cannot break."""
    return Response(json.dumps(body), status, headers, "application/json")
