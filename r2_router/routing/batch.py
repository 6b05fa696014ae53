"""Many queries at once: one matrix product, the best candidate of each row, decisions made when looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np

from r2_router.arrays import Floats, Singles
from r2_router.pools.model import answer_usd
from r2_router.records import UNLIMITED, Budget
from r2_router.routing.candidates import CandidateTable, Indices
from r2_router.routing.decision import Decision, Limits, TradeOff
from r2_router.routing.predict import Predictor

_BLOCK = 64  # rows whose scores stay in the processor's cache
_RANKED_SINGLY = -1


class Decisions(Sequence[Decision]):
    """One decision a row, in the order of the batch; each is made when looked at."""

    def __init__(
        self, n: int, make: Callable[[int], Decision], best: Indices, labels: Sequence[tuple[str, Budget]]
    ) -> None:
        self._n = n
        self._make = make
        self._best = best
        self._labels = labels

    @property
    def choices(self) -> list[tuple[str, Budget]]:
        """(model, budget) of every row; most of them without making the decision."""
        return [
            (self[i].model, self[i].budget) if best == _RANKED_SINGLY else self._labels[best]
            for i, best in enumerate(self._best.tolist())
        ]

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> Decision: ...
    @overload
    def __getitem__(self, index: slice) -> list[Decision]: ...
    def __getitem__(self, index: int | slice) -> Decision | list[Decision]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(self._n))]
        return self._make(range(self._n)[index])


def labels(table: CandidateTable) -> list[tuple[str, Budget]]:
    """(model, budget) of every candidate."""
    return [
        (table.models[int(m)].name, UNLIMITED if np.isinf(b) else int(b))
        for m, b in zip(table.model_index, table.budgets, strict=True)
    ]


def choose_rows(
    predictor: Predictor,
    table: CandidateTable,
    outputs: Singles,
    input_tokens: Floats,
    trade: TradeOff,
    limits: Limits,
    singly: Sequence[int] = (),
) -> Indices:
    """The candidate `rank.rank` would put first in each row of outputs (n, H), input_tokens (n,): (n,).

    -1 where the row must be ranked singly: those named, under numerical limits, near a context window, at a tie, and
    all where quality is held back for a price.
    """
    best = np.full(len(outputs), _RANKED_SINGLY, dtype=np.intp)
    allowed = table.allowed(limits)
    if table.compat or table.tenfold_gain or limits.numbers or not len(allowed.index):
        return best
    # λ·cost of what no row changes: instruction and whole budgets; infinite for who may not be chosen
    fixed_tokens = np.nan_to_num(predictor.budget_tokens, nan=0.0)
    fixed_tokens[predictor.heads] = 0.0
    price_in = trade.lambda_val * answer_usd(1.0, table.input_price, 0.0, 0.0)
    price_out = trade.lambda_val * answer_usd(0.0, 0.0, 1.0, table.output_price)
    fixed = np.where(allowed.mask, trade.lambda_val * table.cost(fixed_tokens, 0.0), np.inf)
    for start in range(0, len(outputs), _BLOCK):
        rows = slice(start, start + _BLOCK)
        score = predictor.quality(outputs[rows])
        score *= 1.0 - trade.lambda_val
        score -= fixed
        score -= np.multiply.outer(input_tokens[rows], price_in)
        score[:, predictor.heads] -= predictor.head_tokens(outputs[rows]) * price_out[predictor.heads]
        best[rows] = _sure(score)
    best[list(singly)] = _RANKED_SINGLY
    best[input_tokens > min(allowed.input_limit, table.tiered_above)] = _RANKED_SINGLY
    return best


def _sure(score: Floats) -> Indices:
    """The column of each row's maximum, or -1 where another comes so close that rounding could decide."""
    rows = np.arange(len(score))
    best = score.argmax(axis=1)
    top = score[rows, best]
    close = np.count_nonzero(score >= (top - 1e-12 * np.abs(top))[:, None], axis=1) > 1
    return np.where(close, _RANKED_SINGLY, best)
