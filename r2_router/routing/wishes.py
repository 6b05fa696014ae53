"""Wishes: the one list of what a caller may wish for besides the query.

The command line, the notebook and the MCP server make their options of it (`wish_options`), and Python its keyword
arguments: a new wish is a line here, and the rule in request.py that reads it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypedDict, TypeVar, get_type_hints

from r2_router.records import Budget

Kind = Literal["number", "whole", "name", "names", "budget", "form"]
_READ_AS: Mapping[Kind, Callable[[str], Any]] = {"number": float, "whole": int}
_Method = TypeVar("_Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Wish:
    """How a wish is offered: what it means, its unit or form, how it is read, and whether it is a trade-off."""

    help: str
    unit: str
    kind: Kind
    trade_off: bool = False

    @property
    def reads(self) -> Callable[[str], Any]:
        """What makes the wish of a text; raises ValueError where that is to be a number and is none."""
        return _READ_AS.get(self.kind, str)


class Wishes(TypedDict, total=False):
    """What a caller may wish for, besides lambda_val. All optional; None means not asked."""

    worth_usd: Annotated[
        float | None, Wish("what a perfect answer is worth to you, in dollars", "USD", "number", trade_off=True)
    ]
    preset: Annotated[str | None, Wish("a named worth: economy, balanced, quality", "NAME", "name", trade_off=True)]
    max_cost_usd: Annotated[float | None, Wish("most dollars the answer may cost", "USD", "number")]
    max_tokens: Annotated[int | None, Wish("most output tokens the answer may have", "TOKENS", "whole")]
    min_quality: Annotated[float | None, Wish("least expected quality, 0 to 1", "QUALITY", "number")]
    models: Annotated[
        str | Sequence[str] | None,
        Wish("only these models: names, ids, how they begin, or globs; commas between", "NAMES", "names"),
    ]
    exclude: Annotated[str | Sequence[str] | None, Wish("not these models, named likewise", "NAMES", "names")]
    model: Annotated[str | None, Wish("this model and no other", "NAME", "name")]
    budget: Annotated[
        Budget | str | None, Wish("this length and no other: output tokens, or unlimited", "TOKENS", "budget")
    ]
    context: Annotated[str | None, Wish("last: read a chat's last message alone", "auto|last", "name")]
    tools: Annotated[
        Sequence[Mapping[str, Any]] | None, Wish("functions the model may call, as OpenAI's API takes them", "", "form")
    ]
    tool_choice: Annotated[str | Mapping[str, Any] | None, Wish("which of them it must call", "", "form")]
    response_format: Annotated[
        Mapping[str, Any] | None,
        Wish("JSON, or a JSON schema, the answer must keep to, as OpenAI's API takes it", "", "form"),
    ]
    check_format: Annotated[
        bool | None, Wish("hold the answer against response_format; a wrong one asks the next model once", "", "form")
    ]


LAMBDA_VAL = Wish(
    "instead of worth_usd, the paper's λ: 0 quality only, 1 cost only", "LAMBDA", "number", trade_off=True
)


@cache
def wish_options() -> Mapping[str, Wish]:
    """Every wish that a person or an agent can spell, by name, lambda_val among them, in the order in which they are
    offered. The form of the request ("form") is for programs."""
    named = {name: wish for name, wish in _annotated().items() if wish.kind != "form"}
    return {"worth_usd": named.pop("worth_usd"), "lambda_val": LAMBDA_VAL, **named}


@cache
def form_options() -> Mapping[str, Wish]:
    """The wishes that say in which form a model is asked, and answers."""
    return {name: wish for name, wish in _annotated().items() if wish.kind == "form"}


def _annotated() -> dict[str, Wish]:
    hints = get_type_hints(Wishes, include_extras=True)
    return {name: next(m for m in hint.__metadata__ if isinstance(m, Wish)) for name, hint in hints.items()}


def takes_wishes(method: _Method) -> _Method:
    """`method` with the wishes it takes as keywords spelled out in its signature and its documentation."""
    signature = inspect.signature(method)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    hints = Wishes.__annotations__
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_plain(hint))
        for name, hint in hints.items()
    ]
    method.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    lines = [f"    {name}: {wish.help}" for name, wish in {**wish_options(), **form_options()}.items()]
    method.__doc__ = f"{inspect.getdoc(method)}\n\nWishes, each optional:\n" + "\n".join(lines)
    return method


def _plain(annotation: Any) -> str:
    """The type in an annotation of Wishes, as it is written."""
    text = annotation.__forward_arg__ if hasattr(annotation, "__forward_arg__") else str(annotation)
    return text.removeprefix("Annotated[").split(", Wish(")[0].strip()
