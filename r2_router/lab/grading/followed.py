"""Kinds of instruction that can be checked by rule, and how each is read: strictly, and by the text alone.

The ids and arguments are IFEval's (Zhou et al. 2023, arXiv 2311.07911); how a text is read is our own. A kind either
counts something, and the count is compared, or it is followed or not.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from r2_router.lab.grading.finals import whole_words

Arguments: TypeAlias = Mapping[str, Any]

RELATIONS: Mapping[str, Callable[[int, int], bool]] = {
    "at least": operator.ge,
    "more than": operator.gt,
    "at most": operator.le,
    "less than": operator.lt,
    "exactly": operator.eq,
}
_LASTING = ("at least", "more than")


@dataclass(frozen=True, slots=True)
class Counted:
    """The count of something, compared with argument `number` by argument `relation` (`default` where not given, ""
    where it must be). `texts` are needed besides; a text in `optional` may be missing."""

    count: Callable[[str, Arguments], int]
    number: str
    relation: str = "relation"
    default: str = ""
    texts: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def needs(self, given: Arguments) -> dict[str, str]:
        """The arguments it can have of those given, and those it must have, each with what it is to be."""
        texts = (*self.texts, *(name for name in self.optional if name in given))
        return {self.number: "a whole number", self.relation: "a relation", **dict.fromkeys(texts, "a text")}

    def followed(self, text: str, given: Arguments) -> bool:
        return RELATIONS[self._how(given)](self.count(text, given), given[self.number])

    def lasts(self, given: Arguments) -> bool:
        return self._how(given) in _LASTING

    def _how(self, given: Arguments) -> str:
        return given.get(self.relation, self.default)


@dataclass(frozen=True, slots=True)
class Stated:
    """Followed or not; `lasting` if what follows in new lines cannot undo it. Arguments: `texts` needed, each a text;
    `lists` needed, each a list of texts; `numbers` needed, each from 1 on; those in `optional` may be missing."""

    judge: Callable[[str, Arguments], bool]
    lasting: bool = False
    texts: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def needs(self, given: Arguments) -> dict[str, str]:
        """As of Counted."""
        lists = [name for name in self.lists if name in given or name not in self.optional]
        numbers = dict.fromkeys(self.numbers, "a whole number from 1 on")
        return {**numbers, **dict.fromkeys(lists, "a list of texts"), **dict.fromkeys(self.texts, "a text")}

    def followed(self, text: str, given: Arguments) -> bool:
        return self.judge(text, given)

    def lasts(self, given: Arguments) -> bool:
        return self.lasting


_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_TITLE = re.compile(r"<<([^<>\n]+)>>")
_BULLET = re.compile(r"^[ \t]*[*-][ \t]+\S", re.MULTILINE)
_HIGHLIGHT = re.compile(r"(?<!\*)(\*{1,3})(?=[^\s*])[^*\n]+(?<=\S)\1(?!\*)")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\](?!\()")  # and no link
_RESPONSES = re.compile(r"(?<!\*)\*{6}(?!\*)")
_SENTENCES = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]*_]*\s+|\n[ \t]*\n")
_SHORT = re.compile(r"\b(Mrs?|Ms|Dr|Prof|vs|e\.g|i\.e)\.(?=\s)")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_COMMA = re.compile("[,，،、]")
_YES_NO = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def words(text: str, given: Arguments) -> int:
    """Hyphens and apostrophes join."""
    return sum(1 for _ in _WORD.finditer(text))


def sentences(text: str, given: Arguments) -> int:
    """What ends with . ! ? or a blank line, and holds a letter; the items of a list without either are one."""
    return sum(any(map(str.isalpha, each)) for each in _SENTENCES.split(_SHORT.sub(r"\1", text)))


def paragraphs(text: str, given: Arguments) -> int:
    """The parts that `divider` ("***" where not given, or "blank line") makes of the text; empty ones do not count."""
    divider = given.get("divider", "***")
    parts = _BLANK_LINE.split(text) if divider == "blank line" else text.split(divider)
    return sum(bool(part.strip()) for part in parts)


def bullets(text: str, given: Arguments) -> int:
    return len(_BULLET.findall(text))


def highlights(text: str, given: Arguments) -> int:
    return len(_HIGHLIGHT.findall(text))


def placeholders(text: str, given: Arguments) -> int:
    return len(_PLACEHOLDER.findall(text))


def sections(text: str, given: Arguments) -> int:
    """Different numbers that stand behind the section's word: "SECTION 1"."""
    return len(set(re.findall(rf"(?<!\w){re.escape(given['section_spliter'])}\s?(\d+)", text)))


def keyword(text: str, given: Arguments) -> int:
    return len(whole_words(given["keyword"]).findall(text))


def letter(text: str, given: Arguments) -> int:
    return text.casefold().count(given["letter"].casefold())


def capitals(text: str, given: Arguments) -> int:
    """Words of two letters or more, all capital: "I" and "A" are no emphasis."""
    found = (match[0] for match in _WORD.finditer(text))
    return sum(word.isupper() and sum(map(str.isalpha, word)) > 1 for word in found)


