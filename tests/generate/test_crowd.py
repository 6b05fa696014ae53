"""Five hundred generations at once against a server that fails one request in five."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter

import pytest
from support.chat_server import chat_server
from support.faulty import OneInFiveFails
from support.generations import Books, candidate, generation, options

from r2_router.errors import ProviderError
from r2_router.generate import Answer
from r2_router.generate.sync import stop

pytestmark = pytest.mark.slow

CROWD = 500


def _sockets() -> int:
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("open files cannot be counted here")
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


async def _ask_all(url: str, books: Books) -> list[Answer | BaseException]:
    models = [candidate("a"), candidate("b"), candidate("c")]
    limits = options(first_token_s=600, idle_s=600)
    asked = [generation(url, models, guard=books, options=limits).result() for _ in range(CROWD)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return results


def test_every_call_ends_and_the_books_balance() -> None:
    books = Books()
    stop()  # the loop that another test of this process started
    gc.collect()
    with chat_server(OneInFiveFails()) as server:
        before = _sockets()
        results = asyncio.run(_ask_all(server.url, books))
        assert server.wait_closed()
        gc.collect()
        assert _sockets() == before
        asked = len(server.requests)
    assert "r2-router" not in [thread.name for thread in threading.enumerate()]

    answers = [result for result in results if isinstance(result, Answer)]
    errors = [result for result in results if not isinstance(result, Answer)]
    assert all(isinstance(error, ProviderError) for error in errors), errors
    assert len(answers) >= 0.97 * CROWD
    whole = Counter((a.text, a.partial) for a in answers)
    assert set(whole) == {("Rome", False), ("half ", True)}
    assert whole["half ", True] < 0.1 * CROWD

    tries = [attempt for result in results for attempt in result.attempts]  # type: ignore[union-attr]
    assert books.balanced
    assert len(tries) == len(books.reserved) == asked > CROWD
    assert books.spent == pytest.approx(sum(attempt.cost_usd for attempt in tries))
    assert sum(a.cost_usd for a in answers) <= books.spent * 1.000001
