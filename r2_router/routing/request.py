"""Request: what is asked of the router, read and checked once, whichever face it comes through."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack, cast

import numpy as np

from r2_router import words
from r2_router.arrays import Floats
from r2_router.errors import InputError
from r2_router.records import Budget, Record, read_budget
from r2_router.routing.conversation import user_turns
from r2_router.routing.decision import Limits, TradeOff
from r2_router.routing.messages import BLANK, Message, Messages, check_messages, last_user_text
from r2_router.routing.needs import PLAIN, Form, check_form, read_needs
from r2_router.routing.warm import Cached, check_cached
from r2_router.routing.wishes import Wishes, form_options
from r2_router.routing.worth import finite, trade_off

NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Request(Record):
    """What is asked: a conversation, and what its answer should be worth, may cost and must keep. Made by `read`.

    `messages` is the conversation as it is sent, a system message first; `query` the last user message in it, which
    is routed, read as `context` says (see conversation.py). `trade_off` is None where none was asked for, or only a
    `preset`, which the router knows the worth of. `cached`: what the caller says models have read of it. `form`: the
    tools and the format it comes with; what a model needs for all that is among the limits.
    """

    query: str
    messages: Sequence[Message]
    trade_off: TradeOff | None = None
    preset: str = ""
    limits: Limits = NO_LIMITS
    context: Literal["auto", "last"] = "auto"
    cached: tuple[Cached, ...] = ()
    form: Form = PLAIN

    @property
    def is_chat(self) -> bool:
        """Whether a model has answered before, or is about to call tools whose results come back, so that prompt caches
        may count."""
        answered = any(message["role"] == "assistant" for message in self.messages)
        return bool(self.cached or self.form.tools) or answered

    @property
    def is_alone(self) -> bool:
        """Whether the query is all that is asked: one message of text, without instructions, tools or a format."""
        return not self.form.fields and [*self.messages] == [{"role": "user", "content": self.query}]

    @property
    def turns(self) -> list[str]:
        """What is read of the conversation, the last user message first; that one alone where `context` is "last"."""
        turns = user_turns(self.messages)
        return [next(turns)] if self.context == "last" else [*turns]

    def with_fields(self, fields: Mapping[str, Any]) -> Request:
        """This request with the tools and the format that stand among more `fields` of its body; its own go first."""
        given = {name: fields[name] for name in ("tools", "tool_choice", "response_format") if fields.get(name)}
        if not given:
            return self
        form = check_form(**{**given, **self.form.fields}, check_format=self.form.checked)
        return replace(self, form=form, limits=replace(self.limits, needs=read_needs(self.messages, form)))

    @classmethod
    def read(
        cls,
        query: Messages,
        lambda_val: float | None = None,
        *,
        system: str | None = None,
        cache: object = None,
        **wishes: Unpack[Wishes],
    ) -> Request:
        """Check a query, a text or an OpenAI `messages` list, and the wishes that come with it.

        `system` is put before the conversation. `cache` says which models have read how much of it, and how long ago:
        the last answer, or (model, tokens, seconds ago), each. Raises InputError for what cannot be used, TypeError
        for a wish that does not exist.
        """
        messages = check_messages(query)
        if system:
            messages = [{"role": "system", "content": system}, *messages]
        trade, preset, kept = read_wishes(lambda_val, wishes)
        context, cached, form = _context(wishes.get("context")), check_cached(cache), _form(wishes)
        if needs := read_needs(messages, form):
            kept = replace(kept, needs=needs)
        return cls(last_user_text(messages), messages, trade, preset, kept, context, cached, form)


# -- wishes --------------------------------------------------------------------------------------------------


def read_wishes(lambda_val: float | None, wishes: Wishes) -> tuple[TradeOff | None, str, Limits]:
    """The trade-off that `lambda_val` or the wishes state, the preset they name, and the limits; all checked."""
    if lambda_val is None and not wishes:
        return None, "", NO_LIMITS
    rest: dict[str, Any] = dict(wishes)
    worth_usd, preset = rest.pop("worth_usd", None), rest.pop("preset", None)
    _context(rest.pop("context", None))
    form = _form(wishes)
    kept = limits(**{name: wish for name, wish in rest.items() if name not in form_options()})
    return trade_off(lambda_val, worth_usd, preset), preset or "", replace(kept, needs=read_needs((), form))


def limits(
    max_cost_usd: float | None = None,
    max_tokens: int | None = None,
    min_quality: float | None = None,
    models: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    model: str | None = None,
    budget: Budget | str | None = None,
) -> Limits:
    """Checked limits; `models` and `exclude` are a list, or separated by commas.

    Raises InputError for a number that is not finite or out of range, and for a budget that is none.
    """
    if max_cost_usd is not None and finite("max_cost_usd", max_cost_usd) < 0:
        raise InputError(f"max_cost_usd is dollars and at least 0; got {max_cost_usd:g}.")
    if max_tokens is not None and (finite("max_tokens", max_tokens) < 1 or max_tokens != int(max_tokens)):
        raise InputError(f"max_tokens is a whole number of at least 1; got {max_tokens}.")
    if min_quality is not None and not 0 <= finite("min_quality", min_quality) <= 1:
        raise InputError(f"min_quality lies between 0 and 1; got {min_quality:g}.")
    length = None if budget is None else read_budget(budget)
    if budget is not None and length is None:
        raise InputError(words.not_a_budget(budget))
    return Limits(
        max_cost_usd=None if max_cost_usd is None else float(max_cost_usd),
        max_tokens=None if max_tokens is None else int(max_tokens),
        min_quality=None if min_quality is None else float(min_quality),
        models=_names("models", models),
        exclude=_names("exclude", exclude),
        model=_name("model", model or ""),
        budget=length,
    )


def _form(wishes: Wishes) -> Form:
    return check_form(**{name: wish for name, wish in wishes.items() if name in form_options()})


def _context(value: object) -> Literal["auto", "last"]:
    if value not in (None, "", "auto", "last"):
        raise InputError(f"context is auto or last; got {str(value)[:40]!r}.")
    return "last" if value == "last" else "auto"


def _names(wish: str, value: object) -> tuple[str, ...]:
    if not (value is None or hasattr(value, "__iter__")):
        raise InputError(f"{wish} is names in a list, or separated by commas; got {str(value)[:40]!r}.")
    given = value.split(",") if isinstance(value, str) else value
    parts = cast("Iterable[object]", given or ())
    return tuple(filter(None, (_name(wish, part) for part in parts)))


def _name(wish: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{wish} holds {str(value)[:40]!r}, which is no name of a model.")
    return value.strip()


# -- what is routed ------------------------------------------------------------------------------------------


def check_texts(texts: object) -> list[str]:
    """The queries of a list, a column, or any other iterable, each a text that is not blank.

    Raises InputError naming the row, counted from 0, that is none: a NaN or None of a DataFrame, say.
    """
    if isinstance(texts, (str, bytes, Mapping)) or not hasattr(texts, "__iter__"):
        raise InputError(f"Queries are a list of strings, not {type(cast('Any', texts)).__name__}.")
    checked: list[str] = []
    for row, text in enumerate(cast("Iterable[object]", texts)):
        if not isinstance(text, str):
            raise InputError(f"queries[{row}] is {str(text)[:40]!r}, not a text: leave the row out, or fill it.")
        if not text.strip():
            raise InputError(f"queries[{row}] is blank: leave the row out, or fill it.")
        checked.append(text)
    return checked


def _kind(value: Any) -> str:
    return type(value).__name__


def check_query(query: object) -> str:
    """One query. Raises InputError for what is no text, or blank."""
    if not isinstance(query, str):
        raise InputError(f"A query is a string, not {_kind(query)}.")
    if not query.strip():
        raise InputError(BLANK)
    return query


def check_count(input_tokens: object) -> int:
    """`input_tokens` as an int. Raises InputError for what is no whole number of at least 0."""
    if isinstance(input_tokens, bool) or not isinstance(input_tokens, (int, float, np.integer)):
        raise InputError(f"input_tokens is a whole number, not {_kind(input_tokens)}.")
    number = float(cast("float", input_tokens))
    if not (0 <= number < math.inf and number.is_integer()):
        raise InputError(f"input_tokens is a whole number of at least 0; got {number:g}.")
    return int(number)


def check_counts(input_tokens: int | Sequence[int], n: int) -> Floats:
    """One count for all n embeddings, or one for each, as (n,). Raises InputError as `check_count` does."""
    if not isinstance(input_tokens, (Sequence, np.ndarray)):
        return np.full(n, float(check_count(input_tokens)))
    if len(input_tokens) != n:
        raise InputError(f"{len(input_tokens)} counts of input_tokens for {n} embeddings.")
    return np.array([float(check_count(count)) for count in input_tokens])
