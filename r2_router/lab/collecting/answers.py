"""The store of a collection: every question, call and answer in one SQLite file, each committed at once.

What was paid for is never lost and never asked again: a call is noted before it is made, and its answer is written in
the same transaction that takes the note away. Notes that are left belong to calls that were cut off.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from r2_router.errors import InputError, SpendLimitError
from r2_router.generate.generation import Guard
from r2_router.lab.collecting.plan import Key
from r2_router.lab.data.questions import Question
from r2_router.ledger.money import to_nanos, to_usd
from r2_router.ledger.working_file import WorkingFile
from r2_router.records import Budget, Record
from r2_router.routing.considered import Candidate

VERSION = 2

_REASON_CHARS = 300  # of why a call brought nothing
_SCHEMA = """
    CREATE TABLE questions (
        query_id TEXT PRIMARY KEY, query TEXT NOT NULL, answer TEXT NOT NULL, answer_type TEXT NOT NULL,
        category TEXT NOT NULL, extra TEXT NOT NULL
    );
    CREATE TABLE calls (              -- under way, or cut off: the most each may cost
        query_id TEXT NOT NULL, model TEXT NOT NULL, budget NOT NULL, nanos INTEGER NOT NULL, time TEXT NOT NULL,
        PRIMARY KEY (query_id, model, budget)
    ) WITHOUT ROWID;
    CREATE TABLE answers (
        query_id TEXT NOT NULL, model TEXT NOT NULL, budget NOT NULL,
        text TEXT NOT NULL, finish_reason TEXT NOT NULL, served_model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        usage_estimated INTEGER NOT NULL, nanos INTEGER NOT NULL, latency_s REAL NOT NULL, time TEXT NOT NULL,
        mean_logprob REAL,                -- NULL: the server does not tell
        PRIMARY KEY (query_id, model, budget)
    ) WITHOUT ROWID;
    CREATE TABLE losses (             -- spent, or perhaps spent, without an answer
        query_id TEXT NOT NULL, model TEXT NOT NULL, budget NOT NULL, reason TEXT NOT NULL, nanos INTEGER NOT NULL,
        time TEXT NOT NULL
    );
    CREATE TABLE grades (
        query_id TEXT NOT NULL, model TEXT NOT NULL, budget NOT NULL, grader TEXT NOT NULL,
        quality REAL, found TEXT NOT NULL, note TEXT NOT NULL, nanos INTEGER NOT NULL,
        PRIMARY KEY (query_id, model, budget, grader)
    ) WITHOUT ROWID;
"""
_CELL = "query_id = ? AND model = ? AND budget = ?"
_SPENDING = ("calls", "answers", "losses", "grades")
# A running total that follows every row, rolled back ones too: each call asks for it, and a sum reads every answer.
_TOTAL = """
    CREATE TEMP TABLE spent AS SELECT COALESCE(SUM(nanos), 0) AS nanos FROM (
        SELECT nanos FROM calls UNION ALL SELECT nanos FROM answers
        UNION ALL SELECT nanos FROM losses UNION ALL SELECT nanos FROM grades
    )
"""
_FOLLOW = """
    CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} BEGIN
        UPDATE spent SET nanos = nanos {sign} {row}.nanos; END
"""
_GIVE_UP = """
    INSERT INTO losses SELECT query_id, model, budget, 'cut off: may have been billed', nanos, time FROM calls
"""
_GRADE_ANEW = """
    INSERT INTO losses SELECT query_id, model, budget, 'grade taken back: its question changed', nanos, ?
    FROM grades WHERE query_id = ? AND nanos > 0
"""
_PUT_QUESTION = """
    INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (query_id) DO UPDATE SET
        answer = excluded.answer, answer_type = excluded.answer_type, category = excluded.category,
        extra = excluded.extra
