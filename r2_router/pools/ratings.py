"""Ratings: what people think of models, in points, by category; a dated table that ships and can be refreshed."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from statistics import NormalDist, fmean

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_data_dir
from r2_router.config.safe_files import read_plain, replace_file
from r2_router.errors import ConfigError
from r2_router.pools.model_names import Key, ModelName, model_name, plain_id
from r2_router.records import Record

OVERALL = "overall"
CATEGORIES = (
    OVERALL,
    *("business", "chinese", "coding", "creative_writing", "expert", "french", "german", "hard_prompts"),
    *("instruction_following", "japanese", "korean", "legal", "longer_query", "math", "media", "medicine"),
    *("multi_turn", "russian", "science", "software", "spanish", "writing"),
)

SOURCE = "LMArena leaderboard dataset, CC BY 4.0"

_FEWEST, _MOST_NAMES = 20, 20_000  # models of a table that is one
MAX_BYTES = 8 << 20
_LEAST, _MOST = 0.0, 4000.0  # points
_SIGMAS = 2 * 1.96  # the width of a 95 % interval, in standard errors
_WAYS_APART = 14.0  # standard deviation over categories, in points, of the distance of two ways of one model
_WAY = {True: "yes", False: "no", None: ""}
_THINKS = re.compile(r"(?<!non-)(?:thinking|reasoning)|[(,] ?(?:x?high|medium|max)\b", re.I)
_RELEASE = re.compile(r"(?<![\w.])(?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-20\d\d|\d\d-\d\d|\d{4}|00\d)(?![\w.])")
_PLAIN = re.compile(r"non-(?:thinking|reasoning)|\((?:instant|minimal)\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating(Record):
    """What one model, asked in one way, is rated: points (Elo; 400 of them are odds of ten to one).

    `by_category` holds the categories that were rated, OVERALL among them; `error` is the standard error of `overall`;
    `thinking` says how it was asked where the table does; `versions` are those rated, as digits, none where the table
    does not say.
    """

    name: str
    overall: float
    by_category: Mapping[str, float] = field(hash=False)
    votes: int = 0
    error: float = 0.0
    thinking: bool | None = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ratings:
    """The table: `date` it was true (ISO), `source` to be named, its models by name, as their best way is rated, and
    the other way of those that are rated thinking and not."""

    date: str
    source: str
    rated: Mapping[str, Rating]
    twins: Mapping[str, Rating] = field(default_factory=dict[str, Rating])

    def get(self, name: str, thinking: bool | None = None) -> Rating | None:
        """The model of that name in the table ("openai/gpt-5-chat", or "gpt-5-chat"), asked to think or not: where only
        one way is rated, that one; where it is not said, the one that does not think."""
        name = self._whole.get(name.strip().lower(), "")
        found, twin = self.rated.get(name), self.twins.get(name)
        if found is None or twin is None:
            return found
        return found if found.thinking is (thinking or False) else twin

    def find(self, model_id: str, thinking: bool | None = None) -> Rating | None:
        """The rating of a provider's `model_id`, None where it cannot be told for sure which it is."""
        if alias := _aliases().get(plain_id(model_id)):
            return self.get(alias, thinking)
        asked = model_name(model_id)
        if (asked.tagged and not asked.size) or self._moves(asked):
            return None  # ":latest" may be any size
        for rating, spelled in self._called(asked):
            if not _same_release(asked, spelled, rating):
                continue
            if asked.thinking == spelled.thinking:
                return self.get(rating.name, thinking)
            if spelled.thinking is None and asked.thinking in self._ways(rating.name):
                return self.get(rating.name, asked.thinking)
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that `get` knows, in small letters."""
        return tuple(self._whole)

    def both_ways(self, model_id: str) -> tuple[Rating, Rating] | None:
        """The ratings of `model_id` thinking, and not; None where the table does not know both."""
        found = self.find(model_id)
        if found is None or found.name not in self.twins:
            return None
        pair = self.get(found.name, True), self.get(found.name, False)
        return (pair[0], pair[1]) if pair[0] and pair[1] else None

    def _called(self, asked: ModelName) -> Iterable[tuple[Rating, ModelName]]:
        """The models that are called so. "instruct" may be left out where a size is said, but for "chat"."""
        if asked.tagged:
            return self._by_chatless.get(asked.chatless, ())
        called = self._by_key.get(asked.key, ())
        return called or (self._by_key.get(asked.chatless, ()) if asked.size and "chat" not in asked.key[0] else ())

    def _moves(self, asked: ModelName) -> bool:
        """Whether the name has no number and others of the same words have one: mistral-large, which is 2, 3 or 4."""
        words, numbers = asked.key
        return not numbers and not asked.version and words in self._numbered

    def _ways(self, name: str) -> set[bool | None]:
        return {rating.thinking for rating in (self.rated[name], self.twins.get(name)) if rating}

    @cached_property
    def _whole(self) -> Mapping[str, str]:
        """The names, and what stands behind their makers, where that is one model's alone."""
        short: dict[str, list[str]] = {}
        for name in self.rated:
            short.setdefault(name.rpartition("/")[2].lower(), []).append(name)
        single = {key: names[0] for key, names in short.items() if len(names) == 1}
        return {**single, **{name.lower(): name for name in self.rated}}

    @cached_property
    def _by_key(self) -> Mapping[Key, Sequence[tuple[Rating, ModelName]]]:
        return self._indexed(lambda name: name.key)

    @cached_property
    def _by_chatless(self) -> Mapping[Key, Sequence[tuple[Rating, ModelName]]]:
        return self._indexed(lambda name: name.chatless)

    @cached_property
    def _numbered(self) -> frozenset[tuple[str, ...]]:
        """The words of all names that have a number."""
        return frozenset(words for words, numbers in self._by_key if numbers)

    def _indexed(self, key_of: Callable[[ModelName], Key]) -> Mapping[Key, Sequence[tuple[Rating, ModelName]]]:
        found: dict[Key, list[tuple[Rating, ModelName]]] = {}
        for rating in self.rated.values():
            spelled = model_name(rating.name)
            found.setdefault(key_of(spelled), []).append((rating, spelled))
        return found


