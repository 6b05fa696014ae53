"""The output of a batch: one row a prompt, as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from r2_router.config.safe_files import replacing
from r2_router.errors import InputError
from r2_router.lab.data.files import parquet_module

_TYPES = {
    **{"index": "int64", "model": "string", "budget": "string", "predicted_quality": "float64"},
    **{"predicted_output_tokens": "float64", "predicted_cost_usd": "float64", "answer": "string"},
    **{"finish_reason": "string", "partial": "bool", "prompt_tokens": "int64", "completion_tokens": "int64"},
    **{"cost_usd": "float64", "latency_s": "float64", "error": "string", "provider_batch": "string"},
}


def rows_table(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows as Mapped.row gives them, as an Arrow table whose columns have their type also where all are None."""
    pa = cast("Any", import_module("pyarrow"))
    schema = pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in _TYPES.items()])
    return pa.Table.from_pydict({name: [row.get(name) for row in rows] for name in _TYPES}, schema)


def write_mapped_rows(path: Path, pages: Iterable[list[dict[str, Any]]]) -> None:
    """Pages of rows as one Parquet file, which appears when it is whole. Raises InputError where it cannot be
    written."""
    parquet = parquet_module(path.name)
    try:
        with (
            replacing(path) as stream,
            parquet.ParquetWriter(stream, rows_table([]).schema, compression="zstd") as writer,
        ):
            for page in pages:
                writer.write_table(rows_table(page))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from None
