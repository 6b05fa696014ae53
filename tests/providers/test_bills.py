"""What a try costs that went wrong: what the provider told, else the most it may have billed. Never nothing."""

from __future__ import annotations

import pytest
from support.chat_server import (
    Behaviour,
    Exchange,
    chat_server,
    completion,
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
from support.generations import Books, answer, candidate, model, options

from r2_router.errors import ProviderError, R2Error, SpendLimitError

USAGE = {"prompt_tokens": 10, "completion_tokens": 70, "total_tokens": 80}
TOLD = (10 * 1 + 70 * 2) / 1e6


def calls(usage: object = USAGE) -> Behaviour:
    """A call of a tool, and no text (vscode 288935)."""

    async def behave(exchange: Exchange) -> None:
        await exchange.start()
        function = {"name": "search", "arguments": '{"query": "capital of Italy"}'}
        await exchange.event(delta(tool_calls=[{"index": 0, "id": "call_1", "type": "function", "function": function}]))
        await exchange.finish("tool_calls", usage)

    return behave


TOLD_WITHOUT_TEXT: dict[str, Behaviour] = {
    "nothing but usage": streams(event({"choices": [], "usage": USAGE}), b"data: [DONE]\n\n"),
    "usage, and no end": streams(event({"choices": [], "usage": USAGE})),
    "an empty answer": says(usage=USAGE),
    "a call of a tool": calls(),
    "thoughts alone": thinks("hm", reason="stop", usage=USAGE),
    "a refusal": streams(event(delta(refusal="I cannot.")), event({**delta(finish_reason="stop"), "usage": USAGE})),
    "a filter": says(reason="content_filter", usage=USAGE),
    "one body": sends(completion("", usage=USAGE)),
    "null content": sends(completion(None, usage=USAGE)),
    "an error after it was counted": sends({"error": {"code": 502, "message": "down"}, "usage": USAGE}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLD_WITHOUT_TEXT)
def test_usage_counts_whatever_the_text(name: str) -> None:
    books = Books()
    with chat_server(TOLD_WITHOUT_TEXT[name]) as server, pytest.raises(ProviderError) as raised:
        answer(server, guard=books, options=options(tries=1, models=1))
    tries = len(raised.value.attempts)
    assert books.settled == {i: pytest.approx(TOLD) for i in range(tries)}
    assert sum(attempt.cost_usd for attempt in raised.value.attempts) == pytest.approx(tries * TOLD)


async def half_a_body(exchange: Exchange) -> None:
    await exchange.head(200, content_length=1000)
    await exchange.raw(b'{"choices": [')
    exchange.writer.close()


UNKNOWN: dict[str, Behaviour] = {
    "silence": hangs(),
    "a reset before an answer": resets(),
    "a broken body": half_a_body,
    "an empty body": sends(b""),
    "an answer that is none": sends(b'{"choices": [{"mess'),
    "only [DONE]": streams(b"data: [DONE]\n\n"),
    "an empty answer, uncounted": says(usage=None),
    "a gateway that gave up": fails(504, "upstream timed out"),
    "thoughts, and then silence": streams(event(delta(reasoning="hm"))),
    "usage of a part": streams(event({**delta(reasoning="hm"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}})),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_bill_nobody_knows_is_held_at_its_worst(name: str) -> None:
    books = Books()
    with chat_server(UNKNOWN[name]) as server, pytest.raises(ProviderError) as raised:
        answer(server, guard=books, options=options(tries=1, first_token_s=0.3))
    assert books.balanced
    assert [books.settled[0]] == [books.reserved[0]] == [raised.value.attempts[0].cost_usd]
    assert books.reserved[0] > (100 * 2 + 10) / 1e6


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", [resets("Rome "), hangs("Rome "), says("Rome ", reason="error", usage=None)])
def test_an_answer_that_broke_off_may_have_been_billed_whole(behaviour: Behaviour) -> None:
    books = Books()
    with chat_server(behaviour) as server:
        got = answer(server, guard=books, options=options(idle_s=0.3))
    assert (got.partial, got.cost_usd) == (True, books.reserved[0])
    assert books.settled[0] == books.reserved[0]


FREE: dict[str, Behaviour] = {
    **{str(status): fails(status) for status in (400, 401, 403, 404, 422, 429, 500, 503)},
    "an error in a 200": sends({"error": {"code": 502, "message": "down"}}),
    "a web page": sends(b"<html>Welcome"),
    "a redirect": sends(b"", 301, location="/elsewhere"),
}


@pytest.mark.parametrize("name", FREE)
def test_a_refusal_costs_nothing(name: str) -> None:
    books = Books()
    with chat_server(FREE[name]) as server, pytest.raises(R2Error):
        answer(server, guard=books, options=options(tries=1))
    assert books.balanced
    assert books.spent == 0


def test_nobody_pays_for_a_server_that_is_not_there() -> None:
    books = Books()
    with pytest.raises(ProviderError):
        answer("http://127.0.0.1:9/v1", guard=books, options=options(tries=1))
    assert books.spent == 0


def test_an_endless_stream_is_cut_near_its_cap() -> None:
    async def for_ever(exchange: Exchange) -> None:
        await exchange.start()
        while True:
            await exchange.event(delta(content="and on and on it goes "))

    books = Books()
    with chat_server(for_ever) as server:
        got = answer(server, guard=books)
        assert server.wait_closed()
    assert got.partial
    assert "past its limit of 100 tokens" in got.error
    assert 100 < got.completion_tokens < 400
    assert got.cost_usd < 0.002


def test_many_small_pieces_are_no_endless_stream() -> None:
    text = "The capital of Italy is Rome, and it has been so since 1871. " * 6
    with chat_server(says(*text)) as server:  # one character a chunk
        assert answer(server).text == text


@pytest.mark.slow
def test_a_timed_out_try_of_a_thinking_model_is_not_repeated() -> None:
    books = Books()
    with chat_server(hangs()) as server:
        models = {name: model(name, server.url, thinking_tokens=1) for name in "ab"}
        with pytest.raises(ProviderError, match="no token came"):
            answer(
                server, [candidate("a"), candidate("b")], models=models, guard=books, options=options(first_token_s=0.3)
            )
        assert [body["model"] for body in server.bodies] == ["vendor/a", "vendor/b"]


def test_a_retry_keeps_the_callers_limit() -> None:
    books = Books()
    with chat_server(resets()) as server, pytest.raises(ProviderError):
        answer(server, [candidate(cost=2e-4)], max_cost_usd=2.5e-4, guard=books)
    assert len(books.reserved) == 1


def test_a_limit_chooses_a_cheaper_model_in_place_of_a_refusal() -> None:
    class Purse(Books):
        def reserve(self, candidate: object, worst_case_usd: float) -> int:
            left = 4e-4 - self.spent
            if worst_case_usd > left:
                raise SpendLimitError(
                    "R2_MAX_USD_PER_DAY", limit_usd=4e-4, spent_usd=self.spent, call_usd=worst_case_usd
                )
            return super().reserve(candidate, worst_case_usd)

    with chat_server() as server:
        offers = [candidate("a", 4000), candidate("a", 1000), candidate("b", 2000), candidate("a", 100), candidate("c")]
        got = answer(server, offers, guard=Purse())
        assert (got.model, got.budget) == ("a", 100)
        with pytest.raises(SpendLimitError):
            answer(server, offers[:3], guard=Purse())
        assert len(server.requests) == 1
