"""Prompt caches: what a beginning that a provider has read lately costs, as data (config/prompt_caches.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_config_dir
from r2_router.pools.model import Model
from r2_router.pools.profiles import profile_of
from r2_router.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRule(Record):
    """How one provider keeps and prices the beginnings of prompts; the fields are those of config/prompt_caches.toml.

    `read` and `write` are multiples of the price of an input token; `asks` is the field that is set for the user.
    """

    provider: str
    models: tuple[str, ...]
    read: float
    write: float = 1.0
    min_tokens: int
    ttl_s: float
    marked: bool = False
    asks: Literal["", "cache_control", "prompt_cache_key"] = ""
    date: str = ""
    source: str = ""


def prompt_caches_file() -> Path:
    """The user's own rules. It may not exist."""
    return user_config_dir() / "prompt_caches.toml"


@cache
def cache_rules() -> tuple[CacheRule, ...]:
    """Every rule, the user's before the shipped; read once in a process (`forget`).

    Raises ConfigError naming file and line for an unknown key or a bad value.
    """
    found: list[CacheRule] = []
    for path in (prompt_caches_file(), shipped("config") / "prompt_caches.toml"):
        if path.is_file():
            file = cf.read_config(path)
            found += [_rule(file, name) for name in file.values((), dict.fromkeys(file.data, cf.table))]
    return tuple(found)


def cache_rule(model: Model) -> CacheRule | None:
    """How the prompts of `model` are kept where it is asked; None where that is not known."""
    host = urlsplit(model.base_url).hostname
    return _rule_of(host, model.id) if host else None


def multiples(model: Model, rule: CacheRule) -> tuple[float, float]:
    """What a token read from the cache and one written to it cost, as multiples of an input token's price: by the
    model's own prices where it has them. Where the rule bills no writing, neither does this."""
    plain = model.input_usd_per_million
    read, write = model.cache_read_usd_per_million, model.cache_write_usd_per_million
    if not plain:
        return rule.read, rule.write
    writes = rule.write if rule.write == 1 or write is None else write / plain
    return rule.read if read is None else read / plain, writes


def cache_priced(model: Model) -> Model:
    """`model` with what its provider's rule says of the prices of its cache, where it states none itself."""
    rule, plain = cache_rule(model), model.input_usd_per_million
    if rule is None or plain is None:
        return model
    read, write = model.cache_read_usd_per_million, model.cache_write_usd_per_million
    return replace(
        model,
        cache_read_usd_per_million=plain * rule.read if read is None else read,
        cache_write_usd_per_million=plain * rule.write if write is None and rule.write != 1 else write,
    )


def forget() -> None:
    """Read the rules anew when they are next needed."""
    cache_rules.cache_clear()
    _rule_of.cache_clear()


@lru_cache(maxsize=1024)
def _rule_of(host: str, model_id: str) -> CacheRule | None:
    provider, name = profile_of(host).name, model_id.lower()
    return next(
        (
            rule
            for rule in cache_rules()
            if rule.provider == provider and any(fnmatchcase(name, glob.lower()) for glob in rule.models)
        ),
        None,
    )


def _rule(file: cf.ConfigFile, name: str) -> CacheRule:
    values = file.values((name,), _KEYS)
    if missing := [key for key in _NEEDED if key not in values]:
        raise file.error((name,), f"{name} lacks {missing[0]}: a rule says {', '.join(_NEEDED)}.")
    return CacheRule(**values)


def _asks(value: object) -> str:
    if value not in (known := ("", "cache_control", "prompt_cache_key")):
        raise ValueError(f"must be one of {', '.join(map(repr, known))}, not {cf.shown(value)}")
    return cast("str", value)


_KEYS: Mapping[str, cf.Check] = {
    "provider": cf.text,
    "models": cf.globs,
    "read": cf.amount,
    "write": cf.amount,
    "min_tokens": cf.count,
    "ttl_s": cf.amount,
    "marked": cf.flag,
    "asks": _asks,
    "date": cf.day,
    "source": cf.text,
}
_NEEDED = ("provider", "models", "read", "min_tokens", "ttl_s")
