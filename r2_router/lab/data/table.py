"""The training table: how good and how long each model's answer to each query was, under each budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Instruction, budget_key
from r2_router.errors import InputError
from r2_router.lab.data.files import Columns
from r2_router.lab.data.text_files import as_number
from r2_router.records import UNLIMITED, Budget

REQUIRED = ("query_id", "query", "model", "budget", "quality", "output_tokens")
OPTIONAL = ("input_tokens", "category", "mean_logprob")

MIN_QUERIES = 20  # measured queries a candidate; under that a mean is all one can know

Index: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """n queries × C candidates, as arrays.

    query_ids, queries and categories ("" where not given) have length n; candidates are ordered by model as
    first met, then by budget. quality (n, C) in 0..1, output_tokens, input_tokens and mean_logprob (n, C) are NaN in a
    cell nobody measured, the last two also where not recorded. mean_logprob: how sure the model was, in nats a token.

    rows: rows read; repeated: rows averaged into an earlier one of their cell; ungraded: rows without
    quality, left out; dropped: how many of these each candidate has. about: what its file says of itself:
    "instruction", the fields of the Instruction the answers were asked with, and "card", fields of a data card.
    """

    query_ids: tuple[str, ...]
    queries: tuple[str, ...]
    categories: tuple[str, ...]
    candidates: tuple[tuple[str, Budget], ...]
    quality: Floats
    output_tokens: Floats
    input_tokens: Floats
    mean_logprob: Floats
    rows: int
    repeated: int
    ungraded: int
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    dropped: Mapping[tuple[str, Budget], int] = field(default_factory=dict[tuple[str, Budget], int])

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def instruction(self) -> Instruction:
        """The one its answers were asked with; without words where its file names none."""
        fields: dict[str, Any] = {"text": "", **(self.about.get("instruction") or {})}
        return Instruction(**fields)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(n, C): True where the cell was measured."""
        return ~np.isnan(self.quality)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(n,): True where every candidate answered the query, so that choices can be compared on it."""
        return np.asarray(self.measured.all(axis=1))

    def take(self, index: Index) -> Table:
        """The queries at `index`, with all candidates."""
        rows: list[int] = index.tolist()
        return replace(
            self,
            query_ids=tuple(self.query_ids[i] for i in rows),
            queries=tuple(self.queries[i] for i in rows),
            categories=tuple(self.categories[i] for i in rows),
            quality=self.quality[index],
            output_tokens=self.output_tokens[index],
            input_tokens=self.input_tokens[index],
            mean_logprob=self.mean_logprob[index],
        )

    def only(self, model: str) -> Table:
        """The candidates of `model`, and the queries it was measured on. Raises InputError for a model not there."""
        columns = [j for j, (name, _) in enumerate(self.candidates) if name == model]
        if not columns:
            names = ", ".join(dict.fromkeys(name for name, _ in self.candidates))
            raise InputError(f"The table has no model '{model}'. It has {names}.")
        narrowed = self.among(columns)
        return narrowed.take(np.flatnonzero(narrowed.measured.any(axis=1)))

    def among(self, columns: Sequence[int]) -> Table:
        """The candidates at `columns`, with all queries. Raises InputError for none."""
        if not columns:
            raise InputError("No candidate of the table is left to look at.")
        return replace(
            self,
            candidates=tuple(self.candidates[j] for j in columns),
            quality=self.quality[:, columns],
            output_tokens=self.output_tokens[:, columns],
            input_tokens=self.input_tokens[:, columns],
            mean_logprob=self.mean_logprob[:, columns],
        )

    def counts(self) -> dict[str, Any]:
        """What was read and what is missing, as JSON."""
        absent = (~self.measured).sum(axis=0).tolist()
        return {
            "rows": self.rows,
            "queries": len(self),
            "complete_queries": int(self.complete.sum()),
            "missing_cells": [
                {"model": model, "budget": budget, "queries": count}
                for (model, budget), count in zip(self.candidates, absent, strict=True)
                if count
            ],
            "repeated_rows": self.repeated,
            "ungraded_rows": self.ungraded,
            "queries_by_category": {name: self.categories.count(name) for name in sorted(set(self.categories))},
        }


def make_table(columns: Columns, source: str, *, ungraded: bool = False) -> Table:
    """A Table from columns of equal length: REQUIRED, perhaps OPTIONAL; others are ignored.

    A budget None, "" or "unlimited" is unlimited. A row of quality None was not graded: it is left out and
    counted, unless `ungraded` ones are wanted for their tokens. Rows of the same query_id, model and budget are
    averaged and counted.
    Raises InputError, naming `source`, column and row, for anything that cannot be used.
    """
    absent = [name for name in REQUIRED if name not in columns]
    if absent:
        raise InputError(
            f"{source} lacks column {', '.join(absent)}. A training table has {', '.join(REQUIRED)}; "
            f"{', '.join(OPTIONAL)} are optional."
        )
    quality = _numbers(columns, "quality", source, highest=1.0, optional=True)
    tokens = _numbers(columns, "output_tokens", source)
    inputs = _optional(columns, "input_tokens", source)
    sure = _optional(columns, "mean_logprob", source, lowest=-math.inf, highest=0.0)
    graded: list[int] = np.flatnonzero(~np.isnan(quality) | ungraded).tolist()
    if not graded:
        raise InputError(f"{source} has no row with a quality: nothing can be learned from it.")

    ids, query_index = _distinct(_texts(columns, "query_id", source), graded)
    candidates, candidate_index = _candidates(columns, source, graded)
    shape = (len(ids), len(candidates))
    cells = query_index * len(candidates) + candidate_index
    return Table(
        query_ids=ids,
        queries=_queries(columns, source, ids, query_index, graded),
        categories=_categories(columns, query_index, graded, len(ids)),
        candidates=candidates,
        quality=_cell_means(cells, quality[graded], shape),
        output_tokens=_cell_means(cells, tokens[graded], shape),
        input_tokens=_cell_means(cells, inputs[graded], shape),
        mean_logprob=_cell_means(cells, sure[graded], shape),
        rows=len(quality),
        repeated=len(cells) - len(np.unique(cells)),
        ungraded=len(quality) - len(graded),
        dropped={} if ungraded else _dropped(columns, np.flatnonzero(np.isnan(quality)).tolist()),
    )


# -- checked columns ---------------------------------------------------------------------------------------


def _optional(columns: Columns, name: str, source: str, *, lowest: float = 0.0, highest: float = math.inf) -> Floats:
    """Column `name` as `_numbers` reads it, all NaN where the table has none."""
    if name not in columns:
        return np.full(len(columns["query_id"]), np.nan)
    return _numbers(columns, name, source, lowest=lowest, highest=highest, optional=True)


def _numbers(
    columns: Columns,
    name: str,
    source: str,
    *,
    lowest: float = 0.0,
    highest: float = math.inf,
    optional: bool = False,
) -> Floats:
    """Column `name` as numbers from `lowest` to `highest`, NaN where an optional one says nothing."""
    numbers = np.full(len(columns[name]), np.nan)
    for row, value in enumerate(columns[name]):
        if optional and value in (None, ""):
            continue
        number = as_number(value, whole=highest > 1)
        if not (math.isfinite(number) and lowest <= number <= highest):
            least = "of 0 or less" if highest == 0 else "of 0 or more"
            wanted = "a number from 0 to 1" if highest == 1 else f"a number {least}"
            raise InputError(f"{source}, row {row + 1}: {name} {str(value)[:40]!r} is not {wanted}.")
        numbers[row] = number
    return numbers


def _texts(columns: Columns, name: str, source: str) -> list[str]:
    texts = ["" if value is None else str(value) for value in columns[name]]
    for row, text in enumerate(texts):
        if not text.strip():
            raise InputError(f"{source}, row {row + 1}: {name} is blank.")
    return texts


def budget_of(value: object) -> Budget | None:
    """The budget `value` stands for, None if it stands for none."""
    if value in (None, "", UNLIMITED):
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, (Real, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if math.isnan(number):  # what data frames make of an absent number
        return UNLIMITED
    return int(number) if number.is_integer() and number >= 1 else None


# -- rows into cells ---------------------------------------------------------------------------------------


def _distinct(names: Sequence[str], rows: Sequence[int]) -> tuple[tuple[str, ...], Index]:
    """The distinct names among `rows`, as first met, and the place of each row's name among them."""
    places: dict[str, int] = {}
    index = np.array([places.setdefault(names[row], len(places)) for row in rows], dtype=np.intp)
    return tuple(places), index


