"""A ledger in one SQLite file, that all processes of a machine share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from r2_router.config.safe_files import make_private
from r2_router.errors import LedgerError
from r2_router.ledger.database import close_with
from r2_router.ledger.expiry import give_back
from r2_router.ledger.schema import MIGRATIONS, check_version, immediate, migrate, version_of

if TYPE_CHECKING:
    import sqlite3

_WAIT_AFTER_FAILURE_S = 0.05  # a file that stays locked does not cost every answer five seconds


class SqliteFile:
    """The file at `path`: made, for its owner only, by the first write; `wait_s` is the longest wait for another
    process's lock. SQLite lets one writer in anyway."""

    is_server = False

    def __init__(self, path: Path, wait_s: float) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._wait_s = wait_s
        self._db: sqlite3.Connection | None = None
        self._close: Callable[[], object] | None = None
        self._file: tuple[int, int] | None = None
        self._failed = False

    @property
    def place(self) -> str:
        return str(self.path)

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        import sqlite3

        with self.lock:
            try:
                db = self._connect()
                with immediate(db):
                    yield db
            except (sqlite3.Error, OSError, LedgerError) as error:
                self.disconnect()
                self._failed = True
                raise self._fault("written", error) from None
            if self._failed:
                self.disconnect()  # the next connection waits for locks as long as it should
                self._failed = False

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection | None]:
        import sqlite3

        try:
            if not self.path.exists():
                yield None
                return
            with self.lock, closing(self._open(f"{self.path.as_uri()}?mode=ro", uri=True)) as db:
                version = version_of(db)
                if 0 < version < len(MIGRATIONS):
                    self._connect()  # migrates
                check_version(version_of(db), self.place)
                if version:
                    db.execute("BEGIN")  # all that is read is of one moment
                yield db if version else None
        except (sqlite3.Error, OSError) as error:
            raise self._fault("read", error) from None

    def shrink(self) -> None:
        import sqlite3

        with self.lock:
            try:
                give_back(self._connect())
            except (sqlite3.Error, OSError, LedgerError) as error:
                self.disconnect()
                raise self._fault("shrunk", error) from None

    def size(self) -> int:
        """Bytes of the file and of what is still beside it."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.is_file())

    def disconnect(self) -> None:
        close, self._close, self._db = self._close, None, None
        if close is not None:
            close()

    def _connect(self) -> sqlite3.Connection:
        """The open connection; a new one if there is none, or the file was deleted or replaced since."""
        if self._db is not None and self._file == self._identity():
            return self._db
        self.disconnect()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        make_private(self.path)
        self._db = self._open(str(self.path))
        self._close = close_with(self, self._db.close)
        self._file = self._identity()
        migrate(self._db)
        check_version(version_of(self._db), self.place)
        # In WAL mode a killed process loses nothing it committed; only a power cut may take the last entries.
        self._db.execute("PRAGMA synchronous = NORMAL")
        return self._db

    def _open(self, target: str, *, uri: bool = False) -> sqlite3.Connection:
        import sqlite3

        wait_s = min(self._wait_s, _WAIT_AFTER_FAILURE_S) if self._failed else self._wait_s
        return sqlite3.connect(target, timeout=wait_s, isolation_level=None, check_same_thread=False, uri=uri)

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _fault(self, verb: str, error: Exception) -> LedgerError:
        if isinstance(error, LedgerError):
            return error
        reason = (isinstance(error, OSError) and error.strerror) or error
        return LedgerError(
            f"The ledger {self.path} cannot be {verb}: {reason}. Check the disk and the permissions; if the "
            "file is damaged, move it away, and a new one is started."
        )
