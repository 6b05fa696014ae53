"""A ledger in a Postgres database, that all machines of a team share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from r2_router.errors import ConfigError, LedgerError
from r2_router.ledger.database import Rows, close_with
from r2_router.ledger.schema import MIGRATIONS, check_version
from r2_router.ledger.schema_postgres import for_postgres

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql", "postgres")
_SCHEMA = "r2_router"
WRITER = 0x7232_6C65  # the advisory lock of the one writer: "r2le"
_CONNECT_S = 5
_PAUSE_S = 2.0  # after a failure: a server that is away does not cost every answer five seconds


class PostgresDatabase:
    """The database of a "postgresql://" address, in a schema of our own; `wait_s` is the longest wait for the lock of
    another writer. Writers take one advisory lock in turn, so that limits hold across all of them.

    Raises ConfigError for an address that is none, or where psycopg is not installed.
    """

    is_server = True

    def __init__(self, url: str, wait_s: float) -> None:
        self.lock = threading.RLock()
        self._url = url
        self._wait_s = wait_s
        self._db: psycopg.Connection[Any] | None = None
        self._close: Callable[[], object] | None = None
        self._away_until = 0.0
        self._place = place_of(url)
        try:
            import psycopg as _psycopg
        except ImportError:
            raise ConfigError(
                'A ledger in Postgres needs the package psycopg: pip install "r2-mcp[postgres]".'
            ) from None
        self._errors: tuple[type[Exception], ...] = (_psycopg.Error, OSError)

    @property
    def place(self) -> str:
        return self._place

    @contextmanager
    def transaction(self) -> Generator[_Marked]:
        with self.lock:
            try:
                db = self._connect()
                with db.transaction():
                    db.execute("SELECT pg_advisory_xact_lock(%s)", (WRITER,))
                    yield _Marked(db)
            except (*self._errors, LedgerError) as error:
                self.disconnect()
                raise self._fault("written", error) from None

    @contextmanager
    def reading(self) -> Generator[_Marked | None]:
        with self.lock:
            try:
                db = self._connect()
                with db.transaction():
                    db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    yield _Marked(db)
            except (*self._errors, LedgerError) as error:
                self.disconnect()
                raise self._fault("read", error) from None

    def shrink(self) -> None:
        """Nothing to do: autovacuum gives the space of deleted rows to the next ones."""

    def size(self) -> int:
        with self.reading() as db:
            query = (
                "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relkind = 'r'"
            )
            return 0 if db is None else int(db.execute(query, (_SCHEMA,)).fetchone()[0])

    def disconnect(self) -> None:
        close, self._close, self._db = self._close, None, None
        if close is not None:
            with suppress(*self._errors):
                close()

    def _connect(self) -> psycopg.Connection[Any]:
        if self._db is not None and not self._db.closed:
            return self._db
        if time.monotonic() < self._away_until:
            raise LedgerError(f"The ledger {self.place} did not answer a moment ago.")
        import psycopg

        try:
            db = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT_S,
                options=f"-c lock_timeout={max(1, round(self._wait_s * 1000))}",
                application_name="r2-router",
            )
        except self._errors:
            self._away_until = time.monotonic() + _PAUSE_S
            raise
        self._db = db
        self._close = close_with(self, db.close)
        _understand(db)
        self._migrate(db)
        return db

    def _migrate(self, db: psycopg.Connection[Any]) -> None:
        """Make the tables, or bring older ones to the present schema, all or nothing; newer ones are left alone."""
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (WRITER,))
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
            db.execute(f"SET search_path TO {_SCHEMA}")
            db.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
            row = db.execute("SELECT version FROM schema_version").fetchone()
            version = row[0] if row else 0
            check_version(version, self.place)
            if version == len(MIGRATIONS):
                return
            for step in MIGRATIONS[version:]:
                for statement in step:
                    for translated in for_postgres(statement):
                        db.execute(translated)  # pyright: ignore[reportArgumentType, reportCallIssue]
            db.execute("DELETE FROM schema_version")
            db.execute("INSERT INTO schema_version VALUES (%s)", (len(MIGRATIONS),))

    def _fault(self, verb: str, error: Exception) -> LedgerError:
        if isinstance(error, LedgerError):
            return error
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        return LedgerError(
            f"The ledger {self.place} cannot be {verb}: {reason}. Check that the server runs and that R2_LEDGER_URL "
            "names a database and a user that may make tables in it."
        )


class _Marked:
    """A connection whose statements mark their parameters with "?", as SQLite's do."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self._db = db

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Rows:
        marked = statement.replace("%", "%%").replace("?", "%s") if parameters else statement
        return self._db.execute(marked, parameters or None)  # pyright: ignore[reportArgumentType, reportCallIssue]


def place_of(url: str) -> str:
    """An address without user, password and parameters. Raises ConfigError for one that is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in SCHEMES:
        raise ConfigError("R2_LEDGER_URL is an address like postgresql://USER@HOST/DATABASE.")
    return f"postgresql://{host}{f':{port}' if port else ''}{parts.path}"


def _understand(db: psycopg.Connection[Any]) -> None:
    """Send numbers as literals whose type the column decides, as SQLite does, and read sums as plain numbers."""
    from psycopg.adapt import Dumper, Loader

    class Literal(Dumper):
        oid = 0

        def dump(self, obj: Any) -> bytes:
            return repr(obj).encode()

    class Number(Loader):
        def load(self, data: Any) -> int | float:
            text = bytes(data).decode()
            return int(text) if text.lstrip("-").isdecimal() else float(text)

    for kind in (int, float):
        db.adapters.register_dumper(kind, Literal)
    db.adapters.register_loader("numeric", Number)
