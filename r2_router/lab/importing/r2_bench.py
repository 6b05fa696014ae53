"""Reads R2-Bench, the paper's own measurements, into a training table: streamed, aligned, resumed file by file."""

from __future__ import annotations

import csv
import hashlib
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from r2_router.checkpoints.format import Instruction, budget_key
from r2_router.errors import DownloadError, InputError
from r2_router.lab.data.files import long_fields
from r2_router.lab.data.write import TableWriter
from r2_router.lab.importing.counts import ImportCounts, reasons
from r2_router.lab.importing.stream import read_pages, read_stream, text_of
from r2_router.ledger.schema import immediate
from r2_router.net.download import open_client
from r2_router.pools.pool import load_pool
from r2_router.records import UNLIMITED, Budget
from r2_router.routing.candidates import matches

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
REPOSITORY = "JiaqiXue/R2-Bench"
REVISION = "1b6234647a21705da4c220f339e44fbe72c69bb2"
TABLE = "table.parquet"

# How these answers were asked for, in our words: n words, the answer cut at n + 10 tokens.
INSTRUCTION = Instruction(
    "Keep your answer strictly within {words} words.", place="suffix", words_per_token=1.0, cap_extra=10
)
_CARD = {
    "about": "R2-Bench, the measurements of the R2-Router paper (arXiv 2602.02823).",
    "measured": (
        f"Read from the Hugging Face dataset {REPOSITORY}, revision {REVISION}. Its authors asked for a strict budget "
        "of n words after the user's text and cut at n + 10 tokens; quality is their correctness_score, tokens their "
        "actual_token_count. Input tokens are not recorded there."
    ),
    "license": "MIT",
    "sources": [f"https://huggingface.co/datasets/{REPOSITORY}"],
}

