"""Named tokens: who may ask, where several people share one ledger, and what each may spend."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from r2_router.acting import Caller
from r2_router.errors import InputError
from r2_router.ledger.money import to_nanos, to_usd

if TYPE_CHECKING:
    from r2_router.ledger.store import Ledger

_FRESH_S = 5.0  # for which what was read of the tokens holds
_NAME = re.compile(r"[\w.@+-]{1,64}")
_COLUMNS = "name, day_nanos, month_nanos, worth_usd, preset, added"
_ADD = f"INSERT INTO tokens (sha256, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING"  # noqa: S608
_ALL = f"SELECT sha256, {_COLUMNS} FROM tokens ORDER BY name"  # noqa: S608


class Tokens:
    """The named tokens of a ledger. A token has 256 bits of chance, so its plain SHA-256, which is all that is kept,
    tells nothing of it. What changes, here or on another machine, holds within five seconds."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._known: dict[str, Caller] = {}
        self._read_at: float | None = None
        self._lock = threading.Lock()

    def add(self, caller: Caller) -> str:
        """A new token for `caller`, to be shown once. Raises InputError for a name that is taken or none, or an amount
        that is none; LedgerError where it cannot be written."""
        if not _NAME.fullmatch(caller.name):
            raise InputError("A name has 1 to 64 letters, digits and . _ @ + -, as in alice or build-bot.")
        limits = (caller.max_usd_per_day, caller.max_usd_per_month)
        nanos = [None if usd is None else to_nanos(usd, "A limit") for usd in limits]
        token = f"r2-{secrets.token_urlsafe(32)}"
        values = (_hash(token), caller.name, *nanos, caller.worth_usd, caller.preset, self._ledger.now().isoformat())
        with self._ledger.transaction() as db:
            if db.execute(_ADD, values).rowcount == 0:
                raise InputError(f"{caller.name} has a token already: remove it first, or choose another name.")
        self._read_at = None
        return token

    def remove(self, name: str) -> None:
        """End the token of that name. Raises InputError where there is none, LedgerError."""
        with self._ledger.transaction() as db:
            if db.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount == 0:
                raise InputError(f"Nobody called '{name[:64]}' has a token.")
        self._read_at = None

    def all(self) -> list[Caller]:
        """Everybody with a token, by name. Raises LedgerError."""
        return list(self._current().values())

    def find(self, token: str) -> Caller | None:
        """Whose token it is, None for nobody's. Reads the ledger now and then; raises LedgerError."""
        return self._current().get(_hash(token)) if token else None

    @property
    def is_fresh(self) -> bool:
        """Whether what was read still holds, so that to find a token, or all, reads nothing."""
        read_at = self._read_at
        return read_at is not None and self._clock() - read_at <= _FRESH_S

    def _current(self) -> dict[str, Caller]:
        with self._lock:
            if not self.is_fresh:
                now = self._clock()
                self._known = self._read()
                self._read_at = now
            return self._known

    def _read(self) -> dict[str, Caller]:
        with self._ledger.lock, self._ledger.database.reading() as db:  # not after what waits to be written
            rows: list[Any] = [] if db is None else db.execute(_ALL).fetchall()
        return {row[0]: _caller(*row[1:]) for row in rows}


def _caller(name: str, day: int | None, month: int | None, worth_usd: float | None, preset: str, added: str) -> Caller:
    """A row of the table of tokens."""
    day_usd, month_usd = (None if nanos is None else to_usd(nanos) for nanos in (day, month))
    return Caller(name, day_usd, month_usd, worth_usd, preset, added)


def who_asks(token: str, tokens: Tokens) -> Callable[[str], Awaitable[object]]:
    """Says of what a request brings whose it is: True for `token`, which has no name, a Caller for one of `tokens`,
    None for anything else; where there is neither, everybody is True."""
    expected = token.encode()

    async def who(brought: str) -> object:
        if expected and hmac.compare_digest(brought.encode(), expected):
            return True
        if not tokens.is_fresh:
            await asyncio.to_thread(tokens.all)  # which waits for the ledger; others go on
        return tokens.find(brought) or (True if not expected and not tokens.all() else None)

    return who


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
