"""Prices known without asking anybody: the snapshot that the package genai-prices carries."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from r2_router.pools.listed import Listed, Prices, Tier
from r2_router.pools.profiles import profile_of
from r2_router.pools.provider_list import id_forms

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

_DAILY = "openrouter"  # the provider whose prices the snapshot takes over day by day: its last change dates it


def known_prices(base_url: str, model_id: str) -> Prices | None:
    """What the model costs at the server `base_url`, as of the snapshot's date; None where it does not know.

    A price that changes with the hour counts at its highest.
    """
    if not model_id or not urlsplit(base_url).hostname:
        return None
    snapshot = _snapshot()
    for form in id_forms(model_id):
        try:
            _, model = snapshot.find_provider_model(form, None, None, base_url)
        except LookupError:
            continue
        return _prices(model, snapshot_date())
    return None


def known_models(base_url: str) -> list[Listed]:
    """The models that the snapshot prices at the server `base_url`: in place of its own list where that cannot be had.
    Empty for a server it does not know."""
    try:
        models = _snapshot().find_provider(None, None, base_url).models
    except LookupError:
        return []
    date, unserved = snapshot_date(), profile_of(urlsplit(base_url).hostname or "").unserved
    return [
        Listed(served, prices=prices, context_window=model.context_window)
        for model in models
        if not model.deprecated and (served := _served_id(model, base_url)) and (prices := _prices(model, date))
        if not any(fnmatchcase(served, glob) for glob in unserved)
    ]


def _served_id(model: Any, base_url: str) -> str:
    """The id under which the server knows the model: the snapshot's own, or one that it takes for it; "" for none."""
    equal = [getattr(clause, "equals", "") for clause in getattr(model.match, "or_", [model.match])]
    return next((i for i in (model.id, *equal) if i and known_prices(base_url, i)), "")


@cache
def snapshot_date() -> str:
    """The ISO date of the snapshot, which states none: that of the last price change it saw."""
    from genai_prices.types import StartDateConstraint

    today = dt.datetime.now(dt.UTC).date()
    daily = [provider for provider in _snapshot().providers if provider.id == _DAILY]
    starts = [
        price.constraint.start_date
        for provider in daily
        for model in provider.models
        if isinstance(model.prices, list)
        for price in model.prices
        if isinstance(price.constraint, StartDateConstraint)
    ]
    return max((start.isoformat() for start in starts if start <= today), default="")


def _snapshot() -> DataSnapshot:
    """Imported where it is needed: half a second."""
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def _prices(model: Any, date: str) -> Prices | None:
    midnight = dt.datetime.combine(dt.datetime.now(dt.UTC), dt.time(), dt.UTC)
    every = [model.get_prices(midnight + dt.timedelta(hours=hour)) for hour in range(24)]
    dearest = max(every, key=lambda price: _base(price.output_mtok) or 0.0)
    price_in, price_out = _base(dearest.input_mtok), _base(dearest.output_mtok)
    if price_in is None or price_out is None:  # a model that speaks, embeds or draws
        return None
    requests = _base(dearest.requests_kcount)
    return Prices(
        input_usd_per_million=price_in,
        output_usd_per_million=price_out,
        cache_read_usd_per_million=_base(dearest.cache_read_mtok),
        cache_write_usd_per_million=_base(dearest.cache_write_mtok),
        thinking_usd_per_million=_base(dearest.output_reasoning_mtok),
        request_usd=None if requests is None else requests / 1000,
        tiers=_tiers(dearest.input_mtok, dearest.output_mtok),
        date=date,
    )


def _base(price: Any) -> float | None:
    if price is None:
        return None
    return float(price if isinstance(price, Decimal) else price.base)


def _tiers(price_in: Any, price_out: Any) -> tuple[Tier, ...]:
    """The prices from each length of input on at which one of them changes."""
    starts = {tier.start for price in (price_in, price_out) for tier in getattr(price, "tiers", ())}
    return tuple(Tier(start, _at(price_in, start), _at(price_out, start)) for start in sorted(starts))


def _at(price: Any, start: int) -> float:
    reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start <= start]
    return float(reached[-1]) if reached else _base(price) or 0.0
