"""Pool: who can answer, under which id, at what dated price, available or not.

A pool is a TOML file: [pool] with what its models share, then one table a model. Pools are shipped in
config/pools; the user's own stand in pools/NAME.toml of the configuration folder, and models.toml there adds
models to whatever pool is in use, or changes fields of a model it names.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from r2_router.config import toml_file as cf
from r2_router.config.folders import is_own, is_pool_file, shipped, spelled, user_config_dir
from r2_router.errors import ConfigError
from r2_router.pools.can import CAPABILITIES
from r2_router.pools.model import ROUTERS_FIELDS, Capability, Model, PriceTier
from r2_router.pools.profiles import profile, profiles

DEFAULT_POOL = "local"

# Where a model is called whose file names no server.
DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
DEFAULT_API_KEY_ENV = "OPENROUTER_API_KEY"

EXPIRED = "expired on "  # a reason that begins so follows from `expires`

# What can be said of a model's ability, the first before the next: see `pools/ability.py`.
ABILITIES = ("rating", "quality", "rated_as")
SPEEDS = ("input_tokens_per_second", "output_tokens_per_second")
# What else a provider may bill; the names are those of Model.
BESIDE = ("cache_read_usd_per_million", "cache_write_usd_per_million", "thinking_usd_per_million")


@dataclass(frozen=True, slots=True)
class Pool:
    """The models one can route to, by name, in the order of the file."""

    name: str
    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    untrusted: str = ""  # the file it was read from, where that is neither the user's own nor shipped

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    def __len__(self) -> int:
        return len(self.models)

    def get(self, name: str) -> Model | None:
        return self.models.get(name)

    @property
    def warning(self) -> str:
        """What to say before anything is sent to an untrusted pool's models; "" for others."""
        places = sorted({cf.origin(model.base_url) for model in self if model.untrusted and model.base_url})
        if not places:
            return ""
        return (
            f"Pool '{self.name}' is from {self.untrusted}, which is not in your configuration: queries go to "
            f"{', '.join(places)}, and your keys only where your configuration sends them."
        )


def models_file() -> Path:
    """The user's own models and changes. It may not exist."""
    return user_config_dir() / "models.toml"


def pool_names() -> tuple[str, ...]:
    """The names `load_pool` knows, the user's and the shipped, sorted."""
    return tuple(sorted({path.stem for folder in _folders() for path in folder.glob("*.toml")}))


def load_pool(name_or_path: str | os.PathLike[str], *, user_file: bool = True) -> Pool:
    """The pool of that name (the user's before the shipped) or at that path, with models.toml applied.

    Raises ConfigError naming file and line: for an unknown key, a model without id or price, a bad value, one
    id at one server under two names, an empty pool. A file outside the user's configuration is untrusted: see
    `Pool.untrusted`.
    """
    file = cf.read_config(_find(spelled(name_or_path)))
    file.values((), {"pool": cf.table, "models": cf.table})
    shared = file.values(("pool",), _POOL_KEYS)
    name = shared.pop("name", "") or file.path.stem
    entries = {model: _Entry(_overlaid(shared, values), file, file) for model, values in _model_tables(file).items()}
    if user_file and models_file().is_file():
        _apply_user_file(entries, cf.read_config(models_file()), file, name)
    if not entries:
        raise ConfigError(f"{file.path}: the pool is empty. Add a model: [models.NAME], id, usd_per_million.")
    models = {model: _model(model, entry) for model, entry in entries.items()}
    _check_distinct(models, entries)
    return Pool(name, models, _untrusted(file))


# -- reading -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is said of a model, the file that said it last, and the one that says where it is asked."""

    values: dict[str, Any]
    file: cf.ConfigFile
    address: cf.ConfigFile


