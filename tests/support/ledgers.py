"""Ledgers in a file or in Postgres: opened, looked into and kept busy by their place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from r2_router.ledger import Ledger


def in_postgres(place: str | Path) -> bool:
    return str(place).startswith("postgresql:")


def ledger_at(place: str | Path, **options: Any) -> Ledger:
    """The ledger in a file or, where `place` is an address, in Postgres."""
    return Ledger(url=str(place), **options) if in_postgres(place) else Ledger(place, **options)


def rows(place: str | Path, sql: str) -> list[tuple[Any, ...]]:
    """What a query of the ledger's tables gives."""
    if not in_postgres(place):
        with closing(sqlite3.connect(place)) as db:
            return db.execute(sql).fetchall()
    import psycopg

    with psycopg.connect(str(place), options="-c search_path=r2_router") as db:
        return db.execute(sql).fetchall()  # pyright: ignore[reportArgumentType]


@contextmanager
def busy(place: str | Path) -> Iterator[None]:
    """Meanwhile somebody else writes, and comes to no end."""
    if not in_postgres(place):
        with closing(sqlite3.connect(place, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")
        return
    import psycopg

    from r2_router.ledger.postgres import WRITER

    with psycopg.connect(str(place)) as db:
        db.execute("SELECT pg_advisory_xact_lock(%s)", (WRITER,))
        yield
