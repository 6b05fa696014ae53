"""Weights: which GGUF files there are, where they lie on this machine, and whether they are the right ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from r2_router.config.folders import shipped, user_data_dir
from r2_router.config.safe_files import replace_file
from r2_router.config.toml_file import read_config, shown
from r2_router.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Weights:
    """One GGUF file of config/weights.toml, which says what the fields mean."""

    name: str
    file: str
    size_bytes: int
    sha256: str
    context_bytes_per_token: int
    license: str
    urls: tuple[str, ...]
    wheel: str = ""


@cache
def known_weights() -> Mapping[str, Weights]:
    """The entries of config/weights.toml by name, in its order."""
    tables = read_config(shipped("config") / "weights.toml").data
    return {name: Weights(name=name, **table | {"urls": tuple(table["urls"])}) for name, table in tables.items()}


def get_weights(name: str) -> Weights:
    """The entry of that name, upper and lower case alike. Raises ConfigError naming those there are."""
    for weights in known_weights().values():
        if weights.name.casefold() == name.casefold():
            return weights
    raise ConfigError(f"No weights {shown(name)}. Known: {', '.join(known_weights())}.")


def weights_folder() -> Path:
    """Where pulled weights lie. It may not exist yet."""
    return user_data_dir() / "models"


def find_weights(name: str, models_dir: str = "") -> Path | None:
    """The verified file of those weights: in the folder `models_dir` if one is given, else where `pull` puts it.

    A file is hashed once, and again when its size or time of change is another. Raises ConfigError for a name
    that is not known.
    """
    weights = get_weights(name)
    return next((path for path in _places(weights, models_dir) if is_verified(path, weights)), None)


def absence(weights: Weights, models_dir: str = "") -> str:
    """Why `find_weights` found none, and the command that gets them."""
    get = f"r2-router models pull {weights.name} ({weights.size_bytes / 1e6:.0f} MB)"
    for path in _places(weights, models_dir):
        if path.is_file():
            return f"{path} is not the file that was measured (its size or SHA-256 differs); get that with: {get}"
    return f"its weights are not on this machine; get them with: {get}"


def is_verified(path: Path, weights: Weights) -> bool:
    """Whether `path` is the file, by size and SHA-256."""
    try:
        status = path.stat()
        if status.st_size != weights.size_bytes or not path.is_file():
            return False
        seen = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}\n{weights.sha256}\n"
        memory = weights_folder() / f".{weights.file}.verified"
        with suppress(OSError, UnicodeDecodeError):
            if memory.read_text(encoding="utf-8") == seen:
                return True
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != weights.sha256:
                return False
    except OSError:
        return False
    with suppress(OSError):  # what cannot be remembered is hashed again next time
        replace_file(memory, seen.encode())
    return True


def _places(weights: Weights, models_dir: str) -> Iterator[Path]:
    if models_dir:
        yield Path(models_dir).expanduser() / weights.file
    yield weights_folder() / weights.file
