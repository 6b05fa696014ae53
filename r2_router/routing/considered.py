"""What a choice is made among: a candidate with what is expected of it, and one that the filters took out."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from r2_router.records import Budget, Record


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """One (model, budget) with what is expected of it.

    predicted_quality 0..1, with its standard error where the checkpoint knows one; predicted_output_tokens;
    predicted_cost_usd for this query, instruction included; risk = (1−λ)·quality − λ·cost; net_usd =
    worth·quality − cost, None at λ = 0 (where worth has no bound). `interpolated`: between two measured budgets.
    `doubt` is held back from the quality in both, for its price, where nothing was measured; 0 elsewhere. `ahead_usd`
    is added to the cost in both: by how much the mean of a chat's next turns differs from this one; 0 elsewhere.
    """

    model: str
    model_id: str
    budget: Budget
    predicted_quality: float
    quality_error: float | None
    predicted_output_tokens: float
    predicted_cost_usd: float
    risk: float
    net_usd: float | None
    interpolated: bool = False
    doubt: float = 0.0
    ahead_usd: float = 0.0

    _aliases: ClassVar[dict[str, str]] = {"openrouter_id": "model_id"}

    @property
    def weighed_usd(self) -> float:
        """The cost that the quality is weighed against."""
        return self.predicted_cost_usd + self.ahead_usd

    @property
    def believed_quality(self) -> float:
        """The quality that is weighed against the cost."""
        return self.predicted_quality - self.doubt

    @property
    def label(self) -> str:
        """`model @ budget`, for messages."""
        return f"{self.model} @ {self.budget}"


cast("ABCMeta", Mapping).register(Candidate)  # so that a list of them is a table: a row each, a column a field


@dataclass(frozen=True, slots=True)
class Excluded(Record):
    """A candidate the filters took out, and every reason for it.

    `usable` is False where its model cannot be chosen whatever the numbers: not available, or not allowed.
    `distance` is how far it is from the limits that take it out: the excess over each as a share of the limit,
    summed.
    """

    candidate: Candidate
    usable: bool
    reasons: tuple[str, ...]
    distance: float = 0.0
