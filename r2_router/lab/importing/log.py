"""Reads an existing log of answers into a training table: JSONL, JSON or CSV, whoever wrote it (see `log_lines`)."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.lab.data.files import form_name, long_fields
from r2_router.lab.data.text_files import TextForm, known_names, listed_names, renamed, text_form, text_lines
from r2_router.lab.data.write import TableWriter
from r2_router.lab.importing.counts import ImportCounts, reasons
from r2_router.lab.importing.log_lines import NAMES, columns, read_line

_KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_KNOWN = tuple(name for names in NAMES.values() for name in names)
_BLOCK = 5_000
_MAX_JSON_BYTES = 1 << 30
_SHOWN = 3


def import_log(path: Path, output: Path, *, requests: Path | None = None) -> ImportCounts:
    """Read the log at `path` into a training table at `output`.

    A line holds messages or a query, the model, its usage and a quality (0..1, true or false), at the top or inside
    request, response, body or metadata, or as OpenAI's Responses and batches, Langfuse, LangSmith and litellm write
    them; a CSV has columns of those names. The answers of a batch are joined by custom_id with `requests`, its input
    file. A line without quality is kept, ungraded; without tokens, they are estimated from the answer's text. A budget
    is what a column `budget` says the model was told, else unlimited: a max_tokens cuts an answer and tells the model
    nothing. Lines that cannot be used are counted by reason. Raises InputError where none can be used, or a file cannot
    be read.
    """
    form = _form(path)
    asked = _requests(requests) if requests is not None else None
    left_out, bad, cut, estimated = Counter[str](), list[str](), 0, 0
    texts, models, rows, ungraded = dict[str, str](), set[str](), 0, 0
    about = {
        "card": {"about": f"Imported from the log {path.name}.", "measured": "Answers of a log, as they were asked."}
    }
    with TableWriter(output, about) as writer:
        block: list[dict[str, Any]] = []
        for number, line in _lines(path, form):
            row = _row(line, asked)
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
                writer.write(columns(block))
                block = []
        if rows == 0:
            raise InputError(_nothing(path, form, bad))
        writer.write(columns(block))
    notes = [] if form.plain else [f"Read as {form}."]
    notes += ["Some bytes are no UTF-8: they became replacement characters."] if form.damaged else []
    notes += [f"The first lines left out: {'; '.join(bad[:_SHOWN])}."] if bad else []
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


def _form(path: Path) -> TextForm:
    """The form of a log. Raises InputError where it is none."""
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InputError(f"{path.name} is no log: it must be a .jsonl, .json or .csv file.")
    if not path.is_file():
        raise InputError(f"No log at {path}.")
    try:
        return text_form(path, is_csv=kind in (".csv", ".tsv"))
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error}") from None


def _lines(path: Path, form: TextForm) -> Iterator[tuple[int, object]]:
    """Each line, and its number in the file; of a .json file each entry of its list, and the number of that."""
    try:
        if form.delimiter:
            with long_fields():
                yield from enumerate(_csv_rows(path, form), 2)
        elif path.suffix.lower() == ".json":
            yield from enumerate(_json_entries(path, form), 1)
        else:
            yield from ((n, _json(line)) for n, line in enumerate(text_lines(path, form), 1) if line.strip())
    except (OSError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as {form_name(path)}: {error}") from None


def _csv_rows(path: Path, form: TextForm) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(text_lines(path, form), delimiter=form.delimiter)
    names = known_names(reader.fieldnames or (), _KNOWN, path.name)
    for row in reader:
        yield renamed({name: value for name, value in row.items() if isinstance(name, str)}, names)


def _json_entries(path: Path, form: TextForm) -> list[object]:
    """The entries of a JSON array, or of the one that an object holds as data; a file of JSON lines will do."""
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise InputError(f"{path.name} is larger than {_MAX_JSON_BYTES >> 30} GiB: export it as JSON lines (.jsonl).")
    text = "".join(text_lines(path, form))
    whole = _json(text)
    held = cast("dict[str, object]", whole) if isinstance(whole, dict) else {}
    lists: list[object] = [cast("object", whole), *(held.get(name) for name in ("data", "runs", "observations"))]
    for entries in lists:
        if isinstance(entries, list):
            return cast("list[object]", entries)
    return [whole] if whole is not None else [_json(line) for line in text.splitlines() if line.strip()]


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _requests(path: Path) -> dict[str, Mapping[str, Any]]:
    """The requests of a batch's input file by custom_id."""
    found: dict[str, Mapping[str, Any]] = {}
    for _, line in _lines(path, _form(path)):
        if isinstance(line, dict):
            entry = cast("dict[str, Any]", line)
            if isinstance(entry.get("custom_id"), str) and isinstance(entry.get("body"), dict):
                found[entry["custom_id"]] = entry["body"]
    if not found:
        raise InputError(f"{path.name} is no batch's input file: no line of it has a custom_id and a body.")
    return found


def _row(line: object, asked: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any] | str:
    if not isinstance(line, dict):
        return "no JSON object"
    entry = cast("dict[str, Any]", line)
    if asked is None:
        return read_line(entry)
    request = asked.get(str(entry.get("custom_id")))
    return "custom_id is not in the file of requests" if request is None else read_line(entry, request)


def _nothing(path: Path, form: TextForm, bad: Sequence[str]) -> str:
    wanted = "; ".join(
        f"{name} ({', '.join(keys)})" for name, keys in NAMES.items() if name in ("query", "model", "quality")
    )
    lines = (cast("dict[str, object]", line) for _, line in _lines(path, form) if isinstance(line, dict))
    names = listed_names([name for line in islice(lines, 1) for name in line])
    return (
        f"No line of {path.name} can be used ({'; '.join(bad[:_SHOWN])}). Found: {form_name(path)}, with fields "
        f"{names}. Looked for messages, or {wanted}."
    )