def _same_release(asked: ModelName, spelled: ModelName, rating: Rating) -> bool:
    """Whether what is asked is of a date that was rated, and no preview of what was."""
    if asked.version and rating.versions:
        return any(asked.version.endswith(version) or version.endswith(asked.version) for version in rating.versions)
    return asked.preview == spelled.preview and (not asked.version or len(asked.version) == len("20261020"))


# -- files ---------------------------------------------------------------------------------------------------


def ratings_file() -> Path:
    """The user's refreshed ratings. It may not exist."""
    return user_data_dir() / "ratings.csv"


def load_ratings() -> Ratings:
    """The newer of the shipped ratings and those the user refreshed; each is read once in a process.

    Raises ConfigError for a file that is no such table.
    """
    ours = _read(shipped("config") / "ratings.csv")
    theirs = ratings_file()
    if not theirs.is_file():
        return ours
    return max(ours, _read(theirs), key=lambda ratings: ratings.date)


@cache
def _read(file: Path) -> Ratings:
    try:
        return read_ratings(read_plain(file, MAX_BYTES), str(file))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None


@cache
def _aliases() -> Mapping[str, str]:
    """Ids whose spelling does not tell which model they mean -> its name in the ratings."""
    file = cf.read_config(shipped("config") / "rated_as.toml")
    return {alias: name for name, ids in file.data.items() for alias in ids}


