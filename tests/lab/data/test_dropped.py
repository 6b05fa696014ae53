"""Answers without a quality: said where they are not spread by chance."""

from __future__ import annotations

import numpy as np
import pytest

from r2_router.lab.data.dropped import dropped_warning
from r2_router.lab.data.table import Table, make_table


def table(lost: dict[tuple[str, int | None], int], n: int = 120) -> Table:
    """n queries x 2 models x 2 budgets, of which each candidate lost its first few qualities."""
    rows = [
        (f"q{i}", f"text {i}", model, budget, None if i < lost.get((model, budget), 0) else 0.5, 9)
        for i in range(n)
        for model in ("tiny", "big")
        for budget in (30, None)
    ]
    names = ("query_id", "query", "model", "budget", "quality", "output_tokens")
    return make_table(dict(zip(names, zip(*rows, strict=True), strict=True)), "t")


def test_where_nothing_or_everything_alike_is_dropped_nothing_is_said() -> None:
    assert dropped_warning(table({})) == ""
    even = {(model, budget): 12 for model in ("tiny", "big") for budget in (30, None)}
    assert dropped_warning(table(even)) == ""
    assert dropped_warning(table({("tiny", 30): 4, ("big", None): 1})) == ""


def test_the_worst_candidate_is_named() -> None:
    lost = {("tiny", 30): 37, ("big", 30): 2, ("tiny", None): 3}
    made = table(lost)
    assert dict(made.dropped) == {("tiny", 30): 37, ("big", 30): 2, ("tiny", "unlimited"): 3}
    said = dropped_warning(made)
    assert "tiny @ 30 lost 37 of 120, the others 1.4%" in said


@pytest.mark.slow
def test_chance_alone_seldom_warns() -> None:
    rng = np.random.default_rng(0)
    draws = [
        {(model, budget): int(rng.binomial(120, 0.1)) for model in ("tiny", "big") for budget in (30, None)}
        for _ in range(40)
    ]
    assert sum(bool(dropped_warning(table(lost))) for lost in draws) == 0


def test_one_candidate_alone_is_compared_with_nothing() -> None:
    made = table({("tiny", 30): 37})
    assert dropped_warning(made.among([0])) == ""
