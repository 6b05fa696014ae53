"""Which answer a person means when they judge one, and which answers wait to be judged."""

from __future__ import annotations

import hashlib
from datetime import datetime

from r2_router.errors import InputError
from r2_router.ledger.entry import Entry
from r2_router.ledger.store import Ledger, iso

LAST = "last"  # no id holds an l
_LEAST_PART = 3
_SHOWN = 5
_ANSWERED = "outcome IN ('answered', 'partial')"
_KEPT = "outcome = 'answered' AND query IS NOT NULL AND id IN (SELECT id FROM answer_texts)"
_UNSEEN = f"{_KEPT} AND quality IS NULL AND quality_by IS NULL"
_AT_ONCE = 500  # ids in one statement
_WAYS = {"good": 1.0, "bad": 0.0}


def find_answer(ledger: Ledger, reference: str) -> Entry:
    """The answer `reference` names: an id, the beginning or the end of one, or "last" for the newest.

    Raises InputError, saying what to do, for one that is unknown, ambiguous, or no answer; LedgerError where
    the ledger cannot be read.
    """
    name = reference.strip().lower()
    if name == LAST:
        found = ledger.entries(_ANSWERED, last=1)
        if not found:
            raise InputError('The ledger has no answer yet: `r2-router ask "..."` gets one.')
        return found[0]
    if len(name) < _LEAST_PART:
        raise InputError(f"'{reference}' is too short for an answer's id: give {_LEAST_PART} characters of its end.")
    where = "id = ? OR substr(id, 1, ?) = ? OR substr(id, length(id) - ? + 1) = ?"
    found = ledger.entries(where, (name, len(name), name, len(name), name))
    exact = [entry for entry in found if entry.id == name]
    answers = [entry for entry in found if entry.outcome in ("answered", "partial")]
    return _only(reference, exact or answers or found)


def unjudged(ledger: Ledger, count: int) -> list[Entry]:
    """The last `count` answers without a label, newest first. Raises LedgerError."""
    return ledger.entries(f"{_ANSWERED} AND quality IS NULL", last=count)


def sampled(ledger: Ledger, share: float, since: datetime | None = None) -> list[tuple[Entry, str]]:
    """The whole answers whose text was kept and that nobody has looked at, with that text, newest first: of all there
    ever were the same `share`, 0 to 1, drawn by their ids, so that a second look draws no others. Raises LedgerError.
    """
    found = [e for e in ledger.entries(f"{_UNSEEN} AND time >= ?", (iso(since) if since else "",)) if _draw(e) < share]
    said = texts(ledger, [entry.id for entry in found])
    return [(entry, said[entry.id]) for entry in reversed(found) if entry.id in said]


