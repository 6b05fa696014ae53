"""The answer length that a query states: "in one word", "within 3 sentences", "a 1000-word essay", "用三句话".

Worth more than any head where it is there, and wrong where the number was about something else: so precision goes
before recall. Only the beginning and the end of a long text are read, and not what stands in quotation marks or code
fences: a page that was pasted to be worked on says much about lengths that are not the answer's.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2_router import words
from r2_router.arrays import Floats
from r2_router.records import Record
from r2_router.routing.length_words import LETTERS, units

if TYPE_CHECKING:
    from r2_router.routing.length_phrases import Asked

_HEAD, _TAIL = 1500, 1000  # characters that are read of a long text

# Tokens of one unit, low and high. A word's are its language's; measured on answers in benchmarks/stated_length.py.
_TOKENS = {
    "sentence": (12.0, 36.0),
    "paragraph": (35.0, 220.0),
    "bullet": (8.0, 80.0),
    "point": (8.0, 120.0),
    "page": (400.0, 950.0),
    "line": (5.0, 30.0),
    "character": (0.18, 0.4),
    "ideogram": (0.55, 1.4),
    "stanza": (20.0, 80.0),
    "minute": (140.0, 260.0),
}
_EXACT = (
    "ideogram",
    "character",
    "word",
    "sentence",
    "line",
    "stanza",
    "bullet",
    "point",
    "paragraph",
    "minute",
    "page",
)
_SHORT_OF, _BEYOND = 0.9, 1.25  # how far an LLM stays from a number of words or pages it is asked for
_SLACK = 8.0  # tokens: punctuation, a closing mark


@dataclass(frozen=True, slots=True)
class StatedLength(Record):
    """Bounds of the output tokens that the query asks for: `floor_tokens` 0 and `ceiling_tokens` infinite where it
    sets none. `said`: what it asks for, in words.
    """

    floor_tokens: float
    ceiling_tokens: float
    said: str

    def hold(self, tokens: Floats, budgets: Floats, thoughts: Floats) -> Floats:
        """Expected output tokens (C,) within what is asked for, and no limited budget above its own cap.

        Budgets are infinite where unlimited; `thoughts` are the tokens that a model thinks aloud first, which nobody
        asked to be short: they come on top of either.
        """
        asked = np.clip(tokens, self.floor_tokens + thoughts, self.ceiling_tokens + thoughts)
        return np.minimum(asked, budgets + thoughts)

    def share(self, budgets: Floats) -> Floats:
        """How much of its quality each budget keeps, (C,): the share it holds of the least that is asked for.

        The heads foretell how good a short answer would be, as if a short one were wanted; a fifth of an essay is a
        fifth of what was wanted, however well it is written. Where nothing is asked for at least, quality stays.
        """
        least = self.floor_tokens
        return np.minimum(budgets, least) / least if least else np.ones(len(budgets))


def stated_length(query: str) -> StatedLength | None:
    """The length that `query` states for its answer, None where it states none. Takes no longer for a longer text."""
    asked = statements(query)
    return _together(asked) if asked else None


def statements(query: str) -> list[Asked]:
    """Every statement of `query` about the length of its answer. What reads them is loaded when a word says so."""
    text = _folded(query)
    asked: list[Asked] = []
    if _FORM_WORDS.search(text):
        from r2_router.routing.length_forms import asked_forms

        asked += asked_forms(text)
    if not units().keys().isdisjoint(LETTERS.findall(text)):
        from r2_router.routing.length_phrases import asked_lengths

        asked += asked_lengths(text)
    if not text.isascii() and _UNSPACED.search(text):
        from r2_router.routing.length_unspaced import asked_unspaced

        asked += asked_unspaced(text)
    return asked


_FORM_WORDS = re.compile(
    r"yes|true|ja |ja/|oui|sí|si o no|sim |sì|да|是|はい|نعم|haiku|haïku|limerick|sonnet|sonett|couplet|tweet|俳句|"
    r"short|brief|concise|kurz|knapp|brièvement|bref|breve|簡潔|简|簡|кратко|kort"
)
_UNSPACED = re.compile("[\u0600-\u06ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")


# -- the text ------------------------------------------------------------------------------------------------

_QUOTED = re.compile(
    r"```.{0,2000}?(?:```|\Z)|(?<!\w)[\"\u201c\u00ab\u201e][^\"\u201c\u201d\u00ab\u00bb\n]{12,400}[\"\u201d\u00bb](?!\w)",
    re.DOTALL,
)
_OPTION = re.compile(r"^[ \t]{0,8}\(?[A-P][.)][ \t].*$", re.MULTILINE)  # of a question with several choices
_BLANKS = re.compile(r"[^\S\n]+")
_PLAIN = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2212": "-",
        "*": " ",
        "_": " ",
        "`": " ",
    }
)


def _folded(query: str) -> str:
    """What is read of the query: its beginning and end, folded, without what it quotes."""
    text = query if len(query) <= _HEAD + _TAIL else f"{query[:_HEAD]}\n{query[-_TAIL:]}"
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _BLANKS.sub(" ", _OPTION.sub("", _QUOTED.sub(' "" ', text)).translate(_PLAIN).casefold())


# -- what several statements come to -------------------------------------------------------------------------


def _together(asked: list[Asked]) -> StatedLength:
    """The bounds that all statements agree on; where two contradict each other the more exact one counts."""
    ranked = sorted(asked, key=lambda a: (_EXACT.index(a.unit) if a.unit in _EXACT else -1, -_extent(a)))
    floor, ceiling = 0.0, math.inf
    said: list[str] = []
    for one in ranked:
        low, high = _tokens(one)
        if max(floor, low) > min(ceiling, high):
            continue
        floor, ceiling = max(floor, low), min(ceiling, high)
        text = words.length_asked(one.low, one.high, one.unit)
        if text not in said:
            said.append(text)
    return StatedLength(floor_tokens=floor, ceiling_tokens=ceiling, said=", ".join(said))


def _extent(asked: Asked) -> float:
    return asked.low if math.isinf(asked.high) else asked.high


def _tokens(asked: Asked) -> tuple[float, float]:
    """The output tokens that a statement allows."""
    if asked.unit in words.FORMS:
        return asked.low, asked.high
    low, high = asked.tokens_per_word if asked.unit == "word" else _TOKENS[asked.unit]
    small = asked.high <= 5 and asked.unit not in ("page", "minute")
    floor = asked.low * low * (1.0 if small else _SHORT_OF)
    beyond = 1.0 if small or not asked.low else _BEYOND  # "at most" is kept
    ceiling = math.inf if not asked.whole else asked.high * high * beyond + _SLACK
    return float(round(floor)), float(ceiling if math.isinf(ceiling) else round(ceiling))
