import asyncio
import json

import pytest
from support.chat_server import chat_server, fails, hangs, resets, says
from support.collecting import make_plan
from support.paying_server import Till, answer_to

from r2_router.errors import SpendLimitError
from r2_router.generate import Endpoint, Options
from r2_router.lab.collecting.answers import Store
from r2_router.lab.collecting.plan import Pace
from r2_router.lab.collecting.run import ask_all

QUICK = Options(backoff_s=0.001, first_token_s=20.0, idle_s=20.0, tries=2)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "answers.sqlite3") as opened:
        yield opened


def ask(store, plan, **given):
    store.add_questions(plan.questions)
    given = {"options": QUICK, "resolve": lambda m: Endpoint(m.base_url), **given}
    return asyncio.run(ask_all(plan, store, **given))


@pytest.mark.slow
def test_every_cell_is_asked_once_with_instruction_cap_and_temperature(store):
    till = Till(remembers=True)
    with chat_server(till.behaviour) as server:
        plan = make_plan(server.url)
        outcome = ask(store, plan)
        assert outcome.answers == 12
        assert outcome.failures == 0
        again = ask(store, plan)
        assert again.answers == 0
        assert till.requests == 12
        limited = [b for b in server.bodies if b["max_tokens"] == 20]
        unlimited = [b for b in server.bodies if b["max_tokens"] == 100]
    assert len(limited) == len(unlimited) == 6
    assert all(b["messages"][-1]["content"].endswith("\n\nUnder 14 words.") for b in limited)
    assert all(b["messages"][-1]["content"].endswith("?") is False for b in unlimited if "Under" in json.dumps(b))
    assert all(b["temperature"] == 0.0 for b in server.bodies)
    keys = [exchange.headers["idempotency-key"] for exchange in server.requests]
    assert len(set(keys)) == 12
    assert {a.text for a in store.answers()} == {answer_to(b) for b in server.bodies}
    assert store.spent_usd == pytest.approx(12 * (10 * 1.0 + 5 * 2.0) / 1e6)


@pytest.mark.slow
def test_no_more_is_asked_at_once_than_allowed(store):
    most = now = 0

    async def counting(exchange):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await says("42")(exchange)
        now -= 1

    with chat_server(counting) as server:
        ask(store, make_plan(server.url, 12, models=("a",)), paces={"a": Pace(concurrency=3)})
    assert 1 <= most <= 3


def test_requests_a_minute_are_kept(store):
    """Three a minute: the fourth would come too soon, so a run that is ended early made three."""
    with chat_server(says("42")) as server:
        plan = make_plan(server.url, 6, models=("a",))
        store.add_questions(plan.questions)

        async def shortly():
            paces = {"a": Pace(concurrency=4, requests_per_minute=3)}
            task = asyncio.create_task(ask_all(plan, store, resolve=lambda m: Endpoint(m.base_url), paces=paces))
            while len(store.answered()) < 3:
                await asyncio.sleep(0)
            for _ in range(2000):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(shortly())
        assert len(server.requests) == 3


def test_the_limit_ends_the_run_before_it_is_passed(store):
    with chat_server(says("42")) as server:
        plan = make_plan(server.url, 20, models=("a",))
        most = max(plan.most_usd(cell) for cell in plan.cells(plan.models[0]))
        outcome = ask(store, plan, max_usd=3 * most, paces={"a": Pace(4)})
        assert "--max-usd" in outcome.over_limit
        assert 0 < outcome.answers < 40
    assert store.spent_usd <= 3 * most
    assert not [loss for loss in store.losses() if loss[4]]


def test_the_user_s_own_limits_end_it_too(store):
    class Full:
        async def reserve(self, candidate, worst_case_usd):
            raise SpendLimitError("R2_MAX_USD_PER_DAY is reached.")

        def settle(self, reservation, cost_usd):
            raise AssertionError("nothing was reserved")

    with chat_server(says("42")) as server:
        outcome = ask(store, make_plan(server.url), guard=Full())
        assert outcome.over_limit == "R2_MAX_USD_PER_DAY is reached."
        assert not server.requests


def test_an_answer_that_breaks_off_is_asked_for_again(store):
    with chat_server(says("42")) as server:
        server.then(resets("It is"), says("It is 42."))
        outcome = ask(
            store, make_plan(server.url, 1, models=("a",), budgets=(20,)), options=Options(backoff_s=0.001, tries=1)
        )
    assert outcome.answers == 1
    assert [a.text for a in store.answers()] == ["It is 42."]
    [(_, _, reason, count, cost)] = store.losses()
    assert (reason.startswith("broke off"), count) == (True, 1)
    assert cost > 0


@pytest.mark.slow
def test_a_model_that_only_fails_is_given_up_and_the_other_goes_on(store):
    async def either(exchange):
        await (fails(404) if exchange.body["model"] == "vendor/a" else says("42"))(exchange)

    told = []
    with chat_server(either) as server:
        plan = make_plan(server.url, 30)
        outcome = ask(store, plan, on_failure=lambda cell, reason: told.append((cell.model.name, reason)))
    assert set(outcome.given_up) == {"a"}
    assert "404" in outcome.given_up["a"]
    assert 8 <= outcome.failures <= 12  # eight in a row, and those under way
    assert {name for name, _ in told} == {"a"}
    assert {a.model for a in store.answers()} == {"b"}
    assert outcome.answers == 60


def test_retries_are_of_one_call(store):
    with chat_server() as server:
        server.then(fails(503), says("42"))
        outcome = ask(store, make_plan(server.url, 1, models=("a",), budgets=(20,)))
        keys = {exchange.headers["idempotency-key"] for exchange in server.requests}
    assert outcome.answers == 1
    assert len(server.requests) == 2
    assert len(keys) == 1


def test_cancelled_it_leaves_what_was_under_way_to_the_next_run(store):
    with chat_server(hangs()) as server:
        plan = make_plan(server.url, 2, models=("a",))
        store.add_questions(plan.questions)

        async def shortly():
            task = asyncio.create_task(ask_all(plan, store, resolve=lambda m: Endpoint(m.base_url)))
            while len(server.requests) < 4:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(shortly())
        assert store.spent_usd > 0
        server.then(says("42"))
        assert ask(store, plan).answers == 4
    assert [loss[2:4] for loss in store.losses()] == [("cut off: may have been billed", 2)] * 2


def sure(*logprobs):
    """Stream an answer, a token for each log-probability, which is told where it is asked for."""

    async def behave(exchange):
        await exchange.start()
        for value in logprobs:
            told = {"content": [{"token": "42", "logprob": value}]} if exchange.body.get("logprobs") else None
            await exchange.event({"choices": [{"index": 0, "delta": {"content": "42 "}, "logprobs": told}]})
        await exchange.finish()

    return behave


def test_how_sure_the_model_was_is_kept_with_its_answer(store):
    with chat_server(sure(-0.5, -1.5)) as server:
        ask(store, make_plan(server.url, 1, models=("a",), budgets=(20,)))
    assert [answer.mean_logprob for answer in store.answers()] == [-1.0]


def test_a_server_that_tells_no_log_probabilities_is_asked_without(store):
    with chat_server(says("42")) as server:
        refusal = json.dumps({"error": {"message": "logprobs is not supported", "param": "logprobs"}}).encode()

        async def refuse(exchange):
            await (exchange.whole(refusal, 400) if "logprobs" in exchange.body else says("42")(exchange))

        server.then(refuse)
        outcome = ask(store, make_plan(server.url, 1, models=("a",), budgets=(20,)))
        assert outcome.answers == 1
    assert [answer.mean_logprob for answer in store.answers()] == [None]
