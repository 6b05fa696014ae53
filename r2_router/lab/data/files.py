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
from r2_router.lab.data.text_files import TextForm, known_names, listed_names, renamed, text_form, text_lines

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
    known: Sequence[str] = (),
) -> tuple[Columns, dict[str, Any]]:
    """The columns of the file at `path`, and what it says of itself, {} if nothing.

    `what` the file should be, for messages; `only` these columns, None for all; a JSONL row may lack a column,
    None then, but not a `required` one that other rows have. Columns that are meant by one of these names, or of those
    `known`, but for case, spaces and hyphens, get it. CSV and JSONL are read in the form they have (see `text_form`);
    where it is not UTF-8 with commas, "read_as" of the description names it. Raises InputError, naming file and row and
    what was found, for a file that cannot be read, or lacks a required column.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file.name} is no {what}: it must be a {', '.join(_READERS)} file.")
    if not file.is_file():
        raise InputError(f"No {what} at {file}.")
    try:
        form = TextForm("utf-8-sig") if reader is _read_parquet else text_form(file, is_csv=reader is _read_csv)
        if form.damaged:
            raise InputError(f"{file.name} is UTF-8 with bytes that are none: save it anew as UTF-8.")
        columns, about = reader(file, form, required, only, (*required, *(only or ()), *known))
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file.name} cannot be read as {form_name(file)}: {error}") from error
    return columns, _checked_about(about, file) | ({} if form.plain else {"read_as": str(form)})


def form_name(file: Path) -> str:
    """What the file seems to be, for an error about it."""
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        return "Parquet"
    try:
        return f"{suffix.removeprefix('.').upper()} in {text_form(file, is_csv=suffix == '.csv')}"
    except (InputError, OSError):
        return suffix


def lacking(file: Path, absent: Sequence[str], names: Sequence[str]) -> InputError:
    """The error for a file without columns it needs: it names what was found."""
    return InputError(
        f"{file.name} lacks column {', '.join(absent)}. Found: {form_name(file)}, with columns {listed_names(names)}."
    )


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


def _read_parquet(
    file: Path, form: TextForm, required: Sequence[str], only: Sequence[str] | None, known: Sequence[str]
) -> tuple[Columns, object]:
    parquet = parquet_module(file.name)
    schema = parquet.read_schema(file)
    names = known_names([*schema.names], known, file.name)
    _check_all(file, required, names)
    kept = {name: called for name, called in names.items() if only is None or called in only}
    described = cast("dict[bytes, bytes]", schema.metadata or {}).get(ABOUT_KEY, b"{}")
    return renamed(parquet.read_table(file, columns=[*kept]).to_pydict(), kept), json.loads(described)


def _read_csv(
    file: Path, form: TextForm, required: Sequence[str], only: Sequence[str] | None, known: Sequence[str]
) -> tuple[Columns, object]:
    with long_fields():
        reader = csv.DictReader(text_lines(file, form), delimiter=form.delimiter, strict=True)
        rows: list[dict[str | None, Any]] = [*reader]
        names = known_names(reader.fieldnames or (), known, file.name)
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise InputError(f"{file.name}, row {number} has another number of fields than the header ({form}).")
    _check_all(file, required, names)
    kept = {name: called for name, called in names.items() if only is None or called in only}
    return {called: [row[name] for row in rows] for name, called in kept.items()}, _read_about(file)


def _read_jsonl(
    file: Path, form: TextForm, required: Sequence[str], only: Sequence[str] | None, known: Sequence[str]
) -> tuple[Columns, object]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text_lines(file, form), 1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{file.name}, line {number} is not a JSON object (read as {form}).")
        rows.append(cast("dict[str, Any]", row))
    names = known_names([*dict.fromkeys(name for row in rows for name in row)], known, file.name)
    rows = [renamed(row, names) for row in rows]
    called = dict.fromkeys(names.values())
    for number, row in enumerate(rows, 1):
        absent = [name for name in required if name in called and name not in row]
        if absent:
            raise InputError(f"{file.name}, row {number} lacks {', '.join(absent)}.")
    _check_all(file, required, names)
    kept = [name for name in (called if only is None else only) if name in called]
    return {name: [row.get(name) for row in rows] for name in kept}, _read_about(file)


def _check_all(file: Path, required: Sequence[str], names: Mapping[str, str]) -> None:
    absent = [name for name in required if name not in names.values()]
    if absent:
        raise lacking(file, absent, [*names])


_READERS: dict[
    str,
    Callable[[Path, TextForm, Sequence[str], Sequence[str] | None, Sequence[str]], tuple[Columns, object]],
] = {
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
