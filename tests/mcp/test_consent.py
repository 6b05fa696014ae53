"""R2_CONFIRM_ABOVE_USD: nothing above it is spent unless the user said so, whatever client he uses."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.context import ClientRequestContext
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from support.chat_server import ChatServer, fails, says
from support.mcp_client import ERAS, KEY, KEY_VARIABLE, QUERY, make_router, own_pool, provided, serve, serving, words

from r2_router import R2Router
from r2_router.ledger import stats

pytestmark = pytest.mark.anyio

TOOL = "route_and_generate"
DEAR: dict[str, Any] = {"query": QUERY, "model": "model-2", "budget": "unlimited"}

ANSWERS = {
    "accepts": (ElicitResult(action="accept", content={"go_on": True}), ""),
    "accepts without a word": (ElicitResult(action="accept", content={}), ""),
    "unticks": (ElicitResult(action="accept", content={"go_on": False}), "the user declined"),
    "declines": (ElicitResult(action="decline"), "the user declined"),
    "cancels": (ElicitResult(action="cancel"), "the user closed the question"),
    "cannot": (None, "the user wants to be asked first, which this client cannot do"),
}
EVERY_ANSWER = pytest.mark.parametrize(("answer", "refused"), ANSWERS.values(), ids=list(ANSWERS))


class User:
    """Answers every question alike, and remembers them. With no answer at all, its client cannot ask."""

    def __init__(self, answer: ElicitResult | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    @property
    def callback(self) -> Any:
        return None if self.answer is None else self._tell

    async def _tell(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema["properties"]["go_on"]["type"] == "boolean"
        assert self.answer is not None
        self.asked.append(params.message)
        return self.answer


@pytest.fixture
def asking(tmp_path: Path, provider: ChatServer, monkeypatch: pytest.MonkeyPatch) -> R2Router:
    """Routes, asks `provider`, and its user wants to be asked before anything is paid."""
    monkeypatch.setenv("R2_CONFIRM_ABOVE_USD", "0")
    return make_router(tmp_path, provided(provider.url))


@pytest.mark.parametrize("era", ERAS)
@EVERY_ANSWER
async def test_what_the_user_says_is_done(
    asking: R2Router, provider: ChatServer, era: Any, answer: ElicitResult | None, refused: str
) -> None:
    user = User(answer)
    async with Client(serve(asking), mode=era, elicitation_callback=user.callback) as client:
        result = await client.call_tool(TOOL, DEAR)
    entry = next(iter(asking.ledger.entries()))
    if not refused:
        assert not result.is_error, words(result)
        assert (len(provider.requests), entry.outcome) == (1, "answered")
    else:
        assert result.is_error
        assert refused in words(result)
        assert "model-2 @ unlimited was not asked: it may cost up to $" in words(result)
        assert "only the user can raise R2_CONFIRM_ABOVE_USD" in words(result)
        assert not provider.requests
        assert (entry.outcome, entry.reason, entry.cost_usd) == ("refused", "SpendLimitError", None)
        assert stats(asking.ledger).cost_usd == 0
    assert len(user.asked) == (answer is not None)
    for question in user.asked:
        assert "model-2 @ unlimited is expected to cost $" in question
        assert "may cost up to $0.0295: more than the $0.00 that R2_CONFIRM_ABOVE_USD lets pass unasked" in question


async def test_what_is_asked_about_is_the_most_that_is_reserved(
    tmp_path: Path, provider: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expected cost may be far below: it is the answer that runs to its cap that must not surprise."""
    monkeypatch.setenv("R2_CONFIRM_ABOVE_USD", "0.02")
    router, user = make_router(tmp_path, provided(provider.url)), User(ElicitResult(action="decline"))
    async with Client(serve(router), elicitation_callback=user.callback) as client:
        small = await client.call_tool(TOOL, {**DEAR, "budget": "100"})
        large = await client.call_tool(TOOL, DEAR)
    assert not small.is_error, words(small)
    assert large.is_error
    assert len(user.asked) == len(provider.requests) == 1


