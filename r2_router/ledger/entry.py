"""One line of the ledger: a query, what was decided for it, and what came of that."""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from r2_router.records import UNLIMITED, Budget, Record, read_budget

Face = Literal["cli", "mcp", "magic", "python", "gateway"]
Outcome = Literal["decided", "answered", "partial", "failed", "refused"]

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # in ASCII order, without i, l, o, u: nothing is misread
_TIME_DIGITS = 9  # milliseconds since 1970 fit until the year 3084
_RANDOM_DIGITS = 5
_STEP_BITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Record):
    """A decision or an answer. None: not known, or not applicable.

    `outcome`: decided (nothing was asked of a model), answered, partial (the text stops where the stream
    broke or the user interrupted), failed or refused (a limit), the last two with the error's class as
    `reason`. `baseline_cost_usd` is what always asking the strongest model, unlimited, was expected to cost;
    `cost_usd` and `output_tokens` are what was billed, all attempts together. `quality` (0..1) is None until
    somebody judges; `quality_by` is then the judge's name, None for the user. Of the answering try: the tokens that
    the provider read, those of them that came from its prompt cache and went into it, and what that saved, less than
    0 where more was written than read. `explored_usd`: the expected net value that an exploration gave up.

    `caller` names whose token asked, None where nobody's did. `provider_batch` is the id of the provider's batch in
    which it was asked, at a batch's price; None where it was asked alone.

    The ledger fills `id` where it is empty, `time` (UTC, ISO form) and `query_sha256`, and keeps `query` only if told
    to.
    """

    face: Face
    outcome: Outcome
    model: str
    budget: Budget
    checkpoint: str = ""
    query: str | None = None
    input_tokens: int | None = None
    lambda_val: float | None = None
    worth_usd: float | None = None
    predicted_quality: float | None = None
    quality: float | None = None
    predicted_output_tokens: float | None = None
    output_tokens: int | None = None
    predicted_cost_usd: float | None = None
    cost_usd: float | None = None
    baseline_cost_usd: float | None = None
    latency_s: float | None = None
    attempts: int = 0
    reason: str = ""
    prompt_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_saved_usd: float | None = None
    quality_by: str | None = None
    explored_usd: float | None = None
    id: str = ""
    time: str = ""
    query_sha256: str = ""
    caller: str | None = None
    provider_batch: str | None = None


def new_id(now: datetime, last: str = "") -> str:
    """14 characters that sort by time: milliseconds, then chance; behind `last`, where that is of the same one."""
    time = _base32(int(now.timestamp() * 1000), _TIME_DIGITS)
    if last.startswith(time):
        chance = _number(last[_TIME_DIGITS:]) + 1 + secrets.randbits(_STEP_BITS)
    else:
        chance = secrets.randbits(5 * _RANDOM_DIGITS - 1)  # the lower half: some 16,000 steps at least are left
    return time + _base32(chance, _RANDOM_DIGITS)


def by_candidate(model: str, budget: Budget) -> tuple[str, float]:
    """What candidates are sorted by: the model's name, then the budget."""
    return model, math.inf if budget == UNLIMITED else float(budget)


def stored_budget(column: Any) -> Budget:
    """The budget that a column holds: a number, or what is no number; in Postgres either is text."""
    return read_budget(column) or column


def query_hash(query: str | None) -> str:
    """The sha256 of a query in hex, "" for None. Lone surrogates, as a broken paste leaves them, are fine."""
    return "" if query is None else hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()


def _base32(number: int, length: int) -> str:
    return "".join(_DIGITS[number >> (5 * place) & 31] for place in reversed(range(length)))


def _number(base32: str) -> int:
    number = 0
    for digit in base32:
        number = 32 * number + _DIGITS.index(digit)
    return number
