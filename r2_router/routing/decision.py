"""What a decision is made of: limits, a trade-off, a ranking, and the decision itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from r2_router import words
from r2_router.arrays import Floats
from r2_router.errors import InputError
from r2_router.pools.can import is_known
from r2_router.pools.model import Model
from r2_router.records import UNLIMITED, Budget, Later, Record, to_json
from r2_router.routing.considered import Candidate, Excluded
from r2_router.routing.needs import Need
from r2_router.routing.ranked_page import SHOWN, ranking_page
from r2_router.routing.rows import under
from r2_router.routing.stated_length import StatedLength
from r2_router.routing.warm import PromptCache, Warmth

LOW_QUALITY = 0.5  # under it, an answer is more likely bad than good


@dataclass(frozen=True, slots=True)
class Limits(Record):
    """What the user allows. None, () and "" mean no limit.

    max_cost_usd: dollars an answer; max_tokens: output tokens (the budget, or the expectation if unlimited);
    min_quality: expected quality 0..1; models, exclude: names, ids, their beginnings or globs (see
    candidates.named); model and budget: the one to take, of which nothing is left to choose. `needs`: what the model
    must be able to do.
    """

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    min_quality: float | None = None
    models: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    model: str = ""
    budget: Budget | None = None
    needs: tuple[Need, ...] = ()

    @property
    def numbers(self) -> bool:
        """Whether a limit depends on what is predicted for the query."""
        named = (self.max_cost_usd, self.max_tokens, self.min_quality, self.budget)
        return named != (None, None, None, None)


@dataclass(frozen=True, slots=True)
class EarlierTurn(Record):
    """An earlier message of the user that the last one was read with, and its share in the prediction, 0 to 1; None
    where the two were read as one text."""

    text: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Explored(Record):
    """The candidate that was expected to be the best, passed over to learn of another one, and the expected net value
    in USD that this gives up; `share` of the requests explore."""

    model: str
    budget: Budget
    given_up_usd: float
    share: float


@dataclass(frozen=True, slots=True)
class TradeOff(Record):
    """λ of the paper and its equal, what a perfect answer is worth: λ = 1/(1+worth_usd).

    worth_usd is None at λ = 0, where no price is too high. `source`: where it comes from, "" if the request states it.
    """

    lambda_val: float
    worth_usd: float | None
    source: str = field(default="", compare=False)


NO_ERRORS: Later[Floats | None] = Later(lambda: None)


@dataclass(slots=True, eq=False)
class Scores:
    """Every candidate of one query as arrays of length N, before anybody looks at one.

    The first `measured` are the checkpoint's own (model, budget) pairs; each one after them lies between two of
    those, `between` = (left, right, share of right). budgets are floats, inf for "unlimited". `errors` are the
    standard errors of the measured ones, None where unknown. `rounded`: shown with the seed release's decimals.
    """

    models: Sequence[Model]
    model_index: NDArray[np.intp]
    budgets: Floats
    quality: Floats
    tokens: Floats
    cost: Floats
    risk: Floats
    doubt: Floats | None
    trade_off: TradeOff
    measured: int
    between: Sequence[tuple[int, int, float]] = ()
    ahead: Floats | None = None
    errors: Later[Floats | None] = NO_ERRORS
    rounded: bool = False

    def candidate(self, i: int) -> Candidate:
        """The record of candidate i."""
        model = self.models[int(self.model_index[i])]
        budget = float(self.budgets[i])
        quality, tokens, cost, risk = (float(a[i]) for a in (self.quality, self.tokens, self.cost, self.risk))
        if self.rounded:
            quality, tokens, cost, risk = round(quality, 4), round(tokens, 1), round(cost, 8), round(risk, 8)
        worth = self.trade_off.worth_usd
        doubt = 0.0 if self.doubt is None else float(self.doubt[i])
        ahead = 0.0 if self.ahead is None else float(self.ahead[i])
        return Candidate(
            model=model.name,
            model_id=model.id,
            budget=UNLIMITED if math.isinf(budget) else int(budget),
            predicted_quality=quality,
            quality_error=self._error(i),
            predicted_output_tokens=tokens,
            predicted_cost_usd=cost,
            risk=risk,
            net_usd=None if worth is None else worth * (quality - doubt) - (cost + ahead),
            interpolated=i >= self.measured,
            doubt=doubt,
            ahead_usd=ahead,
        )

    def _error(self, i: int) -> float | None:
        errors = self.errors()
        if errors is None:
            return None
        if i < self.measured:
            return float(errors[i])
        left, right, share = self.between[i - self.measured]
        return float((1 - share) * errors[left] + share * errors[right])


class Ranking(Sequence[Candidate]):
    """The feasible candidates, best first; each is made when looked at."""

    __slots__ = ("_made", "order", "scores")

    def __init__(self, scores: Scores, order: NDArray[np.intp]) -> None:
        self.scores = scores
        self.order = order
        self._made: dict[int, Candidate] = {}

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> list[Candidate]: ...
    def __getitem__(self, index: int | slice) -> Candidate | list[Candidate]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = int(self.order[index])
        if i not in self._made:
            self._made[i] = self.scores.candidate(i)
        return self._made[i]

    @property
    def unlimited(self) -> list[Candidate]:
        """Those without a budget, best first; no other one is made for it."""
        return [self[int(at)] for at in np.flatnonzero(np.isinf(self.scores.budgets[self.order]))]

    @property
    def cuts(self) -> list[Candidate]:
        """The candidates between two measured budgets, at a limit, that keep it and are not in the ranking: another
        one of their model is better here, and may be worse at another trade-off."""
        scores = self.scores
        ranked = {int(i) for i in self.order if i >= scores.measured}
        return [scores.candidate(i) for i in range(scores.measured, len(scores.quality)) if i not in ranked]

    def measured(self, i: int) -> int:
        """The measured candidate, an index into `scores`, that candidate i is or lies beside."""
        index, scores = int(self.order[i]), self.scores
        return index if index < scores.measured else scores.between[index - scores.measured][0]

    def __repr__(self) -> str:
        return f"<{len(self)} candidates, best {self[0].label}>"


@dataclass(frozen=True, slots=True, eq=False)
class Decision(Record):
    """The choice for one query, best candidate first in `candidates`.

    Reads like the seed's dict too: decision["model"], decision["all_options"]. Candidates are made when looked
    at. `truncated`: the query was too long to be embedded whole. `leverage`: distance from the training queries,
    and `familiar` False where that is farther than nearly all of them were from each other; both None where the
    checkpoint does not know. `strongest` names the model of the baseline, "" where the checkpoint does not know
    one. `stated_length`: the length that the query itself asks for, None where it names none. `not_ready`: why the
    chosen model cannot be asked now, "" if it can. `estimated_from`: what stands in for measured answers of these
    models, "" where they were measured. `pool_warning`: what to know of a pool from an untrusted place, "" for others.
    `unused`: keys and servers that are here and that nobody has set up, "" for none. `warnings()` says all of that in
    sentences. `read_with`: the earlier messages of a chat that the query was read with, those that count most first.
    `closing`: the query thanks or takes leave at the end of a chat, so any answer is expected to do. `warm`: what
    prompt caches change for each candidate, None where they change nothing; `prompt_cache` says it of the choice.
    `rated_for`: the categories of the public ratings by which quality was adjusted for what the request needs.
    `explored`: what was passed over, where the choice is an exploration; None elsewhere.
    """

    query: str | None
    input_tokens: int
    trade_off: TradeOff
    limits: Limits
    checkpoint: str
    embedder: str
    truncated: bool
    candidates: Ranking
    exclusions: Later[list[Excluded]]
    leverages: Later[tuple[float, float] | None]
    readiness: Later[str]
    strongest: str = ""
    estimated_from: str = ""
    pool_warning: str = ""
    read_with: tuple[EarlierTurn, ...] = ()
    closing: bool = False
    unused: Later[str] = field(default_factory=lambda: Later.known(""))
    stated_length: StatedLength | None = None
    warm: Warmth | None = None
    rated_for: tuple[str, ...] = ()
    explored: Explored | None = None

    _aliases: ClassVar[dict[str, str]] = {"openrouter_id": "model_id", "all_options": "candidates"}

    @property
    def best(self) -> Candidate:
        """The candidate chosen."""
        return self.candidates[0]

    @property
    def model(self) -> str:
        return self.best.model

    @property
    def model_id(self) -> str:
        return self.best.model_id

    @property
    def budget(self) -> Budget:
        return self.best.budget

    @property
    def predicted_quality(self) -> float:
        return self.best.predicted_quality

    @property
    def quality_error(self) -> float | None:
        return self.best.quality_error

    @property
    def predicted_output_tokens(self) -> float:
        return self.best.predicted_output_tokens

    @property
    def predicted_cost_usd(self) -> float:
        return self.best.predicted_cost_usd

    @property
    def risk(self) -> float:
        return self.best.risk

    @property
    def net_usd(self) -> float | None:
        return self.best.net_usd

    @property
    def worth_usd(self) -> float | None:
        return self.trade_off.worth_usd

    @property
    def lambda_val(self) -> float:
        return self.trade_off.lambda_val

    @property
    def leverage(self) -> float | None:
        known = self.leverages()
        return None if known is None else known[0]

    @property
    def familiar(self) -> bool | None:
        known = self.leverages()
        return None if known is None else known[0] <= known[1]

    @property
    def excluded(self) -> list[Excluded]:
        """What the filters took out, each with its reasons, in the checkpoint's order."""
        return self.exclusions()

    @property
    def not_ready(self) -> str:
        return self.readiness()

    def cached_tokens(self, model: str, budget: Budget) -> float:
        """The tokens that this candidate is expected to read from a prompt cache."""
        if self.warm is None:
            return 0.0
        found = (i for i, c in enumerate(self.candidates) if (c.model, c.budget) == (model, budget))
        i = next(found, None)
        return 0.0 if i is None else float(self.warm.tokens[self.candidates.measured(i)])

    @property
    def prompt_cache(self) -> PromptCache | None:
        """Whether the choice stays with a model that has the chat in its cache, or leaves one; None if none has."""
        if self.warm is None or not self.warm.tokens.any():
            return None
        kept = [int(self.warm.tokens[self.candidates.measured(i)]) for i in range(len(self.candidates))]
        stays = kept[0] > 0
        at = next((i for i, tokens in enumerate(kept) if tokens), None)
        if at is None:
            return None
        other = next((i for i, tokens in enumerate(kept) if not tokens), None)
        warm, elsewhere = self.candidates[at], None if other is None else self.candidates[other]
        return PromptCache(
            stays=stays,
            model=warm.model,
            cached_tokens=kept[at],
            input_tokens=int(self.warm.reads[self.candidates.measured(at)]),
            cost_usd=warm.predicted_cost_usd,
            other_usd=None if elsewhere is None else elsewhere.predicted_cost_usd,
        )

    def to_pandas(self) -> Any:
        """The candidates as a DataFrame, best first, a column a field. Raises InputError where pandas is missing."""
        try:
            frame: Any = cast("Any", import_module("pandas")).DataFrame
        except ImportError:
            raise InputError("A DataFrame needs pandas: `pip install pandas`.") from None
        return frame([candidate.to_dict() for candidate in self.candidates])

    def warnings(self) -> list[str]:
        """What to know before relying on the choice, a sentence each, none where all is well."""
        passed = self.explored
        found = [
            self.pool_warning,
            "" if passed is None else words.explored(passed.model, passed.budget, passed.given_up_usd, passed.share),
            words.estimated(self.estimated_from) if self.estimated_from else "",
            words.UNFAMILIAR if self.familiar is False else "",
            words.cut_for_embedding(len(self.query)) if self.truncated and self.query else "",
            words.low_quality(self.predicted_quality) if self.predicted_quality < LOW_QUALITY else "",
            words.cannot_be_asked(self.model, self.not_ready) if self.not_ready else "",
            *self._of_needs(),
            self.unused(),
        ]
        return [sentence for sentence in found if sentence]

    def _of_needs(self) -> list[str]:
        """What is not known of the model chosen, and of its quality, for a request that needs more than text."""
        scores = self.candidates.scores
        model = scores.models[int(scores.model_index[self.candidates.order[0]])]
        unsure = [need for need in self.limits.needs if not is_known(model, need.kind)]
        told = words.not_known(model.name, [n.kind for n in unsure], [n.where for n in unsure]) if unsure else ""
        changing = [need.kind for need in self.limits.needs if need.kind not in ("prefill", "json_object")]
        if "instruction_following" in self.rated_for:
            changing = [kind for kind in changing if kind != "json_schema"]
        return [told, words.not_measured(changing) if changing else ""]

    def keys(self) -> list[str]:
        return [*_DECISION_KEYS]

    def to_dict(self, *, top: int | None = None) -> dict[str, Any]:
        """JSON of the decision with its `top` best candidates (all by default)."""
        shown = {key: to_json(self[key]) for key in _DECISION_KEYS if key != "candidates"}
        candidates = [candidate.to_dict() for candidate in self.candidates[:top]]
        cache = self.prompt_cache
        said: dict[str, Any] = {} if cache is None else {"prompt_cache": cache.to_dict()}
        if self.explored is not None:
            said["explored"] = self.explored.to_dict()
        return {**shown, **said, "warnings": self.warnings(), "candidates": candidates}

    def __repr__(self) -> str:
        quality = words.quality_text(self.predicted_quality, self.quality_error)
        return f"<Decision {self.best.label}: quality {quality}, {words.usd(self.predicted_cost_usd)}>"

    def _repr_html_(self) -> str:
        """The ranking as a notebook shows it."""
        shown = self.candidates[:SHOWN]
        return ranking_page(shown, [*under(shown, self.candidates, "in `candidates`"), *self.warnings()], self.excluded)


_DECISION_KEYS = (
    "query",
    "read_with",
    "closing",
    "model",
    "model_id",
    "budget",
    "predicted_quality",
    "quality_error",
    "predicted_output_tokens",
    "predicted_cost_usd",
    "risk",
    "net_usd",
    "worth_usd",
    "lambda_val",
    "input_tokens",
    "stated_length",
    "truncated",
    "leverage",
    "familiar",
    "checkpoint",
    "embedder",
    "candidates",
)
