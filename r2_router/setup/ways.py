"""The ways of asking that could enter a pool: of each chat model that is offered at a price, with its ability."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from r2_router.pools.ability import Ability, ability_of
from r2_router.pools.known_prices import known_prices
from r2_router.pools.listed import Listed, Prices
from r2_router.pools.model import Model, PriceTier
from r2_router.pools.model_names import model_name
from r2_router.pools.pool import BESIDE
from r2_router.pools.ratings import Ratings
from r2_router.pools.thoughts import expected_thoughts
from r2_router.records import Record
from r2_router.routing.worth import TYPICAL_INPUT, TYPICAL_OUTPUT
from r2_router.setup.discover import Offer, Source

THINKING_ROOM = 4000  # tokens a model that thinks is allowed before it writes
USD_PER_HOUR = 0.05  # of this machine, until its user says otherwise: a small rented server

_FREE = ":free"
_ALIAS, _NOT_NOW = "~", ":batch"  # OpenRouter's: what is behind it changes; answers come within a day
_MAX_NAME = 200
_LEAVING_DAYS = 30  # what a provider takes away within them is not proposed
# Words in an id that say that it does something else than to answer a chat.
_OTHER = re.compile(
    r"(?:^|[-_/.:\d])(?:embed(?:ding|dings)?|bge|gte|e5|minilm|rerank(?:er)?|moderation|guard|safeguard|reward"
    r"|whisper|tts|asr|stt|transcribe|audio|speech|voice|realtime|live|image|images|imagen|imagine|dall-e|veo|sora"
    r"|video|flux|sdxl|diffusion|ocr|lyria|playai|orpheus|aqa|robotics|babbage|davinci|curie|ada"
    r"|computer-use|deep-research|search-(?:api|preview)|turbo-instruct|translate|base)(?:$|[-_/.:\d])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way(Record):
    """One way of asking one model, as a pool describes it. `typical_usd`: what a typical answer costs, thoughts
    included. Of a model of this machine, whose price is that of its time: `speeds`, tokens per second read and written,
    which are a guess until they are `measured`."""

    model: Model
    source: Source
    ability: Ability
    typical_usd: float
    thinks: bool = False
    speeds: tuple[float, float] | None = None
    measured: bool = True

    @property
    def sure_rating(self) -> float:
        """What it can do at least, as far as one knows: what is guessed must be better to be proposed."""
        return self.ability.rating - self.ability.error

    @property
    def known(self) -> bool:
        """Whether its ability is more than a guess from a provider's price."""
        return self.source.own or self.ability.source not in ("price", "size")

    @property
    def free(self) -> bool:
        """Whether a provider gives it away: with few requests a day, and for how long nobody knows."""
        return not self.source.own and self.typical_usd == 0


def all_ways(offers: Iterable[Offer], ratings: Ratings) -> list[Way]:
    """Every way of asking a chat model that is offered, cheapest first, each under a name of its own.

    The free ones are left out where others remain.
    """
    ways = [way for offer in offers for entry in offer.listed for way in _ways(entry, offer, ratings)]
    ways = [way for way in ways if not way.free] or ways
    ways.sort(key=lambda way: (way.typical_usd, -way.ability.rating, len(way.model.id), way.model.id))
    return _named(ways)


def typical_usd(model: Model) -> float:
    """What a typical answer costs at the model's price, its thoughts too."""
    thoughts = expected_thoughts(model)
    return model.cost_usd(TYPICAL_INPUT, TYPICAL_OUTPUT + thoughts, thinking_tokens=thoughts)


def at_speeds(way: Way, speeds: tuple[float, float], *, usd_per_hour: float, measured: bool) -> Way:
    """`way` at the price of the time that this machine takes, as a pool file says it."""
    prices = [usd_per_hour / 3600 / speed * 1e6 for speed in speeds]
    model = replace(way.model, input_usd_per_million=prices[0], output_usd_per_million=prices[1])
    return replace(way, model=model, typical_usd=typical_usd(model), speeds=speeds, measured=measured)


# -- one entry of a list -------------------------------------------------------------------------------------------


