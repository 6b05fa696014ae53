"""Several people ask one gateway: each with a token, limits and a worth of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.chat_server import ChatServer, Exchange, chat_server, says
from support.gateway import KEY, KEY_VARIABLE, make_router, serving
from support.ledgers import rows
from support.postgres import postgres_server

from r2_router import R2Router
from r2_router.acting import Caller
from r2_router.errors import ConfigError
from r2_router.gateway.app import gateway_app
from r2_router.ledger import stats
from r2_router.ledger.named_tokens import Tokens

pytestmark = pytest.mark.anyio

SUMS = ("SELECT sum(nanos) FROM spend", "SELECT sum(cost_nanos) FROM entries")

BODY: dict[str, Any] = {"model": "r2", "messages": [{"role": "user", "content": "Where is the colosseum?"}]}


@asynccontextmanager
async def asking(router: R2Router, **options: Any) -> AsyncGenerator[Any]:
    """Post BODY with a token, and more of it."""
    async with serving(router, **options) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:

        async def ask(token: str, **more: Any) -> httpx.Response:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return await http.post("/v1/chat/completions", json={**BODY, **more}, headers=headers)

        yield ask


async def test_each_request_is_its_callers(router: R2Router, provider: ChatServer) -> None:
    tokens = Tokens(router.ledger)
    alice, bob = tokens.add(Caller("alice")), tokens.add(Caller("bob"))
    async with asking(router, token="the-owners-own") as ask:
        asked = [alice, bob, alice, "the-owners-own"] * 5
        answers = await asyncio.gather(*(ask(token, stream=i % 2 == 0) for i, token in enumerate(asked)))
    assert {answer.status_code for answer in answers} == {200}
    names = [entry.caller for entry in router.ledger.entries()]
    assert {name: names.count(name) for name in ("alice", "bob", None)} == {"alice": 10, "bob": 5, None: 5}
    found = stats(router.ledger)
    assert {c.caller for c in found.callers} == {"alice", "bob"}
    assert sum(c.cost_usd for c in found.callers) == pytest.approx(found.cost_usd * 0.75, rel=0.5)


async def test_strangers_and_those_who_left_are_refused(router: R2Router, provider: ChatServer) -> None:
    tokens = Tokens(router.ledger)
    alice = tokens.add(Caller("alice"))
    app = gateway_app(router, host="0.0.0.0", allowed_hosts=["r2.example"])  # a named token is one
    assert app is not None
    async with asking(router) as ask:
        assert [(await ask(token)).status_code for token in (alice, "", "r2-nobodys", alice[:-1])] == [
            200,
            401,
            401,
            401,
        ]
    tokens.remove("alice")
    tokens.add(Caller("bob"))
    async with asking(router) as ask:
        refused = await ask(alice)
    assert refused.status_code == 401
    assert alice not in refused.text
    tokens.remove("bob")
    with pytest.raises(ConfigError, match="r2-router token add NAME"):
        gateway_app(router, host="0.0.0.0", allowed_hosts=["r2.example"])


async def test_a_callers_limit_is_never_passed_and_is_said_as_theirs(router: R2Router, provider: ChatServer) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    provider.then(says("In ", "Rome.", usage=usage))
    tokens = Tokens(router.ledger)
    most = 0.002
    alice, bob = tokens.add(Caller("alice", max_usd_per_day=most)), tokens.add(Caller("bob"))
    async with asking(router) as ask:
        answers = await asyncio.gather(*(ask(alice, model="model-2", max_tokens=200) for _ in range(30)))
        assert (await ask(bob, model="model-2")).status_code == 200
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {402}
    assert "the token of alice allows $0.002 a day" in refused[0].json()["error"]["message"]
    assert refused[0].headers["x-should-retry"] == "false"
    spent = {c.caller: c.cost_usd for c in stats(router.ledger).callers}
    assert spent["alice"] > 0
    entries = router.ledger.entries("caller = 'alice' AND outcome = 'answered'")
    assert len(entries) == 30 - len(refused)


async def test_a_callers_worth_holds_where_the_request_says_none(router: R2Router) -> None:
    tokens = Tokens(router.ledger)
    rich, thrifty = tokens.add(Caller("rich", worth_usd=0.5)), tokens.add(Caller("thrifty", preset="economy"))
    async with asking(router) as ask:
        worths = [
            float((await ask(token, **more)).headers["x-r2-worth-usd"])
            for token, more in (
                *((rich, {}), (rich, {"model": "r2:economy"}), (rich, {"r2": {"worth_usd": 0.25}})),
                (thrifty, {}),
            )
        ]
    economy = router.presets["economy"].worth_usd
    assert worths == pytest.approx([0.5, economy, 0.25, economy], rel=1e-4)


async def test_where_the_tokens_are_away_nobody_is_let_in(router: R2Router, monkeypatch: pytest.MonkeyPatch) -> None:
    from r2_router.errors import LedgerError

    def away(*_: object) -> None:
        raise LedgerError("The ledger is away.")

    async with asking(router) as ask:
        monkeypatch.setattr(Tokens, "find", away)
        refused = await ask("any")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["error"]["message"] == "The ledger is away."


@pytest.mark.slow
async def test_while_the_database_fails_over_streams_end_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs is answered; a new call under a limit is refused while the limit cannot be kept; then all goes on, and
    the sums hold what was billed meanwhile."""
    monkeypatch.setenv("R2_MAX_USD_PER_DAY", "1000")
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    half, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def waits(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.say("In ")
        loop.call_soon_threadsafe(half.set)
        await asyncio.to_thread(go_on.wait)
        await exchange.say("Rome.")
        await exchange.finish(usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12})

    with postgres_server() as database, chat_server(waits) as provider:
        monkeypatch.setenv("R2_LEDGER_URL", place := database.database())
        router = make_router(provider, tmp_path)
        async with asking(router) as ask:
            running = asyncio.create_task(ask("", stream=True))
            await half.wait()
            database.stop("immediate")
            provider.then(says("In ", "Rome."))
            refused = await ask("")
            go_on.set()
            whole = await running
            database.start()
            router.ledger.database._away_until = 0.0
            after = await ask("")
        router.ledger.close()
        entries = rows(place, "SELECT outcome, count(*) FROM entries GROUP BY outcome ORDER BY outcome")
        sums = {int(rows(place, sum_)[0][0]) for sum_ in SUMS}
        left = rows(place, "SELECT count(*) FROM reservations")
    assert (whole.status_code, whole.text.count("Rome."), whole.text.endswith("data: [DONE]\n\n")) == (200, 1, True)
    assert refused.status_code == 503
    assert "R2_MAX_USD_PER_DAY cannot be kept" in refused.json()["error"]["message"]
    assert after.status_code == 200
    assert dict(entries)["answered"] == 2
    assert len(sums) == 1
    assert left == [(0,)]
