"""Globs for the names of models, matched in time bounded by the product of both lengths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_ANY = "*"


def glob_matches(name: str, glob: str) -> bool:
    """Whether `glob` matches the whole of `name`, in any case: * is any text, ? any character, [ab], [a-z] and [!ab]
    one of a set; a bracket that is never closed is itself.

    The same names as fnmatch, whose regular expression takes exponential time for some globs.
    """
    pieces, text = _pieces(glob.lower()), name.lower()
    at, piece = 0, 0
    star, resume = -1, 0  # the last * and where the text behind it is tried to go on
    while at < len(text):
        if piece < len(pieces) and pieces[piece] == _ANY:
            star, resume = piece, at
            piece += 1
        elif piece < len(pieces) and _fits(text[at], pieces[piece]):
            at, piece = at + 1, piece + 1
        elif star >= 0:  # only the last * need ever give way: what an earlier one took, this one can take too
            resume += 1
            at, piece = resume, star + 1
        else:
            return False
    return all(rest == _ANY for rest in pieces[piece:])


@lru_cache(maxsize=256)
def _pieces(glob: str) -> Sequence[str | re.Pattern[str] | None]:
    """What each part of a glob matches: any text, a character, a set of them, or any one (None)."""
    found: list[str | re.Pattern[str] | None] = []
    at, closed = 0, True  # whether a bracket can still be closed: looked for once, not for every bracket
    while at < len(glob):
        sign, at = glob[at], at + 1
        if sign == "[" and closed:
            first = at + (glob[at : at + 1] == "!")
            end = glob.find("]", first + 1)  # a bracket that comes first is one of the set
            closed = end >= 0
            if closed:
                found.append(_set(glob[at:end]))
                at = end + 1
                continue
        if sign == "?":
            found.append(None)
        elif sign != _ANY or found[-1:] != [_ANY]:
            found.append(sign)
    return found


def _fits(character: str, piece: str | re.Pattern[str] | None) -> bool:
    if piece is None:
        return True
    return piece == character if isinstance(piece, str) else piece.fullmatch(character) is not None


def _set(inner: str) -> re.Pattern[str]:
    """The characters a [...] stands for, as an expression for one of them."""
    negated = inner.startswith("!")
    inner = inner[1:] if negated else inner
    parts: list[str] = []
    while inner:
        if len(inner) > 2 and inner[1] == "-":
            if inner[0] <= inner[2]:  # a range backwards holds nothing
                parts.append(f"{re.escape(inner[0])}-{re.escape(inner[2])}")
            inner = inner[3:]
        else:
            parts.append(re.escape(inner[0]))
            inner = inner[1:]
    if not parts:
        return re.compile(r"(?s:.)" if negated else r"(?!)")
    return re.compile(f"[{'^' if negated else ''}{''.join(parts)}]", re.DOTALL)
