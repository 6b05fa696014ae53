from __future__ import annotations

import copy
import math

import pytest

from r2_router.checkpoints.format import Instruction
from r2_router.errors import InputError
from r2_router.routing.messages import (
    check_messages,
    content_text,
    context_tokens,
    instruct,
    is_marked,
    last_user_text,
    mark,
    prompt_tokens,
    unmark,
)
from r2_router.routing.tokens import estimate_tokens

SUFFIX = Instruction("At most {budget} tokens, {words} words.", place="suffix", words_per_token=0.5)
SYSTEM = Instruction("At most {budget} tokens.", place="system")

USER = {"role": "user", "content": "And of Spain?"}
CONVERSATION = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "What is the capital of Italy?"},
    {"role": "assistant", "content": "Rome."},
    USER,
]
PARTS = {"role": "user", "content": [{"type": "text", "text": "And of "}, {"type": "text", "text": "Spain?"}]}


def test_a_string_is_one_user_message() -> None:
    assert check_messages("Hi") == [{"role": "user", "content": "Hi"}]
    checked = check_messages("Hi")
    assert last_user_text(checked) == "Hi"
    assert context_tokens(checked) == 0
    assert prompt_tokens(checked) == estimate_tokens("Hi")


@pytest.mark.parametrize("last", [USER, PARTS])
def test_the_last_user_message_is_the_query_and_the_rest_is_context(last: dict[str, object]) -> None:
    messages = [*CONVERSATION[:3], last]
    assert last_user_text(messages) == "And of Spain?"
    texts = [str(message["content"]) for message in CONVERSATION[:3]]
    assert context_tokens(messages) == sum(estimate_tokens(text) + 4 for text in texts)
    assert prompt_tokens(messages) == context_tokens(messages) + estimate_tokens("And of Spain?")


def test_tool_calls_are_read_and_so_are_counted() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"what": "capital"}'}}]
    messages = [
        {"role": "user", "content": "Find it"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": "Madrid"},
    ]
    assert last_user_text(messages) == "Find it"
    assert context_tokens(messages) > estimate_tokens("Madrid") + 8
    assert check_messages(messages) == messages


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ("", "blank"),
        (" \n", "blank"),
        ([], "messages is a string, or a list"),
        (None, "messages is a string, or a list"),
        (7, "messages is a string, or a list"),
        ([{"role": "system", "content": "x"}], "nothing to answer"),
        ([{"role": "user", "content": ""}], "blank"),
        ([{"role": "user", "content": []}], "blank"),
        ([{"role": "robot", "content": "x"}], "role 'robot'"),
        ([{"content": "x"}], "role 'None'"),
        (["x"], r"messages\[0\] is not a dict"),
        ([{"role": "user", "content": None}], "not text"),
        ([{"role": "user", "content": 7}], "not text"),
        ([{"role": "user", "content": [{"image_url": {"url": "x"}}]}], "not text"),
        ([{"role": "user", "content": [{"type": "other"}]}], "blank"),
        ([{"role": "user", "content": [{"type": "text", "text": 7}]}], "not text"),
        ([{"role": "user", "content": ["x"]}], "not text"),
        ([{"role": "user", "content": "x", "when": {1, 2}}], "JSON cannot say"),
        ([{"role": "user", "content": "x", "weight": math.nan}], "JSON cannot say"),
    ],
)
def test_messages_that_cannot_be_sent(messages: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_messages(messages)  # type: ignore[arg-type]


def test_half_characters_become_the_replacement_character() -> None:
    assert check_messages("a\ud83db")[0]["content"] == "a\ufffdb"
    assert check_messages("a\U0001f600b")[0]["content"] == "a\U0001f600b"


def test_the_callers_list_is_left_alone() -> None:
    messages = [dict(message) for message in CONVERSATION]
    instruct(check_messages(messages), SYSTEM, 50)
    instruct(check_messages(messages), SUFFIX, 50)
    assert messages == CONVERSATION


def test_a_suffix_goes_after_the_last_user_text() -> None:
    asked = instruct(CONVERSATION, SUFFIX, 50)
    assert asked[:3] == CONVERSATION[:3]
    assert asked[3]["content"] == "And of Spain?\n\nAt most 50 tokens, 25 words."


def test_a_suffix_to_parts_is_one_more_part() -> None:
    asked = instruct([PARTS], SUFFIX, 50)
    assert asked[0]["content"] == [
        *PARTS["content"],
        {"type": "text", "text": "\n\nAt most 50 tokens, 25 words."},
    ]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_instruction_is_appended_to_the_users_own(role: str) -> None:
    asked = instruct([{"role": role, "content": "You are terse."}, USER], SYSTEM, 50)
    assert asked == [{"role": role, "content": "You are terse.\n\nAt most 50 tokens."}, USER]


def test_a_system_instruction_makes_a_system_message_where_there_is_none() -> None:
    assert instruct([USER], SYSTEM, 50) == [{"role": "system", "content": "At most 50 tokens."}, USER]


@pytest.mark.parametrize("instruction", [SUFFIX, SYSTEM])
def test_unlimited_has_no_instruction(instruction: Instruction) -> None:
    assert instruct(CONVERSATION, instruction, "unlimited") == CONVERSATION


def test_marks_for_a_prompt_cache_are_seen_in_parts_and_messages() -> None:
    part = {"type": "text", "text": "x"}
    assert not is_marked([{"role": "user", "content": [part]}, {"role": "assistant", "content": None}])
    assert is_marked([{"role": "user", "content": [{**part, "cache_control": {"type": "ephemeral"}}]}])
    assert is_marked([{"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}])


def test_a_prompt_is_marked_before_and_at_its_end_and_the_callers_is_left_alone() -> None:
    before = copy.deepcopy(CONVERSATION)
    marked = mark(CONVERSATION, CONVERSATION)
    assert [is_marked([message]) for message in marked] == [False, False, True, True]
    assert (unmark(marked), CONVERSATION) == (before, before)
    assert [content_text(message) for message in marked] == [content_text(message) for message in before]


def test_the_last_part_that_is_not_blank_is_marked_and_a_call_of_tools_gives_way_to_what_is_before_it() -> None:
    parts = [*CONVERSATION[:3], {"role": "user", "content": [*PARTS["content"], {"type": "text", "text": " "}]}]
    (*_, last) = mark(parts, parts)
    assert ["cache_control" in part for part in last["content"]] == [False, True, False]
    assert unmark([last]) == parts[3:]
    calls = [USER, {"role": "assistant", "content": None, "tool_calls": []}]
    assert [is_marked([message]) for message in mark(calls, calls)] == [True, False]


def test_what_holds_an_instruction_is_not_marked() -> None:
    sent = instruct(CONVERSATION, SUFFIX, 50)
    assert [is_marked([message]) for message in mark(sent, CONVERSATION)] == [False, False, True, False]
    assert not any(is_marked([message]) for message in mark(instruct([USER], SUFFIX, 50), [USER]))
