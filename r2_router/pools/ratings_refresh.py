"""Newer ratings than the shipped: read from a file or an address, checked, and kept in the user's data folder."""

from __future__ import annotations

from pathlib import Path

from r2_router.config.safe_files import read_plain
from r2_router.errors import ConfigError
from r2_router.net.read_url import read_url
from r2_router.pools.ratings import MAX_BYTES, Ratings, load_ratings, ratings_file, read_ratings, write_ratings


def refresh_ratings(source: str) -> tuple[Ratings, Path]:
    """Keep the ratings at `source`, a path or an https:// address, as the user's own, and say where.

    `source` is a CSV of the dataset or one that we ship. The file is replaced whole or not at all. Raises DownloadError
    or ConfigError for what cannot be read, is no such table, or is older than the ratings in force.
    """
    data = read_url(source, MAX_BYTES) if "://" in source else _read_file(Path(source).expanduser())
    ratings, known = read_ratings(data, source), load_ratings()
    if ratings.date < known.date:
        raise ConfigError(f"{source} is of {ratings.date}, older than the ratings in force, of {known.date}.")
    file = ratings_file()
    try:
        write_ratings(ratings, file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}. Nothing was changed.") from None
    return ratings, file


def _read_file(file: Path) -> bytes:
    try:
        return read_plain(file, MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
