"""Today's prices, limits and availability of a pool's models: by their providers' lists, else as known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from r2_router.config.settings import Secret
from r2_router.errors import ConfigError, DownloadError
from r2_router.pools.known_prices import known_prices
from r2_router.pools.listed import UNFIXED, Listed, Prices
from r2_router.pools.model import Model
from r2_router.pools.pool import BESIDE, EXPIRED, expiry
from r2_router.pools.provider_list import ProviderList, fetch_list
from r2_router.records import Record

# A reason that begins so is the provider's doing, and lifted when it lists the model again; others stay.
NOT_OFFERED = "not offered by "


@dataclass(frozen=True, slots=True)
class Change(Record):
    """One model before and after a refresh."""

    before: Model
    after: Model

    def fields(self) -> dict[str, Any]:
        """The fields of `after` that differ."""
        return {key: self.after[key] for key in self.after if self.after[key] != self.before[key]}


@dataclass(frozen=True, slots=True)
class Refresh(Record):
    """What a refresh found: what changed; the models, by name, that their provider's list does not hold, with a
    sentence for each; why a list could not be read, by its address."""

    changes: Sequence[Change] = ()
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])
    failures: Mapping[str, str] = field(default_factory=dict[str, str])


def refresh(
    models: Iterable[Model], *, key_of: Callable[[Model], Secret | None] = lambda model: None, base_url: str = ""
) -> Refresh:
    """What GET /models at each provider of `models`, or at `base_url` for all of them, says differently of them.

    Every list is read by itself: one that cannot be had or read stops no other. Prices the list does not tell are
    those of `known_prices`, if they are newer. A model that the list does not hold is unknown to it and stays as it
    is; one that the list itself says to be gone, or to have no fixed price, becomes unavailable with the date; one
    that was so and is offered again becomes available. Models without an id or a server are left alone.
    """
    today = dt.datetime.now().astimezone().date().isoformat()
    groups: dict[str, list[Model]] = {}
    for model in models:
        if model.id and (base_url or model.base_url):
            groups.setdefault(base_url or model.base_url, []).append(model)
    changes: list[Change] = []
    unknown: dict[str, str] = {}
    failures: dict[str, str] = {}
    for address, group in groups.items():
        listing: ProviderList | None = None
        try:
            key = next((key for model in group if (key := key_of(model)) is not None), None)
            listing = fetch_list(address, key, today)
        except (DownloadError, ConfigError) as error:  # no list, or a key that can be none
            failures[address] = str(error)
        for model in group:
            entry = listing.find(model.id) if listing else None
            if listing and entry is None:
                unknown[model.name] = f"{model.id} is unknown to {listing.host} ({today})"
            after = model if entry is None or listing is None else _as_listed(model, entry, listing.host, today)
            if entry is None or entry.prices is None:
                after = _as_known(after)
            changes.append(Change(model, after))
    return Refresh(tuple(change for change in changes if change.fields()), unknown, failures)


def _as_listed(model: Model, entry: Listed, host: str, today: str) -> Model:
    stated = {name: entry[name] for name in ("expires", "context_window", "max_input_tokens", "max_output_tokens")}
    model = replace(model, **{name: value for name, value in stated.items() if value is not None})
    said = {*entry.can, *entry.cannot}
    model = replace(
        model,
        can=(*(c for c in model.can if c not in said), *entry.can),
        cannot=(*(c for c in model.cannot if c not in said), *entry.cannot),
    )
    if isinstance(entry.prices, Prices):
        model = priced(model, entry.prices)
    gone = expiry(model.expires)
    if not entry.offered:
        gone = f"{NOT_OFFERED}{host} ({today})"
    elif entry.prices == UNFIXED:
        gone = f"{NOT_OFFERED}{host} at a fixed price ({today})"
    theirs = model.unavailable.startswith((NOT_OFFERED, EXPIRED))
    if gone and (not model.unavailable or model.unavailable.startswith(EXPIRED)):
        return replace(model, unavailable=gone)
    return replace(model, unavailable="") if theirs and not gone else model


def _as_known(model: Model) -> Model:
    """With the prices known of its own server, where they are newer than the model's."""
    prices = known_prices(model.base_url, model.id)
    return priced(model, prices) if prices and prices.date > model.prices_date else model


def priced(model: Model, prices: Prices) -> Model:
    """The model at these prices. What they do not tell of cache and thoughts changes as the plain price does."""
    plain_in, plain_out = model.input_usd_per_million, model.output_usd_per_million
    new_in, new_out = prices.input_usd_per_million, prices.output_usd_per_million
    sides = dict(zip(BESIDE, ((plain_in, new_in), (plain_in, new_in), (plain_out, new_out)), strict=True))
    beside = {
        name: _in_step(model[name], *side) if prices[name] is None else prices[name] for name, side in sides.items()
    }
    return replace(
        model, input_usd_per_million=new_in, output_usd_per_million=new_out, prices_date=prices.date, **beside
    )


def _in_step(price: float | None, before: float | None, after: float) -> float | None:
    """`price`, which goes with a plain one, once that has changed."""
    return price * after / before if price is not None and before else price
