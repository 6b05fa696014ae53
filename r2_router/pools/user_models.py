"""The user's models.toml: what a refresh found is written into it, and all else in it stays."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

from r2_router.config.safe_files import replace_file
from r2_router.config.toml_file import read_config
from r2_router.errors import ConfigError
from r2_router.pools.pool import EXPIRED, SPEEDS, models_file
from r2_router.pools.prices import Change


def write_user_models(changes: Iterable[Change]) -> Path:
    """Write `changes` into the user's models.toml, keeping what else is there, and return its path.

    The file is replaced whole or not at all. Raises ConfigError if it cannot be read or written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    changes = list(changes)
    file = models_file()
    text = read_config(file).text if file.is_file() else ""
    expected = tomllib.loads(text)
    _apply(changes, expected, dict)
    try:
        document = tomlkit.parse(text)
        _apply(changes, document, tomlkit.table)
        written = tomlkit.dumps(document)
        kept = tomllib.loads(written) == expected
    except (TOMLKitError, ValueError):
        written, kept = "", False
    if not kept:  # `models = {...}` and `models.NAME.key = ...` cannot be added to in place
        raise ConfigError(
            f"{file} keeps its models in a form that cannot be edited in place. Write each as a table, "
            f"[models.NAME], and refresh again. Nothing was changed."
        )
    _replace(file, written)
    return file


def _apply(
    changes: Iterable[Change],
    document: MutableMapping[str, Any],
    new_table: Callable[[], MutableMapping[str, Any]],
) -> None:
    for change in changes:
        models = document.setdefault("models", new_table())
        _set(models.setdefault(change.after.name, new_table()), change)


def _set(table: MutableMapping[str, Any], change: Change) -> None:
    """Write the fields that changed, and drop what they make untrue."""
    changed, after = change.fields(), change.after
    if {"input_usd_per_million", "output_usd_per_million"} & changed.keys():
        table["usd_per_million"] = [after.input_usd_per_million, after.output_usd_per_million]
        for key in SPEEDS:
            table.pop(key, None)
    if "prices_date" in changed:
        table["prices_date"] = dt.date.fromisoformat(after.prices_date)
    for limit in ("context_window", "max_input_tokens", "max_output_tokens"):
        if limit in changed:
            table[limit] = after[limit]
    if "expires" in changed:
        table["expires"] = dt.date.fromisoformat(after.expires) if after.expires else ""
    if "unavailable" in changed:
        off = after.unavailable and not after.unavailable.startswith(EXPIRED)  # that, `expires` says
        table["available"] = not off
        table.pop("reason", None)
        if off:
            table["reason"] = after.unavailable


def _replace(file: Path, text: str) -> None:
    try:
        if file.is_file() and b"\r\n" in file.read_bytes():
            text = text.replace("\n", "\r\n")
        replace_file(file, text.encode())
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}. Nothing was changed.") from None
