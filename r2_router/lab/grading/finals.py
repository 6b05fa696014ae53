"""Reads the final answer out of free text, as a reader would: what is stated to be it, else what stands last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

# What announces a final answer, the strongest first; the text behind it holds the answer.
_BE = r"(?:\s+is|\s+would be|\s+should be|\s*:)+[ \t*:]*\n{0,2}(?P<said>[^\n]+)"
_STATED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"####[ \t]*(?P<said>[^\n]+)",
        r"\b(?:final|correct|right|best|most likely) (?:answer|option|choice|completion)" + _BE,
        r"\banswer(?: to [^.\n:]{0,80})?" + _BE,
        r"\b(?:option|choice) \(?(?P<said>[A-J])\)?(?= is (?:the )?(?:correct|right|best|answer))",
    )
)
# A sum's result, at the very end of a text.
_RESULT = re.compile(r"(?:=|\A)[^=\dA-Za-z]{0,6}[-−]?[\d.,/]*\d[^=\d.\n]{0,12}[.\s]*\Z")
_BOXED = re.compile(r"\\boxed\s*\{")
_BRACE = re.compile(r"[{}]")
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_OPTION_LINE = re.compile(r"^[ \t]*\(?([A-J])[).:][ \t]*(\S.*)$", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*\(?([1-9])[).:][ \t]*(\S.*)$", re.MULTILINE)
_STUCK = re.compile(r"\s*([A-J])[.:]\s*(?:\1[.:]\s*){2,}\1?\s*")  # "A: A: A: A: ..." until the cap
_DIGIT = re.compile(
    r"(?im:(?<=\()([1-9])(?=\))|(?<=boxed\{)([1-9])(?=\})|(?<=\*\*)([1-9])(?=[*).:])|^[ \t]*\(?([1-9])(?=[).:]|[ \t]*$)"
    r"|(?<=\b(?:is|er|on|ce)[ :])\s*([1-9])(?=[).:*,]|\s*$))"
)
_LETTER = re.compile(r"\(([A-Ja-j])\)|\b([A-J])(?=[).:,;]|\s*$|\s*[\n*])|^([A-Ja-j])[).:]?(?=\s|$)")
_SIGN = r"(?:(?<![\w.)])[-−+])?"
_NUMBER = re.compile(
    rf"{_SIGN}(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?(?:\s*/\s*\d+(?![\d/]))?(?:[eE][-+]?\d+|\s*[×x*]\s*10\^\{{?-?\d+\}}?)?"
    rf"|{_SIGN}\.\d+"
)
_FRACTION = re.compile(r"\\d?frac\s*\{\s*(-?\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_UNFINISHED = re.compile(
    r"(?:\d[^\S\n]+[-−+*×x÷][^\S\n]*[$€£]?(?:\d[\d,.]*)?|[=/][^\S\n]*[$€£]?)\Z"
)  # "6 * 1", "4 +", "x =", at the end of what is no more than _END characters
_SIGNED_MONEY = re.compile(r"(?<![\w.)])([-−])\s?\\?[$€£¥]\s?(?=[\d.])")
_LATEX_SPACE = re.compile(r"\\[,;! ]|\\(?:left|right|text|mathrm|mathbf)\b|~")
_WORDS = {
    **{"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7"},
    **{"eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "once": "1", "twice": "2"},
}
_MAX_CHARS = 200_000  # of an answer that is read; from its end
_MAX_BOXED = 1000
_END = 200  # characters in which a sum that breaks off is looked for


def stated(text: str) -> Iterator[str]:
    """What `text` itself states to be its answer: boxed, announced; the strongest form first, the last one of each."""
    text = text[-_MAX_CHARS:]
    if (boxed := _last_boxed(text)) is not None:
        yield boxed
    for pattern in _STATED:
        found = [match["said"] for match in pattern.finditer(text)]
        if found:
            yield found[-1]


def bold(text: str) -> Iterator[str]:
    """What stands in bold, the last first."""
    return reversed(_BOLD.findall(text[-_MAX_CHARS:]))


def lines(text: str) -> list[str]:
    """The lines that say something, without marks of emphasis or list."""
    stripped = (line.strip().strip("*`_#> ").strip() for line in text[-_MAX_CHARS:].splitlines())
    return [line for line in stripped if line]


def whole_words(phrase: str) -> re.Pattern[str]:
    """Finds `phrase` in any case, as whole words, whatever the spaces between them."""
    pattern = r"\s+".join(map(re.escape, phrase.split()))
    return re.compile(rf"(?<!\w){pattern}(?!\w)", re.IGNORECASE)


# -- choices -------------------------------------------------------------------------------------------------


def options(query: str) -> dict[str, str]:
    """The options a query lists as lines "A: ...", "B) ...", "(C) ...", by letter; {} if it lists none."""
    found: dict[str, str] = {}
    for letter, given in _OPTION_LINE.findall(query):
        if letter == "A":
            found = {}  # the last list counts
        if letter == chr(ord("A") + len(found)):
            found[letter] = given.strip()
    return found if len(found) > 1 else {}


def lettered(query: str, text: str) -> tuple[str, str]:
    """Both with options numbered "1: ...", "2) ..." lettered instead, where `query` lists such and no lettered ones."""
    numbers_ = [match[1] for match in _NUMBERED.finditer(query)]
    if options(query) or len(numbers_) < 2 or numbers_ != [str(i + 1) for i in range(len(numbers_))]:
        return query, text

    def letter(match: re.Match[str]) -> str:
        digit = next(group for group in match.groups() if group)
        return match[0][: -len(digit)] + "ABCDEFGHI"[int(digit) - 1]

    return (
        _NUMBERED.sub(lambda match: f"{'ABCDEFGHI'[int(match[1]) - 1]}: {match[2]}", query),
        _DIGIT.sub(letter, text[-_MAX_CHARS:]),
    )


def choice(text: str, listed: Mapping[str, str]) -> str | None:
    """The letter `text` chooses among the options `listed`, None if it chooses none.

    Taken is, in this order: what is stated to be the answer, as a letter or an option's text; what the text begins
    with, as a letter; bold text; a last line that is an option; the one letter in brackets, or the one option whose
    text occurs. A list of several options is repetition, no choice.
    """
    letters = set(listed) or set("ABCDEFGHIJ")
    for given in stated(text):
        if found := _chosen(given, listed, letters):
            return found
    said_lines = [] if _STUCK.fullmatch(text) else lines(text)
    if not said_lines:
        return None
    repeats = len({_leading(line, listed, letters, alone=False) for line in said_lines} - {None}) > 1
    if not repeats and (found := _leading(said_lines[0], listed, letters, alone=len(said_lines) == 1)):
        return found
    for given in bold(text):
        if found := _leading(given, listed, letters, alone=True) or _option_text(given, listed):
            return found
    if not repeats and len(said_lines) > 1 and (found := _leading(said_lines[-1], listed, letters, alone=True)):
        return found
    named = {letter for letter in re.findall(r"\(([A-J])\)", text) if letter in letters}
    only = named if len(named) == 1 else {None if repeats else _only_option(text, listed)}
    return only.pop()


def _chosen(given: str, listed: Mapping[str, str], letters: set[str]) -> str | None:
    """The choice in words that are stated to be the answer."""
    given = _plain(given)
    for match in _LETTER.finditer(given):
        letter = (match[1] or match[2] or match[3]).upper()
        if letter in letters:
            return letter
    return _option_text(given, listed) or _only_option(given, listed)


def _leading(line: str, listed: Mapping[str, str], letters: set[str], *, alone: bool) -> str | None:
    """The letter a line begins with: "C", "C.", "(C) ...", "B: text". "A dog ..." begins with no letter."""
    line = _plain(line)
    match = re.match(r"\(?([A-Ja-j])\)?(?:[).:,](?:\s|$)|$)", line)
    if match and match[1].upper() in letters:
        return match[1].upper()
    match = re.match(r"(?:option|choice)\s+\(?([A-J])\b", line, re.IGNORECASE)
    if match and match[1].upper() in letters:
        return match[1].upper()
    return _option_text(line, listed) if alone else None


def _option_text(given: str, listed: Mapping[str, str]) -> str | None:
    """The option whose text `given` is."""
    wanted = _normal(given)
    same = [letter for letter, option in listed.items() if _normal(option) == wanted]
    return same[0] if len(same) == 1 and wanted else None


def _only_option(text: str, listed: Mapping[str, str]) -> str | None:
    """The one option whose text occurs in `text`; one that is part of another that occurs does not count."""
    normal = f" {_normal(text)} "
    found = {letter: _normal(option) for letter, option in listed.items() if f" {_normal(option)} " in normal}
    longest = [a for a, given in found.items() if given and not any(given != b and given in b for b in found.values())]
    return longest[0] if len(longest) == 1 else None


def _plain(given: str) -> str:
    given = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}", r"\1", given)
    return given.strip().strip("*`_$\"'\\ ").strip()


def _normal(text: str) -> str:
    text = re.sub(r"[.](?!\d)", " ", text.casefold())  # a stop at the end of a sentence is no part of an option
    return " ".join(re.sub(r"[^\w%$.+-]+", " ", text).split())


# -- numbers -------------------------------------------------------------------------------------------------


def number(text: str, *, cut: bool = False) -> Fraction | None:
    """The number `text` answers with: the first one of what it states to be its answer (the last one where that is
    an equation), else of the last bold text that is one, else the last number of all; None if it holds none, or breaks
    off in the middle of a sum. The last number of a text that was `cut` counts only as a sum's result, or alone."""
    for given in stated(text):
        if (found := _number_of(given)) is not None:
            return found
    for given in bold(text):
        if (found := _number_of(given)) is not None:
            return found
    typed = _typed(text)
    if _UNFINISHED.search(typed.rstrip()[-_END:]):
        return None
    if cut and not _RESULT.search(typed):
        return None
    found = numbers(text)
    return found[-1] if found else None