"""
_UNGRADED = """
    WHERE NOT EXISTS (
        SELECT 1 FROM grades g
        WHERE g.grader = ? AND g.query_id = a.query_id AND g.model = a.model AND g.budget = a.budget
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer(Record):
    """One answer as it came. Tokens are the model's own unless `usage_estimated`; seconds from the first request;
    `mean_logprob` as in Answer."""

    query_id: str
    model: str
    budget: Budget
    text: str
    finish_reason: str
    served_model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    cost_usd: float
    latency_s: float
    time: str = ""
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrade(Record):
    """What a grader made of an answer; quality None: no final answer could be read."""

    query_id: str
    model: str
    budget: Budget
    grader: str
    quality: float | None
    found: str
    note: str
    cost_usd: float


class Store(WorkingFile):
    """The SQLite file of one collection, for one process at a time (InputError for a second one)."""

    schema = _SCHEMA
    version = VERSION
    migrations = ("ALTER TABLE answers ADD COLUMN mean_logprob REAL",)

    # -- what is to be asked ---------------------------------------------------------------------------------

    def add_questions(self, questions: Iterable[Question]) -> None:
        """Keep the questions. Raises InputError where a query_id stood for another query; a new reference answer
        replaces the old one, and what was graded by it is graded anew."""
        with self.transaction() as db:
            for q in questions:
                row = (q.query_id, q.query, q.answer, q.answer_type, q.category, json.dumps(q.extra, default=str))
                known = db.execute("SELECT * FROM questions WHERE query_id = ?", (q.query_id,)).fetchone()
                if known == row:
                    continue
                if known is not None and known[1] != q.query:
                    raise InputError(
                        f"query_id {q.query_id!r} stood for another query when {self.path.parent} was begun. Give "
                        f"another --output, or another query_id."
                    )
                db.execute(_GRADE_ANEW, (_now(), q.query_id))
                db.execute("DELETE FROM grades WHERE query_id = ?", (q.query_id,))
                db.execute(_PUT_QUESTION, row)

    def questions(self) -> dict[str, Question]:
        """All questions by id, as first met."""
        rows = self.db.execute("SELECT * FROM questions ORDER BY rowid")
        return {row[0]: Question(*row[:5], extra=json.loads(row[5])) for row in rows}

    def answered(self) -> set[Key]:
        """The cells that have an answer."""
        return set(self.db.execute("SELECT query_id, model, budget FROM answers"))

    # -- calls -----------------------------------------------------------------------------------------------

    def give_up_calls(self) -> int:
        """Calls that an earlier process left under way: they count as spent in full, and can be made again."""
        with self.transaction() as db:
            db.execute(_GIVE_UP)
            return db.execute("DELETE FROM calls").rowcount

    def begin(self, key: Key, most_usd: float, max_usd: float | None) -> bool:
        """Note a call that may cost `most_usd`, in place of what was noted of it before; False, and nothing changed,
        where `max_usd` would be passed."""
        nanos = to_nanos(most_usd, "The cost of a call")
        with self.transaction() as db:
            noted = self.one(f"SELECT nanos FROM calls WHERE {_CELL}", key) or 0  # noqa: S608
            if max_usd is not None and self._spent_nanos() - noted + nanos > to_nanos(max_usd, "max_usd"):
                return False
            db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?)", (*key, nanos, _now()))
        return True

    def finish(self, answer: StoredAnswer) -> None:
        """Write an answer; its call is over."""
        a, key = answer, (answer.query_id, answer.model, answer.budget)
        row = (*key, a.text, a.finish_reason, a.served_model, a.input_tokens, a.output_tokens, a.reasoning_tokens)
        with self.transaction() as db:
            db.execute(f"DELETE FROM calls WHERE {_CELL}", key)  # noqa: S608
            db.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, int(a.usage_estimated), to_nanos(a.cost_usd, "cost_usd"), a.latency_s, _now(), a.mean_logprob),
            )

    def lose(self, key: Key, reason: str, cost_usd: float) -> None:
        """Note a call that brought no answer, why, as far as that is short, and what it cost."""
        with self.transaction() as db:
            db.execute(f"DELETE FROM calls WHERE {_CELL}", key)  # noqa: S608
            nanos = to_nanos(cost_usd, "cost_usd")
            db.execute("INSERT INTO losses VALUES (?, ?, ?, ?, ?, ?)", (*key, reason[:_REASON_CHARS], nanos, _now()))

    # -- grades ----------------------------------------------------------------------------------------------

    def ungraded(self, grader: str) -> list[StoredAnswer]:
        """The answers that `grader` has not judged."""
        return self._answers(_UNGRADED, (grader,))

    def grade(self, grade: StoredGrade, call: Key | None = None) -> None:
        """Write a grade; the `call` to a judge is over."""
        g = grade
        with self.transaction() as db:
            if call is not None:
                db.execute(f"DELETE FROM calls WHERE {_CELL}", call)  # noqa: S608
            db.execute(
                "INSERT OR REPLACE INTO grades VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(g.query_id, g.model, g.budget, g.grader, g.quality, g.found, g.note),
                    to_nanos(g.cost_usd, "cost_usd"),
                ),
            )

    def grades(self, grader: str) -> dict[Key, StoredGrade]:
        """What `grader` judged, by cell."""
        rows = self.db.execute("SELECT * FROM grades WHERE grader = ?", (grader,))
        names = ("query_id", "model", "budget", "grader", "quality", "found", "note")
        return {row[:3]: StoredGrade(**dict(zip(names, row[:7], strict=True)), cost_usd=to_usd(row[7])) for row in rows}

    # -- what there is ---------------------------------------------------------------------------------------

    def answers(self) -> list[StoredAnswer]:
        """Every answer, by question, model and budget."""
        return self._answers("", ())

    @property
    def spent_usd(self) -> float:
        """Answers, losses, grades, and calls under way at their most."""
        return to_usd(self._spent_nanos())

    def losses(self) -> list[tuple[str, Budget, str, int, float]]:
        """(model, budget, reason, how often, dollars)."""
        rows = self.db.execute(
            "SELECT model, budget, reason, COUNT(*), SUM(nanos) FROM losses GROUP BY model, budget, reason"
        )
        return [(*row[:4], to_usd(row[4])) for row in rows]

    # -- inside ----------------------------------------------------------------------------------------------

    def prepare(self, db: sqlite3.Connection) -> None:
        db.execute(_TOTAL)
        db.execute("PRAGMA recursive_triggers = ON")  # a row that is replaced is a row deleted
        for table in _SPENDING:
            for event, sign, row in (("INSERT", "+", "NEW"), ("DELETE", "-", "OLD")):
                db.execute(_FOLLOW.format(table=table, event=event, sign=sign, row=row))

    def _spent_nanos(self) -> int:
        return self.one("SELECT nanos FROM temp.spent")

    def _answers(self, where: str, values: Sequence[Any]) -> list[StoredAnswer]:
        query = (
            f"SELECT a.* FROM answers a JOIN questions q USING (query_id) {where} ORDER BY q.rowid, a.model, a.budget"  # noqa: S608
        )
        return [_answer(row) for row in self.db.execute(query, values)]


