"""Text files as programs write them: which encoding, which delimiter, which decimal sign; found, and named."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from r2_router.errors import InputError

_NAMES = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32": "UTF-32"}
_MARKS = {  # UTF-32 first: its mark begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_WIDE = re.compile(r"[^\x00-\x7f\ufffd]")
_BLOCK = 1 << 20
_SAMPLE = 1 << 16
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text file is written: `encoding`, as Python calls it; `delimiter`, "" where it is no CSV; `damaged`: it is
    UTF-8 with bytes that are none."""

    encoding: str
    delimiter: str = ""
    damaged: bool = False

    def __str__(self) -> str:
        name = _NAMES.get(self.encoding, "Windows-1252")
        return f"{name}, separated by {_DELIMITERS[self.delimiter]}" if self.delimiter else name

    @property
    def plain(self) -> bool:
        """Whether it is what everybody expects: UTF-8, with commas."""
        return self.encoding == "utf-8-sig" and self.delimiter in ("", ",")


def text_form(file: Path, *, is_csv: bool) -> TextForm:
    """The form of the file: by its mark, as UTF-8, as UTF-16 by its zeros; Windows-1252 only where nothing else can be
    and every byte is a character there. Raises InputError where it is no text; OSError."""
    with file.open("rb") as stream:
        start = stream.read(_SAMPLE)
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "") or _by_zeros(start)
    damaged = False
    if not encoding:
        encoding, damaged = _by_bytes(file)
    form = TextForm(encoding, damaged=damaged)
    if not is_csv:
        return form
    head = codecs.getincrementaldecoder(encoding)("replace").decode(start)
    return TextForm(encoding, _delimiter(head), damaged)


def _by_zeros(start: bytes) -> str:
    """UTF-16 without a mark has a zero in almost every pair of bytes, on the same side."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    if half and max(even, odd) > 0.4 * half and min(even, odd) < 0.05 * half:
        return "utf-16-be" if even > odd else "utf-16-le"
    return ""


def _by_bytes(file: Path) -> tuple[str, bool]:
    """UTF-8, and whether damaged; or Windows-1252."""
    utf8, cp1252 = codecs.getincrementaldecoder("utf-8")("replace"), codecs.getincrementaldecoder("cp1252")()
    bad, wide, windows = 0, 0, True
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if b"\0" in block:
                raise InputError(f"{file.name} is no text: it holds zero bytes, and is not UTF-16. Save it as UTF-8.")
            text = utf8.decode(block)
            bad, wide = bad + text.count("\ufffd"), wide + len(_WIDE.findall(text))
            try:
                cp1252.decode(block)
            except UnicodeDecodeError:
                windows = False
    bad += utf8.decode(b"", final=True).count("\ufffd")
    if bad and wide <= bad:
        if windows:
            return "cp1252", False
        raise InputError(f"{file.name} is no text in UTF-8, UTF-16 or Windows-1252. Save it as UTF-8.")
    return "utf-8-sig", bad > 0


def _delimiter(head: str) -> str:
    """What splits the first line into most fields; a comma where nothing does."""

    def fields(delimiter: str) -> int:
        try:
            lines = iter(head.splitlines(keepends=True))
            return next((len(row) for row in csv.reader(lines, delimiter=delimiter)), 0)
        except csv.Error:
            return 0

    return max(_DELIMITERS, key=fields)


def text_lines(file: Path, form: TextForm) -> Iterator[str]:
    """The lines of a file of that form, as csv wants them. Bytes that are no text become the replacement character."""
    with file.open(encoding=form.encoding, errors="replace", newline="") as stream:
        yield from stream


# -- names and numbers -----------------------------------------------------------------------------------------


def known_names(names: Sequence[str], known: Sequence[str], source: str) -> dict[str, str]:
    """What each column is called here: a `known` name where it is one but for case, spaces and hyphens, else its own.

    Raises InputError where two columns are called the same.
    """
    found: dict[str, str] = {}
    for name in names:
        plain = "_".join(name.replace("-", " ").split()).casefold()
        called = plain if name not in known and plain in known and plain not in names else name
        if called in found.values():
            raise InputError(f"{source} has two columns {called}. Rename or remove one.")
        found[name] = called
    return found


def listed_names(names: Sequence[str]) -> str:
    """Names of columns, for an error."""
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN]) or "none"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def as_number(value: object, *, whole: bool) -> float:
    """A number, or its text with a decimal point or comma; NaN for what is none. `whole` numbers may have commas
    between thousands."""
    if isinstance(value, str) and "," in value and "." not in value:
        thousands = whole and _THOUSANDS.fullmatch(value.strip())
        value = value.replace(",", "") if thousands else value.replace(",", ".", 1)
    try:
        return float(cast("Any", value))
    except (TypeError, ValueError, OverflowError):
        return math.nan


def renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`row` with its fields called by `names`."""
    return {names.get(key, key): value for key, value in row.items()}
