"""Any scikit-learn regressor as heads, named by a text such as "HuberRegressor(epsilon=1.2)"."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Instruction
from r2_router.errors import InputError
from r2_router.lab.data.folds import Folds, random_folds
from r2_router.lab.data.table import Table
from r2_router.lab.learning.heads import alike
from r2_router.lab.learning.targets import check_counts, left_out_error, log_tokens, smearing, token_bounds, unit_rows
from r2_router.lab.untyped import base, multioutput, utils
from r2_router.records import Budget

Index: TypeAlias = NDArray[np.intp]

_FOLDS = 5  # for what is expected of a query left out
_STRAIGHT = 1e-6  # of the largest expectation; what differs by more from a linear head is none


@dataclass(frozen=True, slots=True, eq=False)
class Regressor:
    """An unfitted scikit-learn regressor, and the text that named it."""

    spec: str
    unfitted: Any


def make_regressor(spec: str) -> Regressor:
    """The regressor that `spec` names: scikit-learn's own by their class, others as "package.module.Class",
    with keyword arguments that are literals: "Ridge(alpha=3)".

    Nothing in `spec` is run. A random state not given is 0. Raises InputError for what is no regressor, or arguments
    it does not take.
    """
    path, arguments = _parsed(spec)
    found = _class(path)
    try:
        regressor = found(**arguments) if isinstance(found, type) and issubclass(found, base.BaseEstimator) else None
        if regressor is None or not base.is_regressor(regressor):
            raise TypeError(f"{path} is no regressor in the sense of scikit-learn")
        unset = {k: 0 for k, v in regressor.get_params().items() if k.endswith("random_state") and v is None}
        return Regressor(spec, regressor.set_params(**unset))
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"--heads {spec}: {error}.") from None


def _parsed(spec: str) -> tuple[str, dict[str, Any]]:
    """The dotted name and the keyword arguments of "a.b.C(x=1)"."""
    try:
        node = ast.parse(spec.strip(), mode="eval").body
        arguments = dict[str, Any]()
        if isinstance(node, ast.Call):
            if node.args or any(keyword.arg is None for keyword in node.keywords):
                raise ValueError("arguments without a name")
            arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
            node = node.func
        path = ast.unparse(node)
        if not all(part.isidentifier() for part in path.split(".")):
            raise ValueError("not a name")
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise InputError(
            f"--heads names a regressor, with arguments by name that are numbers, texts or lists of them, such as "
            f'"Ridge(alpha=3)"; got {spec!r}.'
        ) from None
    return path, arguments


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if module:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"--heads {path}: {error}. Give package.module.Class.") from None
    from difflib import get_close_matches

    known: dict[str, Any] = dict(utils.all_estimators(type_filter="regressor"))
    if name not in known:
        near = ", ".join(get_close_matches(name, known, cutoff=0.5)) or "Ridge, RidgeCV, BayesianRidge, HuberRegressor"
        raise InputError(f"scikit-learn has no regressor {name}. Did you mean {near}? Others: package.module.Class.")
    return known[name]


# -- fits --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a regressor learned of C columns: (columns, fitted regressor) of those measured on the same queries."""

    parts: Sequence[tuple[Index, Any]]
    count: int

    def expect(self, vectors: Floats) -> Floats:
        """(q, C) of (q, d) vectors."""
        expected = np.empty((len(vectors), self.count))
        for columns, fitted in self.parts:
            expected[:, columns] = np.reshape(fitted.predict(vectors), (len(vectors), len(columns)))
        return expected

    def as_rows(self, vectors: Floats) -> Floats | None:
        """(C, d+1): the weights of each head and its bias last, None where what it expects of (n, d) `vectors` is not
        linear. Read off the expectations themselves, so pipelines and searches around a linear regressor count."""
        dim = vectors.shape[1]
        ends = self.expect(np.concatenate((np.zeros((1, dim)), np.eye(dim))))
        rows = np.concatenate((ends[1:] - ends[0], ends[:1])).T
        real = self.expect(vectors)
        off = np.abs(vectors @ rows[:, :-1].T + rows[:, -1] - real).max()
        return rows if off <= _STRAIGHT * max(1.0, float(np.abs(real).max())) else None


