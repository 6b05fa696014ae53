from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from r2_router.checkpoints.format import Instruction
from r2_router.pools.model import Model
from r2_router.records import Budget
from r2_router.routing.messages import message_tokens
from r2_router.routing.prompt_memory import Beginning, PromptMemory, Rate, learned
from r2_router.routing.warm_prices import HIT

A, B = (Model(name, f"somebody/{name}", 1.0, 1.0) for name in "ab")
SAID = Instruction("Keep it under {words} words.")
LONG = "A long turn of the chat. " * 20
CHAT = [
    {"role": "system", "content": LONG},
    {"role": "user", "content": LONG},
    {"role": "assistant", "content": LONG},
    {"role": "user", "content": "go on"},
]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def tokens(memory: PromptMemory, messages: list[dict], model: str = "a", budget: int | str = "unlimited") -> int:
    (found,) = memory.cached(messages, SAID, [(model, budget)])
    return max((c.tokens for c in found), default=0)


def test_the_longest_beginning_that_a_model_read_is_found_and_only_its_own() -> None:
    clock = Clock()
    memory = PromptMemory(clock)
    assert tokens(memory, CHAT) == 0
    memory.remember(CHAT[:2], A)
    memory.remember(CHAT[:1], B)
    clock.now += 30
    (a,), (b,), c = memory.cached(CHAT, SAID, [("a", "unlimited"), ("b", "unlimited"), ("c", "unlimited")])
    assert a.tokens > b.tokens > 0
    assert (a.seconds_ago, c) == (30, [])


def test_a_model_left_and_come_back_to_is_still_warm() -> None:
    memory = PromptMemory()
    memory.remember(CHAT[:2], A)
    memory.remember(CHAT, B)
    more = [*CHAT, {"role": "assistant", "content": "x"}, {"role": "user", "content": "now?"}]
    assert 0 < tokens(memory, more, "a") < tokens(memory, more, "b")


def test_a_prefix_that_changed_is_not_credited() -> None:
    memory = PromptMemory()
    memory.remember(CHAT, A)
    edited = [CHAT[0], {**CHAT[1], "content": "another"}, *CHAT[2:]]
    assert 0 < tokens(memory, edited) < tokens(memory, CHAT)
    assert tokens(memory, [{**CHAT[0], "content": "another"}, *CHAT[1:]]) == 0


def test_an_instruction_put_first_changes_the_prompt_of_its_budget_alone() -> None:
    first = Instruction("Keep it under {words} words.", "system")
    memory = PromptMemory()
    memory.remember(CHAT, A)
    free, limited = memory.cached(CHAT, first, [("a", "unlimited"), ("a", 40)])
    assert free
    assert not limited


def test_tools_stand_before_the_messages_and_others_begin_another_prompt() -> None:
    memory = PromptMemory()
    memory.remember(CHAT, A, before="tools " * 100)
    (with_tools,), (others,) = (memory.cached(CHAT, SAID, [("a", "unlimited")], b) for b in ("tools " * 100, "others"))
    plain = PromptMemory()
    plain.remember(CHAT, A)
    assert with_tools[0].tokens > tokens(plain, CHAT) + 90
    assert others == []
    assert tokens(memory, CHAT) == 0


def test_no_more_is_credited_than_the_provider_says_it_kept() -> None:
    memory = PromptMemory()
    memory.remember(CHAT, A, kept_tokens=7)
    assert tokens(memory, CHAT) == 7


def test_rates_begin_at_what_is_usual_and_follow_the_answers() -> None:
    clock = Clock()
    memory = PromptMemory(clock)
    assert memory.hits == {}
    for _ in range(20):
        memory.learn("a", 1000, 0)
        memory.learn("b", 1000, 5000)
        memory.learn("c", 0, 0)
    assert memory.hits["a"] == pytest.approx(HIT * 0.9**20)
    assert HIT < memory.hits["b"] < 1
    assert "c" not in memory.hits


def test_trust_that_is_lost_comes_back_with_what_is_found_and_with_time() -> None:
    clock = Clock()
    memory = PromptMemory(clock)
    for _ in range(30):
        memory.learn("a", 1000, 0)
    assert memory.hits["a"] < 0.05
    clock.now += 86_400
    assert memory.hits["a"] == pytest.approx(HIT / 2, abs=0.03)
    for _ in range(30):
        memory.learn("a", 1000, 990)
    assert memory.hits["a"] > 0.9


