"""Which model read the beginning of a chat, and when: told by hashes of what was sent, no text is kept.

Within a process every beginning is known; what other processes asked, as far as a shared store tells it.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from r2_router.checkpoints.format import Instruction
from r2_router.pools.model import Model
from r2_router.pools.part_tokens import part_tokens
from r2_router.pools.prompt_caches import CacheRule, cache_rule
from r2_router.records import Budget
from r2_router.routing.messages import Message, counted_parts, instruct, is_marked, message_tokens
from r2_router.routing.recent import Recent, fingerprint
from r2_router.routing.tokens import estimate_tokens
from r2_router.routing.warm import Answered, Cached
from r2_router.routing.warm_prices import marks_pay, usual, within

_KEPT = 16_384  # beginnings of prompts: 80 chats of 200 messages
_STEP = 0.1  # of the way to what the last answer found that a rate goes
_FORGOTTEN_S = 86_400.0  # a rate goes half the way back to the usual in this time: who is not asked wins no trust back
_CERTAINLY = 2  # times the shortest prompt that is said to be kept
_SHARED_BACK = 64  # how many messages back a shared beginning gives way to a longer one


@dataclass(frozen=True, slots=True)
class Beginning:
    """A beginning of a prompt, `prefix`, of the chat that began as `chat` says, both hashes: which model read its
    `tokens`, of which the provider `kept` so many (None: all), when, and for how long it keeps them."""

    chat: bytes
    prefix: bytes
    model: str
    tokens: int
    kept: int | None
    seconds_ago: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, 0 to 1, learned so many seconds ago: of what should be cached, what a model's provider finds; or of a
    chat's turns those that come in time (warm_prices.within)."""

    rate: float
    seconds_ago: float = 0.0

    def now(self, name: str) -> float:
        """What is believed of the rate `name` by now: an old one counts less."""
        before = usual(name)
        return before + (self.rate - before) * 0.5 ** (max(0.0, self.seconds_ago) / _FORGOTTEN_S)


def learned(name: str, before: Rate | None, found: float) -> Rate:
    """The rate `name` after another share was found."""
    rate = usual(name) if before is None else before.now(name)
    return Rate(rate + _STEP * (min(1.0, found) - rate))


