"""Changes to a user's TOML file: what is said otherwise in it stays as it is written, comments and order too."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from r2_router.config.safe_files import replace_file
from r2_router.config.toml_file import read_config
from r2_router.errors import ConfigError

Document = MutableMapping[str, Any]
NewTable = Callable[[], Document]


def edit_toml(file: Path, change: Callable[[Document, NewTable], None], *, refused: str, new: str = "") -> None:
    """Apply `change` to what `file` says, `new` where there is none yet, and write it, whole or not at all.

    `change` is given the document and what makes a new table for it, and is called twice: what is written is read
    again, and must say what was meant. Raises ConfigError for a file that cannot be read or written, or that cannot be
    changed in place, with `refused` as the advice.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = read_config(file).text if file.is_file() else new
    expected = tomllib.loads(text)
    change(expected, dict)
    try:
        document = tomlkit.parse(text)
        change(document, tomlkit.table)
        written = tomlkit.dumps(document)
        kept = tomllib.loads(written) == expected
    except (TOMLKitError, ValueError):
        written, kept = "", False
    if not kept:
        raise ConfigError(f"{file} cannot be changed in place. {refused} Nothing was changed.")
    _replace(file, written)


def _replace(file: Path, text: str) -> None:
    try:
        if file.is_file() and b"\r\n" in file.read_bytes():
            text = text.replace("\n", "\r\n")
        replace_file(file, text.encode())
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}. Nothing was changed.") from None
