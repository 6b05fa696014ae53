"""Settings: shipped defaults < the user's file < the environment (R2_*) < arguments. Keys are kept apart."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, final

from r2_router.config import toml_file as cf
from r2_router.config.folders import is_path, is_pool_file, shipped, user_config_dir
from r2_router.errors import ConfigError, InputError
from r2_router.records import Record

LLM_API_KEY = "R2_LLM_API_KEY"
EMBED_API_KEY = "R2_EMBED_API_KEY"
LEDGER_URL = "R2_LEDGER_URL"  # holds a password

_TRADE_OFF = ("worth_usd", "lambda_val", "preset")  # three ways to say one thing
_ARGUMENT = "argument"


@final
class Secret:
    """A key that shows only when asked: not in repr, str, format, a log or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Multiple(Record):
    """A worth that follows the pool: so many times what a typical answer of its strongest model costs."""

    times: float


@dataclass(frozen=True, slots=True)
class Settings(Record):
    """What is configured. Text that is "" and amounts that are None are not set.

    Of worth_usd, lambda_val and preset exactly one is set. `sources` says for each field where its value came
    from: "default", a file and line, a variable, or "argument".
    """

    pool: str = ""  # name or path
    checkpoint: str = ""  # name or path
    worth_usd: float | None = None
    lambda_val: float | None = None
    preset: str | None = None
    presets: Mapping[str, float | Multiple] = field(default_factory=dict[str, float | Multiple])  # name -> worth, USD
    embedder: str = ""
    embed_url: str = ""
    embed_model: str = ""
    llm_api_base: str = ""
    models_dir: str = ""
    log_text: bool = False
    learn_after: int = 50  # answers, labels and preferences after which the router learns from them; 0: never
    explore: float = 0.0  # the share of answers that may explore, 0 to 1
    ledger_days: int | None = None  # UTC days that entries are kept, today included; None: for ever
    max_usd_per_call: float | None = None
    max_usd_per_day: float | None = None
    max_usd_per_month: float | None = None
    confirm_above_usd: float | None = None  # the MCP server asks its user before a call that may cost more
    key_hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])  # variable -> origins
    first_token_s: float = 60.0  # patience with a model that has not begun to answer
    sources: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)
    _llm_api_key: Secret | None = field(default=None, repr=False)

    def key(self, variable: str) -> Secret | None:
        """The key named `variable`: the argument (R2_LLM_API_KEY only), the environment, then keys.toml.

        None where there is none, and for the name "". Raises ConfigError for a key that cannot be one.
        """
        if variable == LLM_API_KEY and self._llm_api_key:
            return self._llm_api_key
        if not variable:
            return None
        stated = os.environ.get(variable, "").strip()
        if stated:
            return _secret(stated, variable)
        keys = _stored_keys()
        stored = None if keys is None else keys.data.get(variable)
        if keys is None or stored is None:
            return None
        if not isinstance(stored, str):
            raise ConfigError(f"{keys.place(variable)}: {variable} must be text in quotes.")
        return _secret(stored.strip(), variable, file=keys)


def settings_file() -> Path:
    """The user's settings. It may not exist."""
    return user_config_dir() / "config.toml"


def keys_file() -> Path:
    """The user's keys, one `VARIABLE = "key"` a line. It may not exist; it is for its owner's eyes only."""
    return user_config_dir() / "keys.toml"


def _stored_keys() -> cf.ConfigFile | None:
    """The keys that stand in the user's file now, None where there is none. Raises ConfigError."""
    file = keys_file()
    if not file.is_file():
        return None
    now = file.stat()
    return _keys_of(file, now.st_mtime_ns, now.st_size, now.st_ino)


@lru_cache(maxsize=1)
def _keys_of(file: Path, *_: int) -> cf.ConfigFile:
    """Read again only when the file has changed: every decision looks for the key of every model."""
    return cf.read_config(file)


