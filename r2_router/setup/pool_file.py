"""The proposal as a pool file: what a run of setup changes in it, and what its user has changed stays."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from r2_router.config.folders import shipped, user_config_dir, user_data_dir
from r2_router.config.safe_files import read_plain, replace_file
from r2_router.config.settings import load_settings, settings_file
from r2_router.config.toml_edit import Document, NewTable, edit_toml
from r2_router.config.toml_file import read_config
from r2_router.errors import ConfigError, InputError
from r2_router.pools.pool import BESIDE, SPEEDS, load_pool
from r2_router.pools.profiles import profile
from r2_router.records import Record
from r2_router.setup.discover import Offer
from r2_router.setup.ways import USD_PER_HOUR, Way
from r2_router.words import price_text

DEFAULT_NAME = "mine"

Values = dict[str, Any]  # of one model's table, as JSON has them: dates as ISO texts

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,59}")
_MAX_MEMORY = 4 << 20
_DATES = ("prices_date", "expires")
_PRICES = ("usd_per_million", *SPEEDS)
_OF_PRICE = {*_PRICES, "prices_date", "request_usd", "tiers", *BESIDE}
_HEAD = """\
# The models one routes among, by `r2-router setup`. Yours to change: the next run keeps what you changed, added or
# removed, and renews the rest. What each field means: docs/pools.md.

[pool]
name = {name}
"""


@dataclass(frozen=True, slots=True)
class Step(Record):
    """What a run does to one model of the pool, and why, in words.

    new: it enters; price, changed: fields are renewed; gone: its provider does not list it any more; left: it is not
    among those proposed now; yours: the user's own entry or change, kept; removed: the user took it out, and it stays
    out.
    """

    kind: Literal["new", "price", "changed", "gone", "left", "yours", "removed"]
    model: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PoolPlan(Record):
    """A pool file as it is to be. `tables` holds the models' tables, `memory` what setup itself says of each, by
    which the user's changes are known the next time."""

    name: str
    file: Path
    tables: Mapping[str, Values]
    memory: Mapping[str, Values]
    steps: Sequence[Step]
    own: bool = False  # some run on a machine of the user's own, at a price an hour


def pool_file(name: str) -> Path:
    """Where the user's pool of that name stands. Raises InputError for what can be none, or is a shipped one's."""
    if not _NAME.fullmatch(name):
        raise InputError(f"--name {name[:60]!r} cannot be the name of a pool: letters, digits, '-', '_' and '.' only.")
    if (shipped("config") / "pools" / f"{name}.toml").is_file():
        raise InputError(f"--name {name} is a shipped pool: choose another, such as {DEFAULT_NAME}.")
    return user_config_dir() / "pools" / f"{name}.toml"


def plan_pool(name: str, proposal: Sequence[Way], offers: Sequence[Offer], wanted: Collection[str] = ()) -> PoolPlan:
    """What the pool `name` is to hold: the proposal, and what the user has changed since setup last wrote it.

    Field by field: one that stands as setup wrote it is renewed, another is the user's and stays. A model that the user
    removed comes back only if it is `wanted` by its name. Raises ConfigError for a file that cannot be read.
    """
    file = pool_file(name)
    current = _tables(file)
    memory = _remembered(name) if current else {}
    known = {_way_of(values): model for model, values in memory.items()}  # under which names they stand already
    proposed = {known.get(_way_of(values), way.model.name): values for way in proposal for values in (_values(way),)}
    asked = {offer.source.base_url: {entry.id for entry in offer.listed} for offer in offers if not offer.failure}
    tables: dict[str, Values] = {}
    kept: dict[str, Values] = {}
    steps: list[Step] = []
    for model, values in current.items():
        base, new = memory.get(model), proposed.get(model)
        if base is None:
            tables[model] = values
            steps.append(Step("yours", model, "added by you"))
        elif new is not None:
            tables[model], kept[model] = _merged(values, base, new), new
            steps += [Step("yours", model, "changed by you")] if values != base else []
            steps += _differences(model, values, tables[model])
        elif values != base or _address(base) not in asked:
            tables[model], kept[model] = values, base
            steps += [Step("yours", model, "changed by you")] if values != base else []
        else:
            steps.append(_leaving(model, base, asked[_address(base)]))
    taken = {_way_of(values) for values in tables.values()}
    for model, new in proposed.items():
        if model in current or _way_of(new) in taken:
            continue
        if model in memory and model not in wanted:
            kept[model] = new
            steps.append(Step("removed", model, "removed by you"))
        else:
            tables[model] = kept[model] = new
            steps.append(Step("new", model))
    kept |= {model: base for model, base in memory.items() if model not in current and model not in kept}
    own = any(SPEEDS[0] in values for values in tables.values())
    return PoolPlan(name, file, tables, kept, steps, own)


