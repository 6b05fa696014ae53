"""A judge of the pool labels what the user did not, once, and never beyond what it may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, chat_server, fails, says
from support.collecting import model

from r2_router.batches.each import MemoryLimit
from r2_router.config.settings import load_settings
from r2_router.generate.providers import Providers
from r2_router.lab.collecting.judging import RunJudge
from r2_router.lab.learning.judged import Judged, ahead, judge_answers
from r2_router.ledger import Entry, Ledger, SpendGuard
from r2_router.ledger.labels import sampled
from r2_router.ledger.loop_guard import LoopGuard

PRICE = (10 * 1.0 + 5 * 2.0) / 1e6  # of what the server says it read and wrote


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3", log_text=True) as ledger:
        yield ledger


def write(ledger: Ledger, count: int, **changes: object) -> list[str]:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "output_tokens": 3}
    return [
        ledger.record(Entry(**{**fields, "query": f"What is {i} + 1?", **changes}), said=f"It is {i + 1}.")  # type: ignore[arg-type]
        for i in range(count)
    ]


def judged(ledger: Ledger, server: ChatServer, max_usd: float = 1.0, per_day: float | None = None) -> Judged:
    guard = LoopGuard(SpendGuard(ledger, None, per_day), ledger)
    ask = RunJudge(model("judge", server.url), Providers(load_settings()).resolve, guard, MemoryLimit(max_usd))
    return asyncio.run(judge_answers(ledger, sampled(ledger, 1.0), ask))


def test_each_answer_is_judged_once_and_the_label_says_by_whom(ledger):
    ids = write(ledger, 3)
    with chat_server(says("Right.\nGRADE: 0.75")) as server:
        told = judged(ledger, server)
        assert judged(ledger, server).waiting == 0
        assert len(server.requests) == 3
    assert (told.labels, told.quality, told.cost_usd) == (3, 0.75, pytest.approx(3 * PRICE))
    found = [ledger.find(answer_id) for answer_id in ids]
    assert [(entry.quality, entry.quality_by) for entry in found] == [(0.75, "judge:judge")] * 3
    asked = {body["messages"][1]["content"].split("\n")[1] for body in server.bodies}
    assert asked == {f"What is {i} + 1?" for i in range(3)}
    assert all("It is" in body["messages"][1]["content"] for body in server.bodies)


def test_what_the_user_said_comes_first_and_stays(ledger):
    before, meanwhile = write(ledger, 2)
    ledger.set_quality(before, 1.0)
    waiting = sampled(ledger, 1.0)
    assert [entry.id for entry, _ in waiting] == [meanwhile]
    ledger.set_quality(meanwhile, 1.0)
    for answer_id in (before, meanwhile):
        ledger.set_quality(answer_id, 0.0, "judge:x")
    ledger.set_quality(write(ledger, 1)[0], 0.0, "judge:x")
    assert [(e.quality, e.quality_by) for e in ledger.entries()] == [(1.0, None), (1.0, None), (0.0, "judge:x")]
    ledger.set_quality(ledger.entries()[-1].id, 0.5)
    assert (ledger.entries()[-1].quality, ledger.entries()[-1].quality_by) == (0.5, None)


def test_the_limit_of_a_run_is_never_passed_and_the_next_run_goes_on(ledger):
    write(ledger, 6)
    with chat_server(says("GRADE: 1")) as server:
        limit = 2.5 / 6 * ahead(model("judge", server.url), sampled(ledger, 1.0)).most_usd
        told = judged(ledger, server, limit)
        assert told.cost_usd <= limit
        assert "may cost $" in told.stopped
        assert any(line.startswith("Stopped:") for line in told.lines())
        assert 0 < told.labels < 6
        assert judged(ledger, server).labels == 6 - told.labels
        assert len(server.requests) == 6


def test_the_users_own_limit_holds_besides(ledger):
    write(ledger, 3)
    with chat_server(says("GRADE: 1")) as server:
        told = judged(ledger, server, per_day=1e-6)
        assert not server.requests
    assert "R2_MAX_USD_PER_DAY" in told.stopped
    assert all(entry.quality_by is None for entry in ledger.entries())


def test_no_grade_is_no_label_and_is_not_asked_for_again(ledger):
    write(ledger, 2)
    with chat_server(says("I would rather not say.")) as server:
        told = judged(ledger, server)
        assert judged(ledger, server).waiting == 0
    assert (told.labels, told.ungraded, told.quality) == (0, 2, None)
    assert [entry.quality for entry in ledger.entries()] == [None, None]


def test_a_judge_that_fails_is_given_up_and_nothing_is_noted(ledger):
    write(ledger, 30)
    with chat_server(fails(400)) as server:
        told = judged(ledger, server)
        assert 8 <= len(server.requests) < 16
    assert told.stopped
    assert told.failed >= 8
    assert len(sampled(ledger, 1.0)) == 30


def test_a_share_is_the_same_in_every_run_and_grows(ledger):
    write(ledger, 300)
    few = [entry.id for entry, _ in sampled(ledger, 0.2)]
    assert 30 < len(few) < 90
    assert [entry.id for entry, _ in sampled(ledger, 0.2)] == few
    assert set(few) < {entry.id for entry, _ in sampled(ledger, 0.4)}
    for answer_id in few:
        ledger.set_quality(answer_id, None, "judge:x")
    assert sampled(ledger, 0.2) == []


def test_answers_without_text_are_no_matter_for_a_judge(tmp_path):
    with Ledger(tmp_path / "l.sqlite3") as ledger:
        write(ledger, 2)
        assert sampled(ledger, 1.0) == []
        assert "R2_LOG_TEXT=1" in Judged(judge="j", waiting=0, own=0).lines()[0]
        ledger.log_text = True
        write(ledger, 1, outcome="partial")
        assert sampled(ledger, 1.0) == []


def test_its_own_answers_are_counted(ledger):
    write(ledger, 2, model="judge")
    with chat_server(says("GRADE: 1")) as server:
        told = judged(ledger, server)
    assert told.own == 2
    assert any("its own" in line for line in told.lines())