class CallGuard:
    """Keeps `max_usd` over the tries of one call, of which `Store.begin` has noted the first; then asks `guard`."""

    def __init__(self, store: Store, key: Key, max_usd: float | None, guard: Guard) -> None:
        self._store = store
        self._key = key
        self._max_usd = max_usd
        self._guard = guard
        self._tries = 0
        self._billed_usd = 0.0

    def reserve(self, candidate: Candidate, worst_case_usd: float) -> Any:
        """Before each try. Raises SpendLimitError where another one might pass the limit."""
        again = self._tries and self._billed_usd
        if again and not self._store.begin(self._key, self._billed_usd + worst_case_usd, self._max_usd):
            raise SpendLimitError(f"--max-usd {self._max_usd:g} leaves nothing for another try of {candidate.label}.")
        self._tries += 1
        return self._guard.reserve(candidate, worst_case_usd)

    def settle(self, reservation: Any, cost_usd: float) -> None:
        self._billed_usd += cost_usd
        self._guard.settle(reservation, cost_usd)

    def renew(self, reservation: Any) -> None:
        self._guard.renew(reservation)


def _answer(row: tuple[Any, ...]) -> StoredAnswer:
    values = dict(zip((field.name for field in fields(StoredAnswer)), row, strict=True))
    values["usage_estimated"], values["cost_usd"] = bool(values["usage_estimated"]), to_usd(values["cost_usd"])
    return StoredAnswer(**values)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
