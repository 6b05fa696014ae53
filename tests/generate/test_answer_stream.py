"""From a query to a recorded answer, against a real server on loopback."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from support.chat_server import ChatServer, Exchange, chat_server, fails, resets, says
from support.made_up import LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router, Request
from r2_router.errors import InputError, NoCandidateError, ProviderError, SpendLimitError
from r2_router.generate import Answer, Options
from r2_router.ledger import stats
from r2_router.ledger.labels import texts
from r2_router.pools.pool import Pool

QUESTION = "What is the capital of Italy?"
QUICK = Options(backoff_s=0.001, tries=2)


@pytest.fixture
def server() -> Generator[ChatServer]:
    with chat_server(says("Rome", ".")) as running:
        yield running


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return make_checkpoint().save(tmp_path / "ckpt")


def at(url: str, **changes: object) -> Pool:
    """The made-up pool, its models served at `url`; `changes` go into the last one."""
    pool = make_pool(**changes)
    return Pool(pool.name, {m.name: replace(m, base_url=url) for m in pool})


@pytest.fixture
def router(saved: Path, server: ChatServer) -> R2Router:
    return R2Router.from_pretrained(saved, pool=at(server.url), embedder=LetterEmbedder())


def test_the_chosen_model_is_told_its_budget_and_answers(router: R2Router, server: ChatServer) -> None:
    pieces: list[str] = []
    answer = router.route_and_generate("What is the capital of Italy?", max_tokens=50, on_text=pieces.append)
    decision = router.route_text("What is the capital of Italy?", max_tokens=50)
    assert pieces == ["Rome", "."]
    assert str(answer) == answer.text == answer["response"] == "Rome."
    assert (answer.model, answer.budget) == (decision.model, decision.budget)
    body = server.bodies[0]
    assert body["model"] == f"vendor/{answer.model}"
    if answer.budget == "unlimited":
        assert body["max_tokens"] == 50
    else:
        assert body["max_tokens"] == answer.budget
        assert body["messages"][-1]["content"].endswith(router.checkpoint.instruction.render(answer.budget))
    assert answer.decision is not None
    assert answer.decision.query == "What is the capital of Italy?"


def test_every_answer_is_in_the_ledger_with_its_cost(router: R2Router) -> None:
    answer = router.route_and_generate("one")
    asked = router.stream("two")
    asyncio.run(asked.result())
    kept = router.ledger.find(asked.id)
    assert kept is not None
    assert (kept.outcome, kept.face, kept.query) == ("answered", "python", None)
    assert kept.cost_usd == pytest.approx(asked.answer.cost_usd)
    assert kept.output_tokens == 5
    assert kept.baseline_cost_usd is not None
    found = stats(router.ledger)
    assert found.cost_usd == pytest.approx(answer.cost_usd + asked.answer.cost_usd)


def test_text_is_logged_only_if_asked_for(saved: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_LOG_TEXT", "1")
    router = R2Router.from_pretrained(saved, pool=at(server.url), embedder=LetterEmbedder())
    asked = router.stream("to be kept")
    asyncio.run(asked.result())
    kept = router.ledger.find(asked.id)
    assert kept is not None
    assert kept.query == "to be kept"
    chat = router.stream(
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    )
    told = router.stream("with instructions", system="Be kind.")
    for other in (chat, told):
        asyncio.run(other.result())
    # Whoever judges later must know all that was asked.
    assert texts(router.ledger, [asked.id, chat.id, told.id]) == {asked.id: asked.answer.text}


def test_an_exploration_is_answered_said_and_accounted(
    saved: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_EXPLORE", "1")
    router = R2Router.from_pretrained(saved, pool=at(server.url), embedder=LetterEmbedder(), worth_usd=0.001)
    answers = [router.route_and_generate("What is the capital of Italy?") for _ in range(30)]
    decisions = [answer.decision for answer in answers if answer.decision is not None]
    passed = [decision.explored for decision in decisions if decision.explored is not None]
    assert 0 < len(passed) < 30
    assert all(
        (answer.model, answer.budget) == (d.model, d.budget) for answer, d in zip(answers, decisions, strict=True)
    )
    accounted = stats(router.ledger).explored
    assert accounted.answers == len(passed)
    assert accounted.given_up_usd == pytest.approx(sum(one.given_up_usd for one in passed))
    plain = router.route_text("What is the capital of Italy?")
    assert plain.explored is None  # nobody is asked: nothing would be learned
    assert {(one.model, one.budget) for one in passed} == {(plain.model, plain.budget)}


def test_model_and_budget_can_be_forced(router: R2Router, server: ChatServer) -> None:
    answer = router.generate("hello", "model-1", 40)
    assert (answer.model, answer.budget) == ("model-1", 40)
    between = router.generate("hello", "model-0", 73)
    assert (between.budget, server.bodies[-1]["max_tokens"]) == (73, 73)
    free = router.generate("hello", "model-2")
    assert free.budget == "unlimited"
    assert server.bodies[-1]["max_tokens"] >= 8192  # no budget, but an end
    with pytest.raises(InputError, match="between 10 and 100, or 'unlimited'"):
        router.generate("hello", "model-0", 5000)
    with pytest.raises(InputError, match="Did you mean model-0"):
        router.generate("hello", "modell-0", 40)


def test_messages_are_context_and_counted(router: R2Router, server: ChatServer) -> None:
    talk = [
        {"role": "user", "content": "My name is Ada. " * 50},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "Who am I?"},
    ]
    answer = router.route_and_generate(talk, system="Be kind.", model="model-0", budget=40)
    sent = server.bodies[-1]["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]
    assert sent[0]["content"] == "Be kind."
    decision = answer.decision
    assert decision is not None
    assert decision.query == "Who am I?"
    assert decision.input_tokens > 200


def test_a_failing_model_gives_way_to_the_next_one(router: R2Router, server: ChatServer) -> None:
    server.then(fails(503), fails(503), says("from another"))
    answer = router.route_and_generate("hello", options=QUICK)
    assert answer.text == "from another"
    assert len({attempt.model for attempt in answer.attempts}) == 2


def test_a_broken_stream_is_a_partial_answer_and_recorded_so(router: R2Router, server: ChatServer) -> None:
    server.then(resets("half an"))
    asked = router.stream("hello")
    asyncio.run(asked.result())
    assert asked.answer is not None
    assert (asked.answer.text, asked.answer.partial) == ("half an", True)
    kept = router.ledger.find(asked.id)
    assert kept is not None
    assert kept.outcome == "partial"


def test_no_answer_at_all_is_one_error_and_recorded_as_failed(router: R2Router, server: ChatServer) -> None:
    server.then(fails(400, "nonsense"))
    asked = router.stream("hello", options=QUICK)
    with pytest.raises(ProviderError):
        asyncio.run(asked.result())
    kept = router.ledger.find(asked.id)
    assert kept is not None
    assert (kept.outcome, kept.reason) == ("failed", "ProviderError")


def test_a_spending_limit_refuses_before_anything_is_asked(
    saved: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_MAX_USD_PER_CALL", "0.0000000001")
    router = R2Router.from_pretrained(saved, pool=at(server.url), embedder=LetterEmbedder())
    asked = router.stream("hello")
    with pytest.raises(SpendLimitError, match="R2_MAX_USD_PER_CALL"):
        asyncio.run(asked.result())
    assert server.requests == []
    kept = router.ledger.find(asked.id)
    assert kept is not None
    assert kept.outcome == "refused"


def test_a_missing_key_leaves_the_model_out_and_names_the_variable(
    saved: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = at(server.url)
    keyed = Pool(pool.name, {m.name: replace(m, api_key_env="SOME_API_KEY") for m in pool})
    router = R2Router.from_pretrained(saved, pool=keyed, embedder=LetterEmbedder())
    assert router.route_text("hello").model  # routing needs no key
    with pytest.raises(NoCandidateError, match="SOME_API_KEY is not set"):
        router.route_and_generate("hello")
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-0123456789")
    answer = router.route_and_generate("hello")
    assert server.requests[-1].headers["authorization"] == "Bearer sk-very-secret-0123456789"
    assert "very-secret" not in repr(answer) + repr(router._settings) + str(answer.to_dict())


def test_a_configured_server_answers_for_every_model_with_its_own_key(saved: Path, server: ChatServer) -> None:
    pool = make_pool()  # no base_url: these would be local models
    router = R2Router.from_pretrained(
        saved, pool=pool, embedder=LetterEmbedder(), llm_api_base=server.url, llm_api_key="sk-argument-0123456789"
    )
    assert router.route_and_generate("hello").text == "Rome."
    assert server.requests[-1].headers["authorization"] == "Bearer sk-argument-0123456789"


def test_a_stream_left_early_keeps_what_came(router: R2Router, server: ChatServer) -> None:
    async def first_piece() -> str:
        async for piece in asked:
            await asked.aclose()
            return piece
        return ""

    asked = router.stream("hello")
    assert asyncio.run(first_piece()) == "Rome"
    assert asked.answer is not None
    assert asked.answer.partial
    kept = router.ledger.find(asked.id)
    assert kept is not None
    assert kept.outcome == "partial"


def test_works_inside_a_running_event_loop(router: R2Router) -> None:
    async def notebook() -> str:
        return router.route_and_generate("hello").text

    assert asyncio.run(notebook()) == "Rome."


FAULTS = (fails(503), fails(404), resets(), resets("half "))


async def one_in_five_fails(exchange: Exchange) -> None:
    chance = random.Random(len(exchange.server.requests))
    await (chance.choice(FAULTS) if chance.random() < 0.2 else says("Ro", "me"))(exchange)


@pytest.mark.slow
def test_five_hundred_at_once_all_end_and_the_ledger_adds_up(router: R2Router, server: ChatServer) -> None:
    async def ask_all() -> list[Answer | BaseException]:
        asked = [router.stream(f"question {i}", options=QUICK) for i in range(500)]
        results = await asyncio.gather(*(a.result() for a in asked), return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return results

    server.then(one_in_five_fails)
    results = asyncio.run(ask_all())
    assert all(isinstance(result, (Answer, ProviderError)) for result in results)
    assert sum(isinstance(result, Answer) for result in results) > 450
    tried = [attempt for result in results for attempt in result.attempts]  # type: ignore[union-attr]
    assert len(tried) == len(server.requests) > 550
    found = stats(router.ledger)
    assert found.calls == 500
    assert round(found.cost_usd, 9) == pytest.approx(sum(a.cost_usd for a in tried), abs=1e-6)
    with router.ledger.reading() as db:
        assert db is not None
        assert db.execute("SELECT COUNT(*) FROM reservations").fetchone() == (0,)
        spent = db.execute("SELECT SUM(nanos) FROM spend").fetchone()[0]
    assert spent == pytest.approx(sum(a.cost_usd for a in tried) * 1e9, abs=len(tried))


# -- what it may cost, before it is asked --------------------------------------------------------------------------


def test_a_quote_names_what_is_asked_then_and_asks_nothing(router: R2Router, server: ChatServer) -> None:
    async def quoted() -> None:
        stream = router.ask(Request.read(QUESTION, budget="unlimited"))
        candidate, most_usd = await stream.quote(router.guard)
        assert not server.requests
        assert candidate == stream.decision.best
        assert most_usd > candidate.predicted_cost_usd
        answer = await stream.result()
        assert (answer.model, answer.budget) == (candidate.model, candidate.budget)
        assert answer.cost_usd <= most_usd

    asyncio.run(quoted())
    assert len(server.requests) == 1
    assert stats(router.ledger).calls == 1


def test_a_quote_is_of_what_the_spending_limits_leave(
    saved: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_MAX_USD_PER_CALL", "0.0001")
    router = R2Router.from_pretrained(saved, pool=at(server.url), embedder=LetterEmbedder())

    async def quoted(**wishes: object) -> tuple[str, float]:
        stream = router.ask(Request.read(QUESTION, **wishes))  # type: ignore[arg-type]
        candidate, most_usd = await stream.quote(router.guard)
        return candidate.label, most_usd

    label, most_usd = asyncio.run(quoted(worth_usd=100))
    assert most_usd <= 0.0001
    assert label != router.route_text(QUESTION, worth_usd=100).best.label
    with pytest.raises(SpendLimitError, match="R2_MAX_USD_PER_CALL"):
        asyncio.run(quoted(model="model-2", budget="unlimited"))
    assert not server.requests


def test_what_is_refused_before_it_is_asked_is_recorded_as_that(router: R2Router, server: ChatServer) -> None:
    stream = router.ask(Request.read(QUESTION))
    with pytest.raises(SpendLimitError, match="no"):
        stream.refuse(SpendLimitError("no"))
    entry = router.ledger.find(stream.id)
    assert entry is not None
    assert (entry.outcome, entry.reason) == ("refused", "SpendLimitError")
    assert not server.requests
