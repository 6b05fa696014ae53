"""Configuration files of other programs, JSON with comments or TOML: what is ours is merged in, the rest untouched."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from r2_router.config import jsonc
from r2_router.config.safe_files import read_plain, replace_file
from r2_router.errors import ConfigError
from r2_router.records import as_dict

Values = Mapping[tuple[str, ...], Any]
"""The keys that lead to a value -> the value; one that is an object keeps what else stands in it."""

_MAX_BYTES = 16 << 20


def application_support() -> Path:
    """Where programs of this system keep what they are told, in the user's folder."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    return dot_config()


def dot_config() -> Path:
    """Where programs that know no other system's ways keep it."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def merge(path: Path, values: Values, *, what: str) -> bool:
    """Put `values` into the file at `path`; whether anything had to be changed. `what` they are, for messages.

    The old file is kept beside it with .bak at its end. What else it holds stays, comments, mode and link included.
    Raises ConfigError, and changes nothing, where the file is not what its program would read.
    """
    _check_inside(path)
    try:
        data = read_plain(path, _MAX_BYTES) if path.exists() else b""
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than {_MAX_BYTES >> 20} MiB, so it is left alone.")
    changed = text
    for keys, value in values.items():
        changed = _with(path, changed, keys, value, what)
    if changed == text:
        return False
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    try:
        if data:
            _keep(path, data)
        replace_file(path, mark + changed.encode(), private=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from None
    return True


def render(path: Path, document: Mapping[str, Any]) -> str:
    """A document in the form of the file at `path`."""
    if path.suffix == ".toml":
        import tomlkit

        return tomlkit.dumps(document).strip()
    return json.dumps(document, indent=2, ensure_ascii=False)


def document_of(values: Values) -> dict[str, Any]:
    """The document that holds `values` and nothing else."""
    made: dict[str, Any] = {}
    for keys, value in values.items():
        jsonc.set_at(made, keys, value)
    return made


def _with(path: Path, text: str, keys: tuple[str, ...], value: Any, what: str) -> str:
    """`text` with `value` at `keys`, the same text if it is there."""
    document = _parse(path, text, what)
    table = document
    for depth, key in enumerate(keys[:-1], 1):
        inner: object = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{path}: '{'.'.join(keys[:depth])}' is not a table. Mend it, or add {what} by hand.")
        table = cast("dict[str, Any]", inner)
    old = table.get(keys[-1])
    if isinstance(value, dict):
        value = {**as_dict(old), **cast("dict[str, Any]", value)}
    if value == old:
        return text
    if path.suffix == ".toml" or not text.strip():
        table[keys[-1]] = value
        return render(path, document) + "\n"
    try:
        return jsonc.put(text, keys, value)
    except (ValueError, IndexError) as error:
        by_hand = json.dumps(document_of({keys: value}), ensure_ascii=False)
        raise ConfigError(
            f"{path} cannot be changed in place ({error}), so it is left alone. Add this by hand: {by_hand}"
        ) from None


def _parse(path: Path, text: str, what: str) -> dict[str, Any]:
    """The document in the file; empty for no text."""
    try:
        if path.suffix == ".toml":
            import tomlkit

            return tomlkit.parse(text)
        found: object = jsonc.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read, so it is left alone ({error}). Add {what} by hand.") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path} does not hold an object, so it is left alone. Add {what} by hand.")
    return cast("dict[str, Any]", found)


def _check_inside(path: Path) -> None:
    """Raise ConfigError where a file of the working folder is a link out of it, made by whom we cannot know."""
    if not path.is_absolute() and not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise ConfigError(
            f"{path} leads out of this folder, to {path.resolve()}. Write there yourself, if that is meant."
        )


def _keep(path: Path, data: bytes) -> None:
    """The old file beside it, readable for whom it was. A link in its place is not followed."""
    backup = path.with_name(path.name + ".bak")
    replace_file(backup, data, follow=False)
    backup.chmod(stat.S_IMODE(path.stat().st_mode))
