"""What the tools take and give, as JSON schemas a model can act on: flat arguments, units in every field."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, TypeVar, cast

from mcp.server.mcpserver.tools import Tool
from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypedDict  # typing's own is not enough for pydantic before Python 3.12

from r2_router.routing.wishes import Wish, wish_options

CHOICES = 3  # rows of a list, unless more are asked for
EXPLAINED = 4

# -- arguments -----------------------------------------------------------------------------------------------

_Function = TypeVar("_Function", bound=Callable[..., Any])

Query = Annotated[str, Field(description="The prompt for the LLM.")]
TopK = Annotated[int, Field(ge=1, le=1000, description="Most rows in a list.")]
System = Annotated[str, Field(description="System message for the LLM.")]
History = Annotated[
    list[Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]],
    Field(description="Earlier turns {role, content}, oldest first; query is last."),
]
ReadyOnly = Annotated[bool, Field(description="Only models that can be asked now, if there are any.")]
Compare = Annotated[str, Field(description="Why not this one? A model, or 'model @ budget'.")]
Id = Annotated[str, Field(description="The answer's id, as route_and_generate gave it.")]
Verdict = Annotated[
    str,
    BeforeValidator(lambda verdict: str(verdict) if isinstance(verdict, int | float) else verdict),
    Field(description="good, bad, or 0 to 1."),
]


def _joined(names: Any) -> Any:
    """A list of names as the string the schema asks for; an agent gives either."""
    return ",".join(map(str, cast("list[object]", names))) if isinstance(names, list) else names


# Wishes as arguments: never null, so each kind has a value that says "not given". 0 says something of a trade-off.
_NOT_GIVEN: dict[str, Any] = {"number": 0.0, "whole": 0, "name": "", "names": "", "budget": ""}
_MEANING = {"number": " 0: no limit.", "whole": " 0: no limit."}
_TRADE_OFF_NOT_GIVEN = -1.0
_TYPES: dict[str, Any] = {
    "number": float,
    "whole": int,
    "name": str,
    "names": Annotated[str, BeforeValidator(_joined)],
    "budget": Annotated[str, BeforeValidator(lambda budget: str(budget) if type(budget) is int else budget)],
}


def takes_wishes(*but: str) -> Callable[[_Function], _Function]:
    """Gives a tool whose last parameter is `**wishes` an argument for every wish of the router, `but` some."""

    def add(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        wished = [_argument(name, wish) for name, wish in wish_options().items() if name not in but]
        first = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        last = [p for p in own if p.kind is inspect.Parameter.KEYWORD_ONLY]
        function.__signature__ = signature.replace(parameters=[*first, *wished, *last])  # type: ignore[attr-defined]
        function.__annotations__.pop("wishes", None)
        function.__annotations__.update({p.name: p.annotation for p in wished})
        return function

    return add


def given(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """The wishes among a tool's arguments that say something, as keyword arguments of Request.read."""
    return {name: value for name, value in wishes.items() if value != _not_given(wish_options()[name])}


def _argument(name: str, wish: Wish) -> inspect.Parameter:
    meaning = " -1: not given." if wish.trade_off else _MEANING.get(wish.kind, "")
    field = Field(description=f"{wish.help[0].upper()}{wish.help[1:]}.{meaning}")
    annotation = Annotated[_TYPES[wish.kind], field]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_not_given(wish), annotation=annotation)


def _not_given(wish: Wish) -> Any:
    return _TRADE_OFF_NOT_GIVEN if wish.trade_off and wish.kind == "number" else _NOT_GIVEN[wish.kind]


# -- results -------------------------------------------------------------------------------------------------

_BUDGET = {"type": ["integer", "string"], "description": "Output tokens, or 'unlimited'."}
Budget = Annotated[int | Literal["unlimited"], WithJsonSchema(_BUDGET)]
Quality = Annotated[float, Field(description="Expected, 0 to 1.")]
Cost = Annotated[float, Field(description="Expected, USD.")]
Length = Annotated[float, Field(description="Expected, tokens.")]
Why = Annotated[str, Field(description="The reason.")]


class Candidate(TypedDict):
    model: Annotated[str, Field(description="Name in the pool.")]
    budget: Budget
    predicted_quality: Quality
    predicted_cost_usd: Cost
    net_usd: NotRequired[Annotated[float, Field(description="worth_usd*quality - cost, USD.")]]


class Terms(TypedDict):
    why: Why
    warnings: Annotated[list[str], Field(description="What to know before relying on it.")]
    worth_usd: NotRequired[Annotated[float, Field(description="What a perfect answer counts for, USD.")]]
    candidates_total: Annotated[int, Field(description="How many meet the limits.")]


