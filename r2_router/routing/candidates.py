"""Everything about the candidates that no query changes: prices, instructions, who may answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.errors import InputError
from r2_router.pools.can import lacks, refusals
from r2_router.pools.model import Model, answer_usd
from r2_router.pools.part_tokens import Part, part_tokens
from r2_router.pools.pool import Pool
from r2_router.pools.thoughts import expected_thoughts
from r2_router.records import UNLIMITED
from r2_router.routing.decision import Limits
from r2_router.routing.globs import glob_matches
from r2_router.routing.tokens import estimate_tokens

_CHEAPEST_USD = 1e-6

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """Which candidates may be chosen under given globs, before any number is looked at.

    `reasons`: why each model may not ("" if it may); `mask` (C,) and `index` name the candidates that may. A query
    of at most `input_limit` tokens fits the context window of every one of them, however long the answer.
    """

    reasons: list[str]
    mask: Mask
    index: Indices
    input_limit: float


class CandidateTable:
    """The C candidates of a checkpoint with the pool's prices (USD per million tokens), as arrays.

    `compat`: the seed release's rules (availability, context windows and instruction tokens do not count).
    """

    def __init__(self, checkpoint: Checkpoint, pool: Pool, *, compat: bool = False) -> None:
        self.compat = compat
        self.tenfold_gain = 0.0 if compat else checkpoint.tenfold_gain
        names = checkpoint.models
        position = {name: i for i, name in enumerate(names)}
        self.models: tuple[Model, ...] = tuple(pool.get(name) or _missing(name, pool) for name in names)
        self.model_index = np.array([position[model] for model, _ in checkpoint.candidates], dtype=np.intp)
        self.budgets = np.array([math.inf if b == UNLIMITED else float(b) for _, b in checkpoint.candidates])
        self.input_price = self._prices([m.input_usd_per_million for m in self.models])
        self.output_price = self._prices([m.output_usd_per_million for m in self.models])
        sentence_tokens = [
            0 if compat else estimate_tokens(checkpoint.instruction.render(b)) for _, b in checkpoint.candidates
        ]
        self.instruction_tokens = np.array(sentence_tokens, dtype=np.float64)
        self.request_usd = np.array([0.0 if compat else m.request_usd for m in self.models])[self.model_index]
        self.tiered_above = min((t.above_input_tokens for m in self.models for t in m.tiers), default=math.inf)
        self.thoughts = np.array([expected_thoughts(m) for m in self.models])[self.model_index]
        self.windows = None if compat else self._windows()
        self.longest_answer = self._limit([None if compat else m.max_output_tokens for m in self.models])
        self.longest_query = self._limit([None if compat else m.max_input_tokens for m in self.models])
        self.segments = self._segments()
        self._longest = np.where(np.isinf(self.budgets), checkpoint.token_ceiling, self.budgets)
        self.blocked = ["" if compat else _unusable(model) for model in self.models]
        self._allowed: dict[tuple[object, ...], Allowed] = {}

    def cost(self, tokens: Floats, input_tokens: float | Floats) -> Floats:
        """USD for each candidate: (input + instruction)·price_in + output·price_out + the request's fee, (C,).

        `input_tokens` is one count, or one a candidate, (C,).
        """
        input_price, output_price = self.prices(largest(input_tokens))
        usd = answer_usd(self.instruction_tokens + input_tokens, input_price, tokens, output_price)
        return usd + self.request_usd

    def prices(self, input_tokens: float) -> tuple[Floats, Floats]:
        """USD per million tokens of input and of output, of a request that reads `input_tokens`, (C,) each."""
        if input_tokens > self.tiered_above and not self.compat:
            tiered = np.array([m.usd_per_million(input_tokens) if m.priced else (0.0, 0.0) for m in self.models])
            price_in, price_out = tiered[self.model_index].T
            return price_in, price_out
        return self.input_price, self.output_price

    def parts(self, parts: Sequence[Part]) -> Floats:
        """Tokens of a message's parts that are no text, as each candidate's model counts them, (C,)."""
        return np.array([float(part_tokens(model, parts)) for model in self.models])[self.model_index]

    def doubt(self, cost: Floats) -> Floats:
        """The quality (C,) that is held back from answers of these costs: `tenfold_gain` for each tenfold above a
        millionth of a dollar."""
        return self.tenfold_gain * np.log10(np.maximum(cost, _CHEAPEST_USD) / _CHEAPEST_USD)

    def allowed(self, limits: Limits) -> Allowed:
        """The candidates that may be chosen under the names in `limits`.

        Raises InputError for a name that means no model, or a forced model that is not one.
        """
        key = (limits.models, limits.exclude, limits.model, limits.needs, limits.needs and refusals())
        known = self._allowed.get(key)
        if known is None:
            known = self._allow(limits)
            self._allowed = {key: known}  # what was asked last is asked again
        return known

    def _allow(self, limits: Limits) -> Allowed:
        barred = barred_by(limits, self.models)
        reasons = [why or barred.get(model.name, "") for model, why in zip(self.models, self.blocked, strict=True)]
        mask = np.array([not reason for reason in reasons])[self.model_index]
        room = np.inf if self.windows is None else np.min((self.windows - self._longest)[mask], initial=np.inf)
        room = min(float(room), float(np.min(self.longest_query[mask], initial=np.inf)))
        if (self._longest > self.longest_answer)[mask].any():
            room = -np.inf  # some answer is too long whatever the query
        return Allowed(reasons, mask, np.flatnonzero(mask), room)

    def _prices(self, usd_per_million: Sequence[float | None]) -> Floats:
        return np.array([0.0 if price is None else price for price in usd_per_million])[self.model_index]

    def _limit(self, tokens: Sequence[int | None]) -> Floats:
        return np.array([math.inf if limit is None else float(limit) for limit in tokens])[self.model_index]

    def _windows(self) -> Floats | None:
        """Tokens each candidate has for query and answer: its context window less the instruction, (C,)."""
        windows = np.array([math.inf if m.context_window is None else m.context_window for m in self.models])
        return windows[self.model_index] - self.instruction_tokens if np.isfinite(windows).any() else None

    def _segments(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Neighbouring limited budgets of one model, as indices (S,) of the shorter and of the longer."""
        pairs: list[tuple[int, int]] = []
        for m in range(len(self.models)):
            own = np.flatnonzero((self.model_index == m) & np.isfinite(self.budgets))
            own = own[np.argsort(self.budgets[own])]
            pairs += [(int(a), int(b)) for a, b in pairwise(own)]
        table = np.array(pairs, dtype=np.intp).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def _missing(name: str, pool: Pool) -> Model:
    why = f"not in pool '{pool.name}': add it to models.toml with its id and price"
    return Model(name=name, id=name, input_usd_per_million=None, output_usd_per_million=None, unavailable=why)


