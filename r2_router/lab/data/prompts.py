"""Prompts of a file, one after the other: no more than a block of them is held at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.lab.data.files import form_name, lacking, long_fields, parquet_module
from r2_router.lab.data.text_files import TextForm, text_form, text_lines

COLUMNS = ("prompt", "query", "messages", "question", "text")  # where prompts are looked for, in this order
_ROWS_AT_ONCE = 4096


def prompts(file: Path, column: str = "") -> Iterator[Any]:
    """The values of one column of a .parquet, .csv or .jsonl file, in order: texts, lists of messages, or whatever else
    stands there. `column` "" is the first of COLUMNS that the file has. A column of messages may hold them as JSON.

    Raises InputError, naming file, line and what was found, for a file that cannot be read or lacks the column.
    """
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file.name} is no file of prompts: it must be a {', '.join(_READERS)} file.")
    if not file.is_file():
        raise InputError(f"No file of prompts at {file}.")
    try:
        for value in reader(file, column):
            yield as_prompt(value)
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file.name} cannot be read as {form_name(file)}: {error}") from error


def as_prompt(value: Any) -> Any:
    """The messages that a text is as JSON; `value` itself where it is none."""
    if not (isinstance(value, str) and value.startswith("[{")):
        return value
    try:
        found: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if all(isinstance(m, dict) and "role" in m for m in cast("list[object]", found)) else value


def _parquet(file: Path, column: str) -> Iterator[Any]:
    with parquet_module(file.name).ParquetFile(file) as table:
        name = prompt_column(file, column, table.schema_arrow.names)
        for block in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[name]):
            yield from block.column(0).to_pylist()


def _csv(file: Path, column: str) -> Iterator[Any]:
    form = _form(file, is_csv=True)
    with long_fields():
        reader = csv.DictReader(text_lines(file, form), delimiter=form.delimiter, strict=True)
        name = prompt_column(file, column, [*(reader.fieldnames or ())])
        for row in reader:
            yield row[name]


def _jsonl(file: Path, column: str) -> Iterator[Any]:
    name = ""
    for number, line in enumerate(text_lines(file, _form(file, is_csv=False)), 1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{file.name}, line {number} is no JSON.") from None
        if isinstance(row, str):  # a line may be the prompt itself
            yield row
            continue
        if not isinstance(row, dict):
            raise InputError(f"{file.name}, line {number} is neither a JSON object nor a text.")
        fields = cast("dict[str, Any]", row)
        name = name or prompt_column(file, column, [*fields])
        yield fields.get(name)


def _form(file: Path, *, is_csv: bool) -> TextForm:
    form = text_form(file, is_csv=is_csv)
    if form.damaged:
        raise InputError(f"{file.name} is UTF-8 with bytes that are none: save it anew as UTF-8.")
    return form


def prompt_column(file: Path, wanted: str, names: Sequence[str]) -> str:
    """Which of the columns holds prompts: the `wanted` one, else the first of COLUMNS. Raises InputError."""
    if wanted and wanted not in names:
        raise lacking(file, [wanted], names)
    found = wanted or next((name for name in COLUMNS if name in names), "")
    if not found:
        raise InputError(f"{file.name} has none of the columns {', '.join(COLUMNS)}. Name one: --column NAME.")
    return found


_READERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
