"""Which key goes to which host: the user's own configuration and the shipped providers say so, nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_config_dir
from r2_router.config.settings import EMBED_API_KEY, LLM_API_KEY, Secret, Settings
from r2_router.errors import ConfigError
from r2_router.pools.model import Model
from r2_router.pools.pool import load_pool, pool_names

Pair = tuple[str, str]  # the variable of a key, the origin it may go to


def key_of(model: Model, settings: Settings) -> Secret | None:
    """The key to ask `model` with; None where it needs none, none is set, or its host is not paired with it."""
    return None if key_refused(model, settings) else settings.key(model.api_key_env)


def missing_key(model: Model, settings: Settings) -> str:
    """ "" or why `model` cannot be asked with the key it needs, and what to do about it."""
    if not model.api_key_env:
        return ""
    if refused := key_refused(model, settings):
        return refused
    if settings.key(model.api_key_env):
        return ""
    return f"{model.api_key_env} is not set; set it in the environment or in keys.toml"


def key_refused(model: Model, settings: Settings) -> str:
    """ "" or why the key that `model` names may not go to where it is asked.

    A model whose address comes from a file that is neither the user's own nor shipped gets a key only where the two
    are paired already. One that the user's own code or configuration describes is paired by that.
    """
    if not model.untrusted or not model.api_key_env:
        return ""
    place = cf.origin(model.base_url)
    if place and (model.api_key_env, place) in _pairs(settings):
        return ""
    return (
        f"{model.api_key_env} is not sent to {place}, which {model.untrusted} names: that file is not in your "
        f"configuration. If the key belongs there, write into {user_config_dir() / 'config.toml'}: [key_hosts] "
        f'{model.api_key_env} = "{place}"'
    )


def _pairs(settings: Settings) -> Iterator[Pair]:
    """Every pair the user's configuration and the shipped files make."""
    for variable, places in settings.key_hosts.items():
        yield from ((variable, place) for place in places)
    yield LLM_API_KEY, cf.origin(settings.llm_api_base)
    yield EMBED_API_KEY, cf.origin(settings.embed_url)
    for name in pool_names():
        try:
            models = load_pool(name).models.values()
        except ConfigError:
            continue  # a pool's fault is told when that pool is used
        yield from ((m.api_key_env, cf.origin(m.base_url)) for m in models if m.api_key_env and m.base_url)
    for folder in (user_config_dir(), shipped("config")):
        yield from _of_providers(folder / "providers.toml")


def _of_providers(file: Path) -> Iterator[Pair]:
    """The pairs of a file of provider profiles: a table each, with base_url and api_key_env."""
    if not file.is_file():
        return
    try:
        tables = cf.read_config(file).data.values()
    except ConfigError:
        return
    for table in tables:
        if isinstance(table, dict):
            profile = cast("cf.Table", table)
            others = profile.get("other_keys", ())
            more = cast("list[object]", others) if isinstance(others, list) else []
            for variable in (profile.get("api_key_env", ""), *more):
                yield str(variable), cf.origin(str(profile.get("base_url", "")))
