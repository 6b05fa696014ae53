"""What the answers of the user's own ledger teach: the checkpoint in use, gone on from, and what changed by it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats, Singles
from r2_router.checkpoints.format import Checkpoint
from r2_router.lab.data.outcomes import NOT_KEPT, Outcomes, answered, outcomes_table, preferred
from r2_router.lab.data.table import Table
from r2_router.lab.learning.from_base import in_the_middle, learn_from
from r2_router.lab.learning.posterior import LEAST_VARIANCE
from r2_router.ledger import Ledger
from r2_router.records import UNLIMITED, Record
from r2_router.routing.predict import Predictor

_RECENT = 50  # labels of a model that are held against what was expected of it,
_ENOUGH = 20  # how many of them there must be,
_BEYOND_CHANCE = 3.0  # and the standard errors by which they must differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Record):
    """What a model was, and is now, expected to do on the queries learned from, in the mean over what it answered:
    quality 0..1 and output tokens. `surprise`: how its newest labels differ from what was expected of them, in standard
    errors, None where there are too few."""

    model: str
    answers: int
    labels: int
    quality_before: float
    quality: float
    tokens_before: float
    tokens: float
    surprise: float | None

    @property
    def drifted(self) -> bool:
        """Whether its newest answers disagree with what was expected, beyond chance."""
        return self.surprise is not None and abs(self.surprise) > _BEYOND_CHANCE


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """The checkpoint as it is believed now, what it learned from, beside it so many `preferences` between two answers,
    and what changed, by model."""

    checkpoint: Checkpoint
    outcomes: Outcomes
    changes: tuple[Change, ...]
    preferences: int


def learn(
    ledger: Ledger,
    base: Checkpoint,
    embed: Callable[[Table], Singles],
    *,
    in_use: Checkpoint | None = None,
    since: datetime | None = None,
    half_life_days: float,
    other_words: Collection[str] = (),
) -> Learned:
    """`base` and every whole answer of its candidates: lengths teach tokens, labels quality,
    and so does which of two answers was preferred.

    An answer counts half after `half_life_days`, for models change behind their names. `in_use` is what was expected
    so far (default: `base`). Raises InputError, saying what lacks, where there is nothing to learn from, LedgerError.
    """
    outcomes = answered(ledger, base.candidates, since=since, other_words=other_words)
    table = outcomes_table(outcomes, ungraded=True)
    newest = {str(row["query_id"]): str(row["time"]) for row in sorted(outcomes.rows, key=lambda row: row["time"])}
    times = [datetime.fromisoformat(newest[query]) for query in table.query_ids]
    days = np.array([(ledger.now() - time).total_seconds() / 86_400 for time in times])
    vectors = _vectors(base, table, embed)
    card = {"ledger": "answers of the user's ledger", "half_life_days": half_life_days}
    weights = 0.5 ** (np.maximum(days, 0.0) / half_life_days)
    sides = preferred(ledger, table, since=since, other_words=other_words)
    foretold = _at_the_time(outcomes, table, base) if outcomes.unread else None
    learned = learn_from(base, table, vectors, weights=weights, preferred=sides, foretold=foretold, data_card=card)
    seen = in_the_middle(base, table, vectors)[0].astype(np.float32)
    known = in_use if in_use is not None and set(table.candidates) <= set(in_use.candidates) else base
    before, after = (_foretold(checkpoint, table, seen) for checkpoint in (known, learned))
    models = dict.fromkeys(model for model, _ in table.candidates)
    changes = [_change(table, model, np.argsort(days), before, after) for model in sorted(models)]
    return Learned(learned, outcomes, tuple(changes), len(sides))


def _vectors(base: Checkpoint, table: Table, embed: Callable[[Table], Singles]) -> Singles:
    """The vectors (n, d) of the queries, NaN where their text was not kept."""
    vectors = np.full((len(table), base.embedder.dim), np.nan, np.float32)
    known = np.flatnonzero([text != NOT_KEPT for text in table.queries])
    if len(known):
        vectors[known] = embed(table.take(known))
    return vectors


def _at_the_time(outcomes: Outcomes, table: Table, base: Checkpoint) -> tuple[Floats, Floats]:
    """Quality and tokens (n, K) that `base` foretold of the answers to queries whose text was not kept, else NaN."""
    quality, tokens = (np.full(table.quality.shape, np.nan) for _ in range(2))
    rows = {query: i for i, query in enumerate(table.query_ids)}
    columns = {candidate: j for j, candidate in enumerate(table.candidates)}
    for row in outcomes.rows:
        if row["query"] == NOT_KEPT and row["checkpoint"] == base.name:
            at = rows[row["query_id"]], columns[row["model"], row["budget"] or UNLIMITED]
            for part, name in ((quality, "predicted_quality"), (tokens, "predicted_output_tokens")):
                part[at] = np.nan if row[name] is None else row[name]
    return quality, tokens


def _foretold(checkpoint: Checkpoint, table: Table, vectors: Singles) -> tuple[Floats, Floats]:
    """Quality and tokens (n, K) of the table's candidates."""
    quality, tokens = Predictor(checkpoint).foretell(vectors)
    columns = [checkpoint.candidates.index(candidate) for candidate in table.candidates]
    return quality[:, columns], tokens[:, columns]


def _change(
    table: Table,
    model: str,
    newest_first: NDArray[np.intp],
    before: tuple[Floats, Floats],
    after: tuple[Floats, Floats],
) -> Change:
    columns = [j for j, (name, _) in enumerate(table.candidates) if name == model]
    answers = ~np.isnan(table.output_tokens[:, columns])

    def mean(part: Floats) -> float:
        return float(part[:, columns][answers].mean())

    came, expected = (part[:, columns][newest_first].ravel() for part in (table.quality, before[0]))
    labels = np.flatnonzero(~np.isnan(came))
    return Change(
        model=model,
        answers=int(answers.sum()),
        labels=len(labels),
        quality_before=mean(before[0]),
        quality=mean(after[0]),
        tokens_before=mean(before[1]),
        tokens=mean(after[1]),
        surprise=_surprise(came[labels[:_RECENT]], expected[labels[:_RECENT]]),
    )


def _surprise(came: Floats, expected: Floats) -> float | None:
    """Standard errors between labels (m,) and what was expected of them, a coin's fall each."""
    if len(came) < _ENOUGH:
        return None
    variance = np.maximum(expected * (1 - expected), LEAST_VARIANCE).sum()
    return float((came - expected).sum() / np.sqrt(variance))
