"""A model that is in no pool, asked for by its id: as a provider whose key is set, or a server here, offers it."""

from __future__ import annotations

from r2_router.config.settings import Settings
from r2_router.pools.model import Model
from r2_router.pools.ratings import load_ratings
from r2_router.setup.discover import key_sources, read_offers, server_sources
from r2_router.setup.ways import all_ways


def offered(name: str, settings: Settings) -> Model | None:
    """The chat model whose id, or name, is `name` in any case, at its listed price and the cheapest of several.

    None where nobody here offers it at a known price. Every list is asked for, so this takes seconds.
    """
    offers = read_offers([*server_sources(), *key_sources(settings)], settings)
    folded = name.casefold()
    ways = all_ways(offers, load_ratings())
    found = (w.model for w in ways if folded in (w.model.id.casefold(), w.model.name.casefold()))
    return next(found, None)
