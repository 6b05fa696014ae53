"""Speeds of this machine's models: measured by real answers, and a model that gives none is left out."""

from __future__ import annotations

import pytest
from support.chat_server import chat_server, fails, says, sends, thinks

from r2_router.pools.listed import Listed
from r2_router.pools.ratings import load_ratings
from r2_router.setup.discover import Offer, Source
from r2_router.setup.measure import measured
from r2_router.setup.ways import Way, all_ways

USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


def way(url: str) -> Way:
    (made,) = all_ways([Offer(Source(provider="", base_url=url), [Listed("qwen3:8b")])], load_ratings())
    assert not made.measured
    return made


def test_one_short_answer_sets_speed_and_price() -> None:
    asked: list[str] = []
    with chat_server(says("yes"), says("a ", "b", usage=USAGE)) as server:
        (got,), failures = measured([way(server.url)], 0.36, asked.append)
    assert (got.measured, failures, asked) == (True, {}, ["qwen3:8b"])
    assert got.speeds is not None
    assert all(0 < speed <= 1e6 for speed in got.speeds)
    assert got.model.output_usd_per_million == pytest.approx(0.36 / 3600 / got.speeds[1] * 1e6)
    first, second = server.bodies  # the first loads the weights
    assert first["max_tokens"] < second["max_tokens"] <= 100


def test_a_model_that_only_thinks_in_so_few_tokens_is_measured_too() -> None:
    with chat_server(thinks("hm ", "hm", usage=USAGE)) as server:
        (got,), failures = measured([way(server.url)], 0.05, lambda _: None)
    assert (got.measured, failures) == (True, {})


def test_one_that_gives_no_answer_is_left_out_and_said_why() -> None:
    with chat_server(fails(500, "out of memory")) as bad, chat_server(sends(b"<html>")) as worse:
        kept, failures = measured([way(bad.url)], 0.05, lambda _: None)
        more, failures_more = measured([way(worse.url)], 0.05, lambda _: None)
    assert kept == more == []
    assert "out of memory" in failures["qwen3:8b"]
    assert failures_more["qwen3:8b"]


def test_what_is_measured_is_not_asked() -> None:
    with chat_server(says("yes"), says("a ", "b", usage=USAGE)) as server:
        (got,), _ = measured([way(server.url)], 0.05, lambda _: None)
        before = len(server.requests)
        assert measured([got], 0.05, lambda _: None) == ([got], {})
        assert len(server.requests) == before
