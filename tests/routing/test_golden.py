"""The release's own routes, reproduced with compat=True."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r2_router import R2Router


@pytest.fixture(scope="module")
def rows(release_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (release_dir / "golden_routes.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def embeddings(release_dir: Path) -> np.ndarray:
    return np.load(release_dir / "golden_embeddings.npy")


@pytest.fixture(scope="module")
def router(release_dir: Path) -> R2Router:
    return R2Router.from_pretrained(release_dir, compat=True)


def test_every_golden_row_is_reproduced_to_the_last_decimal(
    router: R2Router, rows: list[dict[str, Any]], embeddings: np.ndarray
) -> None:
    assert len(rows) == 40
    for row in rows:
        decision = router.route(embeddings[row["row"]], row["lambda_val"], row["input_tokens"])
        assert (decision.model, decision.budget) == (row["model"], row["budget"])
        assert [
            [c.model, c.budget, c.predicted_quality, c.predicted_output_tokens, c.predicted_cost_usd, c.risk]
            for c in decision.candidates
        ] == row["options"]


def test_unrounded_numbers_lie_within_the_releases_rounding(
    router: R2Router, rows: list[dict[str, Any]], embeddings: np.ndarray
) -> None:
    for row in rows:
        decision = router.route(embeddings[row["row"]], row["lambda_val"], row["input_tokens"])
        scores = decision.candidates.scores
        golden = {(m, b): values for m, b, *values in row["options"]}
        for i in range(scores.measured):
            c = scores.candidate(i)
            quality, _, cost, risk = golden[c.model, c.budget]
            assert abs(scores.quality[i] - quality) <= 5e-5
            assert abs(scores.cost[i] - cost) <= 5e-9 * (1 + 1e-9)
            assert abs(scores.risk[i] - risk) <= 5e-9 * (1 + 1e-9)


def test_our_own_rules_differ_where_they_should(release_dir: Path, embeddings: np.ndarray) -> None:
    ours = R2Router.from_pretrained(release_dir).route(embeddings[0], 0.9)
    available = {c.model for c in ours.candidates}
    assert "gemma-3-270m-it" not in available
    assert all(c.predicted_output_tokens >= 10 for c in ours.candidates)
    assert R2Router.from_pretrained(release_dir, compat=True).trade_off.lambda_val == 0.99999
