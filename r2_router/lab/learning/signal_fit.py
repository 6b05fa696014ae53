"""Learns what it says of an answer how sure its model was: the mean log-probability against measured quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from r2_router.arrays import Floats
from r2_router.lab.data.table import Table
from r2_router.lab.learning.heads import Index
from r2_router.lab.untyped import metrics
from r2_router.records import Budget, Record

MIN_ANSWERS = 60  # with a log-probability, of a candidate; under that nothing is learned
_LEAST_OF_A_KIND = 10  # right ones, and wrong ones
_IN_A_BIN = 30
_MOST_BINS = 10
_UNCERTAIN = 0.02  # no query is surer than this, or than one less this
_SHRINK = 1.0  # standard deviation of a bin's log-odds, before anything is seen
_PRIOR = 5.0  # answers of which b is as right as expected, whatever a is
_FARTHEST = 20.0  # of a ratio, times
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Signal(Record):
    """Of the answers of one candidate: how often a `right` and a `wrong` one falls into each of K bins of the mean
    log-probability, which `edges` (K - 1, rising) part. `auroc`: how well it tells the two apart alone; `answers` it
    was measured on. `ratios`, by candidate: how many times likelier another one is right where this one is than where
    it is not, beyond what the query lets expect of it.
    """

    model: str
    budget: Budget
    edges: tuple[float, ...]
    right: tuple[float, ...]
    wrong: tuple[float, ...]
    auroc: float
    answers: int
    ratios: Mapping[tuple[str, Budget], float]


def learn_signals(table: Table, expected: Floats) -> tuple[Signal, ...]:
    """Of each candidate of which MIN_ANSWERS answers told how sure their model was, what that says.

    `expected` (n, C) is the quality that was expected of each query without it.

    What the signal adds to the expectation is fitted, a shift of its log-odds a bin, and made to rise with the signal.
    """
    quality = np.clip(expected, _UNCERTAIN, 1 - _UNCERTAIN)
    return tuple(found for j in range(len(table.candidates)) if (found := _signal(table, quality, j)) is not None)


def auroc(right: Floats, score: Floats) -> float:
    """How often a right answer has a higher score than a wrong one; one of quality q, 0..1, is q of a right one."""
    labels = np.concatenate([np.ones_like(right), np.zeros_like(right)])
    weights = np.concatenate([right, 1 - right])
    return float(metrics.roc_auc_score(labels, np.tile(score, 2), sample_weight=weights))


def measured_rows(table: Table, j: int) -> Index:
    """The queries whose answer of candidate j told how sure its model was."""
    return np.flatnonzero(~np.isnan(table.mean_logprob[:, j]) & ~np.isnan(table.quality[:, j]))


def _signal(table: Table, expected: Floats, j: int) -> Signal | None:
    rows = measured_rows(table, j)
    right, score = table.quality[rows, j], table.mean_logprob[rows, j]
    if len(rows) < MIN_ANSWERS or min(right.sum(), (1 - right).sum()) < _LEAST_OF_A_KIND:
        return None
    edges, shifts, shares = _rising(score, right, np.log(expected[rows, j] / (1 - expected[rows, j])))
    mean = float(expected[rows, j].mean())
    wrong = shares / (mean * np.exp(shifts) + 1 - mean)
    both = wrong * np.exp(shifts), wrong
    model, budget = table.candidates[j]
    return Signal(
        model=model,
        budget=budget,
        edges=tuple(_short(edge) for edge in edges),
        right=tuple(_short(share) for share in both[0] / both[0].sum()),
        wrong=tuple(_short(share) for share in both[1] / both[1].sum()),
        auroc=_short(auroc(right, score)),
        answers=len(rows),
        ratios=_ratios(table, expected, j),
    )


def _rising(score: Floats, right: Floats, log_odds: Floats) -> tuple[Floats, Floats, Floats]:
    """Edges of K bins, the shift of the log-odds in each, and its share of the answers. Bins whose shifts fall are put
    together (pool adjacent violators)."""
    count = int(np.clip(len(score) // _IN_A_BIN, 2, _MOST_BINS))
    edges = np.unique(np.quantile(score, np.linspace(0, 1, count + 1)[1:-1]))
    while True:
        place = np.searchsorted(edges, score)
        shifts = np.array([_shift(right[place == k], log_odds[place == k]) for k in range(len(edges) + 1)])
        falls = np.flatnonzero(np.diff(shifts) < 0)
        if not len(falls):
            shares = np.bincount(place, minlength=len(shifts)) / len(score)
            return edges, shifts, np.maximum(shares, 1 / len(score))
        edges = np.delete(edges, falls[0])


def _shift(right: Floats, log_odds: Floats) -> float:
    """By how much the log-odds of a bin are off, shrunk towards 0: the root of a falling function."""
    low, high = -10.0, 10.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        off = (right - 1 / (1 + np.exp(-log_odds - middle))).sum() - middle / _SHRINK**2
        low, high = (middle, high) if off > 0 else (low, middle)
    return (low + high) / 2


def _ratios(table: Table, expected: Floats, j: int) -> dict[tuple[str, Budget], float]:
    """ρ of every other candidate: how much likelier it is right than expected where candidate j is right, over the same
    where it is wrong."""
    found: dict[tuple[str, Budget], float] = {}
    right = table.quality[:, [j]]
    both = ~np.isnan(table.quality) & ~np.isnan(right)
    real, foretold = np.where(both, table.quality, 0.0), np.where(both, expected, 0.0)
    sides = [
        (np.nan_to_num(side).T @ real + _PRIOR, np.nan_to_num(side).T @ foretold + _PRIOR)
        for side in (right, 1 - right)
    ]
    ratios = (sides[0][0] / sides[0][1]) / (sides[1][0] / sides[1][1])
    for b, name in enumerate(table.candidates):
        if b != j and both[:, b].sum() >= MIN_ANSWERS:
            found[name] = _short(float(np.clip(ratios[0, b], 1 / _FARTHEST, _FARTHEST)))
    return found


def _short(value: float) -> float:
    return float(f"{value:.5g}")
