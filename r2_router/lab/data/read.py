"""Reads training tables from Parquet, CSV or JSONL files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from r2_router.lab.data.files import read_columns
from r2_router.lab.data.table import OPTIONAL, REQUIRED, Table, make_table


def read_table(path: str | os.PathLike[str]) -> Table:
    """The training table at `path`, a .parquet, .csv or .jsonl file.

    Raises InputError, naming file, column and row, for anything that cannot be used (see `make_table`).
    """
    columns, about = read_columns(path, what="training table", required=REQUIRED, only=REQUIRED + OPTIONAL)
    return replace(make_table(columns, Path(path).name), about=about)