def _tiers(value: object) -> tuple[PriceTier, ...]:
    """Tiers of a price, rising: [{ above_input_tokens = 200_000, usd_per_million = [2.5, 15] }]."""
    tiers: list[PriceTier] = []
    for entry in cf.tables(value):
        if set(entry) != {"above_input_tokens", "usd_per_million"}:
            raise ValueError("must hold above_input_tokens and usd_per_million in each of its tables, and nothing else")
        tiers.append(
            PriceTier(cf.count_above_zero(entry["above_input_tokens"]), *cf.price_pair(entry["usd_per_million"]))
        )
    limits = [tier.above_input_tokens for tier in tiers]
    if limits != sorted(set(limits)):
        raise ValueError("must rise: the lowest above_input_tokens first, each once")
    return tuple(tiers)


def _provider(value: object) -> str:
    name = cf.text(value)
    if name and name not in profiles():
        raise ValueError(f"must be one of {', '.join(profiles())}, not {cf.shown(name)}")
    return name


def _rating(value: object) -> Mapping[str, float]:
    """Points by category: a number is the overall rating, a table may say more."""
    from r2_router.pools.ratings import CATEGORIES, OVERALL, points

    stated = cast("cf.Table", value) if isinstance(value, dict) else {OVERALL: value}
    if OVERALL not in stated:
        raise ValueError(f"must hold {OVERALL} too, as in {{ {OVERALL} = 1426, math = 1450 }}")
    for category in stated:
        if category not in CATEGORIES:
            raise ValueError(f"knows no category {cf.shown(category)}; there are {', '.join(CATEGORIES)}")
    return {category: points(each) for category, each in stated.items()}


def _capabilities(value: object) -> tuple[Capability, ...]:
    """What a model can, or cannot: ["tools", "images"]."""
    named = cast("list[object]", value) if isinstance(value, list) else [value]
    for name in named:
        if name not in CAPABILITIES:
            raise ValueError(f"must hold some of {', '.join(CAPABILITIES)}; it holds {cf.shown(name)}")
    return cast("tuple[Capability, ...]", tuple(named))


def _request(value: object) -> Mapping[str, Any]:
    """Fields of a chat request, as JSON can carry them."""
    fields = cf.table(value)
    if taken := ROUTERS_FIELDS & fields.keys():
        raise ValueError(f"cannot set {', '.join(sorted(taken))}: the router does")
    try:
        written = json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("holds a date or a number that a request cannot carry") from None
    if len(written) > _MAX_REQUEST:
        raise ValueError(f"is longer than {_MAX_REQUEST:,} characters")
    return fields


_MAX_REQUEST = 10_000  # characters of JSON
_POOL_KEYS: Mapping[str, cf.Check] = {
    "name": cf.text,
    "prices_date": cf.day,
    "provider": _provider,
    "base_url": cf.url,
    "api_key_env": cf.variable,
    "usd_per_hour": cf.amount,
}
_MODEL_KEYS: Mapping[str, cf.Check] = {
    "id": cf.text,
    "usd_per_million": cf.price_pair,
    "available": cf.flag,
    "reason": cf.text,
    "context_window": cf.count_above_zero,
    "max_input_tokens": cf.count_above_zero,
    "max_output_tokens": cf.count_above_zero,
    "expires": lambda value: "" if value == "" else cf.day(value),
    "provider": _provider,
    "base_url": cf.url,
    "api_key_env": cf.variable,
    "thinking_tokens": cf.count,
    "prices_date": cf.day,
    "note": cf.text,
    "rated_as": cf.text,
    "rating": _rating,
    "quality": cf.fraction,
    "verbosity": cf.speed,
    "request": _request,
    "can": _capabilities,
    "cannot": _capabilities,
    "weights": cf.text,
    "usd_per_hour": cf.amount,
    "request_usd": cf.amount,
    "tiers": _tiers,
    **dict.fromkeys(BESIDE, cf.amount),
    **dict.fromkeys(SPEEDS, cf.speed),
}
_PRICE_KEYS = {"usd_per_million", "usd_per_hour", "request_usd", "tiers", *BESIDE, *SPEEDS}


