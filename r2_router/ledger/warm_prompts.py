"""What lies in providers' prompt caches, for every process that shares a ledger: hashes, counts and times, no text.

A few rows a chat, which leave with the cache that they tell of; and for each model how often its provider finds what
it should.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from r2_router.errors import ConfigError, LedgerError
from r2_router.routing.prompt_memory import Beginning, Rate, learned

if TYPE_CHECKING:
    from r2_router.ledger.database import Connection
    from r2_router.ledger.store import Ledger

_PAUSE_S = 60.0  # after a failure: a decision does not wait for a ledger that is away
_PATIENCE_S = 0.05  # for this process's own writing, which may wait for another's
_DROPPED_A_WRITE = 100
_COLUMNS = "chat, prefix, model, tokens, kept, read_at, lease_end"
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in ("tokens", "kept", "read_at", "lease_end"))


class WarmPrompts:
    """The part of `ledger` that a PromptMemory shares with those of other processes. Thread-safe.

    Reading waits for nothing that is still to be written; a ledger that cannot be used is a warning in its log, once,
    and as good as an empty one.
    """

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._ledger = ledger
        self._away_until = 0.0

    def read(self, chats: Sequence[bytes]) -> tuple[list[Beginning], dict[str, Rate]]:
        """The beginnings of these chats that are still kept, and every model's rate."""
        ledger = self._open()
        if ledger is None or time.monotonic() < self._away_until or not ledger.lock.acquire(timeout=_PATIENCE_S):
            return [], {}
        try:
            with ledger.database.reading() as db:
                return ([], {}) if db is None else _kept(db, chats, ledger.now().timestamp())
        except LedgerError as error:
            self._away_until = time.monotonic() + _PAUSE_S
            ledger.warn(error)
            return [], {}
        finally:
            ledger.lock.release()

    def write(self, rows: Sequence[Beginning], replaced: Sequence[bytes]) -> None:
        """Keep `rows`, soon, and no longer what their model read of those `replaced`, their own beginnings."""
        ledger = self._open()
        if ledger is None:
            return
        now = ledger.now().timestamp()

        def job(db: Connection) -> None:
            for row in rows:
                gone = [prefix.hex() for prefix in replaced]
                if gone:
                    marks = ", ".join("?" * len(gone))
                    db.execute(
                        f"DELETE FROM warm_prompts WHERE chat = ? AND model = ? AND prefix IN ({marks})",  # noqa: S608
                        (row.chat.hex(), row.model, *gone),
                    )
                values = (
                    row.chat.hex(), row.prefix.hex(), row.model, row.tokens, row.kept,
                    now - row.seconds_ago, now + row.seconds_left,
                )  # fmt: skip
                db.execute(
                    f"INSERT INTO warm_prompts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
                    f"ON CONFLICT (chat, prefix, model) DO UPDATE SET {_REPLACED}",
                    values,
                )
            expired = "SELECT chat FROM warm_prompts WHERE lease_end <= ? ORDER BY lease_end LIMIT ?"
            db.execute(
                f"DELETE FROM warm_prompts WHERE lease_end <= ? AND chat IN ({expired})",  # noqa: S608
                (now, now, _DROPPED_A_WRITE),
            )

        self._put_off(ledger, job)

    def learn(self, name: str, found: float) -> None:
        """Another share was found of what the rate `name` is about."""
        ledger = self._open()
        if ledger is None:
            return
        now = ledger.now().timestamp()

        def job(db: Connection) -> None:
            row = db.execute("SELECT rate, learned_at FROM cache_hits WHERE model = ?", (name,)).fetchone()
            rate = learned(name, None if row is None else Rate(row[0], now - row[1]), found)
            db.execute(
                "INSERT INTO cache_hits (model, rate, learned_at) VALUES (?, ?, ?) "
                "ON CONFLICT (model) DO UPDATE SET rate = excluded.rate, learned_at = excluded.learned_at",
                (name, rate.rate, now),
            )

        self._put_off(ledger, job)

    def _open(self) -> Ledger | None:
        """The ledger; None where its address cannot be used, which who records or pays is told."""
        try:
            return self._ledger()
        except ConfigError:
            return None

    @staticmethod
    def _put_off(ledger: Ledger, job: Callable[[Connection], None]) -> None:
        def write() -> None:
            try:
                with ledger.transaction() as db:
                    job(db)
            except LedgerError as error:
                ledger.warn(error)

        ledger.put_off(write)


def _kept(db: Connection, chats: Sequence[bytes], now: float) -> tuple[list[Beginning], dict[str, Rate]]:
    marks = ", ".join("?" * len(chats))
    asked = f"SELECT {_COLUMNS} FROM warm_prompts WHERE chat IN ({marks}) AND lease_end > ?"  # noqa: S608
    found = [
        Beginning(bytes.fromhex(chat), bytes.fromhex(prefix), model, tokens, kept, now - read_at, end - now)
        for chat, prefix, model, tokens, kept, read_at, end in db.execute(asked, (*(c.hex() for c in chats), now))
    ]
    rates = db.execute("SELECT model, rate, learned_at FROM cache_hits")
    return found, {model: Rate(min(1.0, max(0.0, rate)), now - at) for model, rate, at in rates}
