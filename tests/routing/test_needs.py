from __future__ import annotations

from typing import Any

import pytest

from r2_router.errors import InputError
from r2_router.routing.messages import check_messages, last_user_text
from r2_router.routing.needs import check_form, read_needs
from r2_router.routing.request import Request

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "look"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}}}
CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}


def needs(messages: Any, **form: Any) -> dict[str, str]:
    return {need.kind: need.where for need in read_needs(check_messages(messages), check_form(**form))}


def test_a_text_needs_nothing() -> None:
    assert needs("What is it?") == {}
    assert Request.read("What is it?").limits.needs == ()


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (IMAGE, "images"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_id": "f"}}, "files"),
        ({"type": "video_url", "video_url": {"url": "u"}}, "video"),
    ],
)
def test_parts_anywhere_are_needs_said_where_they_stand_first(part: dict[str, Any], kind: str) -> None:
    chat = [user(), {"role": "assistant", "content": "A dog."}, user(part), user(part)]
    assert needs(chat) == {kind: "messages[2]"}
    assert check_messages(chat) == chat


def test_tools_are_needed_where_they_are_given_or_were_called() -> None:
    called = [user(), {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    answered = [*called, {"role": "tool", "tool_call_id": "1", "content": "here"}]
    assert needs("Where?", tools=[TOOL]) == {"tools": "tools"}
    assert needs(answered) == {"tools": "messages[1]"}


def test_formats_and_a_begun_answer_are_needs() -> None:
    assert needs("x", response_format=SCHEMA) == {"json_schema": "response_format"}
    assert needs("x", response_format={"type": "json_object"}) == {"json_object": "response_format"}
    assert needs("x", response_format={"type": "text"}) == {}
    assert needs([user(), {"role": "assistant", "content": "It is"}]) == {"prefill": "messages[1]"}


def test_an_image_alone_is_a_query() -> None:
    chat = check_messages([{"role": "user", "content": [IMAGE]}])
    assert last_user_text(chat) == "[images]"
    assert Request.read(chat).turns == ["[images]"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"tools": "look"}, "tools is a list"),
        ({"tools": ["look"]}, r"tools\[0\] is not a dict"),
        ({"tool_choice": "auto"}, "give tools too"),
        ({"response_format": "json"}, "response_format is a dict"),
        ({"check_format": True}, "give a json_schema or json_object"),
        ({"tools": [{"type": {1}}]}, "JSON cannot say"),
    ],
)
def test_forms_that_cannot_be_asked_for(form: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Request.read("x", **form)