def texts(ledger: Ledger, ids: list[str]) -> dict[str, str]:
    """What was said in the answers of these ids, of which it was kept. Raises LedgerError."""
    found: dict[str, str] = {}
    with ledger.reading() as db:
        for start in range(0, len(ids) if db else 0, _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            found |= dict(db.execute(f"SELECT id, text FROM answer_texts WHERE id IN ({marks})", some).fetchall())  # noqa: S608  # pyright: ignore[reportOptionalMemberAccess]
    return found


def _draw(*entries: Entry) -> float:
    """By chance, from 0 to 1, and always the same."""
    return int.from_bytes(hashlib.sha256("".join(e.id for e in entries).encode()).digest()[:8]) / 2**64


# -- preferences -------------------------------------------------------------------------------------------------

_SIDES = "better = ? AND worse = ?"
_PREFER = """
    INSERT INTO preferences (better, worse, preferred_by, time) VALUES (?, ?, ?, ?)
    ON CONFLICT (better, worse) DO UPDATE SET preferred_by = excluded.preferred_by, time = excluded.time
"""


def prefer(ledger: Ledger, reference: str, over: str, by: str | None = None) -> tuple[Entry, Entry]:
    """Note that of two answers to one prompt, named as for `find_answer`, the first is preferred: by the user, or by
    somebody else, `by`, who changes nothing that the user said. What was said the other way round before is forgotten.

    Raises InputError for answers that are none, the same, or to two prompts; LedgerError.
    """
    better, worse = find_answer(ledger, reference), find_answer(ledger, over)
    if better.id == worse.id:
        raise InputError(f"'{reference}' and '{over}' are one answer, {better.id}: name two answers to one prompt.")
    if better.query_sha256 != worse.query_sha256:
        raise InputError(
            f"{better.id} and {worse.id} answer two prompts, so neither says anything of the other: label each, as in "
            f"`r2-router feedback {better.id} good`."
        )
    there, back = (better.id, worse.id), (worse.id, better.id)
    with ledger.transaction() as db:
        said = db.execute(
            f"SELECT 1 FROM preferences WHERE preferred_by IS NULL AND ({_SIDES} OR {_SIDES})",  # noqa: S608
            (*there, *back),
        ).fetchone()
        if by is None or not said:
            db.execute(f"DELETE FROM preferences WHERE {_SIDES}", back)  # noqa: S608
            db.execute(_PREFER, (*there, by, iso(ledger.now())))
    return better, worse


def tie(ledger: Ledger, one: str, other: str, by: str) -> None:
    """Note that `by` finds the answers of these ids equally good, which is half a win each: one preference each way.
    What the user said of the two stays. Raises LedgerError."""
    with ledger.transaction() as db:
        sides = (one, other, other, one)
        said = db.execute(f"SELECT 1 FROM preferences WHERE {_SIDES} OR {_SIDES}", sides).fetchone()  # noqa: S608
        for side in () if said else ((one, other), (other, one)):
            db.execute(_PREFER, (*side, by, iso(ledger.now())))


def sampled_pairs(
    ledger: Ledger, share: float, since: datetime | None = None
) -> list[tuple[tuple[Entry, str], tuple[Entry, str]]]:
    """As `sampled`, pairs of answers to one query that follow each other, of two candidates, between which nobody has
    said which is the better: each with its text, newest first. Raises LedgerError."""
    with ledger.reading() as db:
        known = [] if db is None else db.execute("SELECT better, worse FROM preferences").fetchall()
    said = {frozenset(pair) for pair in known}
    before: dict[str, Entry] = {}
    found: list[tuple[Entry, Entry]] = []
    for entry in ledger.entries(f"{_KEPT} AND time >= ?", (iso(since) if since else "",)):
        last = before.get(entry.query_sha256)
        before[entry.query_sha256] = entry
        if last is None or (last.model, last.budget) == (entry.model, entry.budget):
            continue
        if frozenset((last.id, entry.id)) not in said and _draw(last, entry) < share:
            found.append((last, entry))
    kept = texts(ledger, [entry.id for pair in found for entry in pair])
    return [((a, kept[a.id]), (b, kept[b.id])) for a, b in reversed(found) if a.id in kept and b.id in kept]


def preferences(ledger: Ledger, since: datetime | None = None) -> list[tuple[Entry, Entry]]:
    """Each preference noted: the better answer, and the worse. Raises LedgerError."""
    with ledger.reading() as db:
        found = [] if db is None else db.execute("SELECT better, worse FROM preferences ORDER BY time").fetchall()
    where = "id IN (SELECT better FROM preferences UNION SELECT worse FROM preferences) AND time >= ?"
    entries = {e.id: e for e in ledger.entries(where, (iso(since) if since else "",))} if found else {}
    return [(entries[a], entries[b]) for a, b in found if a in entries and b in entries]


# -- labels --------------------------------------------------------------------------------------------------------


def read_quality(reference: str) -> float:
    """The quality that "good" (1), "bad" (0) or a number from 0 to 1 stands for; InputError for anything else."""
    word = reference.strip().lower()
    try:
        quality = _WAYS[word] if word in _WAYS else float(word)
    except ValueError:
        quality = -1.0
    if not 0 <= quality <= 1:
        raise InputError(f"A label is good, bad, or a number from 0 to 1; got '{reference}'.")
    return quality


def _only(reference: str, found: list[Entry]) -> Entry:
    """The one entry of `found`, if it is one and an answer."""
    if not found:
        raise InputError(f"The ledger has no answer '{reference}'. `r2-router feedback --list` shows the last ones.")
    if len(found) > 1:
        newest = [f"{e.id} ({e.model} @ {e.budget}, {e.time[:16]})" for e in found[: -_SHOWN - 1 : -1]]
        more = f" and {len(found) - len(newest)} more" if len(found) > len(newest) else ""
        raise InputError(
            f"'{reference}' stands for {len(found)} answers: {', '.join(newest)}{more}. Give more of the id."
        )
    [entry] = found
    if entry.outcome == "decided":
        raise InputError(f"{entry.id} is a decision only: no model was asked, so there is no answer to judge.")
    if entry.outcome in ("failed", "refused"):
        raise InputError(f"{entry.id} got no answer ({entry.outcome}: {entry.reason}): there is nothing to judge.")
    return entry