class PromptStore(Protocol):
    """Where the memories of several processes meet. It never raises and never waits for long."""

    def read(self, chats: Sequence[bytes]) -> tuple[list[Beginning], dict[str, Rate]]:
        """The beginnings of these chats that are still kept, and every model's rate."""
        ...

    def write(self, rows: Sequence[Beginning], replaced: Sequence[bytes]) -> None:
        """Keep `rows` instead of those of `replaced` that their model read."""
        ...

    def learn(self, name: str, found: float) -> None:
        """`learned`, for all processes."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """When a beginning of `tokens` was read, of which the provider says it kept at most `most`; by this process, or
    told by another, which does so only while it is kept."""

    at: float
    tokens: int
    most: float
    told: bool = False


class PromptMemory:
    """The prompts that were answered lately. Thread-safe. `clock` gives seconds; `store` shares them with others."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, store: Callable[[], PromptStore] | None = None
    ) -> None:
        self._clock = clock
        self._store = store
        self._lock = threading.Lock()
        self._known: Recent[dict[str, _Read]] = Recent(_KEPT)
        self._rates: dict[str, tuple[float, float]] = {}  # name -> rate, and when it was learned
        self._models: set[str] = set()  # that have answered

    # -- what was answered -----------------------------------------------------------------------------------

    def answered(
        self,
        messages: Sequence[Message],
        instruction: Instruction,
        answer: Answered,
        model: Model,
        expected_tokens: float | None = None,
        before: str = "",
    ) -> None:
        """Remember what `model`, which gave `answer`, has read, and learn whether it found the `expected_tokens`; None
        outside of a chat. `before` is what stands before the messages: the tools.

        Where a provider keeps only what is marked, what the answer says it kept counts; without a rule, nothing does.
        """
        rule = cache_rule(model)
        if rule is None:
            return
        kept = answer.cache_read_tokens + answer.cache_write_tokens if rule.marked else None
        if expected_tokens is not None and not answer.usage_estimated:
            if kept == 0 and self._should_be_kept(messages, answer, model, rule):
                expected_tokens = answer.prompt_tokens
            self.learn(model.name, expected_tokens, answer.cache_read_tokens)
        sent = instruct(messages, instruction, answer.budget)
        keys = _Chain(before).keys(sent)
        if expected_tokens is not None and (pause_s := self._pause(keys)) is not None:
            self._learn(within(rule.ttl_s), float(pause_s < rule.ttl_s))
        beginnings = self.remember(sent, model, kept_tokens=kept, keys=keys, before=before)
        if kept is None or kept > 0:
            self._share(messages, sent, beginnings, model.name, kept, rule)

    def _should_be_kept(self, messages: Sequence[Message], answer: Answered, model: Model, rule: CacheRule) -> bool:
        """Whether the prompt was marked and is far longer than the shortest that is kept."""
        marked = is_marked(messages) or marks_pay(model, answer.prompt_tokens, self.hits)
        return marked and answer.prompt_tokens >= _CERTAINLY * rule.min_tokens

    def remember(
        self,
        sent: Sequence[Message],
        model: Model,
        *,
        kept_tokens: int | None = None,
        keys: Sequence[bytes] = (),
        before: str = "",
    ) -> list[tuple[bytes, int]]:
        """`model` answered `sent`, with `before` before it, just now; the key of each beginning, and its tokens, images
        as it counts them. `kept_tokens`: how much of it lies in the cache, None for all. `keys` are those of `sent`,
        where they are known.
        """
        keys = keys or _Chain(before).keys(sent)
        now, most = self._clock(), math.inf if kept_tokens is None else kept_tokens
        tokens = estimate_tokens(before) if before else 0
        beginnings: list[tuple[bytes, int]] = []
        with self._lock:
            self._models.add(model.name)
            for key, message in zip(keys, sent, strict=True):
                known = self._known.get(key) or {}
                counted = known.get(model.name)  # of another model an image counts otherwise
                tokens = tokens + _tokens(message, model) if counted is None else counted.tokens
                self._known.put(key, {**known, model.name: _Read(now, tokens, most)})
                beginnings.append((key, tokens))
        return beginnings

    def _share(
        self,
        messages: Sequence[Message],
        sent: Sequence[Message],
        beginnings: Sequence[tuple[bytes, int]],
        model: str,
        kept: int | None,
        rule: CacheRule,
    ) -> None:
        """Tell the others of three beginnings: all of it, what stands before the last user message, which may be sent
        again otherwise, and the system messages, which other chats begin with too."""
        if self._store is None:
            return
        system, chat = chat_names(messages)
        last_user = max(i for i, message in enumerate(sent) if message["role"] == "user")
        systems = leading_systems(sent)
        ends = {chat: {len(sent) - 1, max(last_user - 1, systems)}, system: {systems - 1}}
        rows = [
            Beginning(name, key, model, tokens, kept, 0.0, rule.ttl_s)
            for name, places in ends.items()
            for key, tokens in (beginnings[end] for end in sorted(places) if end >= 0)
            if name and tokens >= rule.min_tokens
        ]
        if rows:
            kept_keys = {row.prefix for row in rows}
            replaced = [key for key, _ in beginnings[-_SHARED_BACK:] if key not in kept_keys]
            self._store().write(rows, replaced)

    # -- how often a cache is found --------------------------------------------------------------------------

    def learn(self, model: str, expected_tokens: float, found_tokens: float) -> None:
        """Of `expected_tokens` of a prompt that should have been cached, the provider read `found_tokens` so."""
        if expected_tokens <= 0:
            return
        self._learn(model, found_tokens / expected_tokens)

    def _learn(self, name: str, found: float) -> None:
        with self._lock:
            self._rates[name] = (learned(name, self._rate(name), found).rate, self._clock())
        if self._store is not None:
            self._store().learn(name, found)

    def _rate(self, name: str) -> Rate | None:
        known = self._rates.get(name)
        return None if known is None else Rate(known[0], self._clock() - known[1])

    def _pause(self, keys: Sequence[bytes]) -> float | None:
        """Seconds since this process asked anybody the turn before of this chat; None where it did not."""
        for key in reversed(keys):
            if known := self._known.get(key):
                reads = [read.at for read in known.values() if not read.told]
                return self._clock() - max(reads) if reads else None
        return None

    @property
    def hits(self) -> dict[str, float]:
        """The rates that were learned: of models, by name, and of chats that go on in time (warm_prices.within)."""
        with self._lock:
            return {name: rate.now(name) for name in self._rates if (rate := self._rate(name))}

    # -- what is known ---------------------------------------------------------------------------------------

    def cached(
        self,
        messages: Sequence[Message],
        instruction: Instruction,
        candidates: Sequence[tuple[str, Budget]],
        before: str = "",
    ) -> list[list[Cached]]:
        """For each candidate, the longest beginning of what it would be sent that its model has read, after the same
        tools (`before`). (C,)"""
        self._ask_others(messages)
        if not self._models:
            return [[] for _ in candidates]
        chain = _Chain(before)
        budgets: set[Budget] = {budget for _, budget in candidates}
        by_budget = {b: self._read(chain.keys(instruct(messages, instruction, b))) for b in budgets}
        return [[by_budget[budget][model]] if model in by_budget[budget] else [] for model, budget in candidates]

    def _ask_others(self, messages: Sequence[Message]) -> None:
        """Take over what other processes know of this chat, and of models."""
        if self._store is None:
            return
        rows, rates = self._store().read([name for name in chat_names(messages) if name])
        with self._lock:
            now = self._clock()
            for row in rows:
                known, at = self._known.get(row.prefix) or {}, now - row.seconds_ago
                if row.model not in known or known[row.model].at < at:
                    read = _Read(at, row.tokens, math.inf if row.kept is None else row.kept, told=True)
                    self._known.put(row.prefix, {**known, row.model: read})
                    self._models.add(row.model)
            for name, rate in rates.items():
                if name not in self._rates or self._rates[name][1] < now - rate.seconds_ago:
                    self._rates[name] = (rate.rate, now - rate.seconds_ago)

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


