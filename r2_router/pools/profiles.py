"""Profiles: how each provider wants to be asked, as data (config/providers.toml, and the user's own)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_config_dir
from r2_router.errors import ConfigError
from r2_router.records import Record

# For a server nobody describes: OpenAI's word, and that of vLLM, SGLang and llama.cpp. Most ignore what they do not
# know, and a word that is refused is dropped.
_THINKING_OFF: Mapping[str, Any] = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
_THINKING_ON: Mapping[str, Any] = {"reasoning_effort": "medium", "chat_template_kwargs": {"enable_thinking": True}}


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


def _variables(value: object) -> tuple[str, ...]:
    return tuple(cf.variable(item) for item in cf.texts(value))


def _query(value: object) -> Mapping[str, str]:
    return {key: cf.text(item) for key, item in cf.table(value).items()}


def _header(value: object) -> str:
    name = cf.text(value)
    if name and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError('must be the name of a header, like "api-key"')
    return name


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
}