def write_pool(plan: PoolPlan) -> Path:
    """Write the plan's file, keeping comments and what else is in it, and make it the default pool.

    Raises ConfigError for a file that cannot be written, or changed in place, and where no model would be in it.
    """
    if not plan.tables:
        raise ConfigError(
            f"Pool '{plan.name}' would be empty: you removed all its models. Delete {plan.file} to begin anew."
        )
    edit_toml(
        plan.file,
        lambda document, new_table: _apply(plan, document, new_table),
        refused="Its models stand in a form that cannot be added to: write each as a table, [models.NAME], or choose "
        "another --name.",
        new=_HEAD.format(name=json.dumps(plan.name)),
    )
    edit_toml(
        settings_file(),
        lambda document, new_table: document.__setitem__("pool", plan.name),
        refused=f'Write pool = "{plan.name}" into it yourself, above its tables.',
    )
    _remember(plan)
    return plan.file


def in_the_way(name: str) -> str:
    """What keeps the pool `name` from being routed by default, as a setting and its source; "" where nothing does."""
    settings = load_settings()
    if settings.pool != name:
        return f"pool = {settings.pool} ({settings.sources['pool']})"
    return f"checkpoint = {settings.checkpoint} ({settings.sources['checkpoint']})" if settings.checkpoint else ""


def overlaid(name: str) -> list[str]:
    """The models of the pool `name` that models.toml adds or changes: it stands above what setup wrote."""
    with suppress(ConfigError):  # a fault is told when the pool is used
        alone = load_pool(name, user_file=False)
        return [model.name for model in load_pool(name) if model != alone.get(model.name)]
    return []


@dataclass(frozen=True, slots=True)
class Machine(Record):
    """What a pool file says of this machine: its price, and the speeds of its models by address and id, tokens per
    second read and written."""

    usd_per_hour: float
    speeds: Mapping[tuple[str, str], tuple[float, float]]


def known_machine(name: str) -> Machine:
    """This machine as the pool of that name has it: what was measured once need not be measured again."""
    file = pool_file(name)
    stated = read_config(file).table("pool").get("usd_per_hour") if file.is_file() else None
    hourly = float(stated) if isinstance(stated, (int, float)) and stated >= 0 else USD_PER_HOUR
    speeds = {
        (_address(values), str(values.get("id"))): (values[SPEEDS[0]], values[SPEEDS[1]])
        for values in _tables(file).values()
        if all(isinstance(values.get(speed), (int, float)) and values[speed] > 0 for speed in SPEEDS)
    }
    return Machine(hourly, speeds)


# -- merging -------------------------------------------------------------------------------------------------


def _merged(values: Values, base: Values, new: Values) -> Values:
    """`values`, the fields that are as `base` says renewed by `new`. A price is one thing: changed in part, it is the
    user's altogether."""
    theirs = {key for key in {*values, *base} if values.get(key) != base.get(key)}
    kept = not values.keys().isdisjoint(_PRICES) and (not theirs.isdisjoint(_OF_PRICE) or _older(new, values))
    theirs = theirs | _OF_PRICE if kept else theirs - _OF_PRICE
    return {key: value for key, value in new.items() if key not in theirs} | {
        key: value for key, value in values.items() if key in theirs
    }


def _older(new: Values, values: Values) -> bool:
    """Whether the snapshot that stands in for a list knows less than is written already."""
    return str(new.get("prices_date", "9")) < str(values.get("prices_date", ""))


def _differences(model: str, before: Values, after: Values) -> list[Step]:
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)} - {"prices_date"}
    if not changed:
        return []
    if "usd_per_million" in changed:
        return [Step("price", model, f"{_price(before)} -> {_price(after)} $ a million tokens")]
    return [Step("changed", model, ", ".join(sorted(changed)))]


def _price(values: Values) -> str:
    """Of what is read and written."""
    stated: object = values.get("usd_per_million")
    return "/".join(map(price_text, cast("list[float]", stated))) if isinstance(stated, list) else "-"


