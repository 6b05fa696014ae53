"""Reads an existing log of answers, OpenAI-style JSONL or a CSV, into a training table."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.lab.data.files import long_fields
from r2_router.lab.data.questions import query_id
from r2_router.lab.data.table import budget_of
from r2_router.lab.data.write import TableWriter
from r2_router.lab.importing.counts import ImportCounts, reasons
from r2_router.records import UNLIMITED
from r2_router.routing.messages import content_text
from r2_router.routing.tokens import estimate_tokens

_NAMES: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "prompt", "question", "input"),
    "model": ("model", "model_name"),
    "quality": ("quality", "score", "correctness", "correctness_score", "label"),
    "output_tokens": ("output_tokens", "completion_tokens", "tokens"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "budget": ("budget",),
    "category": ("category",),
}
_PLACES = ("metadata", "response", "body", "request", "usage")  # objects a line may keep its fields in
_BLOCK = 5_000
_NO_LIMIT = (UNLIMITED, "none", "null")
_SHOWN = 3


def import_log(path: Path, output: Path) -> ImportCounts:
    """Read the log at `path` into a training table at `output`.

    A line of JSONL holds messages or a query, the model, its usage and a quality (0..1, true or false), at the top or
    inside request, response, body or metadata; a CSV has columns of those names. A line without quality is kept,
    ungraded; without tokens, they are estimated from the answer's text. A budget is what a column `budget` says the
    model was told, else unlimited: a max_tokens cuts an answer and tells the model nothing. Lines that cannot be used
    are counted by reason. Raises InputError where none can be used, or the file cannot be read.
    """
    kind = path.suffix.lower()
    if kind not in (".jsonl", ".ndjson", ".csv"):
        raise InputError(f"{path.name} is no log: it must be a .jsonl or .csv file.")
    if not path.is_file():
        raise InputError(f"No log at {path}.")
    left_out, bad, cut, estimated = Counter[str](), list[str](), 0, 0
    texts, models, rows, ungraded = dict[str, str](), set[str](), 0, 0
    about = {
        "card": {"about": f"Imported from the log {path.name}.", "measured": "Answers of a log, as they were asked."}
    }
    with TableWriter(output, about) as writer:
        block: list[dict[str, Any]] = []
        for number, line in _lines(path, kind):
            row = _row(cast("dict[str, Any]", line)) if isinstance(line, dict) else "no JSON object"
            if isinstance(row, str):
                left_out[f"lines: {row}"] += 1
                bad.append(f"line {number}: {row}")
                continue
            if texts.setdefault(row["query_id"], row["query"]) != row["query"]:
                left_out["lines: query_id of another query"] += 1
                bad.append(f"line {number}: query_id {row['query_id']!r} stood for another query")
                continue
            cut += row.pop("cut")
            estimated += row.pop("estimated")
            models.add(row["model"])
            ungraded += row["quality"] is None
            rows += 1
            block.append(row)
            if len(block) == _BLOCK:
                writer.write(_columns(block))
                block = []
        if rows == 0:
            raise InputError(_nothing(path, bad))
        writer.write(_columns(block))
    notes = [f"The first lines left out: {'; '.join(bad[:_SHOWN])}."] if bad else []
    if cut:
        notes.append(f"{cut:,} answers were cut at their max_tokens; they count as unlimited ones that long.")
    if estimated:
        notes.append(f"{estimated:,} lines name no tokens: estimated from the text.")
    return ImportCounts(
        table=str(output),
        rows=rows,
        queries=len(texts),
        models=len(models),
        ungraded=ungraded,
        left_out=reasons(left_out),
        notes=tuple(notes),
    )


def _lines(path: Path, kind: str) -> Iterator[tuple[int, object]]:
    """Each line, and its number in the file."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="" if kind == ".csv" else None) as stream:
            if kind == ".csv":
                with long_fields():
                    for number, row in enumerate(csv.DictReader(stream), 2):
                        yield number, {name: value for name, value in row.items() if isinstance(name, str)}
                return
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, _json(line)
    except (OSError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read: {error}") from None


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _row(line: Mapping[str, Any]) -> dict[str, Any] | str:
    """A row of the table, or why there is none."""
    flat = _flat(line)
    query = _query(flat)
    model = _first(flat, "model")
    if not query:
        return "no query"
    if not isinstance(model, str) or not model.strip():
        return "no model"
    quality = _quality(_first(flat, "quality"))
    if isinstance(quality, str):
        return quality
    said = _first(flat, "budget")
    budget = budget_of(None if str(said).strip().lower() in _NO_LIMIT else said)
    if budget is None:
        return "budget is no number of tokens"
    answer, reason = _answer(flat)
    tokens = _count(_first(flat, "output_tokens"))
    if tokens is None and answer is None:
        return "neither tokens nor a text"
    return {
        "query_id": str(flat.get("query_id") or query_id(query)),
        "query": query,
        "model": model.strip(),
        "budget": None if budget == UNLIMITED else budget,
        "quality": quality,
        "output_tokens": estimate_tokens(answer or "") if tokens is None else tokens,
        "input_tokens": _count(_first(flat, "input_tokens")),
        "category": str(_first(flat, "category") or ""),
        "cut": int(reason == "length"),
        "estimated": int(tokens is None),
    }


def _flat(line: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The fields of a line and of the objects it keeps them in; outer ones first."""
    found: dict[str, Any] = {}
    for place in _PLACES:
        inner = line.get(place)
        if isinstance(inner, Mapping) and depth < 4:
            found = {**_flat(cast("Mapping[str, Any]", inner), depth + 1), **found}
    return {**found, **{key: value for key, value in line.items() if key not in _PLACES or isinstance(value, str)}}


def _first(flat: Mapping[str, Any], name: str) -> Any:
    return next((flat[key] for key in _NAMES[name] if flat.get(key) not in (None, "")), None)


def _query(flat: Mapping[str, Any]) -> str:
    """The text that was asked: the last user message, or a field of its own."""
    messages = flat.get("messages")
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        for message in reversed(cast("Sequence[Any]", messages)):
            if isinstance(message, Mapping) and cast("Mapping[str, Any]", message).get("role") == "user":
                try:
                    return content_text(cast("Mapping[str, Any]", message)).strip()
                except (KeyError, TypeError):  # pictures
                    return ""
    text = _first(flat, "query")
    return text.strip() if isinstance(text, str) else ""


def _answer(flat: Mapping[str, Any]) -> tuple[str | None, str]:
    """The text of the answer, None if it is not there, and its finish_reason."""
    choices = flat.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice = cast("dict[str, Any]", choices[0])
        message = choice.get("message")
        text = cast("dict[str, Any]", message).get("content") if isinstance(message, dict) else choice.get("text")
        return (text if isinstance(text, str) else None), str(choice.get("finish_reason") or "")
    for key in ("response", "answer", "completion", "output", "text"):
        if isinstance(flat.get(key), str):
            return flat[key], str(flat.get("finish_reason") or "")
    return None, str(flat.get("finish_reason") or "")


def _quality(value: object) -> float | str | None:
    if value is None:
        return None
    words = {"true": 1.0, "false": 0.0, "good": 1.0, "bad": 0.0}
    try:
        number = words[str(value).strip().lower()] if str(value).strip().lower() in words else float(cast("Any", value))
    except (TypeError, ValueError):
        return "quality is no number from 0 to 1"
    return number if 0 <= number <= 1 else "quality is no number from 0 to 1"


def _count(value: object) -> int | None:
    try:
        number = float(cast("Any", value))
    except (TypeError, ValueError):
        return None
    return int(number) if 0 <= number < 1e9 else None


def _columns(block: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = ("query_id", "query", "model", "budget", "quality", "output_tokens", "input_tokens", "category")
    return {name: [row[name] for row in block] for name in names}


def _nothing(path: Path, bad: Sequence[str]) -> str:
    wanted = "; ".join(
        f"{name} ({', '.join(keys)})" for name, keys in _NAMES.items() if name in ("query", "model", "quality")
    )
    return f"No line of {path.name} can be used ({'; '.join(bad[:_SHOWN])}). Looked for messages, or {wanted}."
