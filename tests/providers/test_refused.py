"""What servers refuse, in their own words and shapes, and the request that they take in its place.

Each complaint imitates a documented or reported one. One rule serves them all; nothing here is known by provider.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chat_server import Exchange, chat_server, completion, fails, says, sends, thinks
from support.generations import Books, answer, candidate, options

from r2_router.checkpoints.format import Instruction
from r2_router.errors import ProviderError
from r2_router.generate import refused
from r2_router.generate.refused import Complaint, Quirks

SYSTEM = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
SENT: dict[str, Any] = {
    "model": "m",
    "messages": SYSTEM,
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 9000,
    "temperature": 0.0,
    "top_p": 0.9,
    "stop": ["END"],
    "seed": 7,
    "reasoning_effort": "none",
    "chat_template_kwargs": {"enable_thinking": False},
}
FOLDED = [{"role": "user", "content": "Be kind.\n\nHi"}]
GONE = object()


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


def mistral(*loc: object, sent: Any = None) -> dict[str, Any]:
    detail = [{"type": "extra_forbidden", "loc": list(loc), "msg": "Extra inputs are not permitted", "input": sent}]
    return {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error", "code": None}


def fastapi(name: str, message: str) -> dict[str, Any]:
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": message, "input": SENT}]}


# What is said -> what the next request holds instead.
REFUSALS: dict[str, tuple[Any, dict[str, Any]]] = {
    "OpenAI: temperature knows only 1 (cline 7224)": (
        error(
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is "
            "supported.",
            param="temperature",
            code="unsupported_value",
        ),
        {"temperature": GONE},
    ),
    "OpenAI: temperature is no parameter (pal-mcp-server 78)": (
        error("Unsupported parameter: 'temperature' is not supported with this model."),
        {"temperature": GONE},
    ),
    "Anthropic: two fields that exclude each other": (
        error("`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
        {"temperature": GONE, "top_p": 0.9},
    ),
    "OpenAI: stop": (error("Unsupported parameter: 'stop' is not supported.", param="stop"), {"stop": GONE}),
    "a seed, in plain text": ("unknown field: parameter seed", {"seed": GONE}),
    "Mistral: stream_options, nested (anon-kode 53)": (
        mistral("body", "stream_options", "include_usage", sent=True),
        {"stream_options": GONE, "stream": True},
    ),
    "Mistral: the same, twice (php-mistral 76)": (
        {"object": "Error", "detail": mistral("body", "top_p")["message"]["detail"], "code": 3001},
        {"top_p": GONE},
    ),
    "FastAPI: it repeats all we sent": (fastapi("stop", "Extra inputs are not permitted"), {"stop": GONE, "seed": 7}),
    "Cohere: a bare message": (
        {"message": "invalid request: unknown field 'stream_options'"},
        {"stream_options": GONE},
    ),
    "errors, a list": ({"errors": [{"message": "seed is not allowed", "field": "seed"}]}, {"seed": GONE}),
    "Groq: a property": (error("property 'chat_template_kwargs' is unsupported"), {"chat_template_kwargs": GONE}),
    "Google: a list of one, fields in details": (
        [{"error": {"code": 400, "message": "Bad", "details": [{"fieldViolations": [{"field": "top_p"}]}]}}],
        {"top_p": GONE},
    ),
    "OpenRouter: the provider's words as text (pal-mcp-server 134)": (
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {
                    "raw": json.dumps(
                        error("Your organization must be verified to stream this model.", param="stream"), indent=2
                    )
                },
            }
        },
        {"stream": False, "stream_options": GONE},
    ),
    "streams are not offered, in plain words": ("Streaming is not supported for this model", {"stream": False}),
    "OpenAI: the cap by its new name": (
        error(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        ),
        {"max_tokens": GONE, "max_completion_tokens": 9000},
    ),
    "OpenAI: a cap too large": (
        error("max_tokens is too large: 9000. This model supports at most 4096 completion tokens."),
        {"max_tokens": 4096},
    ),
    "Anthropic: a cap too large": (
        error("max_tokens: 9000 > 4096, which is the maximum allowed number of output tokens for this model"),
        {"max_tokens": 4096},
    ),
    "Groq: a cap too large": (
        error("`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens`"),
        {"max_tokens": 8192},
    ),
    "DeepSeek: a range": (
        error("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
        {"max_tokens": 8192},
    ),
    "Gemini: an open range": (
        error(
            "Unable to submit request because it has a maxOutputTokens value of 9000 but the supported range is from 1 "
            "(inclusive) to 8193 (exclusive)."
        ),
        {"max_tokens": 8192},
    ),
    "vLLM: the window is too small for both": (
        error(
            "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 4096 "
            "tokens and your request has 100 input tokens (9000 > 4096 - 100)."
        ),
        {"max_tokens": 3996},
    ),
    "vLLM, earlier: the same without a name": (
        error(
            "This model's maximum context length is 4096 tokens. However, you requested 9100 tokens (100 in the "
            "messages, 9000 in the completion). Please reduce the length of the messages or completion."
        ),
        {"max_tokens": 3996},
    ),
    "OpenAI: no thinking is not offered (Kilo-Org/cloud 3807)": (
        error(
            "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: "
            "'minimal', 'low', 'medium', and 'high'."
        ),
        {"reasoning_effort": "minimal"},
    ),
    "low is the least": (
        error("Invalid value: 'none'. Supported values are: 'low', 'medium', 'high'.", param="reasoning_effort"),
        {"reasoning_effort": "low"},
    ),
    "thinking has no levels": (
        error("Unrecognized request argument supplied: reasoning_effort"),
        {"reasoning_effort": GONE},
    ),
    "Gemma: no system role": (error("System role not supported"), {"messages": FOLDED}),
    "Google: no developer instruction": (
        error("Developer instruction is not enabled for models/gemma-3-27b-it"),
        {"messages": FOLDED},
    ),
    "o1-mini: a role is a value": (
        error(
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.", param="messages[0].role"
        ),
        {"messages": FOLDED},
    ),
}


def after(said: Any, body: dict[str, Any]) -> dict[str, Any] | None:
    text = said if isinstance(said, str) else json.dumps(said)
    quirks = Quirks().learn(body, Complaint.read(text))
    return None if quirks is None else quirks.apply(body)


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_is_dropped_renamed_or_brought_within_bounds(name: str) -> None:
    said, changes = REFUSALS[name]
    got = after(said, SENT)
    assert got is not None
    for field, value in changes.items():
        assert got.get(field, GONE) == value
    same = SENT.keys() - changes.keys() - ({"stream_options"} if changes.get("stream") is False else set())
    assert {field: got[field] for field in same} == {field: SENT[field] for field in same}


@pytest.mark.parametrize(
    "said",
    [
        error("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 10 instead."),
        error("max_tokens must be at least 16"),
        error("max_tokens is too small", param="max_tokens"),
    ],
)
def test_a_cap_too_small_is_raised(said: Any) -> None:
    """hindsight 58, pi 6265: some servers want at least 16."""
    assert after(said, {**SENT, "max_tokens": 10}) == {**SENT, "max_tokens": 16}


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        error("You exceeded your quota"),
        error("This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."),
        error("messages: text content blocks must be non-empty", param="messages"),
        error("The model `m` does not exist", param="model"),
        error("frequency_penalty is not supported", param="frequency_penalty"),
        error("Please stop sending empty messages"),
        {"detail": [{"loc": ["body", "messages", 0, "content"], "msg": "Input should be a string", "input": SENT}]},
    ],
)
def test_a_complaint_about_something_else_changes_nothing(said: Any) -> None:
    assert after(said, SENT) is None


WORDS = st.sampled_from(
    [
        *("'temperature'", "max_tokens", "max_completion_tokens", "16", "4096", "at least", "at most", "'stream'"),
        *("stop", "stream_options", "reasoning_effort", "minimal", "low", "system role", ">=", "too large", "'seed'"),
        *("context length", "input tokens", "in the completion"),
    ]
)


@pytest.mark.slow
@given(st.lists(WORDS, max_size=12).map(" ".join), st.integers(1, 20_000))
def test_learning_ends_and_keeps_a_cap(text: str, cap: int) -> None:
    body, quirks, steps = {**SENT, "max_tokens": cap}, Quirks(), 0
    while (learned := quirks.learn(body, Complaint.read(text))) is not None:
        quirks, steps = learned, steps + 1
        assert steps < 20
    sent = quirks.apply(body)
    assert sent["model"] == "m"
    assert sent.get("max_tokens", sent.get("max_completion_tokens", 0)) > 0


# -- asked for real ------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nothing_known() -> Any:
    refused.forget()
    yield
    refused.forget()


async def reasoning_model(exchange: Exchange) -> None:
    """OpenAI's reasoning models: no temperature but 1, the cap by its new name and of at least 16, no streams."""
    body = exchange.body
    if body.get("temperature", 1) != 1:
        await fails(400, "Unsupported value: 'temperature' does not support 0 with this model.")(exchange)
    elif "max_tokens" in body:
        await fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")(exchange)
    elif body["max_completion_tokens"] < 16:
        await fails(400, "Invalid 'max_completion_tokens': integer below minimum value. Expected >= 16.")(exchange)
    elif body["stream"]:
        await fails(400, "Your organization must be verified to stream this model.")(exchange)
    else:
        await sends(completion("Rome"))(exchange)


