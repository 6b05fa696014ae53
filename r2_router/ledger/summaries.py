"""The ledger's sums by day, kept up to date by the database itself: each entry and each label adds to them.

Four tables: `days`, one row a (UTC day, face, outcome); `day_candidates`, one row a (UTC day, model, budget) that
was asked; `day_caches`, one row a (UTC day, model) that said what of its prompts came from a cache. What they hold
stays when the entries are pruned. As part of the ledger's schema this is text that does not change once released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_DAY = "substr({row}time, 1, 10)"
_ASKED = "{row}outcome <> 'decided'"
_ANSWERED = "{row}outcome = 'answered'"
_COMPARED = f"({_ANSWERED} AND {{row}}cost_nanos IS NOT NULL AND {{row}}baseline_cost_usd IS NOT NULL)"


def _one_if(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


# Column -> what an entry adds to it. Whole nano-dollars add up exactly; baselines and predictions are floats.
_TOTALS = {
    "cost_nanos": "COALESCE({row}cost_nanos, 0)",
    "compared": _one_if(_COMPARED),
    "compared_nanos": f"CASE WHEN {_COMPARED} THEN {{row}}cost_nanos ELSE 0 END",
    "baseline_usd": f"CASE WHEN {_COMPARED} THEN {{row}}baseline_cost_usd ELSE 0.0 END",
}
_QUALITY = ("quality", "{row}predicted_quality", "{row}quality")
_TOKENS = ("tokens", "{row}predicted_output_tokens", "{row}output_tokens")
_COST = ("cost", "{row}predicted_cost_usd", "({row}cost_nanos / 1e9)")


def _pair(name: str, predicted: str, real: str) -> dict[str, str]:
    """Of answers where both are known: how many, the sum of each, and of the absolute error."""
    known = f"{_ANSWERED} AND {real} - {predicted} IS NOT NULL"
    return {
        f"{name}_count": _one_if(known),
        f"{name}_predicted": f"CASE WHEN {known} THEN {predicted} ELSE 0.0 END",
        f"{name}_real": f"CASE WHEN {known} THEN {real} ELSE 0.0 END",
        f"{name}_error": f"CASE WHEN {known} THEN ABS({real} - {predicted}) ELSE 0.0 END",
    }


_LABEL = _pair(*_QUALITY)
_DAYS_KEY = {"day": _DAY, "face": "{row}face", "outcome": "{row}outcome"}
_DAYS = {"entries": "1", **_TOTALS}
_CACHES_KEY = {"model": "{row}model", "day": _DAY}
_CACHES = {
    "told": "1",
    "prompt_tokens": "COALESCE({row}prompt_tokens, 0)",
    "cache_read_tokens": "{row}cache_read_tokens",
    "cache_write_tokens": "COALESCE({row}cache_write_tokens, 0)",
    "cache_saved_usd": "COALESCE({row}cache_saved_usd, 0.0)",
}
_EXPLORED = {"explored": "1", "explored_usd": "COALESCE({row}explored_usd, 0.0)"}
_TELLS = "{row}cache_read_tokens IS NOT NULL"
_CANDIDATES_KEY = {"model": "{row}model", "budget": "{row}budget", "day": _DAY}  # the order in which they are summed
_CANDIDATES = {
    "calls": "1",
    "answered": _one_if(_ANSWERED),
    **_TOTALS,
    "output_tokens": "COALESCE({row}output_tokens, 0)",
    "timed": _one_if(f"{_ANSWERED} AND {{row}}latency_s IS NOT NULL"),
    "latency_s": f"CASE WHEN {_ANSWERED} THEN COALESCE({{row}}latency_s, 0.0) ELSE 0.0 END",
    **_LABEL,
    **_pair(*_TOKENS),
    **_pair(*_COST),
}


def _table(name: str, key: Iterable[str], sums: Mapping[str, str]) -> str:
    types = {column: "" if column == "budget" else " TEXT" for column in key}  # a budget is a number, or 'unlimited'
    types |= {column: " REAL" if "0.0" in added else " INTEGER" for column, added in sums.items()}
    columns = ", ".join(f"{column}{kind} NOT NULL" for column, kind in types.items())
    return f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({', '.join(key)})) WITHOUT ROWID"


def _fill(name: str, key: dict[str, str], sums: dict[str, str], where: str) -> str:
    """Sum up the entries that are there."""
    of_row = [expression.format(row="") for expression in key.values()]
    added = [f"SUM({expression.format(row='')})" for expression in sums.values()]
    return (
        f"INSERT INTO {name} ({', '.join((*key, *sums))}) SELECT {', '.join((*of_row, *added))} FROM entries "  # noqa: S608
        f"WHERE {where.format(row='')} GROUP BY {', '.join(of_row)}"
    )


def _add(name: str, key: dict[str, str], sums: dict[str, str], where: str) -> str:
    """Add each entry as it comes."""
    values = [expression.format(row="NEW.") for expression in (*key.values(), *sums.values())]
    changes = ", ".join(f"{column} = {name}.{column} + excluded.{column}" for column in sums)
    return (
        f"CREATE TRIGGER add_to_{name} AFTER INSERT ON entries WHEN {where.format(row='NEW.')} BEGIN "  # noqa: S608
        f"INSERT INTO {name} ({', '.join((*key, *sums))}) VALUES ({', '.join(values)}) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}; END"
    )


def _relabel() -> str:
    """A label that comes later, or changes."""
    changes = ", ".join(
        f"{column} = {column} - ({expression.format(row='OLD.')}) + ({expression.format(row='NEW.')})"
        for column, expression in _LABEL.items()
    )
    key = " AND ".join(f"{column} = {expression.format(row='NEW.')}" for column, expression in _CANDIDATES_KEY.items())
    return (
        "CREATE TRIGGER relabel_day_candidates AFTER UPDATE OF quality ON entries BEGIN "  # noqa: S608
        f"UPDATE day_candidates SET {changes} WHERE {key}; END"
    )


SUMMARIES = (
    _table("days", _DAYS_KEY, _DAYS),
    _table("day_candidates", _CANDIDATES_KEY, _CANDIDATES),
    _fill("days", _DAYS_KEY, _DAYS, "TRUE"),
    _fill("day_candidates", _CANDIDATES_KEY, _CANDIDATES, _ASKED),
    _add("days", _DAYS_KEY, _DAYS, "TRUE"),
    _add("day_candidates", _CANDIDATES_KEY, _CANDIDATES, _ASKED),
    _relabel(),
)

CACHES = (  # no entry from before tells of caches
    _table("day_caches", _CACHES_KEY, _CACHES),
    _add("day_caches", _CACHES_KEY, _CACHES, _TELLS),
)

EXPLORATION = (  # nor of explorations
    _table("day_explored", {"day": _DAY}, _EXPLORED),
    _add("day_explored", {"day": _DAY}, _EXPLORED, "{row}explored_usd IS NOT NULL"),
)
