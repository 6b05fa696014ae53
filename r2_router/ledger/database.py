"""What a ledger asks of the database it lies in: one SQL, one writer at a time, typed errors."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """An open database. A statement marks its parameters with "?"."""

    def execute(self, statement: str, parameters: Sequence[Any] = ..., /) -> Rows: ...


class Database(Protocol):
    """Where a ledger lies. Used by one thread at a time, whoever holds `lock`."""

    lock: threading.RLock
    # Whether others' machines use it, and it comes back after a failure: what could not be written is kept till then.
    is_server: bool

    @property
    def place(self) -> str:
        """Where it is, in words that hold no secret."""
        ...

    def transaction(self) -> AbstractContextManager[Connection]:
        """The database inside one transaction of the only writer; committed at the end, or not at all.

        Raises LedgerError where it cannot be written.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection | None]:
        """The database as it is at one moment, None where there is no ledger yet. It is not made, nor changed.

        Raises LedgerError where it cannot be read.
        """
        ...

    def shrink(self) -> None:
        """Give the disk back what deleted entries took. Raises LedgerError."""
        ...

    def size(self) -> int:
        """Bytes that it takes. Raises LedgerError."""
        ...

    def disconnect(self) -> None:
        """Close the connection; the next use opens another."""
        ...


def close_with(holder: Database, close: Callable[[], None]) -> weakref.finalize[[], Database]:
    """Calls `close` once: when it is called, or when `holder` is collected unclosed. A connection collected open is
    warned of, and in a ring with its holder may be the first to go."""
    closer = weakref.finalize(holder, close)
    closer.atexit = False  # the last entries are written then
    return closer