class RouteResult(Terms):
    model: Annotated[str, Field(description="The choice, by name in the pool.")]
    model_id: Annotated[str, Field(description="The provider's name for it.")]
    base_url: NotRequired[Annotated[str, Field(description="Where it is asked.")]]
    budget: Budget
    max_tokens: NotRequired[Annotated[int, Field(description="To send with the request.")]]
    instruction: NotRequired[Annotated[str, Field(description="To put before the query: it keeps the answer short.")]]
    predicted_quality: Quality
    predicted_output_tokens: Length
    predicted_cost_usd: Cost
    saved_usd: NotRequired[Annotated[float, Field(description="Against the strongest model, unlimited, USD.")]]
    ready: Annotated[bool, Field(description="It can be asked now; if not, warnings say why.")]
    best_ready: NotRequired[Annotated[str, Field(description="The best that can be asked now.")]]
    others: Annotated[list[Candidate], Field(description="The next best, best first.")]


class FrontierPoint(TypedDict):
    choice: Annotated[str, Field(description="'model @ budget'.")]
    predicted_quality: Quality
    predicted_cost_usd: Cost
    from_worth_usd: Annotated[float, Field(description="Least worth that picks it, USD.")]


class ExplainResult(Terms):
    candidates: Annotated[list[Candidate], Field(description="Best first; the first is the choice.")]
    frontier: Annotated[list[FrontierPoint], Field(description="What each worth would pick, cheapest first.")]
    excluded: Annotated[list[str], Field(description="What the limits took out, and why.")]
    excluded_total: Annotated[int, Field(description="Candidates taken out in all.")]
    compared: NotRequired[Annotated[str, Field(description="Why not the one asked about.")]]


class RateResult(TypedDict):
    id: Annotated[str, Field(description="The answer's id.")]
    quality: Annotated[float, Field(description="What is noted, 0 to 1.")]


class Attempt(TypedDict):
    model: Annotated[str, Field(description="Name in the pool.")]
    budget: Budget
    reason: Annotated[str, Field(description="Why it failed, if it did.")]
    seconds: Annotated[float, Field(description="Time it took, s.")]
    cost_usd: Annotated[float, Field(description="What it cost, USD.")]


class GenerateResult(TypedDict):
    text: Annotated[str, Field(description="The answer.")]
    partial: Annotated[bool, Field(description="It stops early because of error.")]
    error: NotRequired[Annotated[str, Field(description="What ended it.")]]
    answered_by: Annotated[Literal["provider", "client"], Field(description="client: the MCP client's own LLM.")]
    model: Annotated[str, Field(description="The model asked, by name in the pool.")]
    served_model: Annotated[str, Field(description="Who answered, as the API says.")]
    budget: Budget
    finish_reason: Annotated[str, Field(description="As the API gave it: stop, length ...")]
    why: Why
    warnings: Annotated[list[str], Field(description="What to know before relying on it.")]
    predicted_quality: Quality
    predicted_cost_usd: Cost
    cost_usd: NotRequired[Annotated[float, Field(description="Real cost of all attempts, USD.")]]
    saved_usd: NotRequired[Annotated[float, Field(description="Against the strongest model, unlimited, USD.")]]
    prompt_tokens: NotRequired[Annotated[int, Field(description="Tokens read.")]]
    completion_tokens: NotRequired[Annotated[int, Field(description="Tokens written, reasoning too.")]]
    reasoning_tokens: NotRequired[Annotated[int, Field(description="Tokens of reasoning.")]]
    usage_estimated: NotRequired[Annotated[bool, Field(description="The API told no tokens.")]]
    latency_s: NotRequired[Annotated[float, Field(description="Whole time, s.")]]
    attempts: Annotated[list[Attempt], Field(description="Every try, retries and fallbacks included.")]
    id: Annotated[str, Field(description="Entry in the ledger.")]


# -- the schemas themselves ----------------------------------------------------------------------------------


def tidy(tool: Tool) -> Tool:
    """`tool` with the schemas clients are shown, short because every conversation pays for them.

    No generated titles, no argument but those listed; which fields are there always is said of the result, not of
    what is nested in it.
    """
    tool.parameters = {**_tidied(tool.parameters), "additionalProperties": False}
    if tool.fn_metadata.output_schema is not None:
        schema = _tidied(tool.fn_metadata.output_schema)
        nested = cast("dict[str, dict[str, Any]]", schema.get("$defs", {}))
        for definition in nested.values():
            definition.pop("required", None)
        tool.fn_metadata.output_schema = schema
    return tool


def _tidied(schema: Any, *, names: bool = False) -> Any:
    """Without titles; `names`: the keys are names, not keywords."""
    if isinstance(schema, list):
        return [_tidied(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _tidied(value, names=key in ("properties", "$defs"))
        for key, value in cast("dict[str, Any]", schema).items()
        if names or key != "title"
    }
