"""Where a ledger lies: the same tests for a file and for a Postgres server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import PostgresServer, programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of a process."""
    folder = programs()
    if folder is None:
        pytest.skip("no Postgres on this machine: Debian's package postgresql has its programs")
    server = PostgresServer(folder)
    yield server
    server.close()


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A ledger's place for `ledger_at`: a file that is not there yet, or a new database."""
    if request.param == "file":
        return tmp_path / "ledger.sqlite3"
    return request.getfixturevalue("postgres").database()
