"""Profiles: how each provider wants to be asked, as data (config/providers.toml, and the user's own)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_config_dir
from r2_router.errors import ConfigError
from r2_router.records import Record

# For a server nobody describes: OpenAI's word, and that of vLLM, SGLang and llama.cpp. Most ignore what they do not
# know, and a word that is refused is dropped.
_THINKING_OFF: Mapping[str, Any] = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
_THINKING_ON: Mapping[str, Any] = {"reasoning_effort": "medium", "chat_template_kwargs": {"enable_thinking": True}}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTerms(Record):
    """How a provider takes many requests at once, to be answered within a day, and what that costs; the fields are
    those of `batch` in config/providers.toml. `price` None: genai-prices tells it for each model."""

    api: Literal["openai", "anthropic", "openrouter"]
    price: float | None = None
    max_requests: int = 10_000
    max_bytes: int = 100_000_000
    window: str = "24h"
    cap: str = "max_tokens"
    date: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Profile(Record):
    """How one provider is asked; the fields are those of config/providers.toml. `name` is "" for an unknown one."""

    name: str = ""
    base_url: str = ""
    hosts: tuple[str, ...] = ()
    api_key_env: str = ""
    other_keys: tuple[str, ...] = ()
    key_header: str = ""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    thinking_off: Mapping[str, Any] = field(default_factory=lambda: _THINKING_OFF)
    thinking_on: Mapping[str, Any] = field(default_factory=lambda: _THINKING_ON)
    refuses: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()
    batch: BatchTerms | None = None

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The variables that may hold its key, the usual one first; none where it needs no key."""
        return (self.api_key_env, *self.other_keys) if self.api_key_env else ()


_UNKNOWN = Profile()


def providers_file() -> Path:
    """The user's own profiles. It may not exist."""
    return user_config_dir() / "providers.toml"


@cache
def profiles() -> Mapping[str, Profile]:
    """Every profile by name, the user's in place of the shipped; read once in a process.

    Raises ConfigError naming file and line for an unknown key or a bad value.
    """
    known: dict[str, Profile] = {}
    for path in (shipped("config") / "providers.toml", providers_file()):
        if path.is_file():
            file = cf.read_config(path)
            for name in file.values((), dict.fromkeys(file.data, cf.table)):
                known[name] = Profile(name, **file.values((name,), _KEYS))
    return known


def profile(name: str) -> Profile:
    """The profile of that name. Raises ConfigError for an unknown one."""
    known = profiles()
    if name not in known:
        raise ConfigError(f"No provider {cf.shown(name)}. Known: {', '.join(known)}. Yours go into {providers_file()}.")
    return known[name]


@lru_cache(maxsize=256)
def profile_of(host: str) -> Profile:
    """The profile of the server `host`; one without a name where nobody describes it."""
    found = (known for known in profiles().values() if any(fnmatchcase(host.lower(), glob) for glob in known.hosts))
    return next(found, _UNKNOWN)


def forget() -> None:
    """Read the profiles anew when they are next needed."""
    for known in (profiles, profile_of):
        known.cache_clear()


def _variables(value: object) -> tuple[str, ...]:
    return tuple(cf.variable(item) for item in cf.texts(value))


def _query(value: object) -> Mapping[str, str]:
    return {key: cf.text(item) for key, item in cf.table(value).items()}


def _header(value: object) -> str:
    name = cf.text(value)
    if name and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError('must be the name of a header, like "api-key"')
    return name


def _batch(value: object) -> BatchTerms:
    stated = cf.table(value)
    if unknown := stated.keys() - _BATCH_KEYS.keys():
        raise ValueError(f"knows {', '.join(_BATCH_KEYS)}, and no {min(unknown)}")
    if "api" not in stated:
        raise ValueError('must say its api: "openai", "anthropic" or "openrouter"')
    values: dict[str, Any] = {}
    for key, item in stated.items():
        try:
            values[key] = _BATCH_KEYS[key](item)
        except ValueError as error:
            raise ValueError(f"holds {key}, which {error}") from None
    return BatchTerms(**values)


def _api(value: object) -> str:
    if value not in (known := ("openai", "anthropic", "openrouter")):
        raise ValueError(f"must be one of {', '.join(map(repr, known))}, not {cf.shown(value)}")
    return cast("str", value)


_BATCH_KEYS: Mapping[str, cf.Check] = {
    "api": _api,
    "price": cf.fraction,
    "max_requests": cf.count_above_zero,
    "max_bytes": cf.count_above_zero,
    "window": cf.text,
    "cap": cf.text,
    "date": cf.day,
    "source": cf.text,
}
_KEYS: Mapping[str, cf.Check] = {
    "base_url": cf.url,
    "hosts": cf.texts,
    "api_key_env": cf.variable,
    "other_keys": _variables,
    "key_header": _header,
    "query": _query,
    "thinking_off": cf.table,
    "thinking_on": cf.table,
    "refuses": cf.texts,
    "unserved": cf.texts,
    "batch": _batch,
}
