"""What others say, fit for a person's eyes and for a record: without the key, on one line, of bounded length."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from r2_router.config.settings import Secret

HIDDEN = "[key]"

_PART_CHARS = 8  # so much of a key in a row, from anywhere in it, is taken for a part of it
_LONG_KEY = 16  # in a shorter key, so much would be most of it, and may be a word
_HEX_CHARS = 16


def redact(text: str, key: Secret | None) -> str:
    """`text` without `key`: whole or in parts, in any case, and in base64, hex or percent form."""
    if key is None or not text:
        return text
    value = key.reveal()
    if len(value) < _LONG_KEY:
        return text.replace(value, HIDDEN) if len(value) < _PART_CHARS else _without_whole(text, value)
    spans = sorted(_found(text, value))
    pieces, done = list[str](), 0
    for start, end in spans:
        if start > done or not pieces:
            pieces += [text[done:start], HIDDEN]
        done = max(done, _tail(text, end))
    return "".join(pieces) + text[done:]


def shown(text: str, key: Secret | None = None, limit: int = 300) -> str:
    """What somebody else said, on one line of at most `limit` characters, without what cannot be printed or `key`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in redact(text[: 64 * limit], key)).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def plain_url(url: str) -> str:
    """`url` without what may be secret in it: user, password, query."""
    return without_password(re.split("[?#]", url)[0])


def without_password(text: str) -> str:
    """`text` without user and password in the addresses it names."""
    return re.sub(r"//[^/\s]*@", "//", text)


def _without_whole(text: str, value: str) -> str:
    for form, _ in _forms(value):
        text = re.sub(re.escape(form), HIDDEN, text, flags=re.IGNORECASE)
    return text


def _found(text: str, value: str) -> Iterator[tuple[int, int]]:
    """Where a part of the key, in one of its forms, stands in `text`."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters are longer in lower case; a key has none of them
        lowered = "".join(c.lower() if c.isascii() else c for c in text)
    for form, width in _forms(value):
        parts = _windows(form, width)
        for start in range(len(lowered) - width + 1):
            if lowered[start : start + width] in parts:
                yield start, start + width


def _tail(text: str, end: int) -> int:
    """The end of the word in which a part of a key was found: a server that masks what it echoes shows more of it."""
    rest = re.compile(r"[^\s\"'<>]*").match(text, end)
    return rest.end() if rest else end


@lru_cache(maxsize=64)
def _windows(form: str, width: int) -> frozenset[str]:
    return frozenset(form[i : i + width] for i in range(len(form) - width + 1))


@lru_cache(maxsize=16)
def _forms(value: str) -> tuple[tuple[str, int], ...]:
    """What the key may look like, in lower case, and how many characters in a row tell it."""
    data = value.encode()
    forms = {value.lower(): _PART_CHARS, quote(value, safe="").lower(): _PART_CHARS, data.hex(): _HEX_CHARS}
    for shift in range(3):  # base64 of a text that holds the key reads differently by where in it the key begins
        encoded = base64.b64encode(b"\0" * shift + data).rstrip(b"=")
        kept = encoded[4 if shift else 0 : len(encoded) - (len(data) + shift) % 3].decode()
        for form in (kept, kept.translate(str.maketrans("+/", "-_"))):
            forms[form.lower()] = _PART_CHARS
    return tuple((form, min(width, len(form))) for form, width in forms.items() if form)
