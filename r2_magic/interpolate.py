r"""`{name}` in a cell becomes a user's variable, if there is one; everything else stays as it was typed.

The braces of LaTeX are its own: `\frac{x}{y}` and `e^{x}` are never touched. `{{name}}` stands for `{name}`. What looks
as if a value was meant, and is left as it was typed, is noted.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from r2_router.errors import InputError

# LaTeX: a command of two letters or more (`\n{x}` may be a line break) and its groups, which may hold groups; a power.
_GROUP = r"\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}"
_LATEX = rf"\\[A-Za-z]{{2,}}\*?(?:\[[^\]\n]*\])?(?:{_GROUP})+|\^{_GROUP}"
_BRACES = re.compile(rf"(?P<latex>{_LATEX})|\{{\{{(?P<escaped>[^\W\d]\w*)\}}\}}|\{{(?P<inner>[^{{}}\n]+)\}}")
_CALLED_SHORT = ("...", "…")  # how tables and arrays show what they leave out


@dataclass(frozen=True, slots=True)
class Filled:
    """A prompt with its values; `notes` are lines about what may not have been meant."""

    text: str
    notes: tuple[str, ...] = ()


def interpolate(text: str, variables: Mapping[str, object], *, expressions: bool = False) -> Filled:
    """`text` with each `{name}` that is in `variables` replaced by its str(), once: values are not looked into.

    With `expressions`, a Python expression that names a variable is replaced by its value too, with a conversion and
    a format as in an f-string. Raises InputError where one fails.
    """
    unknown: dict[str, None] = {}
    shortened: dict[str, str] = {}

    def value(m: re.Match[str]) -> str:
        if m["latex"]:
            return m[0]
        if m["escaped"]:
            return m[0][1:-1] if m["escaped"] in variables else m[0]
        inner = m["inner"]
        if inner in variables:
            said = str(variables[inner])
            if short := _shortened(variables[inner], said):
                shortened[m[0]] = short
            return said
        if inner.isidentifier():
            unknown[m[0]] = None
        elif mine := (names := _names(inner)) & variables.keys():
            if expressions:
                return _evaluated(inner, variables)
            if names - mine <= {*dir(builtins)}:
                unknown[m[0]] = None
        return m[0]

    filled = _BRACES.sub(value, text)
    return Filled(filled, (*_unknown(list(unknown), expressions), *shortened.values()))


def _unknown(left: list[str], expressions: bool) -> list[str]:
    """What to say of braces that were left as they were typed."""
    if not left:
        return []
    how = "" if expressions or all(each[1:-1].isidentifier() for each in left) else "; --eval puts in expressions"
    return [f"Left as typed: {', '.join(left)} (no variable of yours has that name{how})."]


def _names(inner: str) -> set[str]:
    """The names that `inner` reads, if it is what an f-string takes; else none."""
    tree = _parsed(inner)
    if tree is None:
        return set()
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {n.id for n in nodes} - {n.id for n in nodes if isinstance(n.ctx, ast.Store)}


def _parsed(inner: str) -> ast.Expression | None:
    if "'''" in inner or "\\" in inner or inner.endswith("'"):
        return None
    try:
        return ast.parse(f"f'''{{{inner}}}'''", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluated(inner: str, variables: Mapping[str, object]) -> str:
    """The value of an expression that the user wrote into a cell."""
    try:
        return str(eval(compile(cast("ast.Expression", _parsed(inner)), "<cell>", "eval"), dict(variables)))  # noqa: S307
    except Exception as error:  # noqa: BLE001  (the user's own code)
        raise InputError(f"{{{inner}}} cannot be put in: {type(error).__name__}: {error}.") from None


def _shortened(value: object, said: str) -> str:
    """What to say where a table or an array shows a part of itself only, "" where it shows all."""
    shape: Any = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not any(mark in said for mark in _CALLED_SHORT):
        return ""
    size = " x ".join(f"{n:,}" for n in cast("tuple[int, ...]", shape))
    whole = "its .to_string()" if hasattr(value, "to_string") else "a text of it"
    return f"A {type(value).__name__} of {size} is put in as it is shown, shortened: for all of it put in {whole}."
