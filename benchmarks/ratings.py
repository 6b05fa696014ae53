"""The public ratings against ids and prices: how many names are found, and what a price or a size tells.

    R2_DATA_DIR=FOLDER python benchmarks/ratings.py

Ids and prices are those of the genai-prices snapshot that is installed. How far graded answers are from what ratings
say is seen on zeroeval.parquet and mmlu_pro.parquet. The fits and the distance are constants of
r2_router/pools/ability.py; a test holds them against the result.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
from common import publish, table

from r2_router.pools.ability import LOGITS_PER_POINT
from r2_router.pools.known_prices import known_prices, snapshot_date
from r2_router.pools.model_names import model_name
from r2_router.pools.pool import DEFAULT_BASE_URL
from r2_router.pools.ratings import Ratings, load_ratings

COMMAND = "R2_DATA_DIR=FOLDER python benchmarks/ratings.py"


def ids(provider: str = "") -> list[str]:
    """The ids of the snapshot, of one provider or of all."""
    from genai_prices.data_snapshot import get_snapshot

    return [m.id for p in get_snapshot().providers if not provider or p.id == provider for m in p.models]


def found(ratings: Ratings, model_ids: Sequence[str]) -> int:
    """How many of the rated models one of the ids means."""
    return len({rating.name for each in model_ids if (rating := ratings.find(each))})


def matching(ratings: Ratings) -> dict[str, Any]:
    counts = {"openrouter": found(ratings, ids("openrouter")), "all providers": found(ratings, ids())}
    with patch("r2_router.pools.ratings._aliases", return_value={}):
        spelled = {"openrouter": found(ratings, ids("openrouter")), "all providers": found(ratings, ids())}
    return {"models": len(ratings.rated), "by_spelling": spelled, "with_rated_as_toml": counts}


def fit(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """rating = a + b · log10(x) by least squares, and the standard error of the residuals."""
    X = np.column_stack([np.ones(len(x)), np.log10(x)])
    (a, b), *_ = np.linalg.lstsq(X, np.array(y), rcond=None)
    off = np.array(y) - X @ (a, b)
    return {
        "models": len(x),
        "a": float(a),
        "b": float(b),
        "standard_error": float(np.sqrt(off @ off / (len(x) - 2))),
        "correlation": float(np.corrcoef(X[:, 1], y)[0, 1]),
    }


def fits(ratings: Ratings) -> dict[str, Any]:
    priced: dict[str, float] = {}
    for each in ids("openrouter"):
        rating, plain = ratings.find(each), "/" in each and not each.startswith("~") and ":" not in each
        prices = known_prices(DEFAULT_BASE_URL, each) if rating and plain else None
        if rating and prices and prices.output_usd_per_million > 0:
            priced[rating.name] = prices.output_usd_per_million
    sized = {name: size for name in ratings.rated if (size := model_name(name).size)}
    of = ratings.rated
    both = [name for name in priced if name in sized]
    price, size = (fit(list(found.values()), [of[name].overall for name in found]) for found in (priced, sized))
    guessed = [
        (price["a"] + price["b"] * math.log10(priced[n]) + size["a"] + size["b"] * math.log10(sized[n])) / 2
        for n in both
    ]
    off = np.array([of[n].overall for n in both]) - guessed
    mean = {"models": len(both), "standard_error": float(np.sqrt(np.mean(off**2)))}
    return {"price": price, "size": size, "mean_of_both": mean}


def transfer(ratings: Ratings, file: Path) -> dict[str, Any]:
    """The logit of the mean quality of a table's models against their rating, and how far they are off, in points."""
    quality = np.array(pq.read_table(file, columns=["quality"])["quality"])
    names = np.array(pq.read_table(file, columns=["model"])["model"])
    known = {name: rating for name in np.unique(names) if (rating := ratings.find(str(name)))}
    mean = np.array([quality[names == name].mean() for name in known])
    rated, logit = np.array([rating.overall for rating in known.values()]), np.log(mean / (1 - mean))
    slope, level = np.polyfit(rated, logit, 1)
    off = logit - slope * rated - level
    return {
        "models": len(known),
        "logits_per_100_points": float(100 * slope),
        "correlation": float(np.corrcoef(rated, logit)[0, 1]),
        "off_by_points": float(np.sqrt(off @ off / (len(known) - 2)) / LOGITS_PER_POINT),
    }


def main() -> None:
    data = Path(os.environ.get("R2_DATA_DIR", ""))
    ratings = load_ratings()
    result = {
        "ratings": ratings.date,
        "source": ratings.source,
        "prices": snapshot_date(),
        "matching": matching(ratings),
        "fits": fits(ratings),
        "transfer": {name: transfer(ratings, data / f"{name}.parquet") for name in ("zeroeval", "mmlu_pro")},
    }
    matched = result["matching"]
    table(
        [
            ("rated models found", "by spelling", "with rated_as.toml", "of"),
            *(
                (where, str(matched["by_spelling"][where]), str(count), str(matched["models"]))
                for where, count in matched["with_rated_as_toml"].items()
            ),
        ]
    )
    for name, each in {**result["fits"], **result["transfer"]}.items():
        print(name, {key: round(value, 2) for key, value in each.items()})
    publish("ratings", COMMAND, result)


if __name__ == "__main__":
    main()