def _keywords(text: str, given: Arguments) -> bool:
    return all(whole_words(each).search(text) for each in given["keywords"])


def _without(text: str, given: Arguments) -> bool:
    return not any(whole_words(each).search(text) for each in given["forbidden_words"])


def _first_word(text: str, given: Arguments) -> bool:
    """Exactly so many paragraphs, with blank lines between, and the first word of one of them."""
    parts = [part for part in _BLANK_LINE.split(text) if part.strip()]
    if len(parts) != given["num_paragraphs"] or given["nth_paragraph"] > len(parts):
        return False
    first = _WORD.search(parts[given["nth_paragraph"] - 1])
    return first is not None and first[0].casefold() == given["first_word"].casefold()


def _json(text: str, given: Arguments) -> bool:
    """The whole text, or all of it within one fence, is an object or a list."""
    bare = text.strip()
    first, _, rest = bare.partition("\n")
    if first.strip().casefold() in ("```", "```json") and rest.endswith("```"):
        bare = rest.removesuffix("```")
    try:
        value = json.loads(bare, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list)


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _title(text: str, given: Arguments) -> bool:
    return any(found.strip() for found in _TITLE.findall(text))


def _one_of(text: str, given: Arguments) -> bool:
    """One of the options occurs, to the letter, and no other."""
    return sum(option in text for option in given.get("options", _YES_NO)) == 1


def _postscript(text: str, given: Arguments) -> bool:
    """The marker, in any case, with something behind it."""
    marker = r"\s?".join(re.escape(each) for each in given["postscript_marker"].split())
    return re.search(rf"(?<![\w.]){marker}\W*\w", text, re.IGNORECASE) is not None


def _two(text: str, given: Arguments) -> bool:
    """Two different texts with six asterisks between."""
    parts = [part.strip() for part in _RESPONSES.split(text.strip())]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _repeated(text: str, given: Arguments) -> bool:
    """The request first, word for word but for case (another instruction may ask for one), and then an answer."""
    request, said = (" ".join(each.casefold().split()) for each in (given["prompt_to_repeat"], text))
    return said.startswith(request) and any(map(str.isalnum, said[len(request) :]))


def _ending(text: str, given: Arguments) -> bool:
    """The phrase, in any case, and nothing behind it but a closing quotation mark."""
    said, phrase = (" ".join(each.casefold().split()) for each in (text, given["end_phrase"]))
    return said.rstrip(' "”').endswith(phrase.rstrip(' "”'))


def _quoted(text: str, given: Arguments) -> bool:
    bare = text.strip()
    return len(bare) > 2 and (bare[0], bare[-1]) in (('"', '"'), ("“", "”"))


KINDS: Mapping[str, Counted | Stated] = {
    "length_constraints:number_words": Counted(words, "num_words"),
    "length_constraints:number_sentences": Counted(sentences, "num_sentences"),
    "length_constraints:number_paragraphs": Counted(
        paragraphs, "num_paragraphs", default="exactly", optional=("divider",)
    ),
    "length_constraints:nth_paragraph_first_word": Stated(
        _first_word, texts=("first_word",), numbers=("num_paragraphs", "nth_paragraph")
    ),
    "detectable_format:number_bullet_lists": Counted(bullets, "num_bullets", default="exactly"),
    "detectable_format:number_highlighted_sections": Counted(highlights, "num_highlights", default="at least"),
    "detectable_format:multiple_sections": Counted(
        sections, "num_sections", default="at least", texts=("section_spliter",)
    ),
    "detectable_format:title": Stated(_title, lasting=True),
    "detectable_format:json_format": Stated(_json),
    "detectable_format:constrained_response": Stated(_one_of, lists=("options",), optional=("options",)),
    "detectable_content:number_placeholders": Counted(placeholders, "num_placeholders", default="at least"),
    "detectable_content:postscript": Stated(_postscript, lasting=True, texts=("postscript_marker",)),
    "keywords:existence": Stated(_keywords, lasting=True, lists=("keywords",)),
    "keywords:forbidden_words": Stated(_without, lists=("forbidden_words",)),
    "keywords:frequency": Counted(keyword, "frequency", texts=("keyword",)),
    "keywords:letter_frequency": Counted(letter, "let_frequency", "let_relation", texts=("letter",)),
    "change_case:english_capital": Stated(lambda text, _: text.isupper()),
    "change_case:english_lowercase": Stated(lambda text, _: text.islower()),
    "change_case:capital_word_frequency": Counted(capitals, "capital_frequency", "capital_relation"),
    "punctuation:no_comma": Stated(lambda text, _: not _COMMA.search(text)),
    "startend:quotation": Stated(_quoted),
    "startend:end_checker": Stated(_ending, texts=("end_phrase",)),
    "combination:repeat_prompt": Stated(_repeated, lasting=True, texts=("prompt_to_repeat",)),
    "combination:two_responses": Stated(_two),
}
