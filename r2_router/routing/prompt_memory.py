"""Which model read the beginning of a chat, and when: told by hashes of what was sent, no text is kept."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from r2_router.checkpoints.format import Instruction
from r2_router.pools.model import Model
from r2_router.pools.prompt_caches import cache_rule
from r2_router.records import Budget
from r2_router.routing.decision import Decision
from r2_router.routing.messages import Message, instruct, message_tokens
from r2_router.routing.recent import Recent, fingerprint
from r2_router.routing.warm import Answered, Cached
from r2_router.routing.warm_prices import HIT

_KEPT = 16_384  # beginnings of prompts: 80 chats of 200 messages
_WEIGHT = 20.0  # answers that HIT counts for


@dataclass(frozen=True, slots=True)
class _Read:
    """When a beginning of `tokens` was read, of which the provider says it kept at most `most`."""

    at: float
    tokens: int
    most: float


class PromptMemory:
    """The prompts that were answered in this process. Thread-safe. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Recent[dict[str, _Read]] = Recent(_KEPT)
        self._found: dict[str, tuple[float, float]] = {}  # model -> answers, and the share of the expected they found
        self._models: set[str] = set()  # that have answered

    def remember(self, sent: Sequence[Message], model: str, *, kept_tokens: int | None = None) -> None:
        """`model` answered `sent` just now. `kept_tokens`: how much of it lies in the cache, None for all."""
        now, most, tokens = self._clock(), math.inf if kept_tokens is None else kept_tokens, 0
        with self._lock:
            self._models.add(model)
            for key, message in zip(_chain(sent, {}), sent, strict=True):
                known = self._known.get(key) or {}
                counted = next((read.tokens for read in known.values()), None)
                tokens = tokens + message_tokens(message) if counted is None else counted
                self._known.put(key, {**known, model: _Read(now, tokens, most)})

    def answered(
        self, messages: Sequence[Message], instruction: Instruction, decision: Decision, answer: Answered, model: Model
    ) -> None:
        """Remember what `model`, which gave `answer`, has read, and learn whether it found what it should have.

        Where a provider keeps only what is marked, what the answer says it kept counts; without a rule, nothing does.
        """
        rule = cache_rule(model)
        if rule is None:
            return
        kept = None
        if rule.marked:
            kept = answer.cache_read_tokens + answer.cache_write_tokens
        if not answer.usage_estimated and decision.warm is not None:
            self.learn(model.name, decision.cached_tokens(answer.model, answer.budget), answer.cache_read_tokens)
        if kept is None or kept > 0:
            self.remember(instruct(messages, instruction, answer.budget), model.name, kept_tokens=kept)

    def learn(self, model: str, expected_tokens: float, found_tokens: float) -> None:
        """Of `expected_tokens` of a prompt that should have been cached, the provider read `found_tokens` so."""
        if expected_tokens <= 0:
            return
        with self._lock:
            answers, found = self._found.get(model, (0.0, 0.0))
            self._found[model] = (answers + 1, found + min(1.0, found_tokens / expected_tokens))

    @property
    def hits(self) -> dict[str, float]:
        """The share of what should be cached that each model's provider finds, by its answers; HIT to begin with."""
        with self._lock:
            return {m: (HIT * _WEIGHT + found) / (_WEIGHT + answers) for m, (answers, found) in self._found.items()}

    def cached(
        self, messages: Sequence[Message], instruction: Instruction, candidates: Sequence[tuple[str, Budget]]
    ) -> list[list[Cached]]:
        """For each candidate, the longest beginning of what it would be sent that its model has read. (C,)"""
        if not self._models:
            return [[] for _ in candidates]
        digests: dict[int, bytes] = {}
        sent = {budget: instruct(messages, instruction, budget) for _, budget in candidates}  # held: ids stay theirs
        by_budget = {budget: self._read(_chain(each, digests)) for budget, each in sent.items()}
        return [[by_budget[budget][model]] if model in by_budget[budget] else [] for model, budget in candidates]

    def _read(self, keys: Sequence[bytes]) -> dict[str, Cached]:
        """Of each model the longest beginning it has read, of those that `keys` stand for."""
        now, found = self._clock(), dict[str, Cached]()
        for key in reversed(keys):
            if len(found) == len(self._models):
                break
            for model, read in (self._known.get(key) or {}).items():
                if model not in found:
                    found[model] = Cached(model, int(min(read.tokens, read.most)), now - read.at)
        return found


def _chain(sent: Sequence[Message], digests: dict[int, bytes]) -> list[bytes]:
    """A key for each beginning of `sent`: of one message, of two ... `digests` holds those of messages by their id."""
    keys: list[bytes] = []
    key = b""
    for message in sent:
        digest = digests.get(id(message))
        if digest is None:
            digest = fingerprint(json.dumps(message, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))
            digests[id(message)] = digest
        key = fingerprint(key + digest)
        keys.append(key)
    return keys
