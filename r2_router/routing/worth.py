"""What a perfect answer is worth: stated, named by a preset, or configured; and where that comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from r2_router import words
from r2_router.config.settings import Multiple, Settings
from r2_router.errors import InputError
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.decision import TradeOff
from r2_router.routing.predict import Predictor

TYPICAL_INPUT = 100  # tokens
TYPICAL_OUTPUT = 300.0  # tokens, where the checkpoint does not tell
_LEAST_USD = 1e-5  # of a typical answer: a pool that costs nothing is worth a question too


@dataclass(frozen=True, slots=True)
class Worths:
    """The trade-offs of the presets, by name, and the one of requests that state none."""

    presets: Mapping[str, TradeOff]
    default: TradeOff

    def in_force(self, stated: TradeOff | None, preset: str) -> TradeOff:
        """The trade-off that is stated, else the preset's, else the default. Raises InputError for an unknown one."""
        return stated or (named(preset, self.presets) if preset else self.default)


def worths(settings: Settings, stated: TradeOff | None, predictor: Predictor, table: CandidateTable) -> Worths:
    """What the settings say for these candidates; `stated` takes the place of their default."""
    presets = _presets(settings.presets, *typical_answer(predictor, table))
    source = next(
        (settings.sources.get(name, "") for name in ("worth_usd", "lambda_val") if settings[name] is not None), ""
    )
    default = stated or trade_off(settings.lambda_val, settings.worth_usd)
    if default is None:
        default = named(settings.preset or "balanced", presets)
    elif stated is None:
        default = replace(default, source=source)
    return Worths(presets, default)


def typical_answer(predictor: Predictor, table: CandidateTable) -> tuple[str, float]:
    """The pool's strongest model that can be used, and what an answer of its own length to a typical query costs.

    The typical query is the middle of the checkpoint's training queries. Where the checkpoint names no strongest model,
    that is the one of the highest expected quality there, or the dearest if nothing is known of the queries.
    """
    budgets = table.budgets
    middle = predictor.middle
    outputs = None if middle is None else predictor.outputs(middle)
    tokens = np.where(np.isinf(budgets), TYPICAL_OUTPUT, budgets) if outputs is None else predictor.tokens(outputs)
    cost = table.cost(tokens, TYPICAL_INPUT)
    quality = cost if outputs is None else predictor.quality(outputs)
    models = [int(m) for m in table.model_index]
    names = [table.models[m].name for m in models]
    usable = [i for i, m in enumerate(models) if not table.blocked[m]]
    strongest = [i for i in usable if names[i] == predictor.checkpoint.strongest] or usable
    longest = max(budgets[strongest], default=math.inf)
    pick = max((i for i in strongest if budgets[i] == longest), key=lambda i: quality[i], default=None)
    return ("", _LEAST_USD) if pick is None else (names[pick], max(float(cost[pick]), _LEAST_USD))


def named(preset: str, presets: Mapping[str, TradeOff]) -> TradeOff:
    """The trade-off of a preset. Raises InputError for a name that is not among `presets`."""
    if preset not in presets:
        raise InputError(f"No preset '{preset}'. Choose one of: {', '.join(presets) or '(none configured)'}.")
    return presets[preset]


def trade_off(
    lambda_val: float | None = None, worth_usd: float | None = None, preset: str | None = None
) -> TradeOff | None:
    """The trade-off that one number states; None where there is none, or a preset.

    Raises InputError for two at once, a number that is not finite, λ outside [0, 1], or a negative worth.
    """
    given = [n for n, v in (("lambda_val", lambda_val), ("worth_usd", worth_usd), ("preset", preset)) if v is not None]
    if len(given) > 1:
        raise InputError(f"Give one of lambda_val, worth_usd and preset, not {' and '.join(given)}: they say the same.")
    if worth_usd is not None:
        worth = finite("worth_usd", worth_usd)
        if worth < 0:
            raise InputError(f"worth_usd is dollars and at least 0; got {worth:g}.")
        return _worth(worth)
    if lambda_val is not None:
        value = finite("lambda_val", lambda_val)
        if not 0 <= value <= 1:
            raise InputError(f"lambda_val lies between 0 (quality only) and 1 (cost only); got {value:g}.")
        return TradeOff(lambda_val=value, worth_usd=(1.0 - value) / value if value > 0 else None)
    return None


def finite(name: str, value: object) -> float:
    """The wish `name` as a number. Raises InputError where it is none, or not finite."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} must be a finite number; got {str(value)[:40]!r}.")
    return number


def _worth(usd: float, source: str = "") -> TradeOff:
    return TradeOff(lambda_val=1.0 / (1.0 + usd), worth_usd=usd, source=source)


def _presets(stated: Mapping[str, float | Multiple], strongest: str, typical_usd: float) -> dict[str, TradeOff]:
    found: dict[str, TradeOff] = {}
    for name, worth in stated.items():
        if isinstance(worth, Multiple):
            found[name] = _worth(worth.times * typical_usd, words.multiple(name, worth.times, typical_usd, strongest))
        else:
            found[name] = _worth(worth, words.preset(name))
    return found