def _ways(entry: Listed, offer: Offer, ratings: Ratings) -> Iterator[Way]:
    """The entry asked in the way that is rated; in both, where both are. Where the ratings or the id do not tell, and
    on a machine of one's own, it is asked as it answers by itself."""
    source = offer.source
    if not _chats(entry) or (model := _model(entry, offer)) is None:
        return
    found, both = ratings.find(entry.id), ratings.both_ways(entry.id) is not None
    thinks = found.thinking if found else None
    if thinks is None or source.own or model_name(entry.id).thinking is not None:
        yield _way(model, source, ratings, thinks=thinks is True)
        return
    if both or not thinks:
        yield _way(replace(model, request=source.profile.thinking_off), source, ratings, thinks=False)
    if both or thinks:
        name = f"{model.name}-thinking" if both else model.name
        yield _way(replace(model, name=name, request=source.profile.thinking_on), source, ratings, thinks=True)


def _way(model: Model, source: Source, ratings: Ratings, *, thinks: bool) -> Way:
    if thinks:
        model = replace(model, thinking_tokens=THINKING_ROOM)
    usd = typical_usd(model) if model.priced else 0.0
    way = Way(model=model, source=source, ability=ability_of(model, ratings), typical_usd=usd, thinks=thinks)
    if model.priced:
        return way
    return at_speeds(way, _guessed_speeds(model.id), usd_per_hour=USD_PER_HOUR, measured=False)


def _guessed_speeds(model_id: str) -> tuple[float, float]:
    """Tokens per second, read and written, of a model so large on a usual machine."""
    size = model_name(model_id).size or 7.0
    written = min(200.0, max(0.5, 100.0 / size))
    return 10 * written, written


def _chats(entry: Listed) -> bool:
    """Whether it is there to be asked, for longer than a few days, and answers a chat in text."""
    usable = entry.offered and entry.chats is not False
    if not usable or entry.id.startswith(_ALIAS) or entry.id.endswith(_NOT_NOW):
        return False
    if not 0 < len(entry.id) <= _MAX_NAME or not entry.id.isprintable() or entry.id != entry.id.strip():
        return False
    soon = (dt.datetime.now().astimezone().date() + dt.timedelta(days=_LEAVING_DAYS)).isoformat()
    return not (entry.expires and entry.expires <= soon) and (entry.chats is True or not _OTHER.search(entry.id))


def _model(entry: Listed, offer: Offer) -> Model | None:
    """The entry as a model of a pool, without a price on a machine of one's own; None where nobody knows its price."""
    source = offer.source
    stated = entry.prices if entry.prices is not None else known_prices(source.base_url, entry.id)
    prices = stated if isinstance(stated, Prices) else None
    if prices is None and (stated is not None or not source.own):
        return None
    return Model(
        name=entry.id.removesuffix(_FREE).rpartition("/")[2].strip() or entry.id,
        id=entry.id,
        input_usd_per_million=prices.input_usd_per_million if prices else None,
        output_usd_per_million=prices.output_usd_per_million if prices else None,
        base_url=source.base_url,
        api_key_env=source.api_key_env,
        context_window=entry.context_window,
        max_input_tokens=entry.max_input_tokens,
        max_output_tokens=entry.max_output_tokens,
        expires=entry.expires or "",
        can=entry.can,
        cannot=entry.cannot,
        **(_billed(prices) if prices else {}),
    )


def _billed(prices: Prices) -> Mapping[str, Any]:
    """What is billed beside the plain tokens."""
    tiers = [
        PriceTier(tier.above_input_tokens, tier.input_usd_per_million, tier.output_usd_per_million)
        for tier in sorted(prices.tiers, key=lambda tier: tier.above_input_tokens)
    ]
    distinct = {tier.above_input_tokens: tier for tier in tiers}
    beside = {name: prices[name] for name in BESIDE}
    return {
        "prices_date": prices.date,
        "request_usd": prices.request_usd or 0.0,
        "tiers": tuple(distinct.values()),
        **beside,
    }


def _named(ways: Sequence[Way]) -> list[Way]:
    """The ways under names that stand once: by their source, and by their whole id, where the short one does not."""
    for whole in (False, True):
        counts = Counter(way.model.name for way in ways)
        ways = [way if counts[way.model.name] == 1 else _renamed(way, whole=whole) for way in ways]
    first = {way.model.name: way for way in reversed(ways)}
    return [way for way in ways if first[way.model.name] is way]


def _renamed(way: Way, *, whole: bool) -> Way:
    name = f"{way.model.id if whole else way.model.name}@{way.source.name}"
    return replace(way, model=replace(way.model, name=name[:_MAX_NAME]))
