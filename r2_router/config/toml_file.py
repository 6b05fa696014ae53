"""Configuration files: TOML whose faults are named by file and line, and the checks every value goes through.

A check takes a value as TOML gives it and returns it in our form, or raises ValueError with the end of a
sentence that begins with the key: "must be a number of at least 0, not 'cheap'".
"""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from r2_router.config.folders import user_config_dir
from r2_router.config.safe_files import read_plain
from r2_router.errors import ConfigError

Check = Callable[[object], Any]
Table = Mapping[str, Any]

_MAX_BYTES = 1 << 20
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
_KEY_NAME = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)
_KEY_VALUE = re.compile(r"(sk-|gsk_|hf_|xai-|AIza)[\w-]{12,}|Bearer ")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A TOML file that was read: `data`, and the text in which `line` finds a key."""

    path: Path
    data: Table
    text: str

    def line(self, *keys: str) -> int:
        """The line, from 1, of the statement that sets `keys` (a path), or of the nearest one above it."""
        depth, found = 0, 1
        for number, table in _statements(self.text):
            matched = _matched(table, keys)
            if matched > depth:
                depth, found = matched, number
        return found

    def place(self, *keys: str) -> str:
        return f"{self.path}, line {self.line(*keys)}"

    def error(self, keys: Iterable[str], fault: str) -> ConfigError:
        return ConfigError(f"{self.place(*keys)}: {fault}")

    def table(self, *keys: str) -> Table:
        """The table at `keys`, {} if it is absent. Raises ConfigError for something else."""
        found = self.data
        for depth, key in enumerate(keys, 1):
            try:
                found = table(found.get(key, {}))
            except ValueError as fault:
                raise self.error(keys[:depth], f"{key} {fault}.") from None
        return found

    def values(self, keys: tuple[str, ...], checks: Mapping[str, Check]) -> dict[str, Any]:
        """The checked entries of the table at `keys`, {} if it is absent.

        Raises ConfigError for something that is no table, for a key not in `checks`, and for a bad value.
        """
        checked: dict[str, Any] = {}
        for key, value in self.table(*keys).items():
            if key not in checks:
                raise self.error((*keys, key), unknown_key(key, value, checks))
            try:
                checked[key] = checks[key](value)
            except ValueError as fault:
                raise self.error((*keys, key), f"{key} {fault}.") from None
        return checked


def read_config(path: Path) -> ConfigFile:
    """Read the TOML file at `path`. Raises ConfigError for a file that is missing, too large or not TOML."""
    try:
        data = read_plain(path, _MAX_BYTES)
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than {_MAX_BYTES >> 20} MiB: not a configuration file.")
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it in that encoding.") from None
    try:
        return ConfigFile(path, tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        fault = str(error)
        place = _PLACE.search(fault)
        line = place[1] if place and place[1] else len(text.rstrip().split("\n"))
        raise ConfigError(f"{path}, line {line}: not valid TOML: {_PLACE.sub('', fault)}.") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is not valid TOML: a number or a nesting is beyond reason.") from None


def unknown_key(key: str, value: object, known: Iterable[str]) -> str:
    """What to say of a key that means nothing here: the one probably meant, or where secrets go."""
    from difflib import get_close_matches

    known = list(known)
    stated = value if isinstance(value, str) else ""
    if stated and (_KEY_NAME.search(key) or _KEY_VALUE.match(stated)):
        return (
            f"{key!r} looks like a key, and keys do not belong here. Put it into the environment, or into "
            f"{user_config_dir() / 'keys.toml'} under the name of its variable."
        )
    near = get_close_matches(key, known, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
    return f"unknown key {key!r}. {hint}"


# -- checks --------------------------------------------------------------------------------------------------


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text in quotes, not {shown(value)}")
    if not value.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return value.strip()


def texts(value: object, what: str = "texts") -> tuple[str, ...]:
    """A list of texts; `what` they are."""
    if not isinstance(value, list):
        raise ValueError(f"must be a list of {what} in quotes, not {shown(value)}")
    return tuple(text(item) for item in cast("list[object]", value))


def globs(value: object) -> tuple[str, ...]:
    """A list of globs."""
    return texts(value, "globs")


def table(value: object) -> Table:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {shown(value)}")
    return cast("Table", value)


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


def amount(value: object) -> float:
    """A finite number of at least 0."""
    return number(value, 0.0, math.inf, "a number of at least 0")


def fraction(value: object) -> float:
    """A number in [0, 1]."""
    return number(value, 0.0, 1.0, "a number from 0 to 1")


def speed(value: object) -> float:
    """A finite number above 0."""
    return number(value, 5e-324, math.inf, "a number above 0")


def price_pair(value: object) -> tuple[float, float]:
    """Two amounts: USD per million input tokens and per million output tokens."""
    pair = cast("list[object]", value)
    if not isinstance(value, list) or len(pair) != 2:
        raise ValueError(f"must be two numbers, [input, output], not {shown(pair)}")
    return amount(pair[0]), amount(pair[1])


def tables(value: object) -> list[Table]:
    """A list of tables."""
    if not isinstance(value, list):
        raise ValueError(f"must be a list of tables, [{{ ... }}], not {shown(value)}")
    return [table(entry) for entry in cast("list[object]", value)]


def count(value: object) -> int:
    """A whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1 << 53:
        raise ValueError(f"must be a whole number of at least 0, not {shown(value)}")
    return value


