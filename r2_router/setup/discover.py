"""What is here: the keys that are set, the servers that run on this machine, and the models each of them lists."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from r2_router.config import toml_file as cf
from r2_router.config.settings import LLM_API_KEY, Settings
from r2_router.errors import ConfigError, DownloadError, InputError
from r2_router.net.loopback import is_loopback
from r2_router.pools.known_prices import known_models, snapshot_date
from r2_router.pools.listed import Listed
from r2_router.pools.profiles import Profile, profile_of, profiles
from r2_router.pools.provider_list import fetch_list
from r2_router.records import Record

_CONNECT_SECONDS = 0.3  # on this machine; a closed port answers at once, but for some firewalls and Windows
_OWN_SECONDS = 3.0  # for the list of a server of one's own
_LIST_SECONDS = 15.0
_GLANCE_SECONDS = 1.0  # where nobody waits for what it lists
_AT_ONCE = 16

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Record):
    """Where models can be asked. `provider` names the profile, "" for an address that the user gave; `api_key_env` is
    the variable of the key, "" where none is needed, and `key_place` where it is set."""

    provider: str
    base_url: str
    api_key_env: str = ""
    key_place: str = ""

    @property
    def own(self) -> bool:
        """Whether it is the user's own machine that answers: one without a key is no gateway to others."""
        return not self.api_key_env

    @property
    def name(self) -> str:
        return self.provider or urlsplit(self.base_url).netloc

    @property
    def profile(self) -> Profile:
        return profiles()[self.provider] if self.provider else profile_of(_host(self.base_url))


@dataclass(frozen=True, slots=True)
class Offer(Record):
    """What a source lists. `failure`: why its list could not be had, "" if it could; `snapshot`: the ISO date of the
    prices that stand in for it, "" where nothing does."""

    source: Source
    listed: Sequence[Listed] = field(default=(), repr=False)
    failure: str = ""
    snapshot: str = ""


def key_sources(settings: Settings) -> list[Source]:
    """The providers whose keys are set, in the order of their profiles. A key that can be none counts as not set."""
    found: list[Source] = []
    for p in profiles().values():
        for variable in p.key_variables if p.base_url else ():
            if place := key_place(settings, variable):
                found.append(Source(provider=p.name, base_url=p.base_url, api_key_env=variable, key_place=place))
                break
    return found


def key_place(settings: Settings, variable: str) -> str:
    """Where the key of that name is set, "" where it is not."""
    with suppress(ConfigError):
        if settings.key(variable) is not None:
            return "environment" if os.environ.get(variable, "").strip() else "keys.toml"
    return ""


def server_sources() -> list[Source]:
    """The servers that take connections on this machine, at the addresses of the profiles that need no key."""
    usual = [
        Source(provider=p.name, base_url=p.base_url)
        for p in profiles().values()
        if not p.api_key_env and is_loopback(_host(p.base_url))
    ]
    return [source for source, answers in zip(usual, _all(_takes_connections, usual), strict=True) if answers]


def running_sources() -> list[Source]:
    """Those of `server_sources` that list models: whatever else may listen at such a port is none."""
    found = server_sources()
    return [source for source, lists in zip(found, _all(_lists_models, found), strict=True) if lists]


def given_source(base_url: str, settings: Settings) -> Source:
    """The source at an address that the user gives, with the key of the provider whose host that is, or R2_LLM_API_KEY
    where the settings name that address. Raises InputError for what is no address."""
    try:
        address = cf.url(base_url)
    except ValueError as fault:
        raise InputError(f"--base-url {fault}.") from None
    if not address:
        raise InputError("--base-url is empty: give an address such as http://127.0.0.1:8000/v1.")
    named = profile_of(_host(address))
    own = LLM_API_KEY if cf.origin(address) == cf.origin(settings.llm_api_base) else ""
    variable = named.api_key_env or own
    place = key_place(settings, variable) if variable else ""
    return Source(provider="", base_url=address, api_key_env=variable if place else "", key_place=place)


def read_offers(sources: Iterable[Source], settings: Settings) -> list[Offer]:
    """What each source lists, all asked at once; one that fails stops no other.

    Where a provider's list cannot be had, the models that the shipped snapshot of prices knows of it stand in.
    """
    distinct = list({source.base_url: source for source in sources}.values())
    today = dt.datetime.now().astimezone().date().isoformat()
    return _all(lambda source: _read(source, settings, today), distinct)


def _read(source: Source, settings: Settings, today: str) -> Offer:
    try:
        key = settings.key(source.api_key_env)
        seconds = _OWN_SECONDS if source.own else _LIST_SECONDS
        found = fetch_list(source.base_url, key, today, seconds=seconds)
    except (DownloadError, ConfigError) as error:
        known = [] if source.own else known_models(source.base_url)
        return Offer(source, known, str(error), snapshot_date() if known else "")
    return Offer(source, list(found.listed.values()))


def _lists_models(source: Source) -> bool:
    try:
        return bool(fetch_list(source.base_url, None, "", seconds=_GLANCE_SECONDS).listed)
    except DownloadError:
        return False


def _takes_connections(source: Source) -> bool:
    """Straight to the port: no proxy is asked for what is on this machine."""
    parts = urlsplit(source.base_url)
    try:
        with socket.create_connection((parts.hostname, parts.port or 80), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _all(what: Callable[[_In], _Out], things: Sequence[_In]) -> list[_Out]:
    """`what` of each, in their order, at the same time."""
    if not things:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(things))) as workers:
        return list(workers.map(what, things))


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""
