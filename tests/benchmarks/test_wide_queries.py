"""The wide sweep's queries: each can be answered, for its own right answer passes its grader; and wrong ones do not."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def wide(benchmarks: Path) -> dict[str, Any]:
    return runpy.run_path(str(benchmarks / "wide_queries.py"))


def test_right_answers_to_our_own_queries_pass_and_none_other_does(wide: dict[str, Any]) -> None:
    rows = [row for row in wide["queries"](None) if row["answer_type"] != "code"]
    assert len({row["category"] for row in rows}) == 17
    assert wide["wrongly_graded"](rows) == []
    wrong = [row | {"reference": "Nobody can say that in 987654321 words."} for row in rows]
    assert len(wide["wrongly_graded"](wrong)) == len(wrong)


@pytest.mark.slow
def test_right_answers_to_all_pass(wide: dict[str, Any], data_dir: Path) -> None:
    rows = wide["queries"](data_dir)
    assert wide["wrongly_graded"](rows) == []
    assert len(rows) >= 1500
    kinds = Counter(row["category"] for row in rows)
    assert len(kinds) >= 30
    assert len({row["query_id"] for row in rows}) == len({row["query"] for row in rows}) == len(rows)
    assert rows == wide["queries"](data_dir)
    first = {row["category"] for row in rows[: len(kinds)]}
    assert first == set(kinds)  # a round is one of each kind


def test_an_answer_is_made_only_where_the_instructions_agree(wide: dict[str, Any]) -> None:
    from r2_router.lab.data.questions import Question

    def made(constraints: str) -> str | None:
        return wide["followed_by"](Question("q", "?", extra={"constraints": constraints}))

    assert made('[["startend:quotation", {}], ["change_case:english_lowercase", {}]]')
    asked = '["keywords:existence", {"keywords": ["a"]}], ["keywords:forbidden_words", {"forbidden_words": ["a"]}]'
    assert made(f"[{asked}]") is None
