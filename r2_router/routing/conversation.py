"""How a conversation is read: the user's last message, and the earlier ones it leans on.

A message that is brief and unlike anything the heads were trained on ("commit it") says nothing alone. It leans on
what was said before by c = σ((L/L* − 0.74 − 0.04·n)/0.09): n its tokens, L its leverage, L* the checkpoint's limit; the
longer it is, the stranger it has to be. The first message leans on none. Walked back from the last, message i counts
for (1 − cᵢ)·Π cⱼ over the later ones, and the prediction is the mean of theirs, so weighted. A last message that leans
by less than 5 % is read alone.

Nothing is remembered but vectors: the same messages are always read the same way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from r2_router.arrays import Floats, Singles
from r2_router.checkpoints.find import shipped_precision
from r2_router.checkpoints.format import Precision
from r2_router.records import Later
from r2_router.routing.closings import is_closing
from r2_router.routing.decision import EarlierTurn
from r2_router.routing.messages import Message, content_text, query_text
from r2_router.routing.predict import Predictor
from r2_router.routing.recent import Recent, fingerprint
from r2_router.routing.tokens import estimate_tokens

Embed: TypeAlias = Callable[[Sequence[str]], Singles]

# Measured in benchmarks/conversations.py: leverages at which a message leans by half, as shares of the limit.
_ALONE, _FOR_EACH_TOKEN, _WIDTH = 0.74, 0.04, 0.09
_BRIEF_TOKENS = 30  # a message of more leans on none
_LEAST = 0.05  # what counts for less is not read
_MOST_TURNS = 32  # earlier messages looked at
_AT_ONCE = 4  # of them embedded together
_ENOUGH_TOKENS = 12  # where leverage is not known, a message of so many is read alone
_COUNTED = 1000  # characters of a message that are enough to see that it is not brief
_KEPT_VECTORS = 1024

# What coding agents (Claude Code, Codex, Cline, Copilot) put into the user's messages that no user wrote.
_HARNESS = re.compile(
    r"<(system-reminder|task-notification|local-command-caveat|local-command-stdout|local-command-stderr"
    r"|ide_opened_file|environment_context|user_instructions|environment_details|environment_info|workspace_info"
    r"|editorContext|reminderInstructions)(?: [^<>]{0,200})?>"
)


# -- what the user said --------------------------------------------------------------------------------------


def user_turns(messages: Sequence[Message]) -> Iterator[str]:
    """What the user said in a checked conversation, the last message first, without what a harness put there.

    A message that holds nothing else is none of the user's; if all are so, the last is taken as it stands. So is one
    that comes alone, without even a system message: no harness sends that.
    """
    if len(messages) == 1:
        yield query_text(messages[0])
        return
    said, last = False, None
    for message in reversed(messages):
        if message["role"] != "user":
            continue
        text = content_text(message)
        last = query_text(message) if last is None else last
        wish = without_harness(text)
        if wish.strip():
            said = True
            yield wish
    if not said and last is not None:
        yield last


def without_harness(text: str) -> str:
    """`text` without the parts in tags of a coding agent; exactly `text` where there are none."""
    if "<" not in text:
        return text
    kept: list[str] = []
    end, unclosed = 0, set[str]()
    for opened in _HARNESS.finditer(text):
        tag = f"</{opened[1]}>"
        if opened.start() < end or tag in unclosed:
            continue
        close = text.find(tag, opened.end())
        if close < 0:
            unclosed.add(tag)
            continue
        kept.append(text[end : opened.start()])
        end = close + len(tag)
    return "".join([*kept, text[end:]]) if end else text


# -- how much it leans on what was before ----------------------------------------------------------------------


def leaning(tokens: int, leverage: float) -> float:
    """How much a message of so many tokens leans on those before it, 0 to 1; its `leverage` as a share of the limit."""
    if tokens > _BRIEF_TOKENS:
        return 0.0
    return 1.0 / (1.0 + math.exp(min(60.0, (_ALONE + _FOR_EACH_TOKEN * tokens - leverage) / _WIDTH)))


def shares(leanings: Sequence[float]) -> Floats:
    """What each message counts for, the last one first; they sum to 1. The oldest one takes what is left."""
    left = np.cumprod([1.0, *leanings[:-1]])
    return left * (1.0 - np.array([*leanings[:-1], 0.0]))


# -- the reading -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is predicted from: a vector (d,), of unit length only where one message is read; `turns` are the earlier
    messages in it, those that count most first. `closing`: it asks for nothing, and nothing is predicted from it."""

    vector: Singles
    turns: tuple[EarlierTurn, ...] = ()
    closing: bool = False


