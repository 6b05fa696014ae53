"""Reads training tables from Parquet, CSV or JSONL files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.lab.table import OPTIONAL, REQUIRED, Columns, Table, make_table

_MAX_FIELD = 1 << 28  # characters of one CSV field: prompts can be long


def read_table(path: str | os.PathLike[str]) -> Table:
    """The training table at `path`, a .parquet, .csv or .jsonl file.

    Raises InputError, naming file, column and row, for anything that cannot be used (see `make_table`).
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file.name} is no training table: it must be a {', '.join(_READERS)} file.")
    if not file.is_file():
        raise InputError(f"No training table at {file}.")
    try:
        columns = reader(file)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file.name} cannot be read: {error}") from error
    return make_table(columns, file.name)


def _read_parquet(file: Path) -> Columns:
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{file.name} is a Parquet file, which needs pyarrow: `pip install 'r2-mcp[lab]'`. CSV and JSONL "
            f"files need nothing more."
        ) from None
    untyped = cast("Any", parquet)
    present = set(untyped.read_schema(file).names)
    columns = [name for name in REQUIRED + OPTIONAL if name in present]
    return untyped.read_table(file, columns=columns).to_pydict()


def _read_csv(file: Path) -> Columns:
    limit = csv.field_size_limit(_MAX_FIELD)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows: list[dict[str | None, Any]] = [*reader]
            names = reader.fieldnames or ()
    finally:
        csv.field_size_limit(limit)
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise InputError(f"{file.name}, row {number} has another number of fields than the header.")
    return {name: [row[name] for row in rows] for name in names}


def _read_jsonl(file: Path) -> Columns:
    rows: list[dict[str, Any]] = []
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row: object = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise InputError(f"{file.name}, line {number} is not a JSON object.")
            rows.append(cast("dict[str, Any]", row))
    names = {name for row in rows for name in row}
    for number, row in enumerate(rows, 1):
        absent = [name for name in REQUIRED if name in names and name not in row]
        if absent:
            raise InputError(f"{file.name}, row {number} lacks {', '.join(absent)}.")
    return {name: [row.get(name) for row in rows] for name in REQUIRED + OPTIONAL if name in names}


_READERS: dict[str, Callable[[Path], Columns]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
}
