from __future__ import annotations

from r2_router.checkpoints.format import Instruction
from r2_router.routing.prompt_memory import PromptMemory
from r2_router.routing.warm_prices import HIT

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
    memory.remember(CHAT[:2], "a")
    memory.remember(CHAT[:1], "b")
    clock.now += 30
    (a,), (b,), c = memory.cached(CHAT, SAID, [("a", "unlimited"), ("b", "unlimited"), ("c", "unlimited")])
    assert a.tokens > b.tokens > 0
    assert (a.seconds_ago, c) == (30, [])


def test_a_model_left_and_come_back_to_is_still_warm() -> None:
    memory = PromptMemory()
    memory.remember(CHAT[:2], "a")
    memory.remember(CHAT, "b")
    more = [*CHAT, {"role": "assistant", "content": "x"}, {"role": "user", "content": "now?"}]
    assert 0 < tokens(memory, more, "a") < tokens(memory, more, "b")


def test_a_prefix_that_changed_is_not_credited() -> None:
    memory = PromptMemory()
    memory.remember(CHAT, "a")
    edited = [CHAT[0], {**CHAT[1], "content": "another"}, *CHAT[2:]]
    assert 0 < tokens(memory, edited) < tokens(memory, CHAT)
    assert tokens(memory, [{**CHAT[0], "content": "another"}, *CHAT[1:]]) == 0


def test_an_instruction_put_first_changes_the_prompt_of_its_budget_alone() -> None:
    first = Instruction("Keep it under {words} words.", "system")
    memory = PromptMemory()
    memory.remember(CHAT, "a")
    free, limited = memory.cached(CHAT, first, [("a", "unlimited"), ("a", 40)])
    assert free
    assert not limited


def test_no_more_is_credited_than_the_provider_says_it_kept() -> None:
    memory = PromptMemory()
    memory.remember(CHAT, "a", kept_tokens=7)
    assert tokens(memory, CHAT) == 7


def test_rates_begin_at_what_is_usual_and_follow_the_answers() -> None:
    memory = PromptMemory()
    assert memory.hits == {}
    for _ in range(20):
        memory.learn("a", 1000, 0)
        memory.learn("b", 1000, 5000)
        memory.learn("c", 0, 0)
    assert memory.hits["a"] == HIT / 2
    assert HIT < memory.hits["b"] < 1
    assert "c" not in memory.hits