async def test_a_model_that_costs_nothing_is_asked_at_once(
    tmp_path: Path, provider: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_CONFIRM_ABOVE_USD", "0")
    free = {"input_usd_per_million": 0.0, "output_usd_per_million": 0.0}
    pool = provided(provider.url)
    router = make_router(tmp_path, replace(pool, models={m.name: replace(m, **free) for m in pool}))
    user = User(ElicitResult(action="decline"))
    async with Client(serve(router), elicitation_callback=user.callback) as client:
        result = await client.call_tool(TOOL, {"query": QUERY})
    assert not result.is_error, words(result)
    assert not user.asked


async def test_a_fallback_stays_within_what_was_agreed(asking: R2Router, provider: ChatServer) -> None:
    """Of three models the first is gone; the dearest was not agreed to, whatever it would be worth."""
    provider.then(fails(404, "no such model"), says("from another"))
    user = User(ElicitResult(action="accept", content={"go_on": True}))
    arguments = {"query": QUERY, "budget": "100", "worth_usd": 0, "models": "model-1,model-2"}
    async with Client(serve(asking), elicitation_callback=user.callback) as client:
        result = await client.call_tool(TOOL, arguments)
    assert result.is_error
    assert "model-2 @ 100 was not asked" in words(result)
    assert "the user agreed to $" in words(result)
    assert [body["model"] for body in provider.bodies] == ["vendor/model-1"]


async def test_a_spending_limit_is_minded_before_the_user_is_asked(
    tmp_path: Path, provider: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked about an answer that cannot be had."""
    monkeypatch.setenv("R2_CONFIRM_ABOVE_USD", "0")
    monkeypatch.setenv("R2_MAX_USD_PER_CALL", "0.0005")
    router, user = make_router(tmp_path, provided(provider.url)), User(ElicitResult(action="decline"))
    async with Client(serve(router), elicitation_callback=user.callback) as client:
        refused = await client.call_tool(TOOL, DEAR)
        declined = await client.call_tool(TOOL, {"query": QUERY, "worth_usd": 1})
    assert "R2_MAX_USD_PER_CALL" in words(refused)
    assert "the user declined" in words(declined)
    assert len(user.asked) == 1
    assert not any("unlimited" in question for question in user.asked)
    assert not provider.requests


async def test_without_the_setting_nobody_is_asked(answering: R2Router) -> None:
    user = User(ElicitResult(action="decline"))
    async with Client(serve(answering), elicitation_callback=user.callback) as client:
        result = await client.call_tool(TOOL, DEAR)
    assert not result.is_error, words(result)
    assert not user.asked


async def test_a_setting_that_is_no_money_names_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_CONFIRM_ABOVE_USD", "a lot")
    async with Client(serve(lambda: make_router(tmp_path))) as client:
        result = await client.call_tool(TOOL, {"query": QUERY})
    assert "R2_CONFIRM_ABOVE_USD" in words(result)


# -- over the wire ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
@EVERY_ANSWER
async def test_over_stdio(provider: ChatServer, era: Any, answer: ElicitResult | None, refused: str) -> None:
    environment = {"R2_POOL": str(own_pool(provider.url)), KEY_VARIABLE: KEY, "R2_CONFIRM_ABOVE_USD": "0"}
    started = StdioServerParameters(command=sys.executable, args=["-m", "r2_mcp"], env={**os.environ, **environment})
    user = User(answer)
    async with Client(started, mode=era, elicitation_callback=user.callback) as client:
        result = await client.call_tool(TOOL, {"query": QUERY})
    assert result.is_error == bool(refused), words(result)
    assert refused in words(result)
    assert len(provider.requests) == (not refused)
    assert len(user.asked) == (answer is not None)


@asynccontextmanager
async def _client(router: R2Router, era: Any, user: User, **options: Any) -> AsyncGenerator[Client]:
    async with (
        serving(router, **options) as url,
        Client(f"{url}/mcp", mode=era, elicitation_callback=user.callback) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
@EVERY_ANSWER
async def test_over_http(
    asking: R2Router, provider: ChatServer, era: Any, answer: ElicitResult | None, refused: str
) -> None:
    """A client of the older protocol needs a session to be asked."""
    user = User(answer)
    async with _client(asking, era, user, stateless=era != "legacy") as client:
        result = await client.call_tool(TOOL, DEAR)
    assert result.is_error == bool(refused), words(result)
    assert refused in words(result)
    assert len(provider.requests) == (not refused)
    assert len(user.asked) == (answer is not None)


@pytest.mark.slow
async def test_over_http_without_sessions_the_older_protocol_has_no_way_back(
    asking: R2Router, provider: ChatServer
) -> None:
    user = User(ElicitResult(action="accept", content={"go_on": True}))
    async with _client(asking, "legacy", user) as client:
        result = await client.call_tool(TOOL, DEAR)
    assert "this client cannot do" in words(result)
    assert not user.asked
    assert not provider.requests


@pytest.mark.slow
async def test_a_server_that_keeps_sessions_asks_clients_of_the_older_protocol(provider: ChatServer) -> None:
    environment = {"R2_POOL": str(own_pool(provider.url)), KEY_VARIABLE: KEY, "R2_CONFIRM_ABOVE_USD": "0"}
    command = [sys.executable, "-m", "r2_mcp", "--transport", "streamable-http", "--port", "0", "--sessions"]
    user = User(ElicitResult(action="accept", content={"go_on": True}))
    with subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = await asyncio.to_thread(process.stderr.readline)
            url = line.removeprefix("r2-mcp: ").strip()
            async with Client(url, mode="legacy", elicitation_callback=user.callback) as client:
                result = await client.call_tool(TOOL, {"query": QUERY})
        finally:
            process.kill()
    assert not result.is_error, words(result)
    assert len(user.asked) == len(provider.requests) == 1
