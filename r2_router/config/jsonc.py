"""JSON with comments and trailing commas, as editors keep it: read, and changed in one place, the rest untouched."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, cast

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_SPACE = re.compile(r"\s*")


def loads(text: str) -> Any:
    """The value of `text`, comments and trailing commas passed over. Raises ValueError."""
    return json.loads(_plain(text))


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """`text`, which holds an object, with `value` at the keys of `path`; what lies around it stays as it is.

    Raises ValueError where that cannot be done in place.
    """
    wanted = loads(text)
    set_at(wanted, path, value)
    changed = _insert(text, _plain(text), path, value)
    if loads(changed) != wanted:  # a key that stands twice
        raise ValueError("it cannot be changed in place")
    return changed


def set_at(document: Any, path: tuple[str, ...], value: Any) -> None:
    """Put `value` at the keys of `path` in `document`, with the objects on the way that are missing."""
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = value


def _plain(text: str) -> str:
    """JSON of the same length: comments, then commas before a closing bracket, are blanked."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\r\n]", " ", found)

    return _TOKEN.sub(blank, _COMMENT.sub(blank, text))


@dataclass(frozen=True, slots=True)
class _Object:
    """An object in a text: where its brackets are, and its members: key, its beginning, that of its value, the end."""

    start: int
    end: int
    members: tuple[tuple[str, int, int, int], ...]


def _object(plain: str, start: int) -> _Object:
    """The object whose bracket stands at `start`."""
    if plain[start] != "{":
        raise ValueError("it holds something else than an object where servers belong")
    members: list[tuple[str, int, int, int]] = []
    at = _skip(plain, start + 1)
    while plain[at] != "}":
        key, after = json.JSONDecoder().raw_decode(plain, at)
        begin = _skip(plain, _skip(plain, after) + 1)  # past the colon
        end = json.JSONDecoder().raw_decode(plain, begin)[1]
        members.append((key, at, begin, end))
        at = _skip(plain, end)
        if plain[at] == ",":
            at = _skip(plain, at + 1)
    return _Object(start, at, tuple(members))


def _skip(plain: str, at: int) -> int:
    return cast("re.Match[str]", _SPACE.match(plain, at)).end()


def _insert(text: str, plain: str, path: tuple[str, ...], value: Any) -> str:
    found = _object(plain, _skip(plain, 0))
    while path:
        known = next((member for member in found.members if member[0] == path[0]), None)
        if known is None:
            for key in reversed(path[1:]):
                value = {key: value}
            return _append(text, found, path[0], value)
        if len(path) == 1:
            return text[: known[2]] + _render(text, value, _indent(text, known[1])) + text[known[3] :]
        found, path = _object(plain, known[2]), path[1:]
    return text


def _append(text: str, found: _Object, key: str, value: Any) -> str:
    """`text` with one more member at the end of the object."""
    inside = _indent(text, found.members[-1][1]) if found.members else None
    outer = _indent(text, found.start)
    if inside is None or inside == outer:  # on the line of its bracket
        inside = outer + ("\t" if "\n\t" in text else "  ")
    newline = "\r\n" if "\r\n" in text else "\n"
    member = f"{newline}{inside}{json.dumps(key, ensure_ascii=False)}: {_render(text, value, inside)}"
    last = found.members[-1][3] if found.members else found.start + 1
    rest = text[last : found.end].rstrip()
    comma = "," if found.members and "," not in _COMMENT.sub("", rest) else ""
    return f"{text[:last]}{comma}{rest}{member}{newline}{outer}{text[found.end :]}"


def _indent(text: str, at: int) -> str:
    """The white space at the beginning of the line of `at`."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _render(text: str, value: Any, indent: str) -> str:
    step = "\t" if "\n\t" in text else 2
    stated = json.dumps(value, indent=step, ensure_ascii=False).replace("\n", f"\n{indent}")
    return stated.replace("\n", "\r\n") if "\r\n" in text else stated
