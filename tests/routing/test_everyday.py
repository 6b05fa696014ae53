"""The clear ones of the forty everyday prompts, over a pool that nobody measured: tests/routing/everyday.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from r2_router import R2Router
from r2_router.pools.pool import load_pool

HERE = Path(__file__).parent
PROMPTS: list[dict[str, Any]] = tomllib.loads((HERE / "everyday.toml").read_text(encoding="utf-8"))["prompt"]
PRESETS = ("economy", "balanced", "quality")
THINKING = 500  # expected tokens from which an answer may be called long


def with_mark(mark: str) -> Any:
    """The prompts of which a person finds `mark` clear."""
    chosen = [p for p in PROMPTS if mark in p]
    assert chosen
    return pytest.mark.parametrize("prompt", chosen, ids=lambda p: f"{p['kind']}: {p['query'][:30]}")


@pytest.fixture(scope="module")
def router() -> R2Router:
    return R2Router.from_pretrained("prior", pool=load_pool(HERE / "data" / "everyday_pool.toml"))


def test_there_are_forty_and_every_mark_is_known() -> None:
    assert len(PROMPTS) == 40
    assert len({p["query"] for p in PROMPTS}) == 40
    assert {key for p in PROMPTS for key in p} == {"kind", "query", "stated", "most", "least", "simple", "hard"}


@pytest.mark.slow
@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: f"{p['kind']}: {p['query'][:30]}")
def test_the_length_it_states_is_read_and_no_other(router: R2Router, prompt: dict[str, Any]) -> None:
    stated = router.route_text(prompt["query"]).stated_length
    assert (stated.said if stated else None) == prompt.get("stated")


@pytest.mark.slow
@with_mark("most")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_short_answer_is_expected_short(router: R2Router, prompt: dict[str, Any], preset: str) -> None:
    assert router.route_text(prompt["query"], preset=preset).predicted_output_tokens <= prompt["most"]


@pytest.mark.slow
@with_mark("least")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_long_answer_is_expected_long_and_has_room(router: R2Router, prompt: dict[str, Any], preset: str) -> None:
    decision = router.route_text(prompt["query"], preset=preset)
    assert decision.predicted_output_tokens >= prompt["least"]
    assert decision.budget == "unlimited" or decision.budget >= prompt["least"]


@pytest.mark.slow
@with_mark("simple")
@pytest.mark.parametrize("preset", ["economy", "balanced"])
def test_what_is_simple_does_not_get_the_strongest(router: R2Router, prompt: dict[str, Any], preset: str) -> None:
    assert router.route_text(prompt["query"], preset=preset).model != router.checkpoint.strongest


@pytest.mark.slow
@with_mark("hard")
def test_what_is_hard_gets_length_or_thinking_where_quality_counts(router: R2Router, prompt: dict[str, Any]) -> None:
    decision = router.route_text(prompt["query"], preset="quality")
    cheapest = min(router.models, key=lambda m: m.output_usd_per_million or 0.0)
    assert decision.model != cheapest.name
    assert "thinking" in decision.model or decision.predicted_output_tokens >= THINKING
