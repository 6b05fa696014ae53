"""RouterArena: its score as its leaderboard has it, and files in its form."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.chat_server import chat_server, fails, says

PROMPTS = {"AIME_1": "Find the sum.", "MMLU_2": "Which planet? A) Mars B) Venus", "WMT_3": "Übersetze: good day"}


@pytest.fixture
def arena(benchmarks: Path) -> dict[str, Any]:
    return runpy.run_path(str(benchmarks / "routerarena.py"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of the benchmark with the queries that its own script prepares."""
    (tmp_path / "dataset").mkdir()
    entries = [{"global index": index, "prompt_formatted": prompt} for index, prompt in PROMPTS.items()]
    for name in ("router_data_10.json", "router_robustness.json"):
        (tmp_path / "dataset" / name).write_text(json.dumps(entries))
    (tmp_path / "model_cost").mkdir()
    (tmp_path / "model_cost" / "model_cost.json").write_text('{"gpt-4": {"input_token_price_per_million": 10}}')
    return tmp_path


@pytest.mark.parametrize(
    ("accuracy", "usd", "score"),
    [(0.797, 0.27, 77.6), (0.712, 0.06, 71.6)],  # of the leaderboard: Paix2, R2-Router
)
def test_the_score_is_the_leaderboards(arena: dict[str, Any], accuracy: float, usd: float, score: float) -> None:
    assert 100 * arena["arena_score"](accuracy, usd) == pytest.approx(score, abs=0.06)


def test_the_score_at_the_ends_of_its_scale(arena: dict[str, Any]) -> None:
    score = arena["arena_score"]
    assert score(1.0, 0.0) == score(1.0, 0.0044) == pytest.approx(1.0)
    assert score(0.9, 200) == score(0.9, 1e9) == score(0.0, 200) == 0.0


@pytest.mark.slow
def test_files_in_the_benchmarks_form(arena: dict[str, Any], checkout: Path) -> None:
    arena["main"](["--arena", str(checkout), "--name", "mine", "--pool", "local", "--checkpoint", "local"])
    folder = checkout / "router_inference"
    config = json.loads((folder / "config" / "mine.json").read_text())["pipeline_params"]
    predictions = json.loads((folder / "predictions" / "mine.json").read_text())
    assert config["router_name"] == "mine"
    assert {entry["global index"]: entry["prompt"] for entry in predictions} == PROMPTS
    assert all(entry["prediction"] in config["models"] for entry in predictions)
    assert all(entry["generated_result"] is None for entry in predictions)
    robust = json.loads((folder / "predictions" / "mine-robustness.json").read_text())
    assert [entry["prediction"] for entry in robust] == [entry["prediction"] for entry in predictions]
    prices = json.loads((checkout / "model_cost" / "model_cost.json").read_text())
    assert prices["gpt-4"] == {"input_token_price_per_million": 10}
    assert prices.keys() >= set(config["models"])


@pytest.mark.slow
def test_answers_are_asked_for_once(arena: dict[str, Any], checkout: Path, tmp_path: Path) -> None:
    with chat_server(says("Venus"), fails(400, "no"), says("Mars")) as server:
        pool = pool_of(tmp_path, server.url)
        asked = [
            "--arena",
            str(checkout),
            "--pool",
            str(pool),
            "--checkpoint",
            "local",
            "--answer",
            "--preset",
            "quality",
        ]
        for _ in range(3):
            arena["main"](asked)
        entries = json.loads((checkout / "router_inference" / "predictions" / "r2-mcp.json").read_text())
        done = len(server.requests)
        arena["main"](asked)
        assert len(server.requests) == done  # nothing is paid for twice
    for entry in entries:
        result = entry["generated_result"]
        assert result["success"] is True
        assert result["generated_answer"] in ("Venus", "Mars")
        assert result["token_usage"] == {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}


def pool_of(folder: Path, url: str) -> Path:
    """The models of the shipped checkpoint, served at `url`."""
    names = ("SmolLM2-135M-Instruct", "Qwen2.5-Coder-0.5B-Instruct", "Qwen2.5-Coder-1.5B-Instruct")
    file = folder / "pool.toml"
    models = "".join(f'[models."{name}"]\nid = "vendor/{name}"\nusd_per_million = [0.1, 0.2]\n' for name in names)
    file.write_text(f'[pool]\nbase_url = "{url}"\n{models}')
    return file


def test_what_comes_of_choices(arena: dict[str, Any]) -> None:
    found = arena["scored"](np.array([1.0, 0.0]), np.array([1e-4, 3e-4]))
    assert (found["accuracy"], found["usd_per_1000"]) == (0.5, pytest.approx(0.2))
    assert found["score"] == pytest.approx(100 * arena["arena_score"](0.5, 0.2))
