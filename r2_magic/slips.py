"""A mistyped command with more words behind it: told from a question, which is asked."""

from __future__ import annotations

from r2_magic.options import COMMANDS

# What slips could make of a command, and what may begin a question, in English or elsewhere.
_REAL = """
lats lsat lasst goood godo tats sats satts sattes suttas staats cure cuve curves curved couvre cuivre rest rests reste
rester restes restez resten rested retest reszte rese reet resets reiste rejste setups stepup model modelo modelos
modeli modele modelu modela modely modell modells moders modes modems modals modales modules moldes motels morels
yodels explains explican configs confit confia confie confio prefers prefere preferi prefera preger prever preyer
refer refers
"""
_LEAST = 4  # letters of a command: what is like a shorter one may mean anything
_LONG = 6  # from here on any one slip is told; in shorter ones a wrong letter mostly makes another word


def meant(word: str) -> str:
    """The command that `word`, with more words behind it, misspells; "" where it may be the first word of a question.

    It is narrow: a question that is refused is worse than a slip that is asked.
    """
    if word in _REAL.split() or not word.isascii() or not word.replace("-", "").islower():
        return ""
    return next((command for command in COMMANDS if len(command) >= _LEAST and _slip(word, command)), "")


def _slip(word: str, command: str) -> bool:
    """Whether fingers may have made `word` of `command`."""
    swapped, fewer = _swapped(command), _without_one(word)
    if word in swapped or (command in fewer and _doubles(word, command)):
        return True
    if len(command) <= _LEAST:
        return False
    wrong = len(word) == len(command) and sum(a != b for a, b in zip(word, command, strict=True)) == 1
    if word in _without_one(command) or (len(command) >= _LONG and (wrong or command in fewer)):
        return True
    two = not swapped.isdisjoint(fewer) or not swapped.isdisjoint(_swapped(word))
    return two and word[0] == command[0]


def _swapped(word: str) -> set[str]:
    """`word` with two neighbours in each other's place."""
    return {f"{word[:i]}{word[i + 1]}{word[i]}{word[i + 2 :]}" for i in range(len(word) - 1)}


def _without_one(word: str) -> set[str]:
    """`word` without one of its letters."""
    return {word[:i] + word[i + 1 :] for i in range(len(word))}


def _doubles(word: str, command: str) -> bool:
    """Whether the letter that `word` has more than `command` is its neighbour's."""
    return word in {command[:i] + command[i] + command[i:] for i in range(len(command))}