def _unusable(model: Model) -> str:
    if model.unavailable:
        return f"not available: {model.unavailable}"
    return "" if model.priced else "not available: it has no price"


# -- models by name ------------------------------------------------------------------------------------------


def named(name: str, models: Sequence[Model]) -> list[Model]:
    """The models that `name` means, in any case: the one with that name or provider's id, else those that a glob
    matches (* ? [...]), else those whose name or id begins so.

    Raises InputError where that is none.
    """
    found = meant(name, models)
    if not found:
        raise InputError(_no_such_model(name, [model.name for model in models]))
    return found


def meant(name: str, models: Sequence[Model]) -> list[Model]:
    """As `named`; empty where it means none."""
    folded = name.casefold()
    found = [model for model in models if folded in (model.name.casefold(), model.id.casefold())]
    return found or [model for model in models if matches(name, model.name) or matches(name, model.id)]


def matches(name: str, label: str) -> bool:
    """Whether `name`, a glob (* ? [...]) or a beginning, fits a model's label, in any case."""
    if any(sign in name for sign in "*?["):
        return glob_matches(label, name)
    return label.casefold().startswith(name.casefold())


def largest(input_tokens: float | Floats) -> float:
    """The largest of counts that are one for all candidates, as nearly always, or one a candidate."""
    return float(input_tokens.max()) if isinstance(input_tokens, np.ndarray) else input_tokens


def barred_by(limits: Limits, models: Sequence[Model]) -> dict[str, str]:
    """Why each model that the names in `limits` leave out may not be chosen, by name.

    Raises InputError for a name that means no model, or a forced model that is not one.
    """
    only = {m.name for name in limits.models for m in named(name, models)}
    without = {m.name for name in limits.exclude for m in named(name, models)}
    one = forced(limits.model, models) if limits.model else ""
    barred: dict[str, str] = {}
    for model in models:
        name, lacking = model.name, [need for need in limits.needs if lacks(model, need.kind)]
        if one and name != one:
            barred[name] = f"not allowed: model is {limits.model}"
        elif limits.models and name not in only:
            barred[name] = f"not allowed: models is {','.join(limits.models)}"
        elif name in without:
            barred[name] = f"not allowed: exclude is {','.join(limits.exclude)}"
        elif lacking:
            barred[name] = ", ".join(need.refusal for need in lacking)
    return barred


def forced(name: str, models: Sequence[Model]) -> str:
    """The name of the one model that `name` means. Raises InputError where it means none, or several."""
    found = named(name, models)
    if len(found) > 1:
        raise InputError(f"'{name}' means {len(found)} models: {', '.join(model.name for model in found)}. Give one.")
    return found[0].name


def _no_such_model(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    lowered = {other.lower(): other for other in known}
    near = get_close_matches(name.lower().replace("*", ""), lowered, 1, 0.3)
    hint = f"Did you mean {lowered[near[0]]}?" if near else f"Models: {', '.join(known)}."
    return f"No model is called '{name}'. {hint}"
