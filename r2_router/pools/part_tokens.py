"""What an image, a sound, a film or a file counts in tokens, as data (config/part_tokens.toml)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, cast

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_config_dir
from r2_router.pools.model import Model
from r2_router.records import Record


class Part(NamedTuple):
    """A part of a message that is no text: what it counts as, a field of PartTokens; of an image the width and height
    in pixels, where they are known."""

    kind: str
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTokens(Record):
    """What parts of a message count in tokens for the models of some ids; the fields are those of
    config/part_tokens.toml. 0: as for other models."""

    models: tuple[str, ...]
    image: int
    image_within: tuple[int, ...] = ()
    image_tile: int = 0
    image_tokens_a_tile: float = 0.0
    image_tokens_first: int = 0
    image_tokens_most: int = 0
    image_low: int = 0
    audio: int = 0
    video: int = 0
    file: int = 0
    date: str = ""
    source: str = ""


def part_tokens_file() -> Path:
    """The user's own counts. It may not exist."""
    return user_config_dir() / "part_tokens.toml"


def part_tokens(model: Model, parts: Sequence[Part]) -> int:
    """Tokens of parts as `model` counts them."""
    if not parts:
        return 0
    counts = counted_as(model.id)
    sizes = image_rule(model.id)
    return sum(
        counts[part.kind] if part.size is None or sizes is None else image_tokens(sizes, *part.size) for part in parts
    )


def image_tokens(rule: PartTokens, width: int, height: int) -> int:
    """What an image of so many pixels counts: it is scaled down to lie within the sides `image_within`, the longer one
    first, and each tile that it then begins counts."""
    scale = 1.0
    for sides, side in zip((max(width, height), min(width, height)), rule.image_within, strict=False):
        scale = min(scale, side / sides)
    across, down = (max(1, math.ceil(round(side * scale, 3) / rule.image_tile)) for side in (width, height))
    tokens = rule.image_tokens_first + across * down * rule.image_tokens_a_tile
    return math.ceil(min(tokens, rule.image_tokens_most or math.inf))


def image_rule(model_id: str) -> PartTokens | None:
    """How the model of that id counts an image by its size, None where only a typical count is known. Errors as in
    `counted_as`."""
    fitting = next(iter(_fitting(model_id)), None)
    return fitting if fitting is not None and fitting.image_tile else None


@lru_cache(maxsize=1024)
def counted_as(model_id: str) -> Mapping[str, int]:
    """What each kind of part counts for the model of that id; what its table does not say, a later one does.

    Raises ConfigError naming file and line for an unknown key or a bad value.
    """
    fitting = _fitting(model_id)
    kinds = ("image", "image_low", "audio", "video", "file")
    return {kind: next((rule[kind] for rule in fitting if rule[kind]), 0) for kind in kinds}


def forget() -> None:
    """Read the counts anew when they are next needed."""
    for known in (_rules, _fitting, counted_as):
        known.cache_clear()


@lru_cache(maxsize=1024)
def _fitting(model_id: str) -> list[PartTokens]:
    name = model_id.lower()
    return [rule for rule in _rules() if any(fnmatchcase(name, glob.lower()) for glob in rule.models)]


@cache
def _rules() -> tuple[PartTokens, ...]:
    found: list[PartTokens] = []
    for path in (part_tokens_file(), shipped("config") / "part_tokens.toml"):
        if path.is_file():
            file = cf.read_config(path)
            for name in file.values((), dict.fromkeys(file.data, cf.table)):
                values = file.values((name,), _KEYS)
                if missing := [key for key in ("models", "image") if key not in values]:
                    raise file.error((name,), f"{name} lacks {missing[0]}: give models, globs of ids, and image.")
                found.append(PartTokens(**values))
    return tuple(found)


def _sides(value: object) -> tuple[int, ...]:
    """One side in pixels, or two, the longer first. Raises ValueError as the checks of toml_file do."""
    sides = tuple(cf.count_above_zero(each) for each in cast("list[object]", value)) if isinstance(value, list) else ()
    if len(sides) not in (1, 2):
        raise ValueError("must be one side in pixels in a list, or two, the longer first")
    return sides


_KEYS: Mapping[str, cf.Check] = {
    "models": cf.globs,
    **dict.fromkeys(("image", "image_low", "audio", "video", "file"), cf.count),
    **dict.fromkeys(("image_tile", "image_tokens_first", "image_tokens_most"), cf.count),
    "image_tokens_a_tile": cf.amount,
    "image_within": _sides,
    "date": cf.day,
    "source": cf.text,
}
