"""What a request asks of the gateway, whichever API it came through: the core's Request, and how it is to be answered.

Every API is brought into the form of OpenAI's chat completions first, so there is one reading of it, here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.gateway.api import ROUTED
from r2_router.generate import Options
from r2_router.pools.model import ROUTERS_FIELDS
from r2_router.records import UNLIMITED, as_dict
from r2_router.routing.request import Request
from r2_router.routing.wishes import form_options, wish_options

_HEADER = "x-r2-"
_CAPS = ("max_completion_tokens", "max_tokens")
_NOT_SENT = {*ROUTERS_FIELDS, *form_options(), ROUTED}
# What a caller may ask for that would get lost on the way back.
_LOST = {
    "logprobs": "probabilities of tokens",
    "top_logprobs": "probabilities of tokens",
    "audio": "answers in sound",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read. `cap`: the most tokens that the caller takes, None for any number; `stream`: whether the
    answer is to come piece by piece, `usage` whether a last piece is to tell what it took; `model` as the caller named
    it, "" for the router's choice."""

    request: Request
    options: Options
    cap: int | None = None
    stream: bool = False
    usage: bool = False
    model: str = ""

    @property
    def without_cap(self) -> Asked:
        """The same, its candidates not held to the cap, at which the answer is cut all the same."""
        limits = replace(self.request.limits, max_tokens=None)
        return replace(self, request=replace(self.request, limits=limits))


def read_asked(body: Mapping[str, Any], headers: Mapping[str, str], options: Options) -> Asked:
    """Read a body of OpenAI's chat completions, with the wishes in its field "r2" and in headers "x-r2-...".

    Fields that nobody here knows are sent on. Raises InputError for what cannot be read, and for what would get lost.
    """
    if body.get("n") not in (None, 1):
        raise InputError("n is 1: the router gives one answer. Ask again for another.")
    for name, what in _LOST.items():
        if body.get(name):
            raise InputError(f"{name}: the gateway hands on no {what}. Leave it out.")
    named, wished = _model(body.get("model")), {**_in_body(body.get(ROUTED)), **_in_headers(headers)}
    wishes = {**_unless_stated(named, wished), **wished}
    form = {name: body[name] for name in form_options() if body.get(name) is not None}
    cap, request = _cap(body), Request.read(body.get("messages", ()), **wishes, **form)
    limits = request.limits
    if cap is not None and limits.max_tokens is None and not request.form.structured:  # JSON is told no length
        request = replace(request, limits=replace(limits, max_tokens=cap))
    sampling = {name: value for name, value in body.items() if name not in _NOT_SENT and value is not None}
    return Asked(
        request,
        replace(options, sampling=sampling, cap_tokens=cap),
        cap,
        bool(body.get("stream")),
        bool(as_dict(body.get("stream_options")).get("include_usage")),
        named.get("model", ""),
    )


def model_names(presets: Iterable[str]) -> list[str]:
    """The names by which the router's choice is asked for."""
    return [ROUTED, *(f"{ROUTED}:{preset}" for preset in presets)]


# -- wishes --------------------------------------------------------------------------------------------------


def _model(stated: object) -> dict[str, Any]:
    """What the name of a model wishes for: the choice at a preset's worth, or one model, at whatever length."""
    if stated is None or stated == "":
        return {}
    if not isinstance(stated, str):
        raise InputError(f'model is the name of one, or "{ROUTED}" for the router\'s choice.')
    name, _, preset = stated.strip().partition(":")
    if name.lower() == ROUTED:
        return {"preset": preset} if preset else {}
    return {"model": stated.strip(), "budget": UNLIMITED}


def _unless_stated(named: Mapping[str, Any], wished: Mapping[str, Any]) -> dict[str, Any]:
    """What the name of the model wishes for, but for a worth where another is stated."""
    stated = any(wish.trade_off and name in wished for name, wish in wish_options().items())
    return {name: value for name, value in named.items() if not (stated and name == "preset")}


def _in_body(stated: object) -> dict[str, Any]:
    if stated is None:
        return {}
    if not isinstance(stated, dict):
        raise InputError(f'"{ROUTED}" is an object of wishes, such as {{"worth_usd": 0.01}}.')
    known = {*wish_options(), "check_format"}
    given = cast("dict[str, Any]", stated)
    if strange := next((name for name in given if name not in known), None):
        raise InputError(f'"{ROUTED}" knows no wish {strange[:40]!r}. Wishes: {", ".join(sorted(known))}.')
    return {name: value for name, value in given.items() if value is not None}


def _in_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    given = {name.lower(): text for name, text in headers.items() if name.lower().startswith(_HEADER)}
    return {name.removeprefix(_HEADER).replace("-", "_"): _read(name, text) for name, text in given.items()}


def _read(header: str, text: str) -> Any:
    spelled = {f"{_HEADER}{name.replace('_', '-')}": wish for name, wish in wish_options().items()}
    if header not in spelled:
        raise InputError(f"No wish has the header {header[:50]}. Headers: {', '.join(spelled)}.")
    try:
        return spelled[header].reads(text)
    except ValueError:
        raise InputError(f"{header} is a number; got {text[:40]!r}.") from None


def _cap(body: Mapping[str, Any]) -> int | None:
    """The most tokens that the caller takes. Raises InputError for what is no whole number of at least 1."""
    stated = next((body[name] for name in _CAPS if body.get(name) is not None), None)
    if stated is None:
        return None
    number = stated if isinstance(stated, (int, float)) and not isinstance(stated, bool) else math.nan
    if not (number >= 1 and float(number).is_integer()):
        raise InputError(f"max_tokens is a whole number of at least 1; got {str(stated)[:40]!r}.")
    return int(number)