def fit(regressor: Any, vectors: Floats, targets: Floats) -> Fitted:
    """`regressor` fitted to (n, d) vectors and targets (n, C), each column to the rows where it is not NaN.

    Columns of the same rows are learned at once by those that can, else one by one. Raises InputError for a regressor
    that cannot learn them.
    """
    together = utils.get_tags(regressor).target_tags.multi_output
    parts: list[tuple[Index, Any]] = []
    for columns, rows in alike(~np.isnan(targets)):
        own = base.clone(regressor)
        learner = own if together or len(columns) == 1 else multioutput.MultiOutputRegressor(own)
        wanted = targets[np.ix_(rows, columns)]
        try:
            parts.append((columns, learner.fit(vectors[rows], wanted.ravel() if len(columns) == 1 else wanted)))
        except (ValueError, TypeError, ArithmeticError, MemoryError) as error:
            raise InputError(f"{type(own).__name__} cannot learn these heads: {error}") from error
    return Fitted(parts, targets.shape[1])


def _left_out(regressor: Any, vectors: Floats, targets: Floats, folds: Folds) -> Floats:
    """(n, C): what is expected of each query by the fit to the other folds."""
    expected = np.empty_like(targets)
    for kept, out in folds:
        expected[out] = fit(regressor, vectors[kept], targets[kept]).expect(vectors[out])
    return expected


@dataclass(frozen=True, slots=True, eq=False)
class Regressed:
    """Heads of quality and of log tokens by a regressor; it may be no linear one, and then no checkpoint holds it."""

    spec: str
    candidates: tuple[tuple[str, Budget], ...]
    quality: Fitted
    tokens: Fitted
    smeared: Floats  # (C,) added to expected log tokens
    floor: Floats
    ceiling: Floats
    quality_error: Floats  # (C,) residual deviations of queries left out

    def expect(self, vectors: Floats) -> tuple[Floats, Floats]:
        """Expected quality and output tokens (q, C) of (q, d) vectors."""
        logs = np.minimum(self.tokens.expect(vectors) + self.smeared, np.log(self.ceiling))
        return np.clip(self.quality.expect(vectors), 0.0, 1.0), np.maximum(np.exp(logs), self.floor)

    def as_rows(self, vectors: Floats) -> tuple[Floats, Floats]:
        """The heads of quality and of log tokens, (C, d+1) each with the bias last; InputError where they are not
        linear over the (n, d) `vectors`."""
        quality, tokens = self.quality.as_rows(vectors), self.tokens.as_rows(vectors)
        if quality is None or tokens is None:
            raise InputError(
                f"Heads by {self.spec} are not linear, and a checkpoint holds one matrix, never a program. See what "
                f"they would be worth with `r2-router evaluate --heads`, and train linear ones."
            )
        tokens[:, -1] += self.smeared
        return quality, tokens


def regress(table: Table, embeddings: ArrayLike, *, heads: Regressor, instruction: Instruction) -> Regressed:
    """Learn quality and log tokens of each candidate of `table` with the regressor `heads`, each by itself.

    `embeddings` (n, d) are unit vectors of the queries. Raises InputError as `fit` and `train` do.
    """
    regressor = heads.unfitted
    vectors = unit_rows(table, embeddings)
    check_counts(table)
    folds, logs = random_folds(table, _FOLDS, 0), log_tokens(table)
    floor, ceiling = token_bounds(table, instruction)
    return Regressed(
        spec=heads.spec,
        candidates=table.candidates,
        quality=fit(regressor, vectors, table.quality),
        tokens=fit(regressor, vectors, logs),
        smeared=smearing(logs, _left_out(regressor, vectors, logs, folds)),
        floor=floor,
        ceiling=ceiling,
        quality_error=left_out_error(table.quality, _left_out(regressor, vectors, table.quality, folds)),
    )