def test_a_model_that_refuses_four_things_answers_and_is_not_asked_for_them_again() -> None:
    books, ask = Books(), {"options": options(tries=1, sampling={"temperature": 0.0})}
    with chat_server(reasoning_model) as server:
        assert answer(server, [candidate(budget=10)], guard=books, **ask).text == "Rome"
        assert len(server.requests) == 5
        assert answer(server, [candidate(budget=10)], guard=books, **ask).text == "Rome"
        assert len(server.requests) == 6
        warm = options(tries=1, sampling={"temperature": 1})
        answer(server, options=warm)
        assert server.bodies[-1]["temperature"] == 1  # another value may do
        assert server.bodies[-1]["max_completion_tokens"] == 100
    assert books.spent == pytest.approx(2 * 20e-6)  # a refusal is not billed
    assert books.reserved[3] > books.reserved[2]  # a larger cap may cost more


def test_what_was_refused_is_not_remembered_if_it_did_not_help() -> None:
    with chat_server(fails(400, "'temperature' is out of range"), fails(400, "no"), says("Rome")) as server:
        hot = {"options": options(tries=1, sampling={"temperature": 9})}
        with pytest.raises(ProviderError):
            answer(server, **hot)
        answer(server, **hot)
        assert ["temperature" in body for body in server.bodies] == [True, False, True]


def test_the_instruction_in_a_system_message_reaches_a_model_without_one() -> None:
    with chat_server(fails(400, "System role not supported"), says("Rome")) as server:
        answer(server, messages=SYSTEM, instruction=Instruction("{budget} tokens.", place="system"))
        assert server.bodies[1]["messages"] == [{"role": "user", "content": "Be kind.\n\n100 tokens.\n\nHi"}]


def test_thinking_goes_down_step_by_step_until_the_model_answers() -> None:
    offers = "'reasoning_effort' does not support 'none'. Supported values are: 'minimal', 'low'."
    steps = fails(400, "chat_template_kwargs: unknown field"), fails(400, offers)
    with chat_server(thinks("hm"), *steps, says("Rome")) as server:
        assert answer(server).text == "Rome"
        assert server.bodies[-1]["reasoning_effort"] == "minimal"


def test_a_refusal_inside_a_200_counts_alike() -> None:
    with chat_server(sends({"error": {"code": 400, "message": "'seed' is unsupported"}}), says("Rome")) as server:
        assert answer(server, options=options(sampling={"seed": 7})).text == "Rome"
        assert "seed" not in server.bodies[1]
