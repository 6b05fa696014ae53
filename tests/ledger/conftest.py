"""Where a ledger lies: the same tests for a file and for a Postgres server."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A ledger's place for `ledger_at`: a file that is not there yet, or a new database."""
    if request.param == "file":
        return tmp_path / "ledger.sqlite3"
    return request.getfixturevalue("postgres").database()