class Shared:
    """A store in memory, of two processes."""

    def __init__(self) -> None:
        self.rows: list[Beginning] = []
        self.rates: dict[str, Rate] = {}
        self.asked: list[bytes] = []

    def read(self, chats: Sequence[bytes]) -> tuple[list[Beginning], dict[str, Rate]]:
        self.asked += chats
        return [row for row in self.rows if row.chat in chats], self.rates

    def write(self, rows: Sequence[Beginning], replaced: Sequence[bytes]) -> None:
        gone = {*replaced, *(row.prefix for row in rows)}
        self.rows = [row for row in self.rows if row.prefix not in gone] + [*rows]

    def learn(self, model: str, found: float) -> None:
        self.rates[model] = learned(model, self.rates.get(model), found)


class Told(NamedTuple):
    model: str = "opus"
    budget: Budget = "unlimited"
    prompt_tokens: int = 700
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usage_estimated: bool = False
    ended_at: float = 0.0


GPT = Model("opus", "gpt-5.6-sol", 5.0, 25.0, base_url="https://api.openai.com/v1")
LONGER = [{**message, "content": message["content"] * 20} for message in CHAT[:2]]


def test_what_one_process_was_answered_another_knows() -> None:
    store = Shared()
    one, other = (PromptMemory(store=lambda: store) for _ in range(2))
    one.answered(LONGER, SAID, Told(), GPT)
    more = [*LONGER, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "go on"}]
    assert tokens(other, more, "opus") == tokens(one, more, "opus") > 1024
    other_chat = [LONGER[0], {"role": "user", "content": "another chat"}]
    assert 1024 < tokens(other, other_chat, "opus") < tokens(other, more, "opus")  # its system message
    assert len(store.rows) <= 3
    for _ in range(10):
        one.answered(more, SAID, Told(), GPT)
        more = [*more, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "go on"}]
    assert len(store.rows) <= 3
    assert tokens(other, more, "opus") == tokens(one, more, "opus")
    assert tokens(other, [*more[:3], {"role": "user", "content": "or not"}], "opus") > 0


def test_how_many_turns_come_in_time_is_learned_from_those_of_this_process() -> None:
    clock, store = Clock(), Shared()
    memory, other = PromptMemory(clock, lambda: store), PromptMemory(clock, lambda: store)
    chat = LONGER
    for pause_s in (0.0, 20.0, *[2000.0] * 9):
        clock.now += pause_s
        memory.answered(chat, SAID, Told(), GPT, 0.0)
        chat = [*chat, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "go on"}]
    rate = memory.hits["within 1800 s"]
    assert 0.35 < rate < 0.45
    clock.now += 20
    other.cached(chat, SAID, [("opus", "unlimited")])
    other.answered(chat, SAID, Told(), GPT, 0.0)
    assert other.hits["within 1800 s"] == pytest.approx(rate, abs=0.04)  # only turns in time are told of


def test_what_is_too_short_to_be_kept_is_told_to_nobody() -> None:
    store = Shared()
    memory = PromptMemory(store=lambda: store)
    memory.answered(CHAT[:2], SAID, Told(), GPT)
    assert store.rows == []
    memory.learn("opus", 100, 0)
    assert PromptMemory(store=lambda: store).hits == {}
    other = PromptMemory(store=lambda: store)
    other.cached(CHAT, SAID, [("opus", "unlimited")])
    assert other.hits["opus"] == pytest.approx(HIT * 0.9, abs=1e-4)


def test_an_image_counts_in_what_is_cached_as_the_model_that_read_it_counts_it() -> None:
    memory = PromptMemory()
    chat = [{"role": "user", "content": [{"type": "text", "text": LONG}, IMAGE]}, *CHAT[2:]]
    gpt, gemini = Model("gpt", "gpt-4o", 1.0, 1.0), Model("gemini", "gemini-2.5-flash", 1.0, 1.0)
    memory.remember(chat[:1], gpt)
    memory.remember(chat, gemini)
    text = tokens_of(chat[:1])
    assert tokens(memory, chat, "gpt") == text + 765
    assert tokens(memory, chat, "gemini") == tokens_of(chat) + 1032
    memory.remember(chat, gpt)  # what it read before is not counted again
    assert tokens(memory, chat, "gpt") == tokens_of(chat) + 765


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


def tokens_of(messages: list[dict]) -> int:
    return sum(map(message_tokens, messages))
