"""Rows of a data file, Parquet, CSV or JSONL, as columns; and what the file says of itself."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

from r2_router.errors import InputError

Columns: TypeAlias = Mapping[str, Sequence[Any]]

ABOUT_KEY = b"r2_table"  # of the Parquet schema's metadata
_MAX_FIELD = 1 << 28  # characters of one CSV field: prompts can be long
_MAX_ABOUT_BYTES = 1 << 20


def read_columns(
    path: str | os.PathLike[str],
    *,
    what: str,
    required: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> tuple[Columns, dict[str, Any]]:
    """The columns of the file at `path`, and what it says of itself, {} if nothing.

    `what` the file should be, for messages; `only` these columns, None for all; a JSONL row may lack a column,
    None then, but not a `required` one that other rows have. Raises InputError, naming file and row, for a file
    that cannot be read.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file.name} is no {what}: it must be a {', '.join(_READERS)} file.")
    if not file.is_file():
        raise InputError(f"No {what} at {file}.")
    try:
        columns, about = reader(file, required, only)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file.name} cannot be read: {error}") from error
    return columns, _checked_about(about, file)


def about_file(file: Path) -> Path:
    """Where a CSV or JSONL file's own description stands."""
    return file.with_name(f"{file.name}.about.json")


@contextmanager
def long_fields() -> Generator[None]:
    """The csv module takes fields of any length: prompts can be long."""
    limit = csv.field_size_limit(_MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _read_parquet(file: Path, required: Sequence[str], only: Sequence[str] | None) -> tuple[Columns, object]:
    parquet = parquet_module(file.name)
    schema = parquet.read_schema(file)
    columns = None if only is None else [name for name in only if name in set(schema.names)]
    described = cast("dict[bytes, bytes]", schema.metadata or {}).get(ABOUT_KEY, b"{}")
    return parquet.read_table(file, columns=columns).to_pydict(), json.loads(described)


def _read_csv(file: Path, required: Sequence[str], only: Sequence[str] | None) -> tuple[Columns, object]:
    with long_fields(), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        rows: list[dict[str | None, Any]] = [*reader]
        names = reader.fieldnames or ()
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise InputError(f"{file.name}, row {number} has another number of fields than the header.")
    kept = [name for name in names if only is None or name in only]
    return {name: [row[name] for row in rows] for name in kept}, _read_about(file)


def _read_jsonl(file: Path, required: Sequence[str], only: Sequence[str] | None) -> tuple[Columns, object]:
    rows: list[dict[str, Any]] = []
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row: object = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise InputError(f"{file.name}, line {number} is not a JSON object.")
            rows.append(cast("dict[str, Any]", row))
    names = dict.fromkeys(name for row in rows for name in row)
    for number, row in enumerate(rows, 1):
        absent = [name for name in required if name in names and name not in row]
        if absent:
            raise InputError(f"{file.name}, row {number} lacks {', '.join(absent)}.")
    kept = [name for name in (names if only is None else only) if name in names]
    return {name: [row.get(name) for row in rows] for name in kept}, _read_about(file)


_READERS: dict[str, Callable[[Path, Sequence[str], Sequence[str] | None], tuple[Columns, object]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
}


def parquet_module(name: str) -> Any:
    """pyarrow.parquet; InputError if the extra is missing."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{name} is a Parquet file, which needs pyarrow: `pip install 'r2-mcp[lab]'`. CSV and JSONL "
            f"files need nothing more."
        ) from None
    return cast("Any", parquet)


def _read_about(file: Path) -> object:
    beside = about_file(file)
    if not beside.is_file():
        return {}
    if beside.stat().st_size > _MAX_ABOUT_BYTES:
        raise InputError(f"{beside.name} is larger than {_MAX_ABOUT_BYTES >> 20} MiB.")
    return json.loads(beside.read_bytes())


def _checked_about(about: object, file: Path) -> dict[str, Any]:
    if not isinstance(about, dict):
        raise InputError(f"{file.name}: its description of itself is not a JSON object.")
    return cast("dict[str, Any]", about)
