"""The ledger's one schema, in the words of Postgres."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What SQLite says, and what Postgres says for it.
_WORDS = (
    (re.compile(r"--[^\n]*"), ""),
    (re.compile(r"\)\s*WITHOUT ROWID"), ")"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\bbudget NOT NULL"), "budget TEXT NOT NULL"),
)
_TRIGGER = re.compile(
    r"CREATE TRIGGER (?P<name>\w+) (?P<when>AFTER (?:INSERT|UPDATE OF \w+) ON \w+)(?: WHEN (?P<condition>.*?))? "
    r"BEGIN (?P<body>.*); END",
    re.DOTALL,
)


def for_postgres(statement: str) -> Iterator[str]:
    """What a statement of the schema is in Postgres: a trigger is a function, and the trigger that calls it."""
    found = _TRIGGER.fullmatch(statement.strip())
    if found is None:
        for sqlite, postgres in _WORDS:
            statement = sqlite.sub(postgres, statement)
        yield statement
        return
    name, when, condition, body = found["name"], found["when"], found["condition"], found["body"]
    yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NULL; END $$"
    only = f" WHEN ({condition})" if condition else ""
    yield f"CREATE TRIGGER {name} {when} FOR EACH ROW{only} EXECUTE FUNCTION {name}()"