class Reader:
    """Reads conversations for one checkpoint; `embed` makes the (n, d) vectors of n earlier messages. Thread-safe.

    Heads are linear, so what they say of a mean of vectors is the mean of what they say of each, and the ridge
    posterior of that vector is the mean's own standard error.
    """

    def __init__(self, predictor: Predictor, embed: Embed) -> None:
        checkpoint = predictor.checkpoint
        self._precision = Later(lambda: checkpoint.precision or shipped_precision(checkpoint.embedder))
        self._embed = embed
        self._recent = Recent[Singles](_KEPT_VECTORS)

    def first_text(self, turns: Sequence[str]) -> str:
        """The text whose vector `read` begins with, of a conversation as `user_turns` gives it."""
        return turns[0] if len(turns) == 1 or self._precision() else _prefixed(turns)

    def read(self, turns: Sequence[str], vector: Singles) -> Reading:
        """The reading of a conversation; `vector` is that of its first text."""
        if len(turns) == 1:
            return Reading(vector)
        if is_closing(turns[0]):
            return Reading(vector, closing=True)
        precision = self._precision()
        if precision is None:
            return Reading(vector, tuple(EarlierTurn(text) for text in _leant_on(turns)))
        self._recent.put(_key(turns[0]), vector.copy())  # not a row that keeps its whole batch alive
        leans = [_leaning(turns[0], vector, precision)]
        if leans[0] < _LEAST:
            return Reading(vector)
        earlier = islice((turn for turn in turns[1:] if not is_closing(turn)), _MOST_TURNS)
        texts, vectors = list[str](), [vector]
        while math.prod(leans) >= _LEAST and (few := [*islice(earlier, _AT_ONCE)]):
            texts += few
            vectors.extend(self._vectors(few))
            leans += [_leaning(text, row, precision) for text, row in zip(few, vectors[-len(few) :], strict=True)]
        weights = shares(leans)
        mixed = (weights @ np.stack(vectors)).astype(np.float32) if texts else vector
        read = [EarlierTurn(text, float(w)) for text, w in zip(texts, weights[1:], strict=True) if w >= _LEAST]
        return Reading(mixed, tuple(sorted(read, key=lambda turn: -(turn.share or 0))))

    def _vectors(self, texts: Sequence[str]) -> list[Singles]:
        """The vectors of earlier messages, those not known embedded together."""
        found = {key: (text, self._recent.get(key)) for key, text in zip(map(_key, texts), texts, strict=True)}
        missing = [text for text, vector in found.values() if vector is None]
        made = iter(self._embed(missing)) if missing else iter(())
        known = {key: next(made).copy() if vector is None else vector for key, (_, vector) in found.items()}
        for key, vector in known.items():
            self._recent.put(key, vector)
        return [known[_key(text)] for text in texts]


def _leaning(text: str, vector: Singles, precision: Precision) -> float:
    return leaning(_few_tokens(text), precision.leverage(vector) / precision.leverage_limit)


def _leant_on(turns: Sequence[str]) -> list[str]:
    """Where no leverage is known: the earlier messages read with a last one of few tokens, the latest first."""
    count, found = _few_tokens(turns[0]), list[str]()
    for text in islice((turn for turn in turns[1:] if not is_closing(turn)), _MOST_TURNS):
        if count >= _ENOUGH_TOKENS:
            break
        found.append(text)
        count += _few_tokens(text)
    return found


def _few_tokens(text: str) -> int:
    return estimate_tokens(text[:_COUNTED])


def _prefixed(turns: Sequence[str]) -> str:
    return "\n".join([*reversed(_leant_on(turns)), turns[0]])


def _key(text: str) -> bytes:
    return fingerprint(text.encode("utf-8", "surrogatepass"))
