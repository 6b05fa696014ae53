"""A judge of the pool says which of two answers is better: in both orders, once, never over what the user said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chat_server import Behaviour, ChatServer, Exchange, chat_server, fails, says
from support.collecting import model

from r2_router.batches.each import MemoryLimit
from r2_router.config.settings import load_settings
from r2_router.generate.providers import Providers
from r2_router.lab.collecting.judging import RunJudge
from r2_router.lab.learning.judged_pairs import JudgedPairs, judge_pairs, pairs_ahead
from r2_router.ledger import Entry, Ledger, SpendGuard
from r2_router.ledger.labels import prefer, preferences, sampled_pairs
from r2_router.ledger.loop_guard import LoopGuard


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3", log_text=True) as ledger:
        yield ledger


def write(ledger: Ledger, query: str, **said: str) -> dict[str, str]:
    """Ids of an answer of each model to `query`."""
    fields = {"face": "cli", "outcome": "answered", "budget": 100, "output_tokens": 3, "query": query}
    return {name: ledger.record(Entry(**fields, model=name), said=text) for name, text in said.items()}  # type: ignore[arg-type]


def judged(ledger: Ledger, server: ChatServer, max_usd: float = 1.0) -> JudgedPairs:
    guard = LoopGuard(SpendGuard(ledger, None, None), ledger)
    ask = RunJudge(model("judge", server.url), Providers(load_settings()).resolve, guard, MemoryLimit(max_usd))
    return asyncio.run(judge_pairs(ledger, sampled_pairs(ledger, 1.0), ask))


def finds_better(text: str) -> Behaviour:
    """A judge that prefers the answer `text`, wherever it stands."""

    async def behave(exchange: Exchange) -> None:
        shown = exchange.body["messages"][1]["content"]
        first = shown.split("<<FIRST")[1].split("<<END")[0]
        await says("BETTER: FIRST" if text in first else "BETTER: SECOND")(exchange)

    return behave


def noted(ledger: Ledger) -> list[tuple[str, str]]:
    return [(better.model, worse.model) for better, worse in preferences(ledger)]


@pytest.mark.parametrize("right", ["small", "large"])
def test_the_better_answer_is_noted_once_as_the_judges(ledger, right):
    said = {name: "It is 2." if name == right else "It is 3." for name in ("small", "large")}
    write(ledger, "What is 1 + 1?", **said)
    with chat_server(finds_better("It is 2.")) as server:
        told = judged(ledger, server)
        assert judged(ledger, server).waiting == 0
        assert len(server.requests) == 2  # each order once
    assert (told.preferred, told.ties) == (1, 0)
    [(better, worse)] = noted(ledger)
    assert (better, {better, worse}) == (right, {"small", "large"})
    with ledger.reading() as db:
        assert db is not None
        assert db.execute("SELECT preferred_by FROM preferences").fetchall() == [("judge:judge",)]


@pytest.mark.parametrize("verdict", ["FIRST", "SECOND", "TIE"])
def test_a_judge_that_contradicts_itself_found_a_tie_half_a_win_each(ledger, verdict):
    write(ledger, "What is 1 + 1?", small="It is 2.", large="Two.")
    with chat_server(says(f"BETTER: {verdict}")) as server:
        told = judged(ledger, server)
        assert judged(ledger, server).waiting == 0
    assert (told.preferred, told.ties) == (0, 1)
    assert sorted(noted(ledger)) == [("large", "small"), ("small", "large")]


def test_what_the_user_says_takes_the_place_of_a_tie_and_stays(ledger):
    ids = write(ledger, "What is 1 + 1?", small="It is 2.", large="Two.")
    with chat_server(says("BETTER: TIE")) as server:
        judged(ledger, server)
        prefer(ledger, ids["small"], ids["large"])
        assert judged(ledger, server).waiting == 0
    assert noted(ledger) == [("small", "large")]


def test_no_verdict_and_no_money_note_nothing(ledger):
    write(ledger, "What is 1 + 1?", small="It is 2.", large="Two.")
    with chat_server(says("Who knows?")) as server:
        assert judged(ledger, server).ungraded == 1
        asked = len(server.requests)
        assert "may cost $" in judged(ledger, server, 1e-7).stopped
        assert len(server.requests) == asked
    with chat_server(fails(400)) as server:
        assert judged(ledger, server).failed == 1
    assert noted(ledger) == []
    assert "1 pair of answers" in pairs_ahead(model("judge", server.url), sampled_pairs(ledger, 1.0), 1.0)[0]


def test_pairs_are_of_one_query_and_two_candidates(ledger):
    write(ledger, "What is 1 + 1?", small="It is 2.")
    write(ledger, "What is 1 + 1?", small="Two.")
    write(ledger, "What is 2 + 2?", large="It is 4.")
    assert sampled_pairs(ledger, 1.0) == []
    assert JudgedPairs(judge="j", waiting=0).lines() == []
    write(ledger, "What is 1 + 1?", large="It is 2.")
    [((a, one), (b, other))] = sampled_pairs(ledger, 1.0)
    assert (a.model, one, b.model, other) == ("small", "Two.", "large", "It is 2.")