def count_above_zero(value: object) -> int:
    if count(value) == 0:
        raise ValueError("must be above 0")
    return cast("int", value)


def day(value: object) -> str:
    """A date, as TOML has it or as text, in ISO form."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    try:
        return dt.date.fromisoformat(cast("str", value)).isoformat()
    except (TypeError, ValueError):
        raise ValueError(f"must be a date like 2026-04-05, not {shown(value)}") from None


def url(value: object) -> str:
    """An http(s) address without a closing slash, "" for none. Not repeated: it may hold a password."""
    address = text(value).rstrip("/")
    if not address:
        return ""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in address:
        raise ValueError("must be an address like https://openrouter.ai/api/v1")
    if "@" in address or "?" in address or "#" in address:
        raise ValueError("must be an address alone, without a user, a key or a query: keys have their own place")
    return address


def origin(address: str) -> str:
    """Scheme, host and port of an address: whom one talks to there. "" for what is no address."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname and port else ""


def hosts(value: object) -> tuple[str, ...]:
    """Hosts a key may go to, as origins: one or several, each a host name (https://) or the start of an address."""
    stated = cast("list[object]", value) if isinstance(value, list) else [value]
    return tuple(origin(url(one if "//" in (one := text(item)) or not one else f"https://{one}")) for item in stated)


def variable(value: object) -> str:
    """The name of an environment variable, "" for none. It is not repeated: it may be a key put there."""
    name = text(value)
    if name and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise ValueError("must be the NAME of the environment variable that holds the key, like OPENROUTER_API_KEY")
    return name


def shown(value: object) -> str:
    """`value` as an error may repeat it: short, on one line, and not if it looks like a key."""
    stated = "***" if isinstance(value, str) and _KEY_VALUE.match(value) else repr(value)
    return stated if len(stated) <= 40 else f"{stated[:37]}..."


def number(value: object, least: float, most: float, meant: str) -> float:
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not least <= number <= most:
        raise ValueError(f"must be {meant}, not {shown(value)}")
    return number


# -- lines ---------------------------------------------------------------------------------------------------


def _statements(toml: str) -> Iterator[tuple[int, Table]]:
    """The first line of each statement of a valid TOML text, and what it says, under the header it stands in.

    tomllib tells no positions, but a statement can be read alone: lines are taken until they are valid TOML.
    """
    header: tuple[str, ...] = ()
    first, chunk = 1, ""
    for number, line in enumerate(toml.split("\n"), 1):
        chunk += line + "\n"
        try:
            stated: Table = tomllib.loads(chunk)
        except tomllib.TOMLDecodeError:
            continue
        if chunk.lstrip().startswith("["):
            header = tuple(_path(stated))
        elif stated:
            stated = reduce(lambda inner, key: {key: inner}, reversed(header), stated)
        yield first, stated
        first, chunk = number + 1, ""


def _path(table: object) -> Iterator[str]:
    """The keys of a header, outermost first."""
    while isinstance(table, (dict, list)) and table:
        if isinstance(table, list):
            table = cast("list[object]", table)[0]
        else:
            ((key, table),) = cast("dict[str, object]", table).items()
            yield key


def _matched(table: object, keys: tuple[str, ...]) -> int:
    """How many of `keys`, from the outermost, lead somewhere in `table`."""
    for depth, key in enumerate(keys):
        if not isinstance(table, dict) or key not in table:
            return depth
        table = cast("dict[str, object]", table)[key]
    return len(keys)
