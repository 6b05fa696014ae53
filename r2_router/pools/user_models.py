"""The user's models.toml: what a refresh found is written into it, and all else in it stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from r2_router.config.toml_edit import Document, NewTable, edit_toml
from r2_router.pools.pool import BESIDE, EXPIRED, SPEEDS, models_file
from r2_router.pools.prices import Change


def write_user_models(changes: Iterable[Change]) -> Path:
    """Write `changes` into the user's models.toml, keeping what else is there, and return its path.

    The file is replaced whole or not at all. Raises ConfigError if it cannot be read or written.
    """
    changes, file = list(changes), models_file()
    edit_toml(
        file,
        lambda document, new_table: _apply(changes, document, new_table),
        refused="Its models stand in a form that cannot be added to. Write each as a table, [models.NAME], and refresh "
        "again.",
    )
    return file


def _apply(changes: Iterable[Change], document: Document, new_table: NewTable) -> None:
    for change in changes:
        models = document.setdefault("models", new_table())
        _set(models.setdefault(change.after.name, new_table()), change)


def _set(table: Document, change: Change) -> None:
    """Write the fields that changed, and drop what they make untrue."""
    changed, after = change.fields(), change.after
    if {"input_usd_per_million", "output_usd_per_million"} & changed.keys():
        table["usd_per_million"] = [after.input_usd_per_million, after.output_usd_per_million]
        for key in SPEEDS:
            table.pop(key, None)
        changed |= {name: after[name] for name in BESIDE}  # of a pool, they go with the prices that they stood beside
    for name in BESIDE:
        if changed.get(name) is not None:
            table[name] = after[name]
    if "prices_date" in changed:
        table["prices_date"] = dt.date.fromisoformat(after.prices_date)
    for limit in ("context_window", "max_input_tokens", "max_output_tokens"):
        if limit in changed:
            table[limit] = after[limit]
    for said in ("can", "cannot"):
        if said in changed:
            table[said] = list(after[said])
    if "expires" in changed:
        table["expires"] = dt.date.fromisoformat(after.expires) if after.expires else ""
    if "unavailable" in changed:
        off = after.unavailable and not after.unavailable.startswith(EXPIRED)  # that, `expires` says
        table["available"] = not off
        table.pop("reason", None)
        if off:
            table["reason"] = after.unavailable
