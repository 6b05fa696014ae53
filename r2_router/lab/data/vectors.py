"""Embeddings of many texts, each embedded once: a cache by text and embedder.

joblib.Memory was measured for this on 12,032 texts of d = 512: a call a text takes 17 times as long to fill, 6 times as
long to read and 3 times the room, in 23,748 files; a call a batch embeds every text again once one is put in front.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from r2_router.arrays import Singles
from r2_router.config.folders import user_data_dir
from r2_router.config.safe_files import make_private
from r2_router.embedders import Embedder, clip_text
from r2_router.lab.data.probes import PROBES

Progress: TypeAlias = Callable[[int, int], None]

_BATCH = 256  # texts embedded and committed at once: what a kill costs
_LOOKED_UP = 500  # keys a query; SQLite takes 999 or more
_WAIT_S = 30.0
_SAME = 0.999  # cosine of every probe; one model's numeric noise stays above, another model or pooling far below
_UNIT_TOLERANCE = 1e-2
_APPLICATION = 0x72327632  # marks the file as ours: nothing is written into another database
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS embedders (number INTEGER PRIMARY KEY, id TEXT, probes BLOB)",
    """
    CREATE TABLE IF NOT EXISTS vectors
        (embedder INTEGER, text BLOB, vector BLOB, PRIMARY KEY (embedder, text))
    """,
)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def cache_file() -> Path:
    """Where vectors are kept by default."""
    return user_data_dir() / "vectors.sqlite3"


def embed_cached(
    embedder: Embedder,
    texts: Sequence[str],
    cache: Path | Literal[False] | None = None,
    progress: Progress | None = None,
) -> Singles:
    """The unit vectors of `texts`, (n, d) float32; those in `cache` (default: cache_file()) are not embedded again.

    The probe sentences are embedded each time: a kept vector is used only where the embedder has the same id and makes
    of every probe what it made when the vector was kept, so a server that changed behind its name gets none of the old
    ones. Long texts are cut as the router cuts them. What is new is kept batch by batch, by any number of processes. A
    damaged cache is set aside, and one that cannot be used is left alone, each with a warning in the log; `cache`
    False keeps nothing. `progress` is told (done, total). Raises what the embedder raises.
    """
    probes = embedder.embed(PROBES)
    places: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        places.setdefault(clip_text(text, embedder.max_chars), []).append(i)
    vectors = np.empty((len(texts), probes.shape[1]), dtype=np.float32)
    store = _Store(None if cache is False else cache or cache_file(), embedder.id, probes)
    try:
        missing = _fill_known(vectors, places, store)
        done = len(places) - len(missing)
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            made = embedder.embed(batch)
            for text, vector in zip(batch, made, strict=True):
                vectors[places[text]] = vector
            store.keep(batch, made)
            done += len(batch)
            if progress:
                progress(done, len(places))
    finally:
        store.close()
    return vectors


def _fill_known(vectors: Singles, places: dict[str, list[int]], store: _Store) -> list[str]:
    """Put the kept vectors into their rows; the texts that have none."""
    texts, missing = list(places), list[str]()
    for start in range(0, len(texts), _LOOKED_UP):
        block = texts[start : start + _LOOKED_UP]
        known = store.find(block)
        for text in block:
            if text in known:
                vectors[places[text]] = known[text]
            else:
                missing.append(text)
    return missing


class _Store:
    """The cache's file, for one embedder of probe vectors (P, d). No fault of the file is an error: it is said in the
    log, and nothing is found or kept from then on. `file` None: no cache."""

    def __init__(self, file: Path | None, name: str, probes: Singles) -> None:
        self._file, self._name, self._probes = file, name, probes
        self._db: sqlite3.Connection | None = None
        self._number = 0
        if file is not None:
            self._try(self._open)

    def find(self, texts: Sequence[str]) -> dict[str, Singles]:
        """The kept vectors of `texts`, (d,) each."""
        found: dict[str, Singles] = {}

        def read(db: sqlite3.Connection) -> None:
            by_key = {_key(text): text for text in texts}
            marks = ", ".join("?" * len(by_key))
            query = f"SELECT text, vector FROM vectors WHERE embedder = ? AND text IN ({marks})"  # noqa: S608
            for key, blob in db.execute(query, (self._number, *by_key)):
                vector = _vector(blob, self._probes.shape[1])
                if vector is not None:
                    found[by_key[key]] = vector

        self._use(read)
        return found

    def keep(self, texts: Sequence[str], vectors: Singles) -> None:
        """Commit the vectors of `texts`, (n, d)."""
        rows = [(_key(text), vector.astype("<f4").tobytes()) for text, vector in zip(texts, vectors, strict=True)]

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                insert = "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)"
                db.executemany(insert, [(self._number, *row) for row in rows])

        self._use(write)

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    # -- the file --------------------------------------------------------------------------------------------

    def _open(self) -> None:
        assert self._file is not None  # noqa: S101
        self._file.parent.mkdir(parents=True, exist_ok=True)
        make_private(self._file)
        self._db = db = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None)
        ours = db.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION
        if not ours and db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.OperationalError("it is another program's database")
        with suppress(sqlite3.OperationalError):  # of several processes that open a new file one switches it
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            for statement in _SCHEMA:
                db.execute(statement)
            self._number = self._find_embedder(db)

    def _find_embedder(self, db: sqlite3.Connection) -> int:
        """The number under which this embedder's vectors are kept; a new one where it is not known."""
        for number, blob in db.execute("SELECT number, probes FROM embedders WHERE id = ?", (self._name,)):
            known = np.frombuffer(blob, dtype="<f4")
            if known.size != self._probes.size:
                continue
            cosines = np.einsum("pd,pd->p", known.reshape(self._probes.shape), self._probes)
            if cosines.min() >= _SAME:
                return int(number)
        probes = self._probes.astype("<f4").tobytes()
        made = db.execute("INSERT INTO embedders (id, probes) VALUES (?, ?)", (self._name, probes))
        return int(made.lastrowid or 0)

    def _use(self, action: Callable[[sqlite3.Connection], None]) -> None:
        def act() -> None:
            if self._db is not None:
                action(self._db)

        self._try(act)

    def _try(self, action: Callable[[], None]) -> None:
        """Do `action`; after damage once more, with a new file."""
        try:
            action()
        except (sqlite3.Error, OSError) as error:
            self.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
                self._warn(f"cannot be used: {error}. Vectors are not kept.")
                return
            try:
                self._set_aside()
                self._open()
                if action != self._open:
                    action()
            except (sqlite3.Error, OSError) as again:
                self.close()
                self._warn(f"is damaged ({error}) and cannot be set aside: {again}. Vectors are not kept.")

    def _set_aside(self) -> None:
        assert self._file is not None  # noqa: S101
        aside = self._file.with_name(f"{self._file.name}.damaged")
        self._file.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        self._warn(f"is damaged and was set aside as {aside.name}; texts are embedded again.")

    def _warn(self, fault: str) -> None:
        logging.getLogger("r2_router").warning("The cache of vectors %s %s", self._file, fault)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _vector(blob: object, dim: int) -> Singles | None:
    """A kept vector, None where it is not one: then the text is embedded again."""
    if not isinstance(blob, bytes) or len(blob) != 4 * dim:
        return None
    vector = np.frombuffer(blob, dtype="<f4").astype(np.float32)
    return vector if abs(float(vector @ vector) - 1) < _UNIT_TOLERANCE else None
