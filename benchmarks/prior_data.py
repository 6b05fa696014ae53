"""The public tables the prior is learned from and judged by, as arrays: one query a row, its vector, its answers."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from pyarrow import parquet
from sweep_table import sweep_table

from r2_router.arrays import Floats
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.table import OPTIONAL, REQUIRED, Table, make_table
from r2_router.lab.data.vectors import embed_cached
from r2_router.records import UNLIMITED

CHARACTERS_A_TOKEN = 4.3


@dataclass(frozen=True, eq=False)
class Source:
    """n queries of one table: kinds (n,), vectors (n, d); quality (n, M) and tokens (n, M) of models that answered at
    their natural length, NaN where not known."""

    name: str
    texts: tuple[str, ...]
    kinds: np.ndarray
    vectors: Floats
    models: tuple[str, ...]
    quality: Floats
    tokens: Floats


def embedded(texts) -> Floats:
    return embed_cached(UseEmbedder(), texts).astype(np.float64)


@cache
def measured_table(name: str, data: Path) -> Table:
    """The unlimited answers of that table."""
    table = sweep_table(data) if name == "sweep" else _clipped(data / f"{name}.parquet")
    return table.among([j for j, (_, budget) in enumerate(table.candidates) if budget == UNLIMITED])


@cache
def measured(name: str, data: Path) -> Source:
    """A training table of natural lengths: zeroeval, mmlu_pro, routerarena_part, or the project's own "sweep"."""
    whole = measured_table(name, data)
    return Source(
        name,
        whole.queries,
        np.array(whole.categories),
        embedded(whole.queries),
        tuple(model for model, _ in whole.candidates),
        whole.quality,
        whole.output_tokens,
    )


def _clipped(file: Path) -> Table:
    """The table in `file`; some graders take points off, which is quality 0 here."""
    known = parquet.read_schema(file).names
    columns = parquet.read_table(file, columns=[c for c in (*REQUIRED, *OPTIONAL) if c in known]).to_pydict()
    columns["quality"] = [q and min(max(q, 0.0), 1.0) for q in columns["quality"]]
    return make_table(columns, file.name)


@cache
def diverse(data: Path) -> Source:
    """The queries of diverse_queries.parquet that one model answered."""
    columns = parquet.read_table(data / "diverse_queries.parquet").to_pydict()
    rows = [i for i, graded in enumerate(columns["gemma_7b_correct"]) if graded is not None]
    of = {name: [columns[name][i] for i in rows] for name in columns}
    chars = np.array([np.nan if n is None else n for n in of["gemma_7b_chars"]], dtype=np.float64)
    return Source(
        "diverse",
        tuple(of["query"]),
        np.array(of["category"]),
        embedded(of["query"]),
        ("gemma-1.1-7b-it",),
        np.array(of["gemma_7b_correct"], dtype=np.float64)[:, None],
        np.maximum(chars / CHARACTERS_A_TOKEN, 1.0)[:, None],
    )


@cache
def everyday(data: Path) -> Source:
    """ifeval, bbh and arena-hard: kinds, and the natural lengths of hosted models on the last; no quality."""
    columns = parquet.read_table(data / "everyday_queries.parquet").to_pydict()
    lengths = parquet.read_table(data / "natural_lengths.parquet").to_pydict()
    models = tuple(sorted(set(lengths["model"])))
    place = {query: i for i, query in enumerate(columns["query_id"])}
    tokens = np.full((len(place), len(models)), np.nan)
    for query, model, count in zip(lengths["query_id"], lengths["model"], lengths["output_tokens"], strict=True):
        if query in place:
            tokens[place[query], models.index(model)] = count
    kinds = [a if a == b else f"{a}/{b}" for a, b in zip(columns["source"], columns["category"], strict=True)]
    texts = tuple(columns["query"])
    return Source("everyday", texts, np.array(kinds), embedded(texts), models, np.full(tokens.shape, np.nan), tokens)


PLAIN = Path(__file__).with_name("plain_requests.toml")


@cache
def plain() -> tuple[Source, Floats]:
    """The requests of plain_requests.toml with their assumed lengths, and their assumed ease, (n,) logits."""
    kinds = tomllib.loads(PLAIN.read_text(encoding="utf-8"))
    rows = [(name, kind, text) for name, kind in kinds.items() for text in kind["requests"]]
    texts = tuple(text for _, _, text in rows)
    tokens = np.array([[float(kind["tokens"])] for _, kind, _ in rows])
    names = np.array([name for name, _, _ in rows])
    source = Source("plain", texts, names, embedded(texts), ("assumed",), np.full(tokens.shape, np.nan), tokens)
    return source, np.array([float(kind["ease"]) for _, kind, _ in rows])


def everything(data: Path) -> dict[str, Source]:
    """Every source, by name."""
    named = {name: measured(name, data) for name in ("mmlu_pro", "zeroeval", "routerarena_part", "sweep")}
    return {**named, "diverse": diverse(data), "everyday": everyday(data), "plain": plain()[0]}
