"""What the caller asks for: a trade-off between quality and cost, and limits. Checked once, here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import numpy as np

from r2_router.errors import InputError
from r2_router.routing.decision import Floats, Limits, TradeOff

_NO_LIMITS = Limits()


class Wishes(TypedDict, total=False):
    """What a caller may ask of a decision, besides lambda_val. All optional; None means not asked.

    worth_usd: dollars a perfect answer is worth; preset: a named worth (at most one of these and lambda_val).
    max_cost_usd: dollars an answer; max_tokens: output tokens; min_quality: expected, 0..1; models, exclude:
    name globs, as a list or separated by commas.
    """

    worth_usd: float | None
    preset: str | None
    max_cost_usd: float | None
    max_tokens: int | None
    min_quality: float | None
    models: str | Sequence[str] | None
    exclude: str | Sequence[str] | None


def read_wishes(
    lambda_val: float | None, wishes: Wishes, *, presets: Mapping[str, float], default: TradeOff
) -> tuple[TradeOff, Limits]:
    """The checked trade-off (`default` where none is asked for) and limits.

    Raises InputError for a value that cannot be used, TypeError for a wish that does not exist.
    """
    if lambda_val is None and not wishes:
        return default, _NO_LIMITS
    rest: dict[str, Any] = dict(wishes)
    worth_usd, preset = rest.pop("worth_usd", None), rest.pop("preset", None)
    return trade_off(lambda_val, worth_usd, preset, presets) or default, limits(**rest)


def trade_off(
    lambda_val: float | None = None,
    worth_usd: float | None = None,
    preset: str | None = None,
    presets: Mapping[str, float] | None = None,
) -> TradeOff | None:
    """The one trade-off named, None if none is.

    Raises InputError for two at once, a number that is not finite, λ outside [0, 1], a negative worth, or an
    unknown preset.
    """
    given = [n for n, v in (("lambda_val", lambda_val), ("worth_usd", worth_usd), ("preset", preset)) if v is not None]
    if len(given) > 1:
        raise InputError(f"Give one of lambda_val, worth_usd and preset, not {' and '.join(given)}: they say the same.")
    if preset is not None:
        known = presets or {}
        if preset not in known:
            raise InputError(f"No preset '{preset}'. Choose one of: {', '.join(known) or '(none configured)'}.")
        worth_usd = known[preset]
    if worth_usd is not None:
        worth = _number("worth_usd", worth_usd)
        if worth < 0:
            raise InputError(f"worth_usd is dollars and at least 0; got {worth:g}.")
        return TradeOff(lambda_val=1.0 / (1.0 + worth), worth_usd=worth)
    if lambda_val is not None:
        value = _number("lambda_val", lambda_val)
        if not 0 <= value <= 1:
            raise InputError(f"lambda_val lies between 0 (quality only) and 1 (cost only); got {value:g}.")
        return TradeOff(lambda_val=value, worth_usd=(1.0 - value) / value if value > 0 else None)
    return None


def limits(
    max_cost_usd: float | None = None,
    max_tokens: int | None = None,
    min_quality: float | None = None,
    models: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
) -> Limits:
    """Checked limits; `models` and `exclude` are globs, as a list or separated by commas.

    Raises InputError for a number that is not finite or out of range.
    """
    if max_cost_usd is not None and _number("max_cost_usd", max_cost_usd) < 0:
        raise InputError(f"max_cost_usd is dollars and at least 0; got {max_cost_usd:g}.")
    if max_tokens is not None and (_number("max_tokens", max_tokens) < 1 or max_tokens != int(max_tokens)):
        raise InputError(f"max_tokens is a whole number of at least 1; got {max_tokens}.")
    if min_quality is not None and not 0 <= _number("min_quality", min_quality) <= 1:
        raise InputError(f"min_quality lies between 0 and 1; got {min_quality:g}.")
    return Limits(
        max_cost_usd=None if max_cost_usd is None else float(max_cost_usd),
        max_tokens=None if max_tokens is None else int(max_tokens),
        min_quality=None if min_quality is None else float(min_quality),
        models=_globs(models),
        exclude=_globs(exclude),
    )


def _number(name: str, value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} must be a finite number; got {value!r}.")
    return number


def _globs(value: str | Sequence[str] | None) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(part.strip() for part in parts if part.strip())


# -- what is routed ------------------------------------------------------------------------------------------


def check_queries(query: object) -> list[str]:
    """One query or a list of them, as a list. Raises InputError for what is no text, or blank."""
    texts: list[object] = list(cast("Sequence[object]", query)) if isinstance(query, (list, tuple)) else [query]
    checked: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"A query is a string, not {type(text).__name__}.")
        if not text.strip():
            raise InputError("The query is blank. Give the text you would send to an LLM.")
        checked.append(text)
    return checked


def check_count(input_tokens: object) -> int:
    """`input_tokens` as an int. Raises InputError for what is no whole number of at least 0."""
    if isinstance(input_tokens, bool) or not isinstance(input_tokens, (int, float, np.integer)):
        raise InputError(f"input_tokens is a whole number, not {type(input_tokens).__name__}.")
    number = float(cast("float", input_tokens))
    if not (0 <= number < math.inf and number.is_integer()):
        raise InputError(f"input_tokens is a whole number of at least 0; got {number:g}.")
    return int(number)


def check_counts(input_tokens: int | Sequence[int], n: int) -> Floats:
    """One count for all n embeddings, or one for each, as (n,). Raises InputError as `check_count` does."""
    if not isinstance(input_tokens, (Sequence, np.ndarray)):
        return np.full(n, float(check_count(input_tokens)))
    if len(input_tokens) != n:
        raise InputError(f"{len(input_tokens)} counts of input_tokens for {n} embeddings.")
    return np.array([float(check_count(count)) for count in input_tokens])