def _tokens(message: Message, model: Model) -> int:
    return message_tokens(message) + part_tokens(model, counted_parts([message]))


# -- hashes ----------------------------------------------------------------------------------------------------


class _Chain:
    """Keys for the beginnings of several prompts, which share messages, and what stands before these: each message is
    hashed once, and each beginning. It holds the messages: their ids stay theirs."""

    def __init__(self, before: str = "") -> None:
        self._before = fingerprint(before.encode("utf-8", "surrogatepass")) if before else b""
        self._digests: dict[int, bytes] = {}
        self._next: dict[tuple[bytes, int], bytes] = {}
        self._held: list[Sequence[Message]] = []

    def keys(self, sent: Sequence[Message]) -> list[bytes]:
        """A key for each beginning of `sent`: of one message, of two ..."""
        self._held.append(sent)
        keys: list[bytes] = []
        key = self._before
        for message in sent:
            after = self._next.get((key, id(message)))
            if after is None:
                after = self._next[key, id(message)] = fingerprint(key + self._digest(message))
            key = after
            keys.append(key)
        return keys

    def _digest(self, message: Message) -> bytes:
        digest = self._digests.get(id(message))
        if digest is None:
            text = json.dumps(message, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
            digest = self._digests[id(message)] = fingerprint(text)
        return digest


def leading_systems(messages: Sequence[Message]) -> int:
    """How many system messages lead a conversation."""
    return next((i for i, message in enumerate(messages) if message["role"] not in ("system", "developer")), 0)


def chat_names(messages: Sequence[Message]) -> tuple[bytes, bytes]:
    """The names of a conversation: by its leading system messages, b"" where there are none, and by these and all to
    its first user message, which stay as they are while it grows."""
    systems = leading_systems(messages)
    first = next(i for i, message in enumerate(messages) if message["role"] == "user")
    keys = _Chain().keys(messages[: first + 1])
    return keys[systems - 1] if systems else b"", keys[first]
