"""A chat request as Anthropic's API takes it: what is said there too, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from r2_router.batches.anthropic_messages_api import completion_of, message_params
from r2_router.generate.usage import find_usage
from r2_router.generate.wire import Reply

TEXT = {"role": "user", "content": "Hello"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [*messages], "max_tokens": 50, "stream": True, **more}


def test_a_text_keeps_its_limit_and_its_settings() -> None:
    asked = body(TEXT, temperature=0.2, stop="END", stream_options={"include_usage": True})
    assert message_params(asked) == {
        "model": "m",
        "max_tokens": 50,
        "temperature": 0.2,
        "stop_sequences": ["END"],
        "messages": [TEXT],
    }


def test_system_messages_stand_beside_the_others() -> None:
    answer = {"role": "assistant", "content": "Hi"}
    params = message_params(body({"role": "system", "content": "Be brief."}, TEXT, answer, TEXT))
    assert params is not None
    assert params["system"] == "Be brief."
    assert [message["role"] for message in params["messages"]] == ["user", "assistant", "user"]


def test_an_image_is_sent_as_it_stands_or_by_its_address() -> None:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in (PIXEL, "https://example.org/a.png")]
    params = message_params(body({"role": "user", "content": [{"type": "text", "text": "What?"}, *parts]}))
    assert params is not None
    text, inside, outside = params["messages"][0]["content"]
    assert text == {"type": "text", "text": "What?"}
    assert inside["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert outside["source"] == {"type": "url", "url": "https://example.org/a.png"}


@pytest.mark.parametrize(
    "asked",
    [
        body(TEXT, tools=[{"type": "function"}]),
        body(TEXT, response_format={"type": "json_object"}),
        body(TEXT, reasoning_effort="low"),
        body({"role": "tool", "tool_call_id": "1", "content": "4"}),
        body({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
        body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}]}),
    ],
)
def test_what_is_said_otherwise_there_goes_into_no_batch(asked: dict[str, Any]) -> None:
    assert message_params(asked) is None


def test_a_message_reads_as_a_completion() -> None:
    content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "4"}, {"type": "text", "text": "2"}]
    usage = {"input_tokens": 10, "output_tokens": 7, "cache_read_input_tokens": 3}
    completion = completion_of({"content": content, "stop_reason": "max_tokens", "model": "c", "usage": usage})
    reply = Reply()
    reply.take(json.dumps(completion).encode())
    assert (reply.text, reply.finish_reason, reply.served_model) == ("42", "length", "c")
    found = find_usage(completion)
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens, found.cache_read_tokens) == (13, 7, 3)
