"""A generation against a server that misbehaves: retries, fallbacks, limits, and the errors that are left."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from support.chat_server import (
    USAGE,
    Behaviour,
    Exchange,
    chat_server,
    delta,
    event,
    fails,
    hangs,
    resets,
    says,
    sends,
    streams,
    thinks,
)
from support.generations import Books, answer, candidate, generation, model, options

from r2_router.errors import ConfigError, EmptyAnswerError, ProviderError, SpendLimitError
from r2_router.generate import Endpoint, Event, client
from r2_router.generate.body import without_thinking
from r2_router.generate.generation import Generation

FALLBACKS = [candidate("a"), candidate("a", 20), candidate("b"), candidate("c"), candidate("d")]


async def half_then_break(exchange: Exchange) -> None:
    """A body shorter than its Content-Length."""
    await exchange.head(200, content_length=1000)
    await exchange.raw(b'{"choices": [')
    exchange.writer.close()


async def not_http(exchange: Exchange) -> None:
    await exchange.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    exchange.writer.close()


async def huge_head(exchange: Exchange) -> None:
    await exchange.head(200, **{f"x_{i}": "y" * 1000 for i in range(300)})


# -- tried again ---------------------------------------------------------------------------------------------

TRANSIENT: dict[str, tuple[Behaviour, str]] = {
    **{str(status): (fails(status, "busy"), f"HTTP {status} (busy)") for status in (408, 409, 429, 500, 502, 503, 504)},
    "529, no body": (sends(b"", 529), "HTTP 529"),
    "503, plain text": (sends(b"try\x1b[31m later\n", 503), "HTTP 503 (try [31m later)"),
    "503, a web page": (sends(b"<html>Bad gateway</html>", 503), "HTTP 503"),
    "503, packed": (
        sends(gzip.compress(b'{"error": "busy"}'), 503, content_encoding="gzip"),
        "HTTP 503 (busy)",
    ),
    "200, error body 429": (sends({"error": {"code": 429, "message": "busy"}}), "HTTP 429 (busy)"),
    "200, error body unnamed": (sends({"error": "boom"}), "HTTP 500 (boom)"),
    "200, error event": (streams(event({"error": {"code": 502, "message": "down"}})), "HTTP 502 (down)"),
    "200, finish_reason error": (says(reason="error"), "broke off"),
    "200, empty body": (sends(b""), "no answer"),
    "200, invalid JSON": (sends(b'{"choices": [{"mess'), "invalid JSON"),
    "200, invalid JSON event": (streams(b"data: {oops\n\n"), "invalid JSON"),
    "200, not UTF-8": (streams(b'data: {"x": "\xff"}\n\n'), "invalid JSON"),
    "200, a number": (sends(b"[1, 2]"), "not an object"),
    "200, a web page": (sends(b"<html>Welcome", content_type="text/html"), "web page"),
    "200, no choices": (sends({"id": "x", "usage": USAGE}), "no answer"),
    "200, choices null": (sends({"choices": None}), "no answer"),
    "200, no events": (streams(b": ping\n\n"), "no answer"),
    "200, only [DONE]": (streams(b"data: [DONE]\n\n"), "no answer"),
    "200, role only": (streams(event(delta(role="assistant", content=""))), "no answer"),
    "200, thoughts only, then the end": (streams(event(delta(reasoning="hm"))), "broke off"),
    "200, packed as br": (streams(b"x", content_encoding="br"), "not asked for"),
    "200, packed badly": (streams(b"x" * 99, content_encoding="gzip"), "cannot be unpacked"),
    "reset": (resets(), "broke"),
    "half a body": (half_then_break, "broke"),
    "not HTTP": (not_http, "broke"),
    "huge head": (huge_head, "broke"),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_what_may_pass_is_tried_again(name: str) -> None:
    behaviour, reason = TRANSIENT[name]
    books = Books()
    with chat_server(behaviour, behaviour, says("Rome")) as server:
        got = answer(server, guard=books)
        assert server.wait_closed()
    assert (got.text, got.partial, got.model) == ("Rome", False, "a")
    assert [reason in attempt.reason for attempt in got.attempts[:2]] == [True, True]
    assert len(got.attempts) == 3
    assert books.balanced
    assert books.spent == pytest.approx(got.cost_usd) == pytest.approx(sum(a.cost_usd for a in got.attempts))


def test_patience_has_an_end() -> None:
    with chat_server(fails(503, "busy")) as server:
        with pytest.raises(ProviderError, match=r"^a @ 100 gave no answer: HTTP 503 \(busy\) \(3 tries\)\.$") as raised:
            answer(server)
        assert len(server.requests) == 3
    assert [(a.model, a.status) for a in raised.value.attempts] == [("a", 503)] * 3  # type: ignore[attr-defined]


@pytest.mark.slow
def test_retry_after_is_honoured() -> None:
    with chat_server(fails(429, retry_after="0.3"), says("Rome")) as server:
        start = time.monotonic()
        assert answer(server).text == "Rome"
    assert time.monotonic() - start >= 0.3


def test_a_retry_after_too_far_away_is_not_waited_for() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with chat_server(fails(429, retry_after="3600"), fails(429, retry_after=date), says("Rome")) as server:
        got = answer(server, FALLBACKS)
    assert [attempt.model for attempt in got.attempts] == ["a", "b", "c"]


def test_a_server_that_is_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(ProviderError, match=r"cannot connect to http://127.* \(3 tries\)\. Is its server running"):
            answer(url)


# -- not tried again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (fails(401, "bad key"), "Check the key in A_KEY"),
        (fails(402, "no money"), "no credit left"),
        (fails(429, "quota", retry_after=0), "quota"),
        (fails(403, "flagged"), "does not let this key ask vendor/a"),
        (fails(404, "no such model"), "Check the id 'vendor/a' and the base_url http://127"),
        (fails(413, "big"), "too long for a: shorten it"),
        (fails(400, "This model's maximum context length is 4096 tokens."), "too long for a: shorten it"),
        (fails(400, "the request exceeds the available context size"), "too long for a: shorten it"),
        (fails(422, "temperature must be below 2"), r"HTTP 422 \(temperature must be below 2\)\.$"),
        (sends({"error": {"message": "x", "code": "context_length_exceeded"}}), "HTTP 400"),
        (sends({"error": {"message": "x", "code": "invalid_api_key"}}), "Check the key in A_KEY"),
        (says(reason="content_filter"), "content filter"),
        (sends(b"", 301, location="/elsewhere"), "Set base_url of a to the final address"),
    ],
)
def test_what_cannot_pass_is_not_tried_again_and_says_what_to_do(behaviour: Behaviour, words: str) -> None:
    with chat_server(behaviour) as server:
        models = {"a": model("a", server.url, api_key_env="A_KEY")}
        tries = 3 if words == "quota" else 1
        with pytest.raises(ProviderError, match=words):
            answer(server, models=models)
        assert len(server.requests) == tries


def test_an_exhausted_account_is_no_rate_limit() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with chat_server(sends(body, 429)) as server:
        with pytest.raises(ProviderError, match="no credit left"):
            answer(server)
        assert len(server.requests) == 1


def test_a_key_wanted_where_none_is_named() -> None:
    with chat_server(fails(401)) as server, pytest.raises(ProviderError, match="name its variable as api_key_env of a"):
        answer(server)


def test_a_redirect_is_never_followed() -> None:
    with chat_server() as other:
        target = f"{other.url}/chat/completions?x=1"
        with chat_server(*(sends(b"", status, location=target) for status in (301, 302, 303, 307, 308))) as server:
            for _ in range(5):
                with pytest.raises(ProviderError, match=r"HTTP 30\d \(redirects to http://127\.0\.0\.1\)"):
                    answer(server)
            assert len(server.requests) == 5
        assert other.requests == []


# -- other forms of the same request -------------------------------------------------------------------------


def test_a_server_that_does_not_know_stream_options() -> None:
    with chat_server(fails(422, "extra_forbidden: stream_options"), says("Rome", usage=None)) as server:
        got = answer(server, options=options(tries=1))
        assert "stream_options" not in server.bodies[1]
    assert got.usage_estimated


def test_a_model_that_wants_max_completion_tokens() -> None:
    complaint = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
    with chat_server(fails(400, complaint), says("Rome")) as server:
        answer(server, options=options(tries=1))
        assert server.bodies[1]["max_completion_tokens"] == 100
        assert "max_tokens" not in server.bodies[1]


def test_thinking_off_in_the_words_a_server_knows() -> None:
    with chat_server(thinks("hm"), fails(400, "Unrecognized argument: chat_template_kwargs"), says("Rome")) as server:
        assert answer(server).text == "Rome"
        assert server.bodies[2]["reasoning_effort"] == "none"
        assert "chat_template_kwargs" not in server.bodies[2]


def test_thinking_that_cannot_be_switched_off_is_not_paid_for_twice() -> None:
    refuses = fails(400, "chat_template_kwargs"), fails(400, "'reasoning_effort' does not support 'none'")
    with chat_server(thinks("hm"), *refuses, says("never asked")) as server:
        with pytest.raises(EmptyAnswerError, match="a @ 100 spent all its tokens thinking"):
            answer(server)
        assert len(server.requests) == 3


@pytest.mark.slow
def test_an_answer_that_stays_empty_is_its_own_error() -> None:
    books = Books()
    with chat_server(thinks("hm")) as server:
        with pytest.raises(EmptyAnswerError, match="thinking_tokens of a") as raised:
            answer(server, guard=books)
        assert len(server.requests) == 2
    assert books.spent == pytest.approx(2 * 20e-6)
    assert len(raised.value.attempts) == 2
    with chat_server(thinks("hm"), thinks("hm"), says("Madrid")) as server:
        assert answer(server, FALLBACKS).model == "b"
    with (
        chat_server(thinks("hm")) as server,
        pytest.raises(EmptyAnswerError, match=r"No model answered\. a @ 100.*c @"),
    ):
        answer(server, FALLBACKS)


def test_openrouter_has_its_own_word_for_thinking_off() -> None:
    asked = without_thinking({"model": "x"}, Endpoint("https://openrouter.ai/api/v1"))
    assert asked == {"model": "x", "reasoning": {"enabled": False}}


# -- the next model ------------------------------------------------------------------------------------------


def test_the_next_candidate_of_another_model_answers() -> None:
    with chat_server(fails(404), fails(403), says("Rome")) as server:
        got = answer(server, FALLBACKS)
        assert [body["model"] for body in server.bodies] == ["vendor/a", "vendor/b", "vendor/c"]
    assert (got.model, got.budget, got.text) == ("c", 100, "Rome")
    assert [(a.model, a.budget, a.status) for a in got.attempts] == [("a", 100, 404), ("b", 100, 403), ("c", 100, 200)]


def test_only_so_many_models_are_asked() -> None:
    with chat_server(fails(404, "gone")) as server:
        with pytest.raises(ProviderError, match=r"No model answered\. a @ 100 .* b @ 100 .* c @ 100") as raised:
            answer(server, FALLBACKS)
        assert len(server.requests) == 3
        with pytest.raises(ProviderError):
            answer(server, FALLBACKS, options=options(models=1))
        assert len(server.requests) == 4
    assert [attempt.model for attempt in raised.value.attempts] == ["a", "b", "c"]  # type: ignore[attr-defined]


def test_a_fallback_keeps_the_cost_limit() -> None:
    offers = [candidate("a", cost=0.001), candidate("b", cost=0.5), candidate("c", cost=0.002)]
    with chat_server(fails(404), says("Rome")) as server:
        assert answer(server, offers, max_cost_usd=0.002).model == "c"
    with chat_server(thinks("hm"), thinks("hm"), says("Rome")) as server:
        with pytest.raises(EmptyAnswerError):  # what the empty tries cost is gone from the limit
            answer(server, offers, max_cost_usd=0.002)
        assert len(server.requests) == 2


def test_a_refused_key_is_not_tried_on_the_next_model() -> None:
    with chat_server(fails(401)) as first, chat_server(says("Rome")) as second:
        models = {"a": model("a", first.url), "b": model("b", first.url), "c": model("c", second.url)}
        got = answer(first, FALLBACKS, models=models)
        assert len(first.requests) == 1
    assert got.model == "c"


def test_a_model_that_cannot_be_resolved_is_passed_over() -> None:
    def resolve(asked: Any) -> Endpoint:
        if asked.name == "a":
            raise ConfigError("Set A_KEY.")
        return Endpoint(asked.base_url)

    with chat_server() as server:
        got = answer(server, FALLBACKS, resolve=resolve)
        assert (got.model, got.attempts[0].reason, got.attempts[0].status) == ("b", "Set A_KEY.", None)
        with pytest.raises(ConfigError, match=r"^Set A_KEY\.$"):
            answer(server, resolve=resolve)


def test_a_spending_limit_ends_it() -> None:
    class Strict(Books):
        async def reserve(self, candidate: Any, worst_case_usd: float) -> int:
            if self.reserved:
                raise SpendLimitError("Over R2_MAX_USD_PER_DAY.")
            return await super().reserve(candidate, worst_case_usd)

    books = Strict()
    with chat_server(fails(503, "busy")) as server:
        with pytest.raises(SpendLimitError, match="Over"):
            answer(server, FALLBACKS, guard=books)
        assert len(server.requests) == 1
    assert books.balanced
    strict = Strict()
    strict.reserved.append(0)
    with chat_server() as server:
        with pytest.raises(SpendLimitError):
            answer(server, FALLBACKS, guard=strict)
        assert server.requests == []


def test_events_tell_what_goes_on() -> None:
    events: list[Event] = []
    with chat_server(fails(503, "busy"), fails(404, "gone"), thinks("hm"), says("Rome")) as server:
        answer(server, FALLBACKS, on_event=events.append)
    told = [(event.kind, event.model, event.detail.partition(";")[0]) for event in events]
    assert told == [
        ("asking", "a", ""),
        ("failed", "a", "HTTP 503 (busy)"),
        ("asking", "a", ""),
        ("failed", "a", "HTTP 404 (gone)"),
        ("asking", "b", ""),
        ("thinking", "b", ""),
        ("failed", "b", "all its tokens went by before a word of the answer"),
        ("asking", "b", ""),
    ]


def test_a_hook_that_fails_leaves_nothing_open() -> None:
    books = Books()
    with chat_server(thinks("hm")) as server:
        with pytest.raises(ZeroDivisionError):
            answer(server, guard=books, on_event=lambda event: 1 / event.pieces)
        assert server.wait_closed()
    assert books.balanced


# -- after the first token -----------------------------------------------------------------------------------


async def error_later(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.say("Rome is ")
    await exchange.event({"error": {"code": 502, "message": "upstream broke"}, "choices": []})
    await exchange.end()


async def error_finish(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.say("Rome is ")
    await exchange.finish("error")


BROKEN_LATER: dict[str, tuple[Behaviour, str]] = {
    "reset": (resets("Rome ", "is "), "broke"),
    "hang": (hangs("Rome ", "is "), "no further token came within 0.3 s"),
    "error event": (error_later, "HTTP 502 (upstream broke)"),
    "finish_reason error": (error_finish, "broke off"),
    "the end, without a reason": (says("Rome ", "is ", reason=None, done=False), "broke off"),
    "invalid JSON": (streams(event(delta(content="Rome is ")), b"data: {oops\n\n"), "invalid JSON"),
    "too much": (streams(event(delta(content="Rome is ")), event(delta(content="x" * 99_999))), "more than an answer"),
    "past its cap": (
        streams(event(delta(content="Rome is ")), *[event(delta(reasoning="hm "))] * 300),
        "past its limit of 100",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN_LATER)
def test_what_came_is_kept_and_nobody_else_is_asked(name: str) -> None:
    behaviour, reason = BROKEN_LATER[name]
    books = Books()
    with chat_server(behaviour, says("never asked")) as server:
        got = answer(server, FALLBACKS, guard=books, options=options(idle_s=0.3, max_bytes=50_000))
        assert len(server.requests) == 1
        assert server.wait_closed()
    assert (got.text, got.partial, got.model) == ("Rome is ", True, "a")
    assert reason in got.error
    assert got.attempts[0].reason == got.error
    assert got.usage_estimated or name == "the end, without a reason" or name == "finish_reason error"
    assert got.cost_usd > 0
    assert books.balanced
    assert books.spent == pytest.approx(got.cost_usd)


@pytest.mark.parametrize("last", [{"done": False}, {"reason": None}, {"reason": None, "usage": None}])
def test_one_sign_of_the_end_is_enough(last: dict[str, Any]) -> None:
    with chat_server(says("Rome", **last)) as server:
        got = answer(server)
    assert (got.text, got.partial) == ("Rome", False)


@pytest.mark.parametrize("hold", [Exchange.hang, Exchange.reset])
def test_a_whole_text_does_not_wait_for_its_usage(
    hold: Callable[[Exchange], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.say("Rome", finish_reason="stop")
        held = hold(exchange)
        if held is not None:
            await held

    monkeypatch.setattr(client, "_AFTERMATH_SECONDS", 0.05)
    with chat_server(behave) as server:
        got = answer(server)
    assert (got.text, got.partial, got.usage_estimated, got.finish_reason) == ("Rome", False, True, "stop")


def test_a_stream_that_goes_on_after_its_end_is_left() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.say("Rome")
        await exchange.chunk(event(delta(finish_reason="stop")) + b"data: [DONE]\n\n")
        while True:
            await exchange.say(" and more")

    with chat_server(endless) as server:
        assert answer(server).text == "Rome"
        assert server.wait_closed()


# -- streams in unusual clothes ------------------------------------------------------------------------------


def test_crlf_comments_names_and_keep_alives() -> None:
    body = (
        b": OPENROUTER PROCESSING\r\n\r\n: OPENROUTER PROCESSING\r\n\r\n"
        b'event: message\r\nid: 1\r\ndata: {"choices": [{"delta":\r\ndata: {"content": "Ro"}}]}\r\n\r\n'
        b'data:{"choices":[{"delta":{"content":"me\xe2\x80\xa8"},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n'
    )
    with chat_server(streams(*(body[i : i + 1] for i in range(len(body))))) as server:
        assert answer(server).text == "Rome\u2028"


@pytest.mark.slow
def test_ten_thousand_lines() -> None:
    lines = [event(delta(content=f"{i}\n")) for i in range(10_000)]
    with chat_server(streams(b"".join(lines), event(delta(finish_reason="stop")))) as server:
        assert answer(server, [candidate(budget=60_000)]).text == "".join(f"{i}\n" for i in range(10_000))


def test_a_packed_stream() -> None:
    packed = gzip.compress(event(delta(content="Rome")) + b"data: [DONE]\n\n")
    with chat_server(streams(packed[:20], packed[20:], content_encoding="gzip")) as server:
        assert answer(server).text == "Rome"
        assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.slow
def test_a_bomb_is_defused() -> None:
    bomb = gzip.compress(b'{"choices": [' + b" " * (100 << 20))
    with chat_server(sends(bomb, content_encoding="gzip")) as server:
        with pytest.raises(ProviderError, match="sent more than an answer can hold"):
            answer(server, options=options(tries=1))
        assert server.wait_closed()


def test_a_refusal_without_end_is_cut() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head(500, transfer_encoding="chunked")
        while True:
            await exchange.chunk(b"no " * 10_000)

    with chat_server(endless) as server:
        with pytest.raises(ProviderError, match=r"HTTP 500 \(no no .{280,300}…\)\.") as raised:
            answer(server, options=options(tries=1))
        assert server.wait_closed()
    assert len(str(raised.value)) < 400


# -- time ----------------------------------------------------------------------------------------------------


async def one_byte_at_a_time(exchange: Exchange) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000:
        await exchange.raw(bytes([byte]))
        await asyncio.sleep(0.01)


async def comments_for_ever(exchange: Exchange) -> None:
    await exchange.start()
    while True:
        await exchange.chunk(b": ping\n\n")
        await asyncio.sleep(0.01)


async def empty_chunks_for_ever(exchange: Exchange) -> None:
    await exchange.start()
    while True:
        await exchange.event(delta(content=""))
        await asyncio.sleep(0.01)


async def thoughts_for_ever(exchange: Exchange) -> None:
    await exchange.start()
    while True:
        await exchange.event(delta(reasoning="hm"))
        await asyncio.sleep(0.01)


async def slow_refusal(exchange: Exchange) -> None:
    await exchange.head(503, transfer_encoding="chunked")
    while True:
        await exchange.chunk(b" ")
        await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "limits", "words"),
    [
        (hangs(), {"first_token_s": 0.2}, r"no token came within 0\.2 s"),
        (one_byte_at_a_time, {"first_token_s": 0.2}, r"no token came within 0\.2 s"),
        (comments_for_ever, {"first_token_s": 0.2, "try_s": 0.5}, r"not done after 0\.5 s"),
        (empty_chunks_for_ever, {"first_token_s": 0.2, "try_s": 0.5}, r"not done after 0\.5 s"),
        (thoughts_for_ever, {"try_s": 0.3}, r"not done after 0\.3 s"),
        (thoughts_for_ever, {"total_s": 0.3}, r"not done after 0\.(3|29\d*) s"),
        (slow_refusal, {}, "HTTP 503"),
    ],
)
def test_slowness_has_an_end(
    behaviour: Behaviour, limits: dict[str, float], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_AFTERMATH_SECONDS", 0.2)
    with chat_server(behaviour) as server:
        start = time.monotonic()
        with pytest.raises(ProviderError, match=words):
            answer(server, options=options(tries=1, **limits))
        assert time.monotonic() - start < 15  # the limits not given are 20 s
        assert server.wait_closed()


@pytest.mark.slow
def test_the_total_limit_holds_over_tries_and_models() -> None:
    with chat_server(hangs()) as server:
        start = time.monotonic()
        with pytest.raises(ProviderError):
            answer(server, FALLBACKS, options=options(first_token_s=0.2, total_s=0.5))
        assert time.monotonic() - start < 15  # the limits not given are 20 s
        assert len(server.requests) <= 3


def test_a_wait_that_does_not_fit_is_not_begun() -> None:
    with chat_server(fails(503, retry_after=30)) as server:
        start = time.monotonic()
        with pytest.raises(ProviderError, match="HTTP 503"):
            answer(server, options=options(total_s=20))
        assert time.monotonic() - start < 15


@pytest.mark.slow
def test_a_reader_who_takes_time_is_not_cut_off() -> None:
    async def read_slowly(generation: Generation) -> None:
        async for _ in generation:
            await asyncio.sleep(0.2)

    with chat_server(says("Ro", "me")) as server:
        asked = generation(server, options=options(idle_s=0.1))
        asyncio.run(read_slowly(asked))
    assert asked.answer is not None
    assert (asked.answer.text, asked.answer.partial) == ("Rome", False)


# -- interrupted ---------------------------------------------------------------------------------------------


async def talks_for_ever(exchange: Exchange) -> None:
    await exchange.start()
    while True:
        await exchange.say("on ")
        await asyncio.sleep(0.001)


def interrupted(asked: Generation) -> None:
    got = asked.answer
    assert got is not None
    assert (got.text, got.partial, got.error) == ("on ", True, "it was interrupted")
    assert got.usage_estimated
    assert got.cost_usd > 0


def test_a_closed_generation_keeps_what_came() -> None:
    async def read_one(asked: Generation) -> None:
        async with aclosing(asked):
            assert await anext(asked) == "on "
        interrupted(asked)

    books = Books()
    with chat_server(talks_for_ever) as server:
        asyncio.run(read_one(generation(server, guard=books)))
        assert server.wait_closed()
    assert books.balanced
    assert books.spent > 0


def test_an_abandoned_generation_settles_its_bill() -> None:
    books = Books()

    async def read_one(url: str) -> None:
        async for _ in generation(url, guard=books):
            break

    with chat_server(talks_for_ever) as server:
        asyncio.run(read_one(server.url))
        assert server.wait_closed()
    assert books.balanced


@pytest.mark.parametrize("pieces", [("on ",), ()])
def test_a_cancelled_generation_keeps_what_came(pieces: tuple[str, ...]) -> None:
    books = Books()

    async def cancel(asked: Generation, begun: asyncio.Event) -> None:
        async def read() -> None:
            async for _ in asked:
                begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert asyncio.all_tasks() == {asyncio.current_task()}

    begun = asyncio.Event()
    with chat_server(hangs(*pieces)) as server:
        asked = generation(server, guard=books, on_event=None if pieces else lambda _: begun.set())
        asyncio.run(cancel(asked, begun))
        assert server.wait_closed()
    assert books.balanced
    if pieces:
        interrupted(asked)
    else:
        assert asked.answer is None
        assert books.spent == books.reserved[0]  # it was asked: what it costs nobody knows


@pytest.mark.slow
def test_a_cancel_scope_that_insists() -> None:
    """anyio cancels again at every await; closing the connection must survive that."""
    books = Books()

    async def read(asked: Generation) -> None:
        with anyio.move_on_after(0.3) as scope:
            await asked.result()
        assert scope.cancelled_caught

    with chat_server(hangs("on ")) as server:
        asked = generation(server, guard=books)
        anyio.run(read, asked)
        assert server.wait_closed()
    interrupted(asked)
    assert books.balanced
