"""Lengths in sentences of languages with spaces: which number is about the answer, and which about something else.

A number with a unit counts only where what stands around it says that the answer shall be that long: "in 3
sentences", "write 200 words", "the reply must have at least 50 words", "a 1000-word essay on ...". A number that a
determiner ties to a thing that is there ("this 1500-word article"), a question ("how many words ..."), a part ("50
words each") or code ("a function that cuts to 100 words") does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from r2_router.routing.length_words import DESCRIBING, LETTERS, Language, units


@dataclass(frozen=True, slots=True)
class Asked:
    """One statement: `low` to `high` of `unit`; low 0 or high infinite where the query sets none.

    `tokens_per_word` (low, high) of its language; `whole` is False where only a part of the answer is counted.
    """

    unit: str
    low: float
    high: float
    tokens_per_word: tuple[float, float]
    whole: bool = True


# The most of each unit that anybody asks for, and the least of a unit that is mostly about something else.
_MOST = {
    "word": 20_000,
    "sentence": 300,
    "paragraph": 60,
    "bullet": 100,
    "point": 20,
    "page": 40,
    "line": 500,
    "character": 20_000,
    "stanza": 60,
    "minute": 60,
}
_SHORT_TEXTS_ONLY, _SHORT_TEXT = ("line", "point", "character"), 1000  # a long text has such of its own
_LEAST_CHARACTERS = 20  # fewer are people of a story, or a password
_MOST_UNITS = 60  # that are looked at: who asks for a length does not name more
_BEFORE, _AFTER = 140, 70  # characters of the clause that are looked at on either side
_CLAUSE_END = re.compile(r"(?<!\bi\.e)(?<!\be\.g)[.!?](?=\s|$)|[;:\n\"]")
_HALF = r"half an?|une demi|une demie|eine halbe|einer halben|media|mezza|meia|een halve"
_DIGITS = r"\d{1,3}(?:[., ']\d{3})+(?!\d)|\d{1,6}(?:[.,]\d)?k?"


def asked_lengths(text: str) -> Iterator[Asked]:
    """What a folded text says of the answer's length, in the order in which it stands there."""
    known = units()
    end = said = 0
    for match in islice((m for m in LETTERS.finditer(text) if m[0] in known), _MOST_UNITS):
        if match.start() == end + 1 and match[0].startswith("point"):  # of "bullet points"
            continue
        end = match.end()
        for language in known[match[0]]:
            asked = _Grammar.of(language).read(text, match, said)
            if asked is not None:
                yield asked
                said = end
                break


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A number of units, where it stands, and how strongly it is one: `article` for "a paragraph"."""

    unit: str
    low: float
    high: float
    start: int
    end: int
    article: bool
    compared: bool  # "at least", "or less"
    singular: bool  # "1000-word", "500 word": as before a noun


class _Grammar:
    """The patterns of one language."""

    def __init__(self, language: Language) -> None:
        g = self.language = language
        spelled = "|".join(sorted(map(re.escape, g.numbers), key=len, reverse=True))
        run = rf"(?:{spelled})(?:[ -](?:and |et |y |und |e )?(?:{spelled})){{0,4}}"
        number = rf"{_DIGITS}|{_HALF}|(?:{'|'.join(g.vague)})|(?:{run})|(?:{g.one})"
        self._head = re.compile(
            rf"(?<![\w.,$€£/])(?:(?P<least>{g.least})|(?P<most>{g.most})|(?P<exactly>{g.exactly})|(?:{g.between}))? ?"
            rf"(?:(?P<about>{g.about}) ?)?(?<![\w.,$€£])"
            rf"(?:a total of )?(?P<low>{number})(?P<plus>\+| (?:{g.or_more})(?= ))?(?P<cap> (?:{g.or_less})(?= ))?"
            rf"(?: ?(?:-|(?: (?:{g.to}) )) ?(?:(?:{g.about}|{g.most}) )?(?P<high>{number}))?(?:\+)?"
            rf"[ -](?:(?:{DESCRIBING})[ -]){{0,3}}$"
        )
        ending = rf"(?=\W|$)(?! (?:{number})(?:\W|$))"
        self._behind = re.compile(
            rf"(?:[ -]?points?\b)?(?: long| in length)?,? ?-?\(?(?:(?P<more>{g.or_more})|(?P<less>{g.or_less})|"
            rf"(?P<about>{g.roughly})){ending}"
        )
        words = r"(?: [\w'-]+)"
        self._given = re.compile(rf"(?<!\w)(?:{g.given})(?:,? (?:{g.given}|[a-z]+est))*(?: |(?<='))$")
        self._part = re.compile(rf"\b(?:{g.part})\b.{{0,90}}$")
        self._part_behind = re.compile(rf"[^,.]{{0,3}}\b(?:{g.part})\b(?! (?:separated|divided|starting))")
        self._asks = re.compile(rf"(?:^|[,;] ?|\b(?:and|but|und|et|y|e|en) )\W*(?:{g.asks})\b")
        self._other = re.compile(rf"(?<!\w)(?:{g.make}|{g.must}|{g.past})\b.{{0,70}}\b(?:{g.other})\b")
        self._other_subject = re.compile(rf"^.{{0,50}}\b(?:{g.other})\b.{{0,30}}\b(?:{g.must})\b")
        self._other_behind = re.compile(rf"[ -](?:[\w-]+ )?(?:{g.other})\b")
        self._past = re.compile(rf"\b(?:{g.past})\b{words}{{0,5}} ?$")
        self._within = re.compile(rf"(?:^|[\W])(?:{g.within}) $")
        self._verb = re.compile(rf"(?<!\w)(?:{g.make}|{g.tell}|{g.resize})\b")
        self._make_near = re.compile(rf"(?<!\w)(?:{g.make})\b(?:,? (?!{_STOP})[\w'-]+){{0,5}},? ?$")
        self._makes = re.compile(rf"(?<!\w)(?:{g.make})\b")
        self._resize = re.compile(rf"(?<!\w)(?:{g.resize})\b.{{0,70}}\b(?:{g.down_to}) $")
        self._resizes = re.compile(rf"(?<!\w)(?:{g.resize})\b.{{0,70}}$")
        self._holding = re.compile(rf"(?:^|\W)(?:{g.holding}) ?$")
        self._must = re.compile(rf"(?<!\w)(?:{g.must})\b{words}{{0,5}} ?$")
        self._texts = re.compile(rf"\b(?:{g.texts})\b")
        self._text_behind = re.compile(
            rf"[ -](?:[\w'-]+ ){{0,2}}?(?:{g.texts})\b(?! (?:was|were|is|has|had|by|wurde|ist|war))"
        )
        self._negated = re.compile(rf"(?:(?<!\w)(?:{g.negation})|n't)\b{words}{{0,4}} ?$")
        self._article = re.compile(rf"^(?:{g.one})$")
        self._joined = re.compile(r"(?:^|\W)(?:and|but|with|und|mit|et|avec|y|con|e|com|en|met|и) $")
        self._bare = re.compile(
            rf"^\W*(?:(?:{g.one}|and|but|or|please|of|und|et|y|e|en|but with|with|{g.about}) ?)?\W*$"
        )

    @staticmethod
    @cache
    def of(language: Language) -> _Grammar:
        return _Grammar(language)

    def read(self, text: str, unit: re.Match[str], said: int) -> Asked | None:
        """What the text says with this unit of the answer's length, None if nothing; `said` is where the statement
        before it ends.
        """
        quantity = self._quantity(text, unit)
        if quantity is None or (quantity.unit in _SHORT_TEXTS_ONLY and len(text) > _SHORT_TEXT):
            return None
        before, after = _clause(text, quantity.start, quantity.end)
        if self._about_something_else(quantity, before, after):
            return None
        if not (_CONTINUES.fullmatch(text[said : quantity.start]) or self._of_the_answer(quantity, before, after)):
            return None
        low, high = quantity.low, quantity.high
        if math.isinf(high) and self._negated.search(before):  # "nothing longer than 30 words"
            low, high = 0.0, low
        if low == high and (_AT_MOST.search(before) or _LIMITS.search(before)):
            low = 0.0
        whole = not (quantity.unit in ("bullet", "point") and self._holds(before))
        return Asked(quantity.unit, low, high, self.language.tokens_per_word, whole)

    # -- the number ------------------------------------------------------------------------------------------

    def _quantity(self, text: str, unit: re.Match[str]) -> _Quantity | None:
        start = max(0, unit.start() - 90)
        head = self._head.search(text[start : unit.start()])
        if head is None or re.search(r"\d $", text[start : start + head.start()]):  # "10 one liners"
            return None
        low = self._number(head["low"])
        high = low if head["high"] is None else self._number(head["high"])
        name = self.language.unit_of[unit[0]]
        if low is None or high is None or not low[0] <= high[1] <= _MOST[name]:
            return None
        if name == "character" and high[1] < _LEAST_CHARACTERS:
            return None
        behind = self._behind.match(text, unit.end(), unit.end() + 40)
        bounds = _bounds(low[0], high[1], head, behind)
        return _Quantity(
            unit=name,
            low=bounds[0],
            high=bounds[1],
            start=start + head.start(),
            end=unit.end(),
            article=bool(self._article.match(head["low"])),
            compared=bool(
                head["least"]
                or head["most"]
                or head["plus"]
                or head["cap"]
                or head["high"]
                or (behind and not behind["about"])
            ),
            singular=self.language.units[name].startswith(f"{unit[0]} "),
        )

    def _number(self, text: str) -> tuple[float, float] | None:
        """The number that a text says, twice, or the two ends of what a vague one may mean."""
        if text in self.language.vague:
            return self.language.vague[text]
        if text[0].isdigit():
            value = _digits(text)
        elif re.fullmatch(_HALF, text):
            value = 0.5
        elif self._article.match(text):
            value = 1.0
        else:
            value = self._spelled(text)
        return None if value is None or value <= 0 else (value, value)

    def _spelled(self, text: str) -> float | None:
        """A number in words: 100 and 1000 multiply what stands before them."""
        numbers = self.language.numbers
        total = current = 0
        for word in _pieces(text, numbers):
            value = numbers.get(word)
            if value is None:
                continue
            if value in (100, 1000):
                current = max(current, 1) * value
                if value == 1000:
                    total, current = total + current, 0
            elif current % 100 and value >= 10:
                return None  # "three twenty"
            else:
                current += value
        return float(total + current) or None

    # -- whose length it is ----------------------------------------------------------------------------------

    def _about_something_else(self, q: _Quantity, before: str, after: str) -> bool:
        return bool(
            (self._given.search(before) and not q.compared)
            or self._part.search(before)
            or self._part_behind.match(after)
            or _NOT_THE_ANSWER.match(after)
            or (q.unit in ("word", "character") and (_RELATIVE.match(after) or _SOME_OF_ALL.match(after)))
            or self._asks.search(before)
            or self._other.search(before)
            or self._other_subject.search(before)
            or (q.singular and self._other_behind.match(after) and not self._text_behind.match(after))
            or (q.unit == "minute" and not _SPEECH.match(after))
            or (q.unit in ("line", "point") and q.article)
        )

    def _of_the_answer(self, q: _Quantity, before: str, after: str) -> bool:
        if self._within.search(before):
            return self._leads(q, before, after)
        if self._resize.search(before) or (q.compared and self._resizes.search(before)):
            return True
        if self._past.search(before):
            return self._shall(q, before)
        return bool(self._make_near.search(before)) or self._shall(q, before) or self._belongs(q, before, after)

    def _shall(self, q: _Quantity, before: str) -> bool:
        """ "The essay must have 300 words"."""
        if q.unit == "point" or (q.article and q.unit != "paragraph"):
            return False
        return bool(self._must.search(before) and (q.compared or self._holding.search(before)))

    def _belongs(self, q: _Quantity, before: str, after: str) -> bool:
        """ "A poem of 12 lines", and what stands apart from the rest: "Essay on Rome. 300 words."."""
        if q.unit == "point":
            return False
        written = bool(self._makes.search(before)) or self._starts(before)
        if self._holding.search(before):
            return (written or bool(_HAVE.match(before))) and not q.article
        joined = q.compared and written and bool(self._joined.search(before))
        return joined or any(says(q, before, after) for says in (self._heads, self._stands_alone, self._in_apposition))

    def _leads(self, q: _Quantity, before: str, after: str) -> bool:
        """ "in 3 sentences": behind what is asked, before it, or with a verb that asks for words."""
        asks = bool(self._verb.search(before))
        apart = bool(re.search(r"(?:^|[,(\u2013-] ?)\W*[\w']+ (?:[\w']+ )?$", before))
        if q.article:
            return (asks or apart) and not _GRAMMAR.search(before + after)
        if q.unit == "point":
            return asks
        return asks or apart or q.compared or bool(_CLOSED.match(after)) or bool(_QUESTION.match(before))

    def _heads(self, _: _Quantity, before: str, after: str) -> bool:
        """ "1000-word essay on Rome" at the beginning of a clause."""
        return bool(self._bare.match(before) and self._text_behind.match(after))

    def _stands_alone(self, q: _Quantity, before: str, after: str) -> bool:
        """ "Max 100 words." as a sentence of its own."""
        return (
            not q.article and not before.strip(" -*\u2022([") and bool(_END.match(_without_bound(after, self._behind)))
        )

    def _in_apposition(self, q: _Quantity, before: str, after: str) -> bool:
        """ "Write an essay on Rome, 1500 words", "Use 30 sentences, but less than 600 words"."""
        part = re.split(r"[,(\[\u2013]| - ", before)
        if q.article or len(part) < 2 or not self._bare.match(part[-1]):
            return False
        if self._makes.search(before) or self._starts(before):
            return q.compared or bool(_END.match(_without_bound(after, self._behind)))
        return q.compared and bool(self._verb.search(before))

    def _starts(self, before: str) -> bool:
        """Whether a clause begins with what is written: "Essay on Rome", "A short poem"."""
        found = self._texts.search(before)
        if found is None or self._given.search(before[: found.start()]):
            return False
        return len(before[: found.start()].split()) <= 3

    def _holds(self, before: str) -> bool:
        return bool(self._holding.search(before) or self._must.search(before))


# What behind the unit shows that it is not the answer that is counted.
_NOT_THE_ANSWER = re.compile(
    r" (?:from|starting|beginning|ending|rhym\w*|above|below|ago|were|was|are|back|left|missing|wrong|should|must|"
    r"need|can be|"
    r"called|named|be in|begin|start|end|of code|of text (?:i|that)|of the (?:book|text|article|document)|"
    r"with (?:the )?(?:letter|prefix|suffix|all|capital)|or phrases|in (?:all|capital|upper|lower|bold|italic|"
    r"english that)|"
    r"in (?:the|this|that|my|these|your|each) (?!style|form|voice|tone|manner|same|first|third|past|present|"
    r"response|answer|reply|entire|whole|output)|"
    r"que (?:riment|commencent|empiecen|rimen)|die (?:mit|auf|sich)|qui (?:riment|commencent)|"
    r"limit is|wurde|ist|war|étaient|était|eran)(?:\b|(?<= ))"
)
_STOP = (
    r"(?:about|on|for|of|from|that|which|to|with|by|and|or|in|if|when|at|than|who|über|von|mit|für|aus|sur|de|du|des|"
    r"avec|que|qui|pour|sobre|con|para|del|di|su|per|com|о|об|про|для|из|с|over|van|met|voor)\b"
)
_RELATIVE = re.compile(r" (?:that|which|who|where|if|whose|der|die|das|qui|que|che|которы\w+|waarin)\b")
_CONTINUES = re.compile(r"(?: ?points?)?,? (?:and|but|but also|y|et|und|e|en|и|mais|pero|aber) ")
_AT_MOST = re.compile(r"\b(?:within|inside|innerhalb von|entro|dentro de|binnen) $")
_LIMITS = re.compile(
    r"\b(?:limit|limited|restrict|restricted|confine|cap|beschränken?|begrenze|limite[sz]?|limiter|limita|limítate|"
    r"beperk|ограничь)\b.{0,60} $"
)
_SOME_OF_ALL = re.compile(r".{0,40}\b(?:should|must) (?:be|appear|start|end) ")
_SPEECH = re.compile(
    r"[ -](?:[\w-]+ )?(?:speech|talk|toast|presentation|monologue|pitch|podcast|sermon|lecture|script|eulogy|sketch)\b"
)
_GRAMMAR = re.compile(
    r"\b(?:verbs?|nouns?|subject|object|adjectives?|adverbs?|grammar|clause|punctuation|commas?|pronouns?|preposition|"
    r"word order|syntax|occurs?|appears?|typos?|mistakes?|errors?|spelling|verb|nomen|verbe|sujet|verbo|sujeto)\b"
)
_HAVE = re.compile(r"\W*(?:please )?(?:include|have) $")
_QUESTION = re.compile(
    r"\W*(?:what|why|who|how|when|where|was|warum|wie|que|qué|quoi|pourquoi|cos|perché|что|почему|is|are)\b"
)
_END = re.compile(
    r"\W*(?:(?:long|in length|please|only|total|in total|bitte|svp|s'il vous plaît|por favor|lang) ?)?(?:$|"
    r"[,).;!?:\]\n]|- )"
)

_CLOSED = re.compile(r"(?: points?)?[\s)]*(?:$|[.!?\n])")


def _without_bound(after: str, bound: re.Pattern[str]) -> str:
    found = bound.match(after)
    return after[found.end() :] if found else after


def _clause(text: str, start: int, end: int) -> tuple[str, str]:
    """What stands in the same clause before `start` and from `end` on."""
    before, after = text[max(0, start - _BEFORE) : start], text[end : end + _AFTER]
    cut = 0
    for boundary in _CLAUSE_END.finditer(before):
        cut = boundary.end()
    closed = _CLAUSE_END.search(after)
    return before[cut:].lstrip(), after if closed is None else after[: closed.start() + 1]


def _bounds(low: float, high: float, head: re.Match[str], behind: re.Match[str] | None) -> tuple[float, float]:
    """The ends of what is asked for: one is open behind "at least" and "at most"."""
    if head["cap"]:
        return 0.0, high
    if head["plus"] or head["least"] or (behind and behind["more"]):
        return low, math.inf if head["high"] is None else high
    if head["most"] or (behind and behind["less"]):
        return 0.0 if head["high"] is None else low, high
    if head["about"] or (behind and behind["about"]):
        return 0.95 * low, 1.05 * high
    return low, high


def _digits(text: str) -> float | None:
    thousands = text.endswith("k")
    plain = re.sub(r"[., '](?=\d{3})", "", text.rstrip("k")).replace(",", ".")
    try:
        return float(plain) * (1000 if thousands else 1)
    except ValueError:
        return None


def _pieces(text: str, numbers: dict[str, int]) -> list[str]:
    """The words of a spelled number; one that has a hyphen within ("dix-sept") stays whole."""
    found: list[str] = []
    for word in text.split():
        found += [word] if word in numbers else word.split("-")
    return found