def read_ratings(data: bytes, place: str) -> Ratings:
    """The ratings in `data`: a CSV of the dataset (model, name, category, rating, low, high, votes, date; a row each
    category) or of ours (`write_ratings`). `place` names it in errors: ConfigError for anything else."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{place} is larger than {MAX_BYTES >> 20} MiB: no table of ratings.")
    try:
        lines = data.decode("utf-8-sig").splitlines()
        comments = [line for line in lines if line.startswith("#")]
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        ratings = _ours(rows, comments) if comments else _theirs(rows)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as fault:
        raise ConfigError(f"{place} is no table of ratings ({type(fault).__name__}: {cf.shown(str(fault))}).") from None
    if not _FEWEST <= len(ratings.rated) <= _MOST_NAMES:
        raise ConfigError(f"{place} rates {len(ratings.rated)} models: no table of ratings.")
    return ratings


def write_ratings(ratings: Ratings, file: Path) -> None:
    """Write `file`, whole or not at all: a row a model and way, whole points. Raises OSError."""
    text = io.StringIO()
    text.write(f"# Ratings of {ratings.date}, by {ratings.source}.\n")
    text.write(
        "# Changes: whole points; of models rated thinking and not, the second row is the other way, estimated.\n"
    )
    columns = ("name", "thinking", "versions", "votes", "error", *CATEGORIES)
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for name, rating in ratings.rated.items():
        for each in (rating, *((ratings.twins[name],) if name in ratings.twins else ())):
            points_of = [f"{each.by_category[c]:.0f}" if c in each.by_category else "" for c in CATEGORIES]
            about = (name, _WAY[each.thinking], " ".join(each.versions), each.votes, f"{max(1.0, each.error):.0f}")
            table.writerow((*about, *points_of))
    replace_file(file, text.getvalue().encode(), private=False)
    _read.cache_clear()


def points(value: object) -> float:
    """A rating, as a check of `config/toml_file.py`."""
    return cf.number(value, _LEAST, _MOST, "a rating in points, like 1426")


# -- reading -------------------------------------------------------------------------------------------------


def _ours(rows: Iterable[Mapping[str, str]], comments: Sequence[str]) -> Ratings:
    stated = re.match(r"# Ratings of (\S+), by (.+)\.$", comments[0])
    if stated is None:
        raise ValueError("its first line does not say of which day it is")
    rated: dict[str, Rating] = {}
    twins: dict[str, Rating] = {}
    for row in rows:
        by_category = {c: _points(row[c]) for c in CATEGORIES if row.get(c)}
        rating = Rating(
            name=_name(row["name"]),
            overall=by_category[OVERALL],
            by_category=by_category,
            votes=int(row["votes"]),
            error=_points(row["error"]),
            thinking={way: thinks for thinks, way in _WAY.items()}[row["thinking"]],
            versions=tuple(row["versions"].split()),
        )
        (twins if rating.name in rated else rated)[rating.name] = rating
    return Ratings(cf.day(stated[1]), cf.text(stated[2])[:200], rated, twins)


def _theirs(rows: Iterable[Mapping[str, str]]) -> Ratings:
    """The dataset gives of each model and category the way that is rated best; `name` says which way that is."""
    models: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["category"] in CATEGORIES:
            models.setdefault(_name(row["model"]), []).append(row)
    date = max(cf.day(row["date"]) for of_model in models.values() for row in of_model)
    rated = {
        name: _of_rows(name, of_model)
        for name, of_model in models.items()
        if any(row["category"] == OVERALL for row in of_model)
    }
    usual = {
        c: fmean(r.by_category[c] - r.overall for r in rated.values() if c in r.by_category)
        for c in CATEGORIES
        if any(c in r.by_category for r in rated.values())
    }
    split = {name: _twins(rating, models[name], usual) for name, rating in rated.items()}
    return Ratings(
        date,
        SOURCE,
        {name: pair[0] for name, pair in split.items()},
        {name: pair[1] for name, pair in split.items() if pair[1] is not None},
    )


def _of_rows(name: str, rows: Sequence[Mapping[str, str]]) -> Rating:
    by_category = {row["category"]: _points(row["rating"]) for row in rows}
    top = next(row for row in rows if row["category"] == OVERALL)
    return Rating(
        name=name,
        overall=by_category[OVERALL],
        by_category=by_category,
        votes=int(top["votes"]),
        error=(_points(top["high"]) - _points(top["low"])) / _SIGMAS,
        thinking=_way(top["name"]),
        versions=tuple(sorted({version for row in rows for version in _versions(row["name"])})),
    )


def _twins(best: Rating, rows: Sequence[Mapping[str, str]], usual: Mapping[str, float]) -> tuple[Rating, Rating | None]:
    """The ratings of the model's best way and of its other one; None where all rows are of one way.

    Of each category only the higher rating is told, so a row of one way bounds the other from above. How far the other
    way is below overall follows from the share of categories in which it is the higher one; a category of which only
    the bound is known lies as far from the overall rating as is `usual`, and not above the bound.
    """
    own: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for row in rows:
        own[_way(row["name"]) or False][row["category"]] = _points(row["rating"])
    first = best.thinking or False
    other = own[not first]
    if not other:
        return best, None
    share = (len(other) + 0.5) / (len(rows) + 1)
    below = max(0.0, -_WAYS_APART * NormalDist().inv_cdf(share))

    def filled(level: float, mine: Mapping[str, float]) -> dict[str, float]:
        bound = best.by_category
        return {c: mine.get(c, min(bound[c], level + usual[c])) for c in bound} | {OVERALL: level}

    overall, error = best.overall - below, math.hypot(best.error, _WAYS_APART / 2)
    return (
        replace(best, thinking=first, by_category=filled(best.overall, own[first])),
        replace(best, thinking=not first, overall=overall, by_category=filled(overall, other), error=error),
    )


def _name(text: str) -> str:
    name = cf.text(text)
    if not 0 < len(name) <= 200:
        raise ValueError("a model without a name")
    return name


def _points(text: str) -> float:
    return points(float(text))


def _way(display: str) -> bool | None:
    """Whether the name as displayed, "Claude Opus 4 (Thinking 16K, 20250514)", says that it thinks."""
    if _PLAIN.search(display):
        return False
    return True if _THINKS.search(display) else None


def _versions(display: str) -> Iterator[str]:
    """The dates and numbers of releases in a name as displayed, in digits."""
    for found in re.findall(
        r"(?<![\w.])(?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-20\d\d|\d\d-\d\d|\d{4}|00\d)(?![\w.])", display
    ):
        yield found.replace("-", "")