def _candidates(columns: Columns, source: str, rows: Sequence[int]) -> tuple[tuple[tuple[str, Budget], ...], Index]:
    """The distinct (model, budget) pairs among `rows`, in order, and each row's place among them."""
    models, model_index = _distinct(_texts(columns, "model", source), rows)
    pairs: list[tuple[int, Budget]] = []
    for model, row in zip(model_index.tolist(), rows, strict=True):
        budget = budget_of(columns["budget"][row])
        if budget is None:
            shown = str(columns["budget"][row])[:40]
            raise InputError(
                f"{source}, row {row + 1}: budget {shown!r} is not a whole number of tokens above 0; "
                f"leave it empty for unlimited."
            )
        pairs.append((model, budget))
    ordered = sorted(set(pairs), key=lambda pair: (pair[0], budget_key(pair[1])))
    places = {pair: j for j, pair in enumerate(ordered)}
    index = np.array([places[pair] for pair in pairs], dtype=np.intp)
    return tuple((models[model], budget) for model, budget in ordered), index


def _dropped(columns: Columns, rows: Sequence[int]) -> dict[tuple[str, Budget], int]:
    """How many of `rows` each candidate has; a row that names none is nobody's."""
    counts: dict[tuple[str, Budget], int] = {}
    for row in rows:
        budget = budget_of(columns["budget"][row])
        if budget is not None:
            candidate = (str(columns["model"][row]), budget)
            counts[candidate] = counts.get(candidate, 0) + 1
    return counts


def _queries(columns: Columns, source: str, ids: tuple[str, ...], index: Index, rows: Sequence[int]) -> tuple[str, ...]:
    """The text of each query_id; its rows must agree on it."""
    texts = _texts(columns, "query", source)
    found: dict[int, str] = {}
    for i, row in zip(index.tolist(), rows, strict=True):
        if found.setdefault(i, texts[row]) != texts[row]:
            raise InputError(f"{source}, row {row + 1}: query_id {ids[i]!r} stands for two different queries.")
    return tuple(found[i] for i in range(len(ids)))


def _categories(columns: Columns, index: Index, rows: Sequence[int], count: int) -> tuple[str, ...]:
    """The first category given for each query."""
    found = [""] * count
    given = columns.get("category")
    if given is not None:
        for i, row in zip(index.tolist(), rows, strict=True):
            found[i] = found[i] or str(given[row] or "")
    return tuple(found)


def _cell_means(cells: Index, values: Floats, shape: tuple[int, int]) -> Floats:
    """The mean of the known values of each cell, NaN where there is none."""
    known = ~np.isnan(values)
    size = shape[0] * shape[1]
    counts = np.bincount(cells[known], minlength=size)
    sums = np.bincount(cells[known], weights=values[known], minlength=size)
    means = np.full(size, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means.reshape(shape)
