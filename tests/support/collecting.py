"""A made-up collection against a loopback server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r2_router.checkpoints.format import Instruction
from r2_router.lab.collecting.plan import Plan
from r2_router.lab.data.questions import Question
from r2_router.pools.model import Model

INSTRUCTION = Instruction("Under {words} words.", temperature=0.0)


def questions(n: int) -> list[Question]:
    return [Question(f"q{i}", f"What is {i} + {42 - i}?", "42", "number", "sums") for i in range(n)]


def model(name: str, url: str, **changes: Any) -> Model:
    return Model(name, f"vendor/{name}", 1.0, 2.0, base_url=url, **changes)


def make_plan(
    url: str, n: int = 3, models: tuple[str, ...] = ("a", "b"), budgets: tuple[Any, ...] = (20, "unlimited")
) -> Plan:
    return Plan(questions(n), [model(name, url) for name in models], budgets, INSTRUCTION, max_output=100)


def write_inputs(folder: Path, url: str, n: int) -> tuple[Path, Path]:
    """A file of queries and a pool of the models a and b."""
    queries, pool = folder / "queries.csv", folder / "pool.toml"
    rows = [f"{q.query_id},{q.query},{q.answer},{q.answer_type},{q.category}" for q in questions(n)]
    queries.write_text("\n".join(["query_id,query,answer,answer_type,category", *rows]))
    tables = [
        f'[models.{name}]\nid = "vendor/{name}"\nusd_per_million = [1.0, 2.0]\nbase_url = "{url}"' for name in "ab"
    ]
    pool.write_text("\n".join(tables))
    return queries, pool
