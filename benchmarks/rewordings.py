"""Queries as somebody else would have typed them: with slips, with other words, with more or fewer manners.

What the vector of a query moves by then says nothing about its answer; the prior's heads are held back there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r2_router.arrays import Floats

# Other words for the words in which people ask.
OTHERS = """
please: kindly; read: peruse, go through, look at; following: subsequent, ensuing, next; question: inquiry, query;
questions: inquiries, queries; answer: response, reply; provide: furnish, give, deliver; write: compose, draft, produce;
explain: describe, clarify, set out; options: choices, alternatives; correct: right, accurate; which: what;
best: most suitable, ideal; use: employ, utilise; make: create, craft, prepare; show: demonstrate, illustrate;
find: determine, work out, identify; give: offer, supply, name; many: numerous; about: concerning, regarding, on;
context: background, setting; true: right, accurate; false: incorrect, wrong; how: in what way; why: for what reason;
big: large, sizeable; small: little, minor; get: obtain, receive; help: assist, support; need: require, want;
good: fine, decent; because: since, as; also: in addition, too; problem: issue, task, exercise; final: conclusive, last;
step: stage; word: term, expression; sentence: phrase, line; list: enumerate, itemise; summarize: sum up, condense;
compare: contrast, weigh up; people: persons, individuals; large: big, sizeable; important: significant, key;
different: distinct, various; calculate: compute, work out; difference: distinction; reason: cause, ground
"""
_LISTS = {
    word.strip(): [other.strip() for other in others.split(",")]
    for word, _, others in (line.partition(":") for line in OTHERS.split(";"))
}
_MANNERS = ("Kindly ", "Please ", "Could you help me with this: ", "I would like to know: ", "Hi! ", "Quick one: ")


def reworded(texts: Sequence[str], seed: int = 0) -> list[str]:
    """Each text another way; the same for the same seed."""
    chance = random.Random(seed)  # not for a secret
    return [_once(text, chance) for text in texts]


def _once(text: str, chance: random.Random) -> str:
    way = chance.random()
    if way < 0.4:
        return _slips(text, 0.12, chance)
    other = _other_words(text, chance)
    return other if way < 0.8 else _slips(other, 0.06, chance).lower()


def _slips(text: str, share: float, chance: random.Random) -> str:
    """`share` of the letters are left out, a third as many are doubled."""
    kept: list[str] = []
    for letter in text:
        drawn = chance.random()
        if not letter.isalpha():
            kept.append(letter)
        elif drawn >= share:
            kept.append(letter * 2 if drawn > 1 - share / 3 else letter)
    return "".join(kept)


def _other_words(text: str, chance: random.Random) -> str:
    def other(found: re.Match[str]) -> str:
        word = found[0]
        others = _LISTS.get(word.lower())
        if not others or chance.random() < 0.05:
            return word
        chosen = chance.choice(others)
        return chosen.capitalize() if word[0].isupper() else chosen

    changed = re.sub(r"[A-Za-z]+", other, text)
    return (chance.choice(_MANNERS) if chance.random() < 0.3 else "") + changed


def covariance(vectors: Floats, others: Floats) -> Floats:
    """(d, d): how a query's vector varies over its wordings, from (n, d) vectors of two wordings each."""
    moved = vectors - others
    return moved.T @ moved / (2 * len(moved))
