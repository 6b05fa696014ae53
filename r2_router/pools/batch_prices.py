"""What an answer costs that can wait: by the provider's batches, where it has them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from r2_router.pools.model import Model, PriceTier
from r2_router.pools.pool import BESIDE
from r2_router.pools.profiles import BatchTerms, profile_of

_VARIANT = ":batch"  # behind an id: its price in a batch, in tables of prices


def batch_terms(base_url: str) -> BatchTerms | None:
    """How the server at `base_url` takes batches; None where it takes none, or nobody says how."""
    host = urlsplit(base_url).hostname
    return profile_of(host).batch if host else None


def at_batch_price(model: Model, base_url: str) -> Model | None:
    """`model` at what its answers cost in a batch of the server it is asked at; None where it has no such price."""
    terms = batch_terms(base_url)
    share = terms and (_known_share(base_url, model.id) if terms.price is None else terms.price)
    if share is None or not model.priced:
        return None
    changed = {
        name: _times(model[name], share) for name in ("input_usd_per_million", "output_usd_per_million", *BESIDE)
    }
    tiers = tuple(
        PriceTier(t.above_input_tokens, t.input_usd_per_million * share, t.output_usd_per_million * share)
        for t in model.tiers
    )
    return replace(model, tiers=tiers, **changed)


def _known_share(base_url: str, model_id: str) -> float | None:
    """The batch price of a model as a multiple of its usual one, of input or output what is more; None for none."""
    from r2_router.pools.known_prices import known_prices

    usual, batch = (known_prices(base_url, i) for i in (model_id, model_id + _VARIANT))
    if usual is None or batch is None or not (usual.input_usd_per_million and usual.output_usd_per_million):
        return None
    return max(
        batch.input_usd_per_million / usual.input_usd_per_million,
        batch.output_usd_per_million / usual.output_usd_per_million,
    )


def _times(price: float | None, share: float) -> float | None:
    return None if price is None else price * share