def _leaving(model: str, base: Values, listed: Collection[str]) -> Step:
    if base.get("id") in listed:
        return Step("left", model, "not among those proposed now")
    return Step("gone", model, "its provider does not list it any more")


def _way_of(values: Values) -> tuple[str, str, str]:
    return _address(values), str(values.get("id")), json.dumps(values.get("request", {}), sort_keys=True)


def _address(values: Values) -> str:
    from r2_router.pools.profiles import profiles

    known = profiles().get(str(values.get("provider", "")))
    return str(values.get("base_url") or (known.base_url if known else ""))


# -- files -----------------------------------------------------------------------------------------------------


def _values(way: Way) -> Values:
    """The model's table, without what is as usual."""
    model, source = way.model, way.source
    values: Values = {"id": model.id}
    if source.provider:
        values["provider"] = source.provider
        if model.api_key_env != profile(source.provider).api_key_env:
            values["api_key_env"] = model.api_key_env
    else:
        values |= {"base_url": model.base_url} | ({"api_key_env": model.api_key_env} if model.api_key_env else {})
    if way.speeds:
        values |= dict(zip(SPEEDS, way.speeds, strict=True))
    else:
        values["usd_per_million"] = [model.input_usd_per_million, model.output_usd_per_million]
    values |= {name: model[name] for name in BESIDE if model[name] is not None}
    for name in ("prices_date", "expires", "request_usd", "context_window", "max_input_tokens"):
        if model[name]:
            values[name] = model[name]
    if model.tiers:
        values["tiers"] = [
            {
                "above_input_tokens": tier.above_input_tokens,
                "usd_per_million": [tier.input_usd_per_million, tier.output_usd_per_million],
            }
            for tier in model.tiers
        ]
    for name in ("max_output_tokens", "thinking_tokens", "request", "can", "cannot"):
        if model[name]:
            values[name] = model[name]
    return cast("Values", json.loads(json.dumps(values)))


def _tables(file: Path) -> dict[str, Values]:
    """The models' tables in a pool file, {} where there is none."""
    if not file.is_file():
        return {}
    read = read_config(file)
    return {name: cast("Values", _plain(read.table("models", name))) for name in read.table("models")}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    return value.isoformat() if isinstance(value, dt.date) else value


def _apply(plan: PoolPlan, document: Document, new_table: NewTable) -> None:
    if plan.own:
        document.setdefault("pool", new_table()).setdefault("usd_per_hour", USD_PER_HOUR)
    models = document.setdefault("models", new_table())
    for name in [name for name in models if name not in plan.tables]:
        del models[name]
    for name, values in plan.tables.items():
        table = models.setdefault(name, new_table())
        for key in [key for key in table if key not in values]:
            del table[key]
        for key, value in values.items():
            if key not in table or _plain(_unwrapped(table[key])) != value:
                table[key] = _written(key, value, inline=new_table is not dict)


def _unwrapped(value: Any) -> object:
    """What tomlkit holds, as plain values."""
    return cast("object", value.unwrap()) if hasattr(value, "unwrap") else value


def _written(key: str, value: Any, *, inline: bool) -> Any:
    """A value as TOML has it: dates as dates, tables in one line."""
    if key in _DATES:
        return dt.date.fromisoformat(value)
    if not inline:
        return value
    return _inline(value)


def _inline(value: Any) -> Any:
    import tomlkit

    if isinstance(value, dict):
        table: Any = tomlkit.inline_table()
        table.update({key: _inline(item) for key, item in cast("dict[str, Any]", value).items()})
        return table
    if isinstance(value, list):
        array: Any = tomlkit.array()
        array.extend(_inline(item) for item in cast("list[Any]", value))
        return array
    return value


def _memory_file(name: str) -> Path:
    return user_data_dir() / "setup" / f"{name}.json"


def _remembered(name: str) -> dict[str, Values]:
    """What setup wrote last, {} where it did not, or nobody can tell: then all that stands there is the user's."""
    file = _memory_file(name)
    with suppress(OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        stated = json.loads(read_plain(file, _MAX_MEMORY))["models"]
        return {str(name): dict(values) for name, values in stated.items()}
    return {}


def _remember(plan: PoolPlan) -> None:
    try:
        replace_file(_memory_file(plan.name), json.dumps({"models": plan.memory}).encode())
    except OSError as error:
        raise ConfigError(
            f"{_memory_file(plan.name)} cannot be written: {error.strerror}. The pool is written; the next run will "
            f"take all of it for yours."
        ) from None