def load_settings(**overrides: object) -> Settings:
    """The settings in force. `overrides` are fields of Settings, or llm_api_key; None means not given.

    Raises ConfigError, naming file and line or the variable, for a value that cannot be used; InputError for
    such an argument; TypeError for an argument that does not exist.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    key = given.pop("llm_api_key", "")
    key = key.reveal() if isinstance(key, Secret) else str(key)
    levels = [_from_file(shipped("config") / "defaults.toml", "default")]
    if settings_file().is_file():
        levels.append(_from_file(settings_file()))
    levels += [_from_environment(), _from_arguments(given)]
    presets: dict[str, float | Multiple] = {}
    key_hosts: dict[str, tuple[str, ...]] = {}
    chosen: dict[str, _Value] = {}
    for level in levels:
        _check_one_trade_off(level.values)
        if any(name in level.values for name in _TRADE_OFF):
            chosen = {name: value for name, value in chosen.items() if name not in _TRADE_OFF}
        chosen |= level.values
        presets |= level.presets
        key_hosts |= level.key_hosts
    _check_preset(chosen, presets)
    return Settings(
        **{name: value.value for name, value in chosen.items()},
        presets=presets,
        key_hosts=key_hosts,
        sources={name: chosen[name].source if name in chosen else "not set" for name in _CHECKS},
        _llm_api_key=_secret(key.strip(), "llm_api_key", InputError),
    )


# -- the levels ----------------------------------------------------------------------------------------------


class _Value(NamedTuple):
    value: Any
    source: str


class _Level(NamedTuple):
    values: dict[str, _Value]
    presets: Mapping[str, float | Multiple] = MappingProxyType({})
    key_hosts: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def _folder(value: object) -> str:
    path = cf.text(value)
    return str(Path(path).expanduser()) if path else ""


def _worth(value: object) -> float | Multiple:
    """Dollars, or "20x"."""
    if not isinstance(value, str):
        return cf.amount(value)
    times = value.strip().removesuffix("x")
    if not value.strip().endswith("x") or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", times):
        raise ValueError(f'must be dollars, or times a typical answer as in "20x", not {cf.shown(value)}')
    return Multiple(float(times))


_CHECKS: Mapping[str, cf.Check] = {
    "pool": cf.text,
    "checkpoint": cf.text,
    "worth_usd": cf.amount,
    "lambda_val": cf.fraction,
    "preset": cf.text,
    "embedder": cf.text,
    "embed_url": cf.url,
    "embed_model": cf.text,
    "llm_api_base": cf.url,
    "models_dir": _folder,
    "log_text": cf.flag,
    "learn_after": cf.count,
    "explore": cf.fraction,
    "ledger_days": cf.count_above_zero,
    "max_usd_per_call": cf.amount,
    "max_usd_per_day": cf.amount,
    "max_usd_per_month": cf.amount,
    "confirm_above_usd": cf.amount,
    "first_token_s": cf.speed,
}
_VARIABLES = {name: f"R2_{name.upper()}" for name in _CHECKS}
_TABLES: Mapping[str, cf.Check] = {"presets": _worth, "key_hosts": cf.hosts}
_PLACES: Mapping[str, Callable[[str], bool]] = {  # what in a file may be a path, and when it is one
    "pool": is_pool_file,
    "checkpoint": is_path,
    "models_dir": bool,
}
_NUMBERS: Mapping[cf.Check, type[float]] = {
    cf.amount: float,
    cf.fraction: float,
    cf.speed: float,
    cf.count: int,
    cf.count_above_zero: int,
}
_FLAGS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def _from_file(path: Path, source: str = "") -> _Level:
    file = cf.read_config(path)
    values = file.values((), {**_CHECKS, **dict.fromkeys(_TABLES, cf.table)})
    for table in _TABLES:
        values.pop(table, None)
    for name, is_place in _PLACES.items():
        if values.get(name) and is_place(values[name]):
            values[name] = _beside(path, values[name])
    level = {name: _Value(value, source or file.place(name)) for name, value in values.items()}
    tables = (file.values((table,), dict.fromkeys(file.table(table), check)) for table, check in _TABLES.items())
    return _Level(level, *tables)


def _beside(file: Path, stated: str) -> str:
    """A relative path in a file starts at that file, and not at the folder one happens to be in."""
    return str(file.parent / Path(stated).expanduser())


def _from_environment() -> _Level:
    """The R2_ variables that are set; an empty one counts as not set, an unknown one is not ours to judge."""
    values: dict[str, _Value] = {}
    for name, variable in _VARIABLES.items():
        stated = os.environ.get(variable, "").strip()
        if stated:
            value = _checked(name, _typed(_CHECKS[name], stated), variable, ConfigError)
            values[name] = _Value(value, variable)
    return _Level(values)


def _from_arguments(given: Mapping[str, object]) -> _Level:
    for name in given:
        if name not in _CHECKS:
            raise TypeError(f"load_settings() has no argument {name!r}")
    return _Level({name: _Value(_checked(name, value, name, InputError), _ARGUMENT) for name, value in given.items()})


def _typed(check: cf.Check, stated: str) -> object:
    """What a variable's text means, typed as TOML would; what cannot be typed is left to the check."""
    if check is cf.flag:
        return _FLAGS.get(stated.lower(), stated)
    if check in _NUMBERS:
        try:
            return _NUMBERS[check](stated)
        except ValueError:
            return stated
    return stated


# -- checks --------------------------------------------------------------------------------------------------


def _checked(name: str, value: object, called: str, error: type[ConfigError] | type[InputError]) -> object:
    try:
        return _CHECKS[name](value)
    except ValueError as fault:
        raise error(f"{called} {fault}.") from None


def _check_one_trade_off(level: Mapping[str, _Value]) -> None:
    stated = [name for name in _TRADE_OFF if name in level]
    if len(stated) < 2:
        return
    if level[stated[0]].source == _ARGUMENT:
        raise InputError(
            f"Give one of worth_usd, lambda_val and preset, not {' and '.join(stated)}: they say the same."
        )
    places = " and ".join(f"{name} ({level[name].source})" for name in stated)
    raise ConfigError(f"{places} are both given, and say the same thing: keep one of them.")


def _check_preset(chosen: Mapping[str, _Value], presets: Mapping[str, object]) -> None:
    if "preset" not in chosen or chosen["preset"].value in presets:
        return
    name, source = chosen["preset"]
    fault = f"no preset {cf.shown(name)}. Choose one of: {', '.join(presets)}, or add it under [presets]."
    if source == _ARGUMENT:
        raise InputError(f"There is {fault}")
    raise ConfigError(f"{source}: there is {fault}")


def _secret(
    value: str,
    called: str,
    error: type[ConfigError] | type[InputError] = ConfigError,
    *,
    file: cf.ConfigFile | None = None,
) -> Secret | None:
    """`value` as a key, None if it is empty."""
    if not value:
        return None
    if not value.isascii() or not value.isprintable() or " " in value:
        place = "" if file is None else f"{file.place(called)}: "
        raise error(f"{place}{called} cannot be a key: it holds a space or a character no key has. Copy it again.")
    return Secret(value)
