"""A SQLite file in which one process keeps what its work has brought so far, each step committed at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from r2_router.config.safe_files import make_private
from r2_router.errors import InputError, R2Error
from r2_router.ledger.schema import immediate

_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"


class WorkingFile:
    """The file at `path`, for one process at a time (InputError for a second one). A context manager.

    `schema` is what a new file is made of, statements separated by semicolons; `version` its number; statement i of
    `migrations` brings a file of version i + 1 to the next.
    """

    schema: ClassVar[str] = ""
    version: ClassVar[int] = 1
    migrations: ClassVar[Sequence[str]] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: sqlite3.Connection | None = None
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self.path)  # it holds queries and answers
            self._take_lock()
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._open(self._db)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise InputError(f"{self.path} cannot be used: {error}. Give another --output, or free the disk.") from None
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next process may have it."""
        for name in ("_db", "_lock"):
            connection: sqlite3.Connection | None = getattr(self, name)
            setattr(self, name, None)
            if connection is not None:
                connection.close()

    def settle_on(self, facts: dict[str, Any]) -> None:
        """Note what all that is kept here has in common. Raises InputError where an earlier run had it otherwise."""
        for key, value in facts.items():
            text = json.dumps(value, ensure_ascii=False, sort_keys=True)
            known = self.one("SELECT value FROM meta WHERE key = ?", (key,))
            if known is None:
                with self.transaction() as db:
                    db.execute("INSERT INTO meta VALUES (?, ?)", (key, text))
            elif known != text:
                raise InputError(
                    f"{self.path.parent} was begun with another {key}: {known} there, {text} now. Answers of both do "
                    f"not go into one table: give another --output, or the old {key}."
                )

    def fact(self, key: str) -> Any:
        """What `settle_on` noted, None if nothing."""
        known = self.one("SELECT value FROM meta WHERE key = ?", (key,))
        return None if known is None else json.loads(known)

    # -- for those that keep something in it -----------------------------------------------------------------

    @property
    def db(self) -> sqlite3.Connection:
        """The open file."""
        if self._db is None:
            raise RuntimeError("the store is closed")
        return self._db

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All or nothing. Raises R2Error where the file cannot be written."""
        db = self.db
        try:
            with immediate(db):
                yield db
        except sqlite3.Error as error:
            raise R2Error(f"{self.path} cannot be written: {error}. What was answered before is safe in it.") from None

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first column of the first row, None for no row."""
        with closing(self.db.execute(query, values)) as cursor:
            row = cursor.fetchone()
        return None if row is None else row[0]

    def prepare(self, db: sqlite3.Connection) -> None:
        """What every process does with the file once it is open."""

    def _open(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # paid answers survive a power cut too
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self.transaction():
                for statement in (_META + self.schema).split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {self.version}")
        elif version > self.version:
            raise InputError(f"{self.path} was written by a newer r2-router: update with `pip install -U r2-mcp`.")
        elif version < self.version:
            with self.transaction():
                for statement in self.migrations[version - 1 :]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {self.version}")
        self.prepare(db)

    def _take_lock(self) -> None:
        """An exclusive transaction on a file of its own: it ends with the process, however that ends."""
        make_private(self.path.with_suffix(".lock"))
        lock = sqlite3.connect(self.path.with_suffix(".lock"), timeout=0, isolation_level=None, check_same_thread=False)
        self._lock = lock
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise InputError(
                f"Another process is collecting into {self.path.parent}. Wait for it, or stop it."
            ) from None
