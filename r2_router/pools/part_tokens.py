"""What an image, a sound, a film or a file counts in tokens, as data (config/part_tokens.toml)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path

from r2_router.config import toml_file as cf
from r2_router.config.folders import shipped, user_config_dir
from r2_router.pools.model import Model
from r2_router.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTokens(Record):
    """What parts of a message count in tokens for the models of some ids; the fields are those of
    config/part_tokens.toml. 0: as for other models."""

    models: tuple[str, ...]
    image: int
    image_low: int = 0
    audio: int = 0
    video: int = 0
    file: int = 0
    date: str = ""
    source: str = ""


def part_tokens_file() -> Path:
    """The user's own counts. It may not exist."""
    return user_config_dir() / "part_tokens.toml"


def part_tokens(model: Model, parts: Sequence[str]) -> int:
    """Tokens of parts, named by the fields of PartTokens, as `model` counts them."""
    if not parts:
        return 0
    counts = counted_as(model.id)
    return sum(counts[part] * times for part, times in Counter(parts).items())


@lru_cache(maxsize=1024)
def counted_as(model_id: str) -> Mapping[str, int]:
    """What each kind of part counts for the model of that id; what its table does not say, a later one does.

    Raises ConfigError naming file and line for an unknown key or a bad value.
    """
    name = model_id.lower()
    fitting = [rule for rule in _rules() if any(fnmatchcase(name, glob.lower()) for glob in rule.models)]
    kinds = ("image", "image_low", "audio", "video", "file")
    return {kind: next((rule[kind] for rule in fitting if rule[kind]), 0) for kind in kinds}


def forget() -> None:
    """Read the counts anew when they are next needed."""
    _rules.cache_clear()
    counted_as.cache_clear()


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


_KEYS: Mapping[str, cf.Check] = {
    "models": cf.globs,
    **dict.fromkeys(("image", "image_low", "audio", "video", "file"), cf.count),
    "date": cf.day,
    "source": cf.text,
}
