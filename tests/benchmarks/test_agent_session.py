"""A coding agent's recorded session: each request is answered, no call of a tool is lost, no foreign text is kept."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.chat_server import chat_server
from support.made_up import LetterEmbedder, make_checkpoint

from r2_router import R2Router
from r2_router.config.settings import load_settings
from r2_router.pools import prompt_caches
from r2_router.pools.pool import Pool
from r2_router.pools.profiles import forget as forget_profiles


@pytest.fixture
def recorded(benchmarks: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Any:
    """The benchmark's module, with OpenRouter on loopback."""
    monkeypatch.setenv("AGENT_SESSION_KEY", "loopback")
    (home / "providers.toml").write_text('[openrouter]\nhosts = ["127.0.0.1"]\n')
    forget_profiles()
    prompt_caches.forget()
    return importlib.import_module("agent_session")


def test_every_request_is_answered_and_no_call_of_a_tool_is_lost(recorded: Any) -> None:
    _, requests = recorded.session()
    assert len(requests) >= 30
    played = importlib.import_module("played_session")
    with chat_server() as server:
        provider = played.Provider(played.models(server.url))
        server.then(provider.behaviour)
        pool = Pool(
            "agent", {f"model-{i}": replace(m, name=f"model-{i}") for i, m in enumerate(provider.models.values())}
        )
        checkpoint = make_checkpoint(models=3, budgets=())
        flat = replace(checkpoint, weights=np.zeros_like(checkpoint.weights))
        router = R2Router(flat, pool, settings=load_settings(), embedder=LetterEmbedder())
        answers = []
        for request in requests:
            provider.now += request.pause_s
            provider.sent, provider.answer = request.messages, request.answer
            answers.append(router.route_and_generate(request.messages, budget="unlimited"))
    assert [a.text for a in answers] == [r.answer["content"] for r in requests]
    assert provider.calls_lost == 0
    assert sum(a.cache_read_tokens > 0 for a in answers) > 25  # the client's own marks reach the provider


@pytest.mark.slow
def test_marks_for_the_cache_pay_whoever_sets_them(recorded: Any) -> None:
    requests = recorded.session()[1][:8]
    with importlib.import_module("played_session").playing() as loopback:
        billed = recorded.marked(loopback, requests)
    assert billed["none"] > 2 * max(billed["client"], billed["router"])


def test_of_what_is_not_ours_only_lengths_are_kept(recorded: Any, benchmarks: Path) -> None:
    own = importlib.import_module("agent_record").own_texts()
    kept = json.loads((benchmarks / "agent_session.json").read_text())
    parts = [part for message in kept["messages"] for part in message["parts"]]
    assert {part["text"] for part in parts if "text" in part} <= own
    assert all(part.keys() <= {"chars", "sha256", "reminder"} for part in parts if "text" not in part)