def numbers(text: str) -> list[Fraction]:
    """Every number in `text`: separators of thousands, decimals, fractions, powers of ten, small words."""
    return [value for match in _NUMBER.finditer(_typed(text)) if (value := _value(match[0])) is not None]


def _number_of(given: str) -> Fraction | None:
    found = numbers(given.rpartition("=")[2]) or numbers(given)
    return found[0] if found else None


def _typed(text: str) -> str:
    """`text` with its numbers in the form `_NUMBER` reads."""
    text = _FRACTION.sub(r"\1/\2", text[-_MAX_CHARS:].replace("{,}", ","))
    text = re.sub(r"(?<=\d)\\[,;! ](?=\d{3}(?!\d))", "", text)
    text = _SIGNED_MONEY.sub(r"\1", text)
    text = _LATEX_SPACE.sub(" ", text.replace("\\times", "x").replace("\u2009", "").replace("\u202f", ""))
    return re.sub(r"[A-Za-z]+", lambda m: _WORDS.get(m[0].lower(), m[0]), text)


def _value(given: str) -> Fraction | None:
    given = re.sub(r"[,\s]", "", given).replace("−", "-").lstrip("+")
    given = re.sub(r"[×x*]10\^\{?(-?\d+)\}?", r"e\1", given)
    top, _, bottom = given.partition("/")
    try:
        if abs(int(re.split("[eE]", top)[1])) > 300:
            return None
    except (IndexError, ValueError):
        pass
    try:
        return Fraction(top) / Fraction(bottom or "1")
    except (ValueError, ZeroDivisionError):
        return None


def _last_boxed(text: str) -> str | None:
    r"""What the last \boxed{...} holds, braces inside it balanced."""
    starts = [match.end() for match in _BOXED.finditer(text)]
    ends = _closing(text) if starts else {}
    return next((text[i : ends[i]] for i in reversed(starts) if i in ends and ends[i] - i < _MAX_BOXED), None)


def _closing(text: str) -> dict[int, int]:
    """Where the brace closes that opened just before a place, for each place behind one that does."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            opened.append(match.end())
        elif opened:
            ends[opened.pop()] = match.start()
    return ends
