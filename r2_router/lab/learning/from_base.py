"""A checkpoint, the composed prior too, and measured answers -> the checkpoint as it is believed after them.

Ridge from nothing shrinks towards zero; here heads shrink towards what was believed before. Five labels hardly move
them, hundreds decide, and a length that nobody measured learns from those that somebody did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import InputError
from r2_router.lab.data.table import Table
from r2_router.lab.learning.posterior import Beliefs, Cells, Shift, Spread
from r2_router.lab.learning.targets import base_rows, log_tokens, token_bounds
from r2_router.records import Budget
from r2_router.routing.predict import Predictor

# The row of a query, the candidate whose answer to it was preferred, and to whose.
Preference: TypeAlias = tuple[int, tuple[str, Budget], tuple[str, Budget]]

# In logits, and in logarithms of tokens. Chosen on the own sweep, ZeroEval and MMLU-Pro: benchmarks/learning.py.
QUALITY = Beliefs(levels=Spread(0.7, 0.3, 0.3, 0.15), slopes=Spread(1.0, 0.5, 1.0, 0.25), query=2.0)
TOKENS = Beliefs(levels=Spread(0.7, 0.4, 0.3, 0.15), slopes=Spread(1.0, 0.5, 0.5, 0.2), query=0.3)
TOKENS_NOISE = 0.5
_LOGIT = 0.2  # quality a logit is worth, between 0.15 and 0.85 about: the scale of heads that give quality itself
_SMEARING = 0.15  # what heads of log tokens hold of it (see `targets.smearing`) before an answer is seen,
_LEAST_SHARE = 0.01  # of the ceiling, and so far below it, for a logit of what was foretold
_SMEARED = 20  # and how many answers that is worth


def learn_from(
    base: Checkpoint,
    table: Table,
    embeddings: ArrayLike,
    *,
    weights: Floats | None = None,
    preferred: Sequence[Preference] = (),
    foretold: tuple[Floats, Floats] | None = None,
    data_card: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """`base` as it is believed after the answers of `table`, of which `embeddings` (n, d) are the queries' unit
    vectors and `weights` (n,) say how much each query counts, 1 in full; any number of answers will do. `preferred`
    says of two answers to one of the queries which was the better. A query that nobody kept has a vector of NaN: it
    teaches levels alone. `foretold`, the quality and tokens (n, K) that `base` foretold of the answers to such queries,
    tells how hard they were; NaN where that is not known.

    Quality learns from the labels; tokens from the lengths, of answers without a label too, where the base foretells
    their logarithm, and elsewhere they stay. Every candidate of the table is one of the base's (`known_of`). Raises
    InputError for vectors that do not fit.
    """
    predictor = Predictor(base)
    vectors, middle, unread = in_the_middle(base, table, embeddings)
    columns = [base.candidates.index(candidate) for candidate in table.candidates]
    outputs = predictor.outputs(vectors.astype(np.float32)).astype(np.float64)
    _put_foretold(outputs, base, columns, foretold)
    counts = np.ones(len(table)) if weights is None else weights
    distance = unread.astype(np.float64) * max(1.0 - float(middle @ middle), 0.0)

    def cells(rows: Floats, came: Floats, pairs: Sequence[Preference] = ()) -> Cells:
        spread = np.full(rows.shape, np.nan)
        spread[:, columns] = came
        at = base.candidates.index
        numbers = [(query, at(better), at(worse)) for query, better, worse in pairs if better != worse]
        sides = np.array(numbers, np.intp).reshape(-1, 3)
        return Cells(base.candidates, vectors, middle, rows, spread, counts, distance, sides)

    count = len(base.candidates)
    logit = base.quality_scale == "logit"
    qualities = cells(outputs[:, :count], table.quality, preferred)
    unit = 1.0 if logit else _LOGIT
    tokens = None
    with _one_thread():
        quality = qualities.shift_of_shares(QUALITY.times(unit), predictor.link, unit)
        if base.token_scale == "log":
            given = np.full((len(table), count), np.nan)
            given[:, list(base.token_heads)] = outputs[:, count:] - _SMEARING
            logs = cells(given, log_tokens(table))
            logs.came[np.isnan(given)] = np.nan  # of a candidate without a token head
            tokens = _smeared(logs, logs.shift_of_values(TOKENS, TOKENS_NOISE))
    return _shifted(base, table, columns, quality, tokens, data_card)


def _one_thread() -> AbstractContextManager[Any]:
    """Arithmetic in one thread: of products of some hundred rows and a vector, a second one only waits for the first.
    Where nothing is installed that could say so to the library, nothing changes."""
    try:
        limits: Any = import_module("threadpoolctl")
    except ImportError:
        return nullcontext()
    return limits.threadpool_limits(1, user_api="blas")


def in_the_middle(base: Checkpoint, table: Table, embeddings: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """The vectors (n, d), those of NaN at the middle of all; that middle (d,); and which they are (n,).

    Raises InputError for vectors that do not fit.
    """
    array = np.array(embeddings, dtype=np.float64)
    unread: NDArray[np.bool_] = np.zeros(len(array), np.bool_)
    if array.ndim == 2 and array.size:
        unread = np.isnan(array[:, 0])
        array[unread] = np.eye(1, array.shape[1])  # of unit length, as the others are to be
    vectors = base_rows(base, table, array)
    recorded = Predictor(base).middle
    if recorded is not None:
        middle = recorded.astype(np.float64)
    else:
        middle = np.zeros(vectors.shape[1]) if unread.all() else vectors[~unread].mean(axis=0)
    vectors[unread] = middle
    return vectors, middle, unread


def _put_foretold(
    outputs: Floats, base: Checkpoint, columns: list[int], foretold: tuple[Floats, Floats] | None
) -> None:
    """What was foretold at the time, in place of what heads give at the middle."""
    if foretold is None:
        return
    quality, tokens = foretold
    if base.quality_scale == "logit":
        share = np.clip(quality / base.quality_ceiling, _LEAST_SHARE, 1 - _LEAST_SHARE)
        quality = np.log(share / (1 - share))
    for place, column in enumerate(columns):
        known = ~np.isnan(quality[:, place])
        outputs[known, column] = quality[known, place]
        if base.token_scale == "log" and column in base.token_heads:
            known = ~np.isnan(tokens[:, place])
            head = len(base.candidates) + base.token_heads.index(column)
            outputs[known, head] = np.log(np.maximum(tokens[known, place], 1.0))


def _smeared(logs: Cells, shift: Shift) -> Shift:
    """`shift` with what makes the exponential of each head the mean of its tokens, the fewer its answers the closer to
    what all of them say, and that to what the base held."""
    ratios = np.exp(logs.came - logs.given - shift(logs.vectors))
    sums, counts = np.nansum(ratios, axis=0), (~np.isnan(ratios)).sum(axis=0)
    overall = (sums.sum() + _SMEARED * np.exp(_SMEARING)) / (counts.sum() + _SMEARED)
    smearing = np.log((sums + _SMEARED * overall) / (counts + _SMEARED))
    return Shift(shift.weights, shift.bias + smearing - _SMEARING)


def _shifted(
    base: Checkpoint,
    table: Table,
    columns: list[int],
    quality: Shift,
    tokens: Shift | None,
    data_card: Mapping[str, Any] | None,
) -> Checkpoint:
    """`base` with its heads shifted, and what it says of itself."""
    heads, with_tokens = len(base.bias), list(base.token_heads)
    weights, bias = np.zeros((heads, base.embedder.dim)), np.zeros(heads)
    count = len(base.candidates)
    weights[:count], bias[:count] = quality.weights, quality.bias
    floor, ceiling = base.token_floor.copy(), base.token_ceiling.copy()
    if tokens is not None:
        weights[count:], bias[count:] = tokens.weights[with_tokens], tokens.bias[with_tokens]
        low, high = token_bounds(table, base.instruction)
        floor[columns] = np.minimum(floor[columns], low)
        ceiling[columns] = np.maximum(ceiling[columns], high)
    entry = {**(data_card or {}), "counts": table.counts()}
    return replace(
        base,
        weights=(base.weights + weights).astype(np.float32),
        bias=(base.bias + bias).astype(np.float32),
        token_floor=floor,
        token_ceiling=ceiling,
        quality_error=_surer(base, table, columns),
        release=None,
        data_card={**base.data_card, "learned": [*base.data_card.get("learned", ()), entry]},
    )


def _surer(base: Checkpoint, table: Table, columns: list[int]) -> Any:
    """(C,): the base's standard errors less what the answers tell of the levels, where they are on the logit scale;
    elsewhere as they were, which is too much.

    A label of variance about a quarter, of slope about a fifth, tells of the level what is left beside the query's own
    part; the levels' posterior covariance is (A⁻¹ + D)⁻¹.
    """
    if base.quality_error is None or base.quality_scale != "logit":
        return base.quality_error
    levels = QUALITY.levels.covariance(base.candidates)
    slopes = np.diag(QUALITY.slopes.covariance(base.candidates))
    told = np.zeros(len(base.candidates))
    told[columns] = table.measured.sum(axis=0)
    told /= 0.25 / _LOGIT**2 + slopes + QUALITY.query**2
    after = np.diag(np.linalg.inv(np.linalg.inv(levels) + np.diag(told)))
    before = base.quality_error.astype(np.float64) ** 2
    least = 0.04 * before  # no count of labels makes a single query's quality certain
    return np.sqrt(np.maximum(before - (np.diag(levels) - after), least)).astype(np.float32)


def known_of(base: Checkpoint, table: Table) -> tuple[Table, list[tuple[str, Budget]]]:
    """The candidates of `table` that `base` has heads for, with the queries they were measured on; and the others.

    Raises InputError, saying what the base has, where none is left.
    """
    unknown = [candidate for candidate in table.candidates if candidate not in base.candidates]
    columns = [j for j, candidate in enumerate(table.candidates) if candidate not in unknown]
    if not columns:
        raise InputError(
            f"'{base.name}' has heads for {', '.join(base.models)} at {', '.join(map(str, base.budgets))} tokens, and "
            "the table answers of none of them. Another model is added with --add."
        )
    known = table.among(columns)
    return known.take(np.flatnonzero((~np.isnan(known.output_tokens)).any(axis=1))), unknown
