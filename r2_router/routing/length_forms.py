"""Forms of an answer that imply its length, with no number: yes or no, a haiku, a tweet, "keep it short"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from r2_router.routing.length_phrases import Asked

_ASK = (
    r"(?:answer|reply|respond|say|with|just|only|simply|antworte\w*|mit|nur|réponds|répondez|par|responde|contesta|con|"
    r"solo|sólo|rispondi|responda|com|apenas|antwoord|ответь\w*|ответьте|только|回答|只|请|請|用|で)"
)
_WRITE = (
    r"(?:write|compose|create|give me|make|generate|draft|tell me|schreibe?|verfasse|dichte|écris|écrivez|rédige|"
    r"compose|"
    r"escribe|redacta|scrivi|escreva|schrijf|напиши|写|寫|作|创作)"
)
_EITHER = (
    r"(?:yes ?(?:or|/) ?no|true ?(?:or|/) ?false|ja ?(?:oder|of|/) ?(?:nein|nee)|oui ?(?:ou|/) ?non|s[íi] ?(?:o|/) ?no|"
    r"sim ?(?:ou|/) ?não|sì ?(?:o|/) ?no|да ?(?:или|/) ?нет|"
    r"是(?:或|还是|或者)(?:否|不是)|是否|はいかいいえ|はい・いいえ|نعم أو لا)"
)
# What is written -> tokens, low and high.
_POEMS = {
    "haiku": (12, 45),
    "limerick": (35, 100),
    "sonnet": (100, 230),
    "couplet": (10, 50),
    "tweet": (10, 110),
    "俳句": (8, 45),
}
_YES_OR_NO = re.compile(
    rf"{_ASK}(?: (?:me|a|an|with|simple|single|just|only|einem|par|con|un|either|only a|"
    rf"in)){{0,3}}[ :\"']*{_EITHER}(?! ?-?questions?| frage| vote)|"
    rf"(?:^|[.?!,;:(\n。？，（] ?)(?:just |only )?{_EITHER}[\"']?(?: only| please| answer| bitte)?\s*"
    rf"(?=$|[.?!,\n。？）]|\)(?! ?(?:or|and|not) ))|"
    rf"{_EITHER} (?:answer|only)|只(?:需|要)?回答{_EITHER}"
)
_POEM = re.compile(
    rf"(?:{_WRITE}(?: \w+){{0,4}}? ?|(?:^|[.!?\n] ?)(?:a |an |one )?)"
    r"(?:一首)?(?P<poem>haiku|haïku|limerick|sonnet|sonett|couplet|tweet|俳句)(?! ?(?:thread|storm))\b"
)
_NO_POEM = re.compile(r"(?:this|that|my|the following|these|the|analy[sz]e|what|about) (?:\w+ )?$")
_SHORT = re.compile(
    r"\b(?:keep|make) (?:it|this|things|your (?:answer|response|reply)|the (?:answer|response|reply)|answers?|that) "
    r"(?:very |really |as |nice and |super )?(?:short|brief|concise)|\bbe (?:very |as )?(?:brief|concise)\b|"
    r"(?:^|[.!?\n,] ?)(?:please |very )?(?:briefly|concisely)\b|\b(?:explain|describe|summari[sz]e|answer|"
    r"outline) (?:\w+ )?"
    r"(?:briefly|concisely)\b|\bbriefly (?:explain|describe|summari[sz]e|answer|outline|define|introduce)|"
    r"\b(?:answer|reply|respond|explain)(?: \w+){0,6} (?:briefly|concisely)(?=$|[.!?,\n])|"
    r"(?:^|[.!?,\n] ?)(?:please )?(?:a )?(?:short|brief|concise) (?:answer|reply|"
    r"response)s?(?: only)?(?: please)?\s*(?=$|[.!?\n])|"
    r"\b(?:give|want|need)(?: me)? (?:just )?a (?:very )?(?:short|brief|concise) (?:answer|reply|response)\b|"
    r"\bin (?:short|brief)\s*(?=$|[.?!\n])|\bfass dich kurz\b|\bkurz und (?:knapp|bündig)\b|"
    r"\b(?:antworte|erkläre?|beschreibe?|fasse?)(?: \w+){0,4} (?:kurz|knapp)\b|\bsois? bref\b|\bsoyez bref\b|"
    r"\bbrièvement\b|"
    r"\b(?:responde|explica|resume|describe)(?: \w+){0,4} brevemente\b|\bbrevemente\b|\bsé breve\b|\bsii breve\b|"
    r"\bseja breve\b|\bhoud het kort\b|\b(?:объясни|опиши|ответь) кратко\b|\bкратко (?:объясни|опиши|ответь)|"
    r"(?:请)?(?:简短|简要|简单|簡單|簡潔)地?(?:地)?(?:回答|说明|介绍|解释|描述|概括|に)|簡潔に"
)
_SHORT_TOKENS = 400
_NEAR = 150  # characters
_REASONS = re.compile(
    r"\b(?:explain|explanation|justif\w+|reason\w*|why|because|warum|begründ\w+|pourquoi|por qué|then|example)\b"
)


def asked_forms(text: str) -> Iterator[Asked]:
    """What a folded text says of the answer's form."""
    either = _YES_OR_NO.search(text)
    if either and not _REASONS.search(text[either.end() : either.end() + 80]) and _at_an_end(text, either):
        yield Asked("yes or no", 1, 12, (1, 1))
    for match in _POEM.finditer(text):
        if not _NO_POEM.search(text[max(0, match.start("poem") - 20) : match.start("poem")]):
            poem = match["poem"].replace("haïku", "haiku").replace("俳句", "haiku").replace("sonett", "sonnet")
            yield Asked(poem, *_POEMS[poem], (1, 1))
    if _SHORT.search(text):
        yield Asked("short", 0, _SHORT_TOKENS, (1, 1))


def _at_an_end(text: str, found: re.Match[str]) -> bool:
    """Whether a form that fits only the whole answer stands where it is meant for it: not amid many questions."""
    return found.start() < _NEAR or found.end() > len(text) - _NEAR