_FILE = re.compile(r"data/([^/]+)/([^/]+)/([^/]+)_judge\.csv")
_NO_LIMIT = frozenset({"unlimited", "unlimit", "nolimit", "no_limit", "none", "inf", "infinite", "null"})
_COLUMNS = ("key", "original_prompt", "actual_token_count", "correctness_score")
_BLOCK = 2_000
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, left_out TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS texts (
        key TEXT, digest BLOB, text TEXT NOT NULL, PRIMARY KEY (key, digest)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS cells (
        path TEXT, key TEXT, digest BLOB NOT NULL, quality REAL, tokens INTEGER NOT NULL, PRIMARY KEY (path, key)
    ) WITHOUT ROWID
"""

Told = Callable[[int, int, str], None]  # files done, files in all, the one at hand


@dataclass(frozen=True, slots=True)
class _Source:
    """One file of answers: of one model under one budget."""

    path: str
    model: str
    budget: Budget


def import_r2_bench(
    folder: Path,
    *,
    rows: int | None = None,
    models: Sequence[str] = (),
    budgets: Sequence[Budget] = (),
    hub: str = HUB,
    progress: Told | None = None,
) -> ImportCounts:
    """Read the dataset into table.parquet of `folder`: the first `rows` queries (None: all), the `models` (name globs)
    and `budgets` named (none: all).

    Each file is read as it comes and no further than needed; what was read is in a SQLite file of `folder`, committed
    file by file, so that the next call goes on after a break or a kill, and memory holds one block of rows. Rows are
    aligned by key; the text most files agree on but for line breaks stands for the key, in the variant that has them,
    and rows with another text are dropped. Everything dropped is counted.

    Raises InputError where nothing is named, or an earlier call asked for other rows; DownloadError where a file cannot
    be read.
    """
    if rows is not None and rows < 1:
        raise InputError(f"rows is a number of queries and at least 1; got {rows}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / "r2-bench.sqlite3", isolation_level=None)) as db, open_client() as http:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            _settle(db, folder, {"rows": str(rows), "revision": REVISION})
            sources, unknown = _chosen(http, hub, models, budgets)
            for i, source in enumerate(sources):
                if progress:
                    progress(i, len(sources), source.path)
                if not db.execute("SELECT 1 FROM files WHERE path = ?", (source.path,)).fetchone():
                    _read(db, http, hub, source, rows)
            return _write(db, folder / TABLE, sources, unknown)
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"{folder} cannot be used: {error}. Give another --output, or free the disk.") from None


def _settle(db: sqlite3.Connection, folder: Path, facts: Mapping[str, str]) -> None:
    """What is read into one folder is read alike."""
    for name, value in facts.items():
        known = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if known is None:
            db.execute("INSERT INTO meta VALUES (?, ?)", (name, value))
        elif known[0] != value:
            raise InputError(f"{folder} was begun with {name} {known[0]}, not {value}. Give another --output.")


# -- which files -----------------------------------------------------------------------------------------------


def _chosen(
    http: httpx.Client, hub: str, models: Sequence[str], budgets: Sequence[Budget]
) -> tuple[list[_Source], list[str]]:
    """The files to read, short budgets last so that the first holds whole answers; and those nobody can name."""
    known = {name.lower(): name for name in load_pool("paper", user_file=False).models}
    found: list[_Source] = []
    unknown: list[str] = []
    for page in read_pages(http, f"{hub}/api/datasets/{REPOSITORY}/tree/{REVISION}/data?recursive=true"):
        for path in _paths(page):
            match = _FILE.fullmatch(path)
            budget = match and _budget(match[3])
            if match is None or budget is None:
                unknown += [path] if path.endswith(".csv") else []
                continue
            name = known.get(match[2].lower(), match[2])
            labels = (name, f"{match[1]}/{match[2]}")
            wanted = not models or any(matches(asked, label) for asked in models for label in labels)
            if wanted and (not budgets or budget in budgets):
                found.append(_Source(path, name, budget))
    if not found:
        raise InputError(f"No file of {REPOSITORY} fits the models and budgets named.")
    return sorted(found, key=lambda s: (-budget_key(s.budget), s.path)), unknown


def _paths(page: object) -> Iterator[str]:
    if not isinstance(page, list):
        raise DownloadError("The listing of the dataset has another form than expected.")
    for entry in page:  # pyright: ignore[reportUnknownVariableType]
        if isinstance(entry, dict) and entry.get("type", "file") == "file" and isinstance(entry.get("path"), str):  # pyright: ignore[reportUnknownMemberType]
            yield str(entry["path"])  # pyright: ignore[reportUnknownArgumentType]


def _budget(name: str) -> Budget | None:
    """The budget a file's name stands for."""
    if name.isdecimal() and int(name) > 0:
        return int(name)
    return UNLIMITED if name.lower() in _NO_LIMIT else None


# -- one file --------------------------------------------------------------------------------------------------


def _read(db: sqlite3.Connection, http: httpx.Client, hub: str, source: _Source, rows: int | None) -> None:
    """Read one file, as far as the wanted keys go, and commit it whole. The first file says which keys are wanted."""
    wanted = {key for (key,) in db.execute("SELECT DISTINCT key FROM cells")} if rows is not None else set[str]()
    first = rows is not None and not wanted
    url = f"{hub}/datasets/{REPOSITORY}/resolve/{REVISION}/{quote(source.path)}"
    left_out, seen = Counter[str](), set[str]()
    with (
        immediate(db),
        closing(read_stream(http, url)) as blocks,
        closing(text_of(blocks)) as stream,
        long_fields(),
    ):
        reader = csv.DictReader(stream)
        absent = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if absent:
            raise DownloadError(f"{source.path} lacks column {', '.join(absent)}: it is not the file it should be.")
        for row in _rows(reader, left_out):
            key = row["key"].strip()
            if wanted and key not in wanted:
                continue
            cell = _cell(row)
            if isinstance(cell, str) or key in seen or not key:
                left_out[
                    cell if isinstance(cell, str) else "rows that repeat a key" if key else "rows without a key"
                ] += 1
                continue
            seen.add(key)
            _keep(db, source, key, row["original_prompt"], cell)
            if len(seen) == (rows if first else len(wanted) or -1):
                break
        if missing := len(wanted - seen) if wanted else 0:
            left_out["cells whose key the file lacks"] += missing
        counts = "\n".join(f"{count}\t{reason}" for reason, count in left_out.items())
        db.execute("INSERT INTO files VALUES (?, ?)", (source.path, counts))


def _rows(reader: csv.DictReader[str], left_out: Counter[str]) -> Iterator[dict[str, str]]:
    """The rows that have as many fields as the header."""
    while True:
        try:
            row: dict[Any, Any] | None = next(reader, None)
        except csv.Error:
            left_out["rows that are no CSV"] += 1
            continue
        if row is None:
            return
        if None in row or None in row.values():
            left_out["rows with another number of fields"] += 1
            continue
        yield row


def _cell(row: Mapping[str, str]) -> tuple[float | None, int] | str:
    """Quality and tokens of a row, or why it cannot be used."""
    if not row["original_prompt"].strip():
        return "rows without a prompt"
    tokens = _number(row["actual_token_count"])
    if tokens is None or not 0 <= tokens < 1e9:
        return "rows without a token count"
    score = row["correctness_score"].strip()
    quality = _number(score)
    if score and score.lower() not in ("nan", "none", "null") and (quality is None or not 0 <= quality <= 1):
        return "rows whose score is not from 0 to 1"
    return quality, round(tokens)


def _keep(db: sqlite3.Connection, source: _Source, key: str, text: str, cell: tuple[float | None, int]) -> None:
    """Keep a cell, and its text if it is new or has line breaks that the known one lost."""
    digest = hashlib.sha256("".join(text.split()).encode("utf-8", "replace")).digest()[:16]
    known = db.execute("SELECT text FROM texts WHERE key = ? AND digest = ?", (key, digest)).fetchone()
    if known is None or known[0].count("\n") < text.count("\n"):
        db.execute(
            "INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (key, digest, text.encode("utf-8", "replace").decode())
        )
    db.execute("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", (source.path, key, digest, *cell))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# -- the table -------------------------------------------------------------------------------------------------


def _write(db: sqlite3.Connection, file: Path, sources: Sequence[_Source], unknown: Sequence[str]) -> ImportCounts:
    """The table of everything read, file by file, without rows whose text is not that of the others."""
    db.execute("DROP TABLE IF EXISTS temp.agreed")
    db.execute(
        "CREATE TEMP TABLE agreed AS SELECT key, digest FROM ("
        " SELECT key, digest, ROW_NUMBER() OVER (PARTITION BY key ORDER BY COUNT(*) DESC, digest) AS place"
        " FROM cells GROUP BY key, digest) WHERE place = 1"
    )
    db.execute("CREATE UNIQUE INDEX temp.agreed_key ON agreed (key)")
    left_out, rows, ungraded, keys = Counter[str](), 0, 0, set[str]()
    about = {"instruction": INSTRUCTION.to_dict(), "card": _CARD}
    with TableWriter(file, about) as writer:
        for source in sources:
            counts = db.execute("SELECT left_out FROM files WHERE path = ?", (source.path,)).fetchone()[0]
            for line in counts.splitlines():
                count, _, reason = line.partition("\t")
                left_out[reason] += int(count)
            cursor = db.execute(
                "SELECT c.key, t.text, c.quality, c.tokens FROM cells c JOIN agreed a ON a.key = c.key AND "
                "a.digest = c.digest JOIN texts t ON t.key = c.key AND t.digest = c.digest WHERE c.path = ?",
                (source.path,),
            )
            written = 0
            while block := cursor.fetchmany(_BLOCK):
                writer.write(_columns(block, source))
                written += len(block)
                ungraded += sum(row[2] is None for row in block)
                keys.update(row[0] for row in block)
            rows += written
            held = db.execute("SELECT COUNT(*) FROM cells WHERE path = ?", (source.path,)).fetchone()[0]
            left_out["rows whose text differs from the other files'"] += held - written
    notes = [f"Files nobody knows how to read: {', '.join(unknown)}."] if unknown else []
    return ImportCounts(
        table=str(file),
        rows=rows,
        queries=len(keys),
        models=len({source.model for source in sources}),
        ungraded=ungraded,
        left_out=reasons(+left_out),
        notes=tuple(notes),
    )


def _columns(block: Sequence[tuple[Any, ...]], source: _Source) -> dict[str, list[Any]]:
    n = len(block)
    return {
        "query_id": [row[0] for row in block],
        "query": [row[1] for row in block],
        "model": [source.model] * n,
        "budget": [None if source.budget == UNLIMITED else source.budget] * n,
        "quality": [row[2] for row in block],
        "output_tokens": [row[3] for row in block],
        "category": [""] * n,
    }
