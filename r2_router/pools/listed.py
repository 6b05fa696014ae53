"""What a provider's list says of one model, read from the forms in which providers write it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from r2_router.pools.listed_capabilities import listed_capabilities
from r2_router.pools.model import Capability
from r2_router.records import Record, as_dict, as_texts

UNFIXED: Literal["unfixed"] = "unfixed"  # the provider says that the price depends

_PER_TOKEN = Decimal("0.001")  # USD; a price below it is for one token: nobody asks $1,000 for a million
_IN = ("prompt", "input", "input_tokens")
_OUT = ("completion", "output", "output_tokens")
_OTHERS = {
    "cache_read_usd_per_million": ("input_cache_read", "cached_input", "cache_read_tokens", "cache_read"),
    "cache_write_usd_per_million": ("input_cache_write", "cache_write_tokens", "cache_write"),
    "thinking_usd_per_million": ("internal_reasoning",),
}
_XAI = ("prompt_text_token_price", "completion_text_token_price", "cached_prompt_text_token_price")
_XAI_UNIT = Decimal(10_000)  # cents for 100 million tokens, in USD per million
_WINDOWS = ("context_length", "context_window", "max_context_length", "max_model_len", "max_input_tokens")
_OUTPUTS = ("max_completion_tokens", "max_output_tokens", "max_output_length", "outputTokenLimit", "max_tokens")
_OTHER_KINDS = (
    *("language", "image", "video", "audio", "embedding", "embeddings", "rerank", "moderation", "transcribe"),
)  # Together's: "language" completes a text
_EXPIRY = ("expiration_date", "deprecation_date", "deprecation", "expires_at")


@dataclass(frozen=True, slots=True)
class Tier(Record):
    """What a model costs where the input is longer than `above_input_tokens`."""

    above_input_tokens: int
    input_usd_per_million: float
    output_usd_per_million: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices(Record):
    """What a model costs: USD per million tokens, and per request. None: not told, so what an input (cached) or an
    output token (thought) costs. `date`: the ISO date at which this was true."""

    input_usd_per_million: float
    output_usd_per_million: float
    cache_read_usd_per_million: float | None = None
    cache_write_usd_per_million: float | None = None
    thinking_usd_per_million: float | None = None
    request_usd: float | None = None
    tiers: tuple[Tier, ...] = ()
    date: str = ""


@dataclass(frozen=True, slots=True)
class Listed(Record):
    """One entry of a provider's list. None: the list does not tell.

    `offered` False: the list says itself that it cannot be used. `chats`: whether it answers a chat in text, and in
    nothing else. `expires`: the ISO date after which it may be gone, "" for none. Tokens: `context_window` of query and
    answer, `max_input_tokens`, `max_output_tokens`. `can` and `cannot`: what it says of capabilities.
    """

    id: str
    aliases: tuple[str, ...] = ()
    prices: Prices | Literal["unfixed"] | None = None
    offered: bool = True
    chats: bool | None = None
    expires: str | None = None
    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    can: tuple[Capability, ...] = ()
    cannot: tuple[Capability, ...] = ()


def read_entry(entry: object, today: str) -> Listed | None:
    """The entry of a list, an object or a bare id; None for what names no model."""
    if isinstance(entry, str):
        return Listed(entry) if entry else None
    if not isinstance(entry, dict):
        return None
    given = cast("dict[str, Any]", entry)
    names = [
        given[key] for key in ("id", "name", "model", "model_name") if isinstance(given.get(key), str) and given[key]
    ]
    if not names:
        return None
    top, limits = as_dict(given.get("top_provider")), as_dict(given.get("per_request_limits"))
    about = {**as_dict(given.get("metadata")), **given}
    input_limit = _tokens(given, ("inputTokenLimit",)) or _tokens(limits, ("prompt_tokens",))
    can, cannot = listed_capabilities(given)
    return Listed(
        id=names[0],
        aliases=(*as_texts(given.get("aliases")), *as_texts([given.get("canonical_slug")])),
        prices=_prices(about, today),
        offered=not (given.get("available") is False or given.get("active") is False or given.get("archived") is True),
        chats=_chats(given),
        expires=_expiry(given),
        context_window=_least(_tokens(about, _WINDOWS), _tokens(top, _WINDOWS)),
        max_input_tokens=input_limit,
        max_output_tokens=_least(
            _tokens(about, _OUTPUTS), _tokens(top, _OUTPUTS), _tokens(limits, ("completion_tokens",))
        ),
        can=can,
        cannot=cannot,
    )


# -- prices --------------------------------------------------------------------------------------------------


def _prices(entry: Mapping[str, Any], today: str) -> Prices | Literal["unfixed"] | None:
    if _XAI[0] in entry:
        price_in, price_out, cached = (_usd(_amount(entry.get(key)), 1 / _XAI_UNIT) for key in _XAI)
        return _made((price_in, price_out), {"cache_read_usd_per_million": cached}, (), today)
    stated = as_dict(entry.get("pricing")) or as_dict(entry.get("price"))
    sides = [_first(stated, names) for names in (_IN, _OUT)]
    hourly = (_amount(stated.get("hourly")) or 0) > 0 and not any(sides)  # Together's dedicated ones
    if hourly or any(side is not None and side < 0 for side in sides):  # OpenRouter's "-1"
        return UNFIXED
    if sides[0] is None or sides[1] is None:
        return None
    unit = _unit(stated, sides)
    others = {name: _usd(_first(stated, names), unit) for name, names in _OTHERS.items()}
    request = _usd(_first(stated, ("request",)), Decimal(1))
    tiers = tuple(_tiers(stated, sides, unit))
    return _made(_dearest(stated, sides, unit), {**others, "request_usd": request or None}, tiers, today)


def _made(
    sides: Sequence[float | None], others: Mapping[str, float | None], tiers: tuple[Tier, ...], today: str
) -> Prices | None:
    price_in, price_out = sides
    if price_in is None or price_out is None:
        return None
    return Prices(
        input_usd_per_million=price_in, output_usd_per_million=price_out, tiers=tiers, date=today, **dict(others)
    )


def _unit(stated: Mapping[str, Any], sides: Sequence[Decimal | None]) -> Decimal:
    """What a stated price is multiplied by to be USD per million tokens.

    prompt and completion in quotes are OpenRouter's, for one token. Others are written for one token or for a million:
    their size tells.
    """
    if isinstance(stated.get("prompt"), str) and isinstance(stated.get("completion"), str):
        return Decimal(1_000_000)
    return Decimal(1_000_000) if max(side or Decimal(0) for side in sides) < _PER_TOKEN else Decimal(1)


def _overrides(stated: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = stated.get("overrides")
    if isinstance(found, list):
        yield from (as_dict(each) for each in cast("list[object]", found))


def _dearest(stated: Mapping[str, Any], sides: Sequence[Decimal | None], unit: Decimal) -> list[float | None]:
    """Both prices at the hour at which they are highest: a query may be asked at any."""
    hours = [each for each in _overrides(stated) if "min_prompt_tokens" not in each]
    return [
        _usd(max([side or Decimal(0), *(found for each in hours if (found := _first(each, names)) is not None)]), unit)
        for side, names in zip(sides, (_IN, _OUT), strict=True)
    ]


def _tiers(stated: Mapping[str, Any], sides: Sequence[Decimal | None], unit: Decimal) -> Iterator[Tier]:
    """The prices of long inputs; a side that an entry leaves out keeps its base price."""
    for each in _overrides(stated):
        above = each.get("min_prompt_tokens")
        rates = [
            _usd(side if (found := _first(each, names)) is None else found, unit)
            for side, names in zip(sides, (_IN, _OUT), strict=True)
        ]
        if isinstance(above, int) and above > 0 and rates[0] is not None and rates[1] is not None:
            yield Tier(above, rates[0], rates[1])


def _first(stated: Mapping[str, Any], names: Sequence[str]) -> Decimal | None:
    return next((amount for name in names if (amount := _amount(stated.get(name))) is not None), None)


def _amount(value: object) -> Decimal | None:
    """A finite number, or the text of one."""
    if isinstance(value, dict):  # {"usd": 0.1, "tao": ...}
        value = cast("dict[str, object]", value).get("usd")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        amount = Decimal(str(value))
    except (ArithmeticError, ValueError):
        return None
    return amount if amount.is_finite() and amount.adjusted() < 300 else None


def _usd(amount: Decimal | None, unit: Decimal) -> float | None:
    """In decimals, "0.00000007" for a token makes 0.07 for a million exactly."""
    if amount is None:
        return None
    price = float(amount * unit)
    return price if math.isfinite(price) and price >= 0 else None


# -- what it is for ------------------------------------------------------------------------------------------


def _chats(given: Mapping[str, Any]) -> bool | None:
    """By the kinds of output, by a flag, or by a type."""
    gives = as_dict(given.get("architecture")).get("output_modalities")
    if isinstance(gives, list) and gives:
        return gives == ["text"]
    for flag in (as_dict(given.get("capabilities")).get("completion_chat"), given.get("supports_chat")):
        if isinstance(flag, bool):
            return flag
    kind = given.get("type")
    return True if kind == "chat" else False if kind in _OTHER_KINDS else None


# -- other fields --------------------------------------------------------------------------------------------


def _tokens(given: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first of these fields that is a number of tokens, or the text of one."""
    for name in names:
        value = given.get(name)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1 << 53:
            return value
    return None


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)


def _expiry(given: Mapping[str, Any]) -> str | None:
    """The day of the first field that says when it ends; "" where a field says that it does not."""
    known = [given[name] for name in _EXPIRY if name in given]
    for value in known:
        try:
            return dt.date.fromisoformat(cast("str", value)[:10]).isoformat()
        except (TypeError, ValueError):
            continue
    return "" if known and all(value in (None, "") for value in known) else None
