"""Writes training tables as Parquet, block by block; the file appears when it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from r2_router.config.safe_files import replacing
from r2_router.errors import InputError
from r2_router.lab.data.files import ABOUT_KEY, Columns, parquet_module

_TYPES = {
    "query_id": "string",
    "query": "string",
    "model": "string",
    "budget": "int64",
    "quality": "float64",
    "output_tokens": "int64",
    "input_tokens": "int64",
    "category": "string",
    "mean_logprob": "float64",
}


class TableWriter:
    """A context manager: blocks of rows in, one Parquet file out at the end, or none after an error.

    `about` is what the file says of itself (see Table.about). The columns are those of the training table;
    `extra` maps the names of further columns to their Arrow types, such as {"finish_reason": "string"}.
    Raises InputError where pyarrow is missing or the file cannot be written.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], extra: Mapping[str, str] | None = None) -> None:
        self._parquet = parquet_module(path.name)
        pa = self._pa = cast("Any", import_module("pyarrow"))  # untyped
        self._path = path
        self._file = ExitStack()
        types = {**_TYPES, **(extra or {})}
        fields = [pa.field(name, pa.type_for_alias(kind)) for name, kind in types.items()]
        described = json.dumps(about, ensure_ascii=False, allow_nan=False).encode()
        self._schema = pa.schema(fields, metadata={ABOUT_KEY: described})
        self._writer: Any = None

    def __enter__(self) -> Self:
        try:
            stream = self._file.enter_context(replacing(self._path))  # for its owner alone: it holds queries
            self._writer = self._parquet.ParquetWriter(stream, self._schema, compression="zstd")
        except OSError as error:
            raise InputError(f"{self._path} cannot be written: {error.strerror or error}.") from None
        return self

    def write(self, columns: Columns) -> None:
        """Append rows. A column that is absent is null, a budget "unlimited" too."""
        count = len(columns["query"])
        given = {
            name: [None if value == "unlimited" else value for value in columns[name]] if name == "budget" else values
            for name, values in ((n, columns.get(n, [None] * count)) for n in self._schema.names)
        }
        self._writer.write_table(self._pa.Table.from_pydict(given, schema=self._schema))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._file.__exit__(kind, error, trace)