def _folders() -> tuple[Path, Path]:
    return user_config_dir() / "pools", shipped("config") / "pools"


def _find(name: str) -> Path:
    if is_pool_file(name):
        return Path(name).expanduser()
    for folder in _folders():
        if name and ":" not in name and (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    raise ConfigError(
        f"No pool {cf.shown(name)}. Known: {', '.join(pool_names())}. Your own go into {_folders()[0]} as "
        f"NAME.toml; a path to a .toml file works too."
    )


def _model_tables(file: cf.ConfigFile) -> dict[str, dict[str, Any]]:
    """The checked [models.NAME] tables of a file, in its order."""
    tables: dict[str, dict[str, Any]] = {}
    for name in file.table("models"):
        place = ("models", name)
        if not 0 < len(name) <= 200 or not name.isprintable() or name != name.strip():
            raise file.error(place, f"{cf.shown(name)} cannot be the name of a model.")
        values = file.values(place, _MODEL_KEYS)
        if "usd_per_million" in values and not values.keys().isdisjoint(SPEEDS):
            raise file.error(place, f"{name} has usd_per_million and tokens per second: give one of them.")
        if values.get("reason") and values.get("available") is not False:
            raise file.error((*place, "reason"), "reason needs `available = false` beside it.")
        tables[name] = values
    return tables


def _overlaid(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `values` over it; what a new value makes untrue is dropped from the base."""
    stale: set[str] = set()
    if "usd_per_million" in values:
        stale.update(SPEEDS, BESIDE, ("tiers",))
    if not values.keys().isdisjoint(SPEEDS):
        stale.add("usd_per_million")
    if not values.keys().isdisjoint(("base_url", "provider")):
        stale.update(("api_key_env", "base_url", "provider"))  # a key never goes to a server it was not given for
    if "available" in values:
        stale.add("reason")
    if not values.keys().isdisjoint(ABILITIES):
        stale.update(ABILITIES)
    return {key: value for key, value in base.items() if key not in stale} | dict(values)


def _apply_user_file(entries: dict[str, _Entry], user: cf.ConfigFile, pool_file: cf.ConfigFile, pool: str) -> None:
    user.values((), {"models": cf.table})
    for name, values in _model_tables(user).items():
        known = entries.get(name)
        if known:
            base = known.values
            if not values.keys().isdisjoint(_PRICE_KEYS):
                base = {key: value for key, value in base.items() if key != "prices_date"}
            # A variable alone does not make the address the user's: the key would go where somebody else says.
            address = user if "base_url" in values else known.address
            entries[name] = _Entry(_overlaid(base, values), user, address)
        elif values.get("id"):
            entries[name] = _Entry(values, user, user)
        elif not _named_elsewhere(name, pool_file.path):
            raise user.error(("models", name), _not_known(name, entries, pool))


def _untrusted(file: cf.ConfigFile) -> str:
    return "" if is_own(file.path) else str(file.path)


def _named_elsewhere(name: str, current: Path) -> bool:
    """Whether a pool not in use has the model: then an entry without id is a change meant for that pool."""
    for path in {path for folder in _folders() for path in folder.glob("*.toml")} - {current}:
        try:
            if name in cf.read_config(path).table("models"):
                return True
        except ConfigError:
            continue  # another pool's fault is told when that pool is used
    return False


def _not_known(name: str, entries: Mapping[str, _Entry], pool: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, entries, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{name!r} is a model of no pool, so it needs an id to be added to '{pool}'.{hint}"


def _model(name: str, entry: _Entry) -> Model:
    values = entry.values
    available = values.get("available", True)
    input_price, output_price = _prices(name, entry)
    if available and not values.get("id"):
        raise entry.file.error(("models", name), f"{name} has no id: give the provider's name for it.")
    base_url, api_key_env = values.get("base_url", ""), values.get("api_key_env", "")
    if values.get("provider"):
        provider = profile(values["provider"])
        base_url, api_key_env = base_url or provider.base_url, api_key_env or provider.api_key_env
        if not base_url:
            fault = f"{name} needs a base_url: {provider.name} gives each customer an address of his own."
            raise entry.file.error(("models", name), fault)
    if not base_url and not values.get("weights"):
        base_url, api_key_env = DEFAULT_BASE_URL, api_key_env or DEFAULT_API_KEY_ENV
    unavailable = "" if available else values.get("reason") or f"switched off in {entry.file.path.name}"
    return Model(
        name=name,
        id=values.get("id", ""),
        input_usd_per_million=input_price,
        output_usd_per_million=output_price,
        unavailable=unavailable or expiry(values.get("expires", "")),
        context_window=values.get("context_window"),
        base_url=base_url,
        api_key_env=api_key_env,
        thinking_tokens=values.get("thinking_tokens", 0),
        prices_date=values.get("prices_date", ""),
        note=values.get("note", ""),
        weights=values.get("weights", ""),
        untrusted=_untrusted(entry.address),
        expires=values.get("expires", ""),
        max_input_tokens=values.get("max_input_tokens"),
        max_output_tokens=values.get("max_output_tokens"),
        request_usd=values.get("request_usd", 0.0),
        tiers=values.get("tiers", ()),
        rated_as=values.get("rated_as", ""),
        rating=values.get("rating", {}),
        quality=values.get("quality"),
        verbosity=values.get("verbosity", 1.0),
        request=values.get("request", {}),
        can=values.get("can", ()),
        cannot=values.get("cannot", ()),
        **{key: values.get(key) for key in BESIDE},
    )


def as_of_today(pool: Pool) -> Pool:
    """`pool` itself, or with those models unavailable that have expired since it was read."""
    gone = {m.name: why for m in pool if not m.unavailable and (why := expiry(m.expires))}
    if not gone:
        return pool
    return replace(pool, models={m.name: replace(m, unavailable=m.unavailable or gone.get(m.name, "")) for m in pool})


def expiry(expires: str) -> str:
    """Why a model that may be gone after the ISO date `expires` cannot be used today, "" if it can."""
    if not expires:
        return ""
    today = dt.datetime.now().astimezone().date().isoformat()
    return f"{EXPIRED}{expires}" if expires < today else ""


def _prices(name: str, entry: _Entry) -> tuple[float, float]:
    """USD per million input and output tokens: as stated, or the time they take at the machine's price."""
    values, place = entry.values, ("models", name)
    if "usd_per_million" in values:
        return values["usd_per_million"]
    needed = (*SPEEDS, "usd_per_hour")
    if values.keys().isdisjoint(SPEEDS):
        raise entry.file.error(place, f"{name} has no price: add usd_per_million = [input, output].")
    missing = [key for key in needed if key not in values]
    if missing:
        raise entry.file.error(place, f"{name} has no price: {' and '.join(missing)} missing.")
    prices = [values["usd_per_hour"] / 3600 / values[key] * 1e6 for key in SPEEDS]
    if not all(math.isfinite(price) for price in prices):
        raise entry.file.error(place, f"{name} is too slow to be priced: its tokens per second are nearly 0.")
    return prices[0], prices[1]


def _check_distinct(models: Mapping[str, Model], entries: Mapping[str, _Entry]) -> None:
    """One id at one server, asked in one way, is one model: under two names it would be a candidate twice."""
    seen: dict[tuple[str, str, str], str] = {}
    for name, model in models.items():
        first = seen.setdefault((model.base_url, model.id, json.dumps(model.request, sort_keys=True)), name)
        if model.id and first != name:
            raise entries[name].file.error(
                ("models", name, "id"),
                f"{name} has the same id as {first}, {cf.shown(model.id)}: remove one, or give one a `request`.",
            )
