"""Embeddings of many texts, each embedded once: a cache by text and embedder."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.embedders import Embedder
from r2_router.lab.probes import PROBES
from r2_router.resources import user_data_dir

Floats: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[int, int], None]

_BATCH = 256  # texts embedded and committed at once
_WAIT_S = 30.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (embedder BLOB, text BLOB, vector BLOB, PRIMARY KEY (embedder, text))"


def cache_file() -> Path:
    """Where vectors are kept by default."""
    return user_data_dir() / "vectors.sqlite3"


def embed_cached(
    embedder: Embedder, texts: Sequence[str], cache: Path | None = None, progress: Progress | None = None
) -> Floats:
    """The unit vectors of `texts`, (n, d) float32; those in `cache` (default: cache_file()) are not embedded again.

    A vector belongs to the embedder that makes the same vectors of the probe sentences, so a server that changed
    behind its name gets none of the old ones. What is new is kept batch by batch; a cache that cannot be used is a
    warning in the log, and everything is embedded. `progress` is told (done, total). Raises what the embedder raises.
    """
    probes = embedder.embed(PROBES)
    file = cache or cache_file()
    try:
        return _through(file, embedder, _fingerprint(embedder, probes), probes.shape[1], texts, progress)
    except (sqlite3.Error, OSError) as error:
        logging.getLogger("r2_router").warning("The cache of vectors %s cannot be used: %s. Delete it.", file, error)
    found = [np.empty((0, probes.shape[1]), np.float32)]
    for batch in _batches(texts):
        found.append(embedder.embed(batch))
        if progress:
            progress(sum(map(len, found)), len(texts))
    return np.concatenate(found)


def _through(
    file: Path, embedder: Embedder, name: bytes, dim: int, texts: Sequence[str], progress: Progress | None
) -> Floats:
    file.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.empty((len(texts), dim), dtype=np.float32)
    with closing(sqlite3.connect(file, timeout=_WAIT_S, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(_SCHEMA)
        places: dict[bytes, list[int]] = {}
        for i, text in enumerate(texts):
            places.setdefault(_digest(text), []).append(i)
        missing: list[bytes] = []
        for key, rows in places.items():
            known = db.execute("SELECT vector FROM vectors WHERE embedder = ? AND text = ?", (name, key)).fetchone()
            if known is None or len(known[0]) != 4 * dim:
                missing.append(key)
            else:
                vectors[rows] = np.frombuffer(known[0], dtype="<f4")
        for start in range(0, len(missing), _BATCH):
            keys = missing[start : start + _BATCH]
            made = embedder.embed([texts[places[key][0]] for key in keys])
            for key, vector in zip(keys, made, strict=True):
                vectors[places[key]] = vector
            rows = [(name, key, vector.astype("<f4").tobytes()) for key, vector in zip(keys, made, strict=True)]
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")
            if progress:
                progress(len(places) - len(missing) + start + len(keys), len(places))
    return vectors


def _fingerprint(embedder: Embedder, probes: Floats) -> bytes:
    """The embedder's id and what it makes of the probes, to three digits: servers differ in the last ones."""
    return hashlib.sha256(embedder.id.encode() + np.round(probes, 3).astype("<f4").tobytes()).digest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    return (list(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH))
