"""Prompts of files on any filesystem that Arrow knows, in pieces that machines read apart from each other.

Ray's own read_parquet does not say where in its file a row stands, and the output names each prompt by its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.lab.data.files import parquet_module
from r2_router.lab.data.prompts import as_prompt, prompt_column, prompts

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Span:
    """Prompts that follow each other: a row group of a Parquet file, or, `group` None, a whole file of another kind.

    `first` is the number of its first prompt among all, `rows` the most that count.
    """

    address: str
    column: str
    first: int
    rows: int | None
    group: int | None = None


def spans(address: str, column: str = "", rows: int | None = None) -> list[Span]:
    """The first `rows` prompts, None for all, of a .parquet, .csv or .jsonl file, of a folder of Parquet files, by
    name, or of either at an address such as s3://bucket/folder. Only the files' footers are read.

    Raises InputError for what is not there, cannot be read or lacks the column.
    """
    if "://" not in address and Path(address).suffix.lower() in (".csv", ".jsonl"):
        return [Span(address, column, 0, rows)]
    parquet, filesystem, path = parquet_module(address), *_opened(address)
    found: list[Span] = []
    first = 0
    try:
        for file in _files(filesystem, path, address):
            with parquet.ParquetFile(filesystem.open_input_file(file)) as table:
                name = prompt_column(Path(file), column, table.schema_arrow.names)
                for group in range(table.num_row_groups):
                    held = table.metadata.row_group(group).num_rows
                    if rows is not None and first >= rows:
                        return found
                    most = held if rows is None else min(held, rows - first)
                    found.append(Span(_beside(address, file), name, first, most, group))
                    first += held
    except (OSError, ValueError) as error:
        raise error if isinstance(error, InputError) else _unreadable(address, error) from None
    return found


def read_span(span: Span) -> Iterator[tuple[int, Any]]:
    """The numbered prompts of a span; no more than a block of them is held. Raises InputError as `prompts` does."""
    found = prompts(Path(span.address), span.column) if span.group is None else _row_group(span)
    return enumerate(islice(found, span.rows), span.first)


def _row_group(span: Span) -> Iterator[Any]:
    filesystem, path = _opened(span.address)
    try:
        with parquet_module(path).ParquetFile(filesystem.open_input_file(path)) as table:
            blocks = table.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=[span.group], columns=[span.column])
            for block in blocks:
                yield from map(as_prompt, block.column(0).to_pylist())
    except (OSError, ValueError) as error:
        raise _unreadable(span.address, error) from None


def _opened(address: str) -> tuple[Any, str]:
    """The filesystem of an address, and the path in it."""
    fs = cast("Any", import_module("pyarrow.fs"))
    if "://" not in address:
        return fs.LocalFileSystem(), str(Path(address).absolute())
    try:
        return fs.FileSystem.from_uri(address)
    except (OSError, ValueError) as error:
        raise _unreadable(address, error) from None


def _files(filesystem: Any, path: str, address: str) -> list[str]:
    fs = cast("Any", import_module("pyarrow.fs"))
    about = filesystem.get_file_info(path)
    if about.type == fs.FileType.File:
        return [path]
    if about.type == fs.FileType.NotFound:
        raise InputError(f"No prompts at {address}.")
    inside = filesystem.get_file_info(fs.FileSelector(path))
    names = sorted(each.path for each in inside if each.path.lower().endswith(".parquet"))
    if not names:
        raise InputError(f"{address} holds no .parquet file.")
    return names


def inside(address: str, name: str) -> str:
    """The address, or the path, of `name` in a folder; what an address says of its filesystem ("?region=...") stays."""
    if "://" not in address:
        return str(Path(address) / name)
    folder, mark, options = address.partition("?")
    return f"{folder.rstrip('/')}/{name}{mark}{options}"


def _beside(address: str, file: str) -> str:
    """The address of `file`, a path in the filesystem of `address`, which is it or the folder it lies in."""
    name = PurePosixPath(file).name
    if "://" not in address:
        return file
    return address if address.partition("?")[0].rstrip("/").endswith(name) else inside(address, name)


def _unreadable(address: str, error: Exception) -> InputError:
    return InputError(f"{address} cannot be read as Parquet: {error}")
