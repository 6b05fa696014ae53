"""The ledger: entries in, entries out, and what happens when they cannot be written."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import UTC, datetime
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from r2_router.config.folders import user_data_dir
from r2_router.config.settings import LEDGER_URL, Settings, load_settings
from r2_router.errors import InputError, LedgerError
from r2_router.ledger.database import Connection, Database
from r2_router.ledger.entry import Entry, new_id, query_hash, stored_budget
from r2_router.ledger.expiry import drop, first_kept
from r2_router.ledger.money import is_amount, to_nanos, to_usd
from r2_router.ledger.sqlite_file import SqliteFile
from r2_router.ledger.writer import Writer

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")

_FIELDS = tuple(field.name for field in fields(Entry))
_COLUMNS = ", ".join("cost_nanos" if name == "cost_usd" else name for name in _FIELDS)
_MARKS = f"({', '.join('?' * len(_FIELDS))})"
_INSERT = f"INSERT INTO entries ({_COLUMNS})"
_KEEP_TEXT = "INSERT INTO answer_texts VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
_SELECT = f"SELECT {_COLUMNS} FROM entries WHERE id = ?"  # noqa: S608

_ID = _FIELDS.index("id")
_SAID = len(_FIELDS)  # where a row that waits has what the model said
_TOLD_BY = [_FIELDS.index(name) for name in ("time", "face", "outcome", "model", "budget", "cost_usd", "query_sha256")]
_DROPPED_A_WRITE = 100  # more than come, so that what is too old goes in the end, and no write takes long

_WAIT_S = 5.0
_BATCH = 500  # rows a transaction: some 5 ms, which others wait for
_MOST_WAITING = 10_000  # entries that wait for the database; what comes then is not kept
_MOST_INTEGER = 2**63 - 1


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Every decision and answer of this user, in one database that all processes share.

    It is the SQLite file `path`, by default ledger.sqlite3 in the user's data folder, made for its owner only by the
    first write; or the Postgres database at `url`, which all machines share. `log_text` keeps the text of queries and
    answers and not only the queries' hash; `keep_days` is how many UTC days entries are kept, today included, None for
    ever. `wait_s`: longest wait for another process's lock. Raises ConfigError for a `url` that cannot be used.

    Entries are written by a thread of the ledger's own, within milliseconds: what reads, `flush`, `close` and the
    end of the process wait for it. All methods may be called from several threads and after a fork.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        log_text: bool = False,
        keep_days: int | None = None,
        url: str = "",
        wait_s: float = _WAIT_S,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.database = _database(path, url, wait_s)
        self.log_text = log_text
        self.keep_days = keep_days
        self.now = now
        # One thread at a time uses the database, and a fork can wait until nothing is open.
        self.lock = self.database.lock
        self._warned = False
        self._begin()
        _ledgers.add(self)

    @classmethod
    def configured(cls, settings: Settings | None = None) -> Self:
        """The ledger that the settings name. Raises ConfigError."""
        settings = settings or load_settings()
        url = settings.key(LEDGER_URL)
        return cls(log_text=settings.log_text, keep_days=settings.ledger_days, url=url.reveal() if url else "")

    def _begin(self) -> None:
        """Nothing put off yet: so it is for a new ledger, and in a forked child, whose parent writes what was."""
        self._writer = Writer()
        self._waiting: list[list[Any]] = []
        self._called = False  # the thread is to write what waits
        self._drawn = ""  # the last id
        self._noting = threading.RLock()

    def record(self, entry: Entry, said: str = "") -> str:
        """Have `entry` written soon, where text is kept with what was `said`; the id it got. Where it cannot be written
        that is a warning in the log of `r2_router`, once, and no error: no answer is lost for its ledger."""
        now = self.now()
        with self._noting:
            answer_id = entry.id or self._draw(now)
            self._waiting.append(self._row(entry, answer_id, now, said))
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.pop()
            self._call()
        return answer_id

    def draw_id(self) -> str:
        """The id of an entry that is to be recorded later: whoever notes it before can tell whether it was."""
        with self._noting:
            return self._draw(self.now())

    def _call(self) -> None:
        """Have what waits written."""
        with self._noting:
            if self._waiting and not self._called:
                self._called = True
                self.put_off(self._write_waiting)

    def put_off(self, job: Callable[[], _T]) -> Future[_T]:
        """Have `job` done by the ledger's thread, after all that was put off or recorded before."""
        return self._writer.submit(job)

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was put off or recorded is written, at most `timeout_s` seconds."""
        self._call()
        self._writer.flush(timeout_s)

    def find(self, answer_id: str) -> Entry | None:
        """The entry of that id. Raises LedgerError where the ledger cannot be read."""
        with self.reading() as db:
            row = None if db is None else db.execute(_SELECT, (answer_id,)).fetchone()
        return _entry(row) if row else None

    def entries(self, where: str = "TRUE", values: Sequence[Any] = (), *, last: int | None = None) -> list[Entry]:
        """The entries that meet an SQL condition on the columns, oldest first; of `last` as many, newest first.

        Raises LedgerError where the ledger cannot be read.
        """
        order = "time, id" if last is None else "time DESC, id DESC LIMIT ?"
        query = f"SELECT {_COLUMNS} FROM entries WHERE {where} ORDER BY {order}"  # noqa: S608  # ours, no user's
        with self.reading() as db:
            rows = [] if db is None else db.execute(query, (*values, *([] if last is None else [last]))).fetchall()
        return [_entry(row) for row in rows]

    def set_quality(self, answer_id: str, quality: float | None, by: str | None = None) -> None:
        """Note the real quality, 0..1, of an answer, as the user found it or as somebody else, `by`, did, who may have
        come to None. What the user said stays, whoever judges later.

        Raises InputError for an unknown id or a quality out of range, LedgerError if it cannot be written.
        """
        if (quality is None and by is None) or (quality is not None and not 0 <= quality <= 1):
            raise InputError(f"quality is a number from 0 to 1; got {quality}.")
        self.flush()
        free = "" if by is None else " AND (quality IS NULL OR quality_by IS NOT NULL)"
        change = f"UPDATE entries SET quality = ?, quality_by = ? WHERE id = ?{free}"  # noqa: S608
        with self.transaction() as db:
            known = db.execute(change, (quality, by, answer_id)).rowcount
            known = known or db.execute("SELECT 1 FROM entries WHERE id = ?", (answer_id,)).fetchone()
        if not known:
            raise InputError(f"The ledger has no answer '{answer_id}'.")

    @property
    def place(self) -> str:
        """Where the ledger lies: a path, or an address without its password."""
        return self.database.place

    def transaction(self) -> AbstractContextManager[Connection]:
        """The database inside one transaction of the only writer; committed at the end, or not at all.

        Raises LedgerError where it is locked, away, damaged, too new, or cannot be written.
        """
        return self.database.transaction()

    def reading(self) -> AbstractContextManager[Connection | None]:
        """The database as it is at one moment, None where there is no ledger yet. It is not made, nor changed.

        Raises LedgerError where it is locked, away, damaged or too new.
        """
        self.flush()
        return self.database.reading()

    def warn(self, error: LedgerError) -> None:
        """Say in the log that the ledger is not kept; the first time only."""
        if not self._warned:
            self._warned = True
            logging.getLogger("r2_router").warning("%s Answers go on, unrecorded.", error)

    def close(self) -> None:
        """Write what waits, and close the database. The ledger stays usable: the next write opens it again."""
        self._call()
        self._writer.stop()
        with self.lock:
            self.database.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_writer"):  # else it was never whole
            self._writer.stop(wait=False)  # nothing waits: that would keep the ledger alive
            self.database.disconnect()

    # -- rows ------------------------------------------------------------------------------------------------

    def _write_waiting(self) -> None:
        """Write the entries that wait, a batch in one transaction, until none does."""
        with self._noting:
            self._called = False
        while rows := self._take():
            began = time.monotonic()
            try:
                with self.transaction() as db:
                    self._insert(db, rows)
                    if self.keep_days is not None:
                        drop(db, first_kept(self.now(), self.keep_days), _DROPPED_A_WRITE)
            except LedgerError as error:
                self.warn(error)
                if self.database.is_server:  # they are written with the next entry, or when somebody waits for them
                    with self._noting:
                        self._waiting = (rows + self._waiting)[:_MOST_WAITING]
                    return
            if self._waiting:
                # The lock knows no queue: free as long as it was held, it comes to the others too.
                time.sleep(time.monotonic() - began)

    def _take(self) -> list[list[Any]]:
        with self._noting:
            rows, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        return rows

    def _insert(self, db: Connection, rows: list[list[Any]]) -> None:
        """All rows in one statement: between two, this thread would wait for its turn, with the database locked."""
        marks = ", ".join([_MARKS] * len(rows))
        values = [*chain.from_iterable(row[:_SAID] for row in rows)]
        if db.execute(f"{_INSERT} VALUES {marks} ON CONFLICT (id) DO NOTHING", values).rowcount < len(rows):
            for row in rows:  # another process drew one of the ids, by chance; or a server took them, and never said so
                while not _is_there(db, row):
                    if db.execute(f"{_INSERT} VALUES {_MARKS} ON CONFLICT (id) DO NOTHING", row[:_SAID]).rowcount == 0:
                        row[_ID] = new_id(self.now())
        for row in rows:
            if row[_SAID]:
                db.execute(_KEEP_TEXT, (row[_ID], row[_SAID]))

    def _draw(self, now: datetime) -> str:
        """An id that this ledger did not give before, and that sorts behind those it gave."""
        self._drawn = new_id(now, self._drawn)
        return self._drawn

    def _row(self, entry: Entry, answer_id: str, now: datetime, said: str = "") -> list[Any]:
        query = entry.query if self.log_text else None
        cost = entry.cost_usd
        changed = {
            "id": answer_id,
            "time": iso(now),
            "query_sha256": query_hash(entry.query),
            "query": query,
            "cost_usd": to_nanos(cost, "cost_usd") if cost is not None and is_amount(cost) else None,
        }
        values = [changed[name] if name in changed else getattr(entry, name) for name in _FIELDS]
        return [*map(_storable, values), _storable(said) if self.log_text else ""]


def iso(time: datetime) -> str:
    """UTC in ISO form, always as wide, so that text sorts by time and its first 10 characters are the day."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def _storable(value: Any) -> Any:
    """`value` as SQLite can hold it: without half characters; None for a whole number too large."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return None if isinstance(value, int) and abs(value) > _MOST_INTEGER else value


def _is_there(db: Connection, row: list[Any]) -> bool:
    """Whether the ledger holds this very entry."""
    found = db.execute(_SELECT, (row[_ID],)).fetchone()
    return found is not None and all(str(found[i]) == str(row[i]) for i in _TOLD_BY)


def _database(path: str | os.PathLike[str] | None, url: str, wait_s: float) -> Database:
    if not url:
        return SqliteFile((Path(path) if path is not None else user_data_dir() / "ledger.sqlite3").absolute(), wait_s)
    from r2_router.ledger.postgres import PostgresDatabase

    return PostgresDatabase(url, wait_s)


def _entry(row: tuple[Any, ...]) -> Entry:
    values: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    values["budget"] = stored_budget(values["budget"])
    if values["cost_usd"] is not None:
        values["cost_usd"] = to_usd(values["cost_usd"])
    return Entry(**values)


# -- the end, and forks --------------------------------------------------------------------------------------
# SQLite's locks do not survive a fork, so no connection is open across one: each ledger is closed between two
# transactions, and opened again on its next use, in the parent and in the child.

_ledgers: WeakSet[Ledger] = WeakSet()
_closed_for_fork: list[Ledger] = []


def flush_all(timeout_s: float | None = None) -> None:
    """Write what every ledger of this process has put off, each in at most `timeout_s` seconds: before an os._exit."""
    for ledger in list(_ledgers):
        ledger.flush(timeout_s)


def _before_fork() -> None:
    ledgers = list(_ledgers)
    if ledgers:  # a thread may be importing it: what is half imported at a fork stays so in the child, which hangs
        import_module("sqlite3")
    for ledger in ledgers:
        ledger.lock.acquire()
        ledger.database.disconnect()
        _closed_for_fork.append(ledger)


def _after_fork() -> None:
    while _closed_for_fork:
        _closed_for_fork.pop().lock.release()


def _after_fork_in_child() -> None:
    for ledger in _closed_for_fork:
        ledger._begin()  # pyright: ignore[reportPrivateUsage]
    _after_fork()


atexit.register(flush_all)
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
