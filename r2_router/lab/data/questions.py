"""Questions: the queries to be answered, with what a grader needs to judge the answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r2_router.errors import InputError
from r2_router.lab.data.files import Columns, read_columns
from r2_router.records import Record

ID_DIGITS = 16  # of the SHA-256 of a text
_KNOWN = ("query_id", "query", "answer", "answer_type", "category")
_OF_GRADERS = ("expected_output", "stdin", "constraints")


@dataclass(frozen=True, slots=True)
class Question(Record):
    """One query; `answer` is what a right answer holds and `answer_type` how that is judged, "" where not given.

    `extra` are the other columns of its file.
    """

    query_id: str
    query: str
    answer: str = ""
    answer_type: str = ""
    category: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)


def read_questions(path: str | os.PathLike[str]) -> list[Question]:
    """The questions of a .parquet, .csv or .jsonl file, in order.

    Column `query` is needed; query_id (default: made from the text), answer, answer_type and category are
    optional, others go into `extra`. A repeated row counts once. Raises InputError, naming file and row, for a
    blank query, or one query_id with two different queries.
    """
    columns, _ = read_columns(path, what="file of queries", required=("query",), known=(*_KNOWN, *_OF_GRADERS))
    name = Path(path).name
    found: dict[str, Question] = {}
    for row in range(len(columns["query"])):
        question = _question(columns, row, name)
        known = found.setdefault(question.query_id, question)
        if known.query != question.query:
            raise InputError(f"{name}, row {row + 1}: query_id {question.query_id!r} stands for two different queries.")
    if not found:
        raise InputError(f"{name} holds no query.")
    return list(found.values())


def query_id(query: str) -> str:
    """The id of a query that was given none: ID_DIGITS digits of its SHA-256."""
    return hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]


def _question(columns: Columns, row: int, source: str) -> Question:
    query = columns["query"][row]
    if not isinstance(query, str) or not query.strip():
        raise InputError(f"{source}, row {row + 1}: query is blank.")
    texts = {name: _text(columns.get(name), row) for name in _KNOWN}
    extra = {name: values[row] for name, values in columns.items() if name not in _KNOWN}
    return Question(**{**texts, "query_id": texts["query_id"] or query_id(query), "query": query}, extra=extra)


def _text(values: Sequence[Any] | None, row: int) -> str:
    value = None if values is None else values[row]
    return "" if value is None else str(value)
