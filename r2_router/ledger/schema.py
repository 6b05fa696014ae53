"""The ledger's tables and how an older ledger becomes the present one."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING

from r2_router.errors import LedgerError
from r2_router.ledger.summaries import CACHES, EXPLORATION, SUMMARIES

if TYPE_CHECKING:
    import sqlite3

# Step i brings a ledger of version i to version i + 1; the version is SQLite's own user_version.
# A step that has been released never changes: what comes next is another step.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE entries (
            id TEXT PRIMARY KEY,
            time TEXT NOT NULL,               -- UTC, ISO form, always of the same width
            face TEXT NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            checkpoint TEXT NOT NULL,
            query_sha256 TEXT NOT NULL,
            query TEXT,                       -- only if the user asked for it
            input_tokens INTEGER,
            lambda_val REAL,
            worth_usd REAL,
            model TEXT NOT NULL,
            budget NOT NULL,                  -- a number, or 'unlimited'
            predicted_quality REAL,
            quality REAL,
            predicted_output_tokens REAL,
            output_tokens INTEGER,
            predicted_cost_usd REAL,
            cost_nanos INTEGER,               -- billed: whole nano-dollars
            baseline_cost_usd REAL,
            latency_s REAL,
            attempts INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX entries_by_time ON entries (time)",
        # What the limits are checked against: settled spend a day, and what running calls may still spend.
        "CREATE TABLE spend (day TEXT PRIMARY KEY, nanos INTEGER NOT NULL) WITHOUT ROWID",
        """
        CREATE TABLE reservations (
            id INTEGER PRIMARY KEY,
            day TEXT NOT NULL,
            nanos INTEGER NOT NULL,
            lease_end REAL NOT NULL           -- seconds since 1970
        )
        """,
    ),
    SUMMARIES,
    (
        "ALTER TABLE entries ADD COLUMN prompt_tokens INTEGER",
        "ALTER TABLE entries ADD COLUMN cache_read_tokens INTEGER",
        "ALTER TABLE entries ADD COLUMN cache_write_tokens INTEGER",
        "ALTER TABLE entries ADD COLUMN cache_saved_usd REAL",
        *CACHES,
        # Beginnings of prompts that lie in providers' caches, as hashes, and how often each model finds them.
        """
        CREATE TABLE warm_prompts (
            chat TEXT NOT NULL,               -- hash of what the chat began with
            prefix TEXT NOT NULL,             -- hash of the beginning that was sent
            model TEXT NOT NULL,
            tokens INTEGER NOT NULL,
            kept INTEGER,                     -- of them, as the provider says; NULL: all
            read_at REAL NOT NULL,            -- seconds since 1970
            lease_end REAL NOT NULL,          -- when the provider forgets it
            PRIMARY KEY (chat, prefix, model)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX warm_prompts_by_end ON warm_prompts (lease_end)",
        """
        CREATE TABLE cache_hits (
            model TEXT PRIMARY KEY,
            rate REAL NOT NULL,               -- the share of what should be cached that is found
            learned_at REAL NOT NULL          -- seconds since 1970
        ) WITHOUT ROWID
        """,
    ),
    (
        "ALTER TABLE entries ADD COLUMN quality_by TEXT",
        # What models said, only if the user asked for it; for whoever judges answers later.
        "CREATE TABLE answer_texts (id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        """
        CREATE TABLE preferences (            -- of two answers to one prompt
            better TEXT NOT NULL,
            worse TEXT NOT NULL,
            preferred_by TEXT,                -- NULL: the user
            time TEXT NOT NULL,
            PRIMARY KEY (better, worse)
        ) WITHOUT ROWID
        """,
    ),
    # How many labels there are is asked for again and again.
    ("CREATE INDEX entries_judged ON entries (id) WHERE quality IS NOT NULL",),
    ("ALTER TABLE entries ADD COLUMN explored_usd REAL", *EXPLORATION),
    (
        # Who asked, "" or NULL where nobody with a name did; their tokens, of which only hashes are kept.
        "ALTER TABLE entries ADD COLUMN caller TEXT",
        "ALTER TABLE reservations ADD COLUMN caller TEXT NOT NULL DEFAULT ''",
        """
        CREATE TABLE spend_by (
            day TEXT NOT NULL,
            caller TEXT NOT NULL,
            nanos INTEGER NOT NULL,
            PRIMARY KEY (day, caller)
        ) WITHOUT ROWID
        """,
        "INSERT INTO spend_by (day, caller, nanos) SELECT day, '', nanos FROM spend",
        "DROP TABLE spend",
        "ALTER TABLE spend_by RENAME TO spend",
        """
        CREATE TABLE tokens (
            name TEXT PRIMARY KEY,
            sha256 TEXT NOT NULL UNIQUE,
            day_nanos INTEGER,                -- NULL: no limit
            month_nanos INTEGER,
            worth_usd REAL,
            preset TEXT NOT NULL,
            added TEXT NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    (
        # What was learned from the use of a pool, where several machines share a ledger: its runs, and the files of its
        # checkpoint, NULL where there is none; until when one of them is learning.
        """
        CREATE TABLE learned (
            pool TEXT PRIMARY KEY,
            time TEXT NOT NULL DEFAULT '',    -- of the last run
            runs BLOB,
            about BLOB,
            heads BLOB,
            learning_until TEXT NOT NULL DEFAULT ''
        ) WITHOUT ROWID
        """,
    ),
    ("ALTER TABLE entries ADD COLUMN provider_batch TEXT",),
)

_MANY = 100_000  # entries that take a moment to bring up to date


def version_of(db: sqlite3.Connection) -> int:
    """The schema version of a ledger, 0 for an empty file."""
    return db.execute("PRAGMA user_version").fetchone()[0]


def check_version(version: int, place: str) -> None:
    """Raises LedgerError for a ledger of a newer schema than this program knows."""
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"The ledger {place} was written by a newer r2-router (its schema is {version}, this one "
            f"knows {len(MIGRATIONS)}): upgrade this r2-router. The ledger is left as it is."
        )


def count_entries(db: sqlite3.Connection) -> int:
    """How many entries a ledger has."""
    return db.execute("SELECT COUNT(*) FROM entries").fetchone()[0]


def migrate(db: sqlite3.Connection) -> None:
    """Bring an older ledger to the present schema, all or nothing; a newer one is left alone."""
    import sqlite3

    if version_of(db) == 0:  # takes effect only on a file that is still empty: what is pruned can be given back
        with suppress(sqlite3.OperationalError):
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # Of several processes that open a new file only one can switch it to WAL; it stays switched for all.
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode = WAL")
    if version_of(db) >= len(MIGRATIONS):
        return
    with immediate(db):
        version = version_of(db)  # another process may have been quicker
        if 0 < version < len(MIGRATIONS) and (count := count_entries(db)) >= _MANY:
            logging.getLogger("r2_router").warning(
                "The ledger is being brought up to date, once: %s entries take some seconds.", f"{count:,}"
            )
        for statement in chain.from_iterable(MIGRATIONS[version:]):
            db.execute(statement)
        if version < len(MIGRATIONS):
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def immediate(db: sqlite3.Connection) -> Generator[None]:
    """A transaction that holds the write lock from its start: what it reads stays true until it commits."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # something failed before the end of the commit
            db.execute("ROLLBACK")
