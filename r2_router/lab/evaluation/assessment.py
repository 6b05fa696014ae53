"""Does routing pay? Every way to choose on one table, with what is needed to doubt the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from r2_router.checkpoints.format import Checkpoint
from r2_router.lab.data.folds import category_folds, random_folds
from r2_router.lab.data.table import Table
from r2_router.lab.evaluation.compare import interval
from r2_router.lab.evaluation.cross_validation import Learn, Progress, Validation, as_json, validate
from r2_router.lab.evaluation.metrics import Curve
from r2_router.pools.pool import Pool

SCHEMA = 1
_LEAST_OF_A_KIND = 5  # queries of a category about which something is said


@dataclass(frozen=True, slots=False, eq=False)
class Evaluation:
    """`main`: queries left out by chance, or a given checkpoint; `ood`: whole categories left out, if asked for."""

    table: Table
    main: Validation
    ood: Validation | None
    checkpoint: str  # the given one, "" where training was evaluated
    heads: str  # the regressor that was evaluated instead of ours
    warning: str  # what keeps the numbers from meaning what they seem to

    @cached_property
    def report(self) -> dict[str, Any]:
        """All numbers as JSON."""
        found = {
            "schema": SCHEMA,
            "checkpoint": self.checkpoint or None,
            "heads_by": self.heads or None,
            "warning": self.warning,
            "counts": self.table.counts(),
            **self.main.metrics,
            "choices": _choices(self.main),
            "gain_by_category": _by_category(self.main),
            "curves": {name: _points(curve) for name, curve in self.main.comparison.curves.items()},
            "ood": None
            if self.ood is None
            else {
                **self.ood.metrics,
                "gain_by_category": _by_category(self.ood),
                "curves": {name: _points(curve) for name, curve in self.ood.comparison.curves.items()},
            },
        }
        return cast("dict[str, Any]", as_json(found))


def evaluate(
    table: Table,
    embeddings: ArrayLike,
    pool: Pool,
    learn: Learn | Checkpoint,
    *,
    folds: int = 5,
    seeds: int = 5,
    ood: bool = False,
    sha256: str = "",
    heads: str = "",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate what `learn` makes of the folds of `table`, or a given checkpoint, at the prices of `pool`.

    `embeddings` (n, d) are unit vectors of the queries, in order. With `ood`, also each category by what was learned
    from the others. `sha256` of the table's file tells whether a given checkpoint was trained on it, `heads` which
    regressor `learn` uses where that is not ours; `jobs` and `progress` are as in `validate`, and so are errors.
    """
    given = learn if isinstance(learn, Checkpoint) else None
    by_chance = [random_folds(table, folds, seed) for seed in range(seeds)]
    by_category = [category_folds(table)] if ood else []
    first, last = (sum(map(len, splits)) for splits in (by_chance, by_category))

    def told(before: int) -> Progress | None:
        tell = progress
        return None if tell is None else (lambda done, _: tell(before + done, first + last))

    main = validate(table, embeddings, pool, learn, by_chance, jobs=jobs, progress=told(0))
    other = validate(table, embeddings, pool, learn, by_category, jobs=jobs, progress=told(first)) if ood else None
    warning = _warning(given, table, sha256) if given else ""
    return Evaluation(table, main, other, given.name if given else "", heads, warning)


def _warning(checkpoint: Checkpoint, table: Table, sha256: str) -> str:
    """Whether the checkpoint may have learned from the very queries it is judged by."""
    learned: Mapping[str, Any] = checkpoint.data_card.get("counts") or {}
    file: Mapping[str, Any] = checkpoint.data_card.get("table") or {}
    same_file = bool(sha256) and file.get("sha256") == sha256
    if same_file or (learned.get("queries") == len(table) and learned.get("rows") == table.rows):
        known = "this very table" if same_file else "a table of the same size: if it is this one"
        return (
            f"'{checkpoint.name}' was trained on {known}, and these numbers are of queries it knows. Use "
            f"--train-on-folds."
        )
    return f"Nobody knows whether '{checkpoint.name}' was trained on some of these queries; if so, it is flattered."


def _choices(v: Validation) -> dict[str, Any]:
    """At each worth, the share of the router's choices by model and by budget."""
    candidates, comparison = v.truth.candidates, v.comparison
    shares = comparison.shares
    models = {m: shares[:, [j for j, c in enumerate(candidates) if c[0] == m]].sum(axis=1) for m, _ in candidates}
    budgets = {str(b): shares[:, [j for j, c in enumerate(candidates) if c[1] == b]].sum(axis=1) for _, b in candidates}
    return {
        "worth_usd": comparison.worths.tolist(),
        "by_model": {name: values.tolist() for name, values in models.items()},
        "by_budget": {name: values.tolist() for name, values in budgets.items()},
    }


def _by_category(v: Validation) -> list[dict[str, Any]]:
    """The router's gain over the best constant in each category, largest first."""
    names = np.array(v.truth.categories, dtype=object)
    rows = [
        {"category": name, "queries": int((names == name).sum()), **interval(v.comparison.gain[names == name])}
        for name in sorted(set(v.truth.categories))
        if (names == name).sum() >= _LEAST_OF_A_KIND
    ]
    return sorted(rows, key=lambda row: -float(row["mean"]))


def _points(curve: Curve) -> list[list[float]]:
    return np.stack((curve.cost, curve.quality), axis=1).tolist()
