"""Ability: what a model can do, in points of the public ratings, and how that is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from r2_router.errors import ConfigError
from r2_router.pools.model import Model
from r2_router.pools.model_names import model_name
from r2_router.pools.ratings import OVERALL, Rating, Ratings
from r2_router.pools.thoughts import thinking
from r2_router.records import Record

# What a rating means for a typical query: CEILING · logistic(LOGITS_PER_POINT · (rating − HALFWAY)). The slope is that
# of two tables of graded answers; the ceiling stands for wrong keys and questions that nobody can answer.
LOGITS_PER_POINT = 0.008
HALFWAY = 1200.0
CEILING = 0.85

# Guesses: rating = a + b · log10(x), by least squares over the models of the ratings of 2026-10-20 whose OpenRouter
# price genai-prices knows, and over those whose name tells a size. `python benchmarks/ratings.py` computes them anew.
PRICE_FIT = (1364.0, 72.0)  # x: USD per million output tokens
SIZE_FIT = (1144.0, 94.0)  # x: billions of parameters
GUESS_ERROR = 80.0  # standard error of either, and of their mean
_LEAST_USD, _MOST_USD = 0.02, 100.0  # a million output tokens: no guess goes beyond

# How far the quality of a model's answers is from what its rating says of it, standard deviation in points: 24 over 19
# models of ZeroEval, 29 over 9 of MMLU-Pro (correlation .92 in both; the same command).
TRANSFER_ERROR = 27.0
_STATED_ERROR = 10.0  # standard errors in points
_QUALITY_ERROR = 50.0  # of the quality of its answers, so nothing is added for the transfer
_OTHER_WAY_ERROR = 30.0  # rated while it thought, asked not to, or the other way round
_LEAST, _MOST = 800.0, 1700.0  # what a quality may mean in points


Source = Literal["rated", "stated", "quality", "price", "size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability(Record):
    """What a model, asked in its way, can do: `rating` overall and `by_category` (OVERALL among them), in points;
    `error` is the standard error of `rating` as a measure of the quality of answers; `said` tells people where it is
    from, and `source` programs."""

    rating: float
    by_category: Mapping[str, float]
    source: Source
    said: str
    error: float


def ability_of(model: Model, ratings: Ratings) -> Ability:
    """The first that is there: the rating its pool states, the quality its user believes in, the public rating of the
    name it is `rated_as` or its id means, a guess from its price and its size.

    Raises ConfigError for a `rated_as` that is not in the ratings.
    """
    if model.rating:
        points = model.rating[OVERALL]
        return _ability(points, "stated", f"rating {points:.0f}, as stated", _STATED_ERROR, model.rating)
    if model.quality is not None:
        said = f"quality {model.quality:g}, as stated"
        return _ability(rating_of(model.quality), "quality", said, _QUALITY_ERROR)
    thinks = thinking(model)
    if model.rated_as:
        found = ratings.get(model.rated_as, thinks)
        if found is None:
            raise ConfigError(_not_rated(model, ratings))
    else:
        found = ratings.find(_id(model), thinks)
    if found is None:
        return _guess(model)
    return _rated(found, ratings, thinks)


def abilities(models: Iterable[Model], ratings: Ratings) -> dict[str, Ability]:
    """`ability_of` each, by the model's name."""
    return {model.name: ability_of(model, ratings) for model in models}


def typical_quality(rating: float) -> float:
    """The quality expected of a model so rated, over typical queries."""
    return CEILING / (1 + math.exp(-LOGITS_PER_POINT * (rating - HALFWAY)))


def rating_of(quality: float) -> float:
    """The rating whose typical quality this is; at the ceiling and near 0, the farthest that a rating may be."""
    share = quality / CEILING
    if not 0 < share < 1:
        return _LEAST if share <= 0 else _MOST
    return min(_MOST, max(_LEAST, HALFWAY + math.log(share / (1 - share)) / LOGITS_PER_POINT))


def _id(model: Model) -> str:
    """Its id; on one's own machine a name without a size is of whatever size was fetched."""
    unsure = _is_local(model) and ":" not in model.id and not model_name(model.id).size
    return f"{model.id}:latest" if unsure else model.id


def _is_local(model: Model) -> bool:
    """Whether it runs on a machine of one's own: one without a key is no gateway to others."""
    return bool(model.weights) or not model.base_url or not model.api_key_env


def _rated(found: Rating, ratings: Ratings, thinks: bool | None) -> Ability:
    other = thinks is not None and found.thinking is not None and found.thinking is not thinks
    way = {True: ", thinking", False: ", not thinking", None: ""}[found.thinking]
    name = found.name.rpartition("/")[2]
    said = f"rated as {name}{way}, {found.overall:.0f} ({ratings.date})"
    error = math.hypot(found.error, _OTHER_WAY_ERROR if other else 0.0)
    return _ability(found.overall, "rated", said, error, found.by_category)


def _guess(model: Model) -> Ability:
    """From its price, its size, or the mean of both. On one's own machine a price is that of time: it says nothing."""
    guesses: dict[Literal["price", "size"], float] = {}
    price, size = model.output_usd_per_million, model_name(model.id).size
    if price and not _is_local(model):
        guesses["price"] = _fitted(PRICE_FIT, min(_MOST_USD, max(_LEAST_USD, price)))
    if size:
        guesses["size"] = _fitted(SIZE_FIT, size)
    if not guesses:
        return _ability(_fitted(PRICE_FIT, _LEAST_USD), "price", "a guess: nothing is known of it", 2 * GUESS_ERROR)
    said = f"guessed from its {' and its '.join(guesses)}"
    return _ability(fmean(guesses.values()), next(iter(guesses)), said, GUESS_ERROR)


def _fitted(fit: tuple[float, float], x: float) -> float:
    return fit[0] + fit[1] * math.log10(x)


def _ability(
    rating: float,
    source: Source,
    said: str,
    error: float,
    by_category: Mapping[str, float] | None = None,
) -> Ability:
    """`error` is that of the rating."""
    error = error if source == "quality" else math.hypot(error, TRANSFER_ERROR)
    return Ability(rating=rating, by_category=by_category or {OVERALL: rating}, source=source, said=said, error=error)


def _not_rated(model: Model, ratings: Ratings) -> str:
    from difflib import get_close_matches

    near = get_close_matches(model.rated_as.lower(), ratings.names, 3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{model.name} is rated_as {model.rated_as!r}, which the ratings of {ratings.date} do not hold.{hint}"
