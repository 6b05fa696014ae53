"""Answers as providers really send them: what ends one, what is thought, what is no answer at all."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chat_server import Behaviour, Exchange, chat_server, delta, event, says, sends, streams, thinks
from support.generations import answer, candidate

from r2_router.errors import ProviderError
from r2_router.generate import Answer
from r2_router.generate.wire import Reply

TWO = [candidate("a"), candidate("b")]
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
# What Azure sends with asynchronous filters: first the prompt's results, then the answer's, without a delta
# (openai-python 1677, langchain 18977, litellm 3811).
PROMPT_FILTER = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0, **SAFE}]}
FILTER = {
    "id": "",
    "model": "",
    "choices": [
        {
            "index": 0,
            "finish_reason": None,
            "content_filter_results": SAFE,
            "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198},
        }
    ],
    "usage": None,
}
STOP = delta(finish_reason="stop")
DONE = b"data: [DONE]\n\n"


def chunks(*documents: object) -> Behaviour:
    return streams(*map(event, documents), DONE)


def fetched(behaviour: Behaviour, *more: Behaviour) -> Answer:
    with chat_server(behaviour, *more) as server:
        return answer(server, TWO)


# -- what ends an answer -------------------------------------------------------------------------------------


def test_a_chunk_without_a_delta_is_not_the_end() -> None:
    got = fetched(chunks(PROMPT_FILTER, delta(content="Rome is "), FILTER, delta(content="the capital."), FILTER, STOP))
    assert (got.text, got.partial, got.finish_reason) == ("Rome is the capital.", False, "stop")


def test_a_filter_chunk_at_the_end_is_no_end_either() -> None:
    got = fetched(streams(event(delta(content="Rome is ")), event(FILTER)))
    assert (got.text, got.partial) == ("Rome is ", True)


@pytest.mark.parametrize("last", [{"delta": None}, {"delta": None, "message": None}, {}])
def test_a_delta_that_is_null_says_nothing_and_its_reason_counts(last: dict[str, Any]) -> None:
    end = {"id": "x", "choices": [{"index": 0, "finish_reason": "stop", **last}]}
    got = fetched(streams(event(delta(content="Rome")), event(end)))
    assert (got.text, got.partial, got.finish_reason) == ("Rome", False, "stop")


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 9])
def test_a_byte_order_mark_loses_nothing(cut: int) -> None:
    body = b"\xef\xbb\xbf" + event(delta(content="Ro")) + event(delta(content="me")) + event(STOP)
    assert fetched(streams(*filter(None, [body[:cut], body[cut:]]))).text == "Rome"
    whole = b'\xef\xbb\xbf{"choices": [{"message": {"content": "Rome"}, "finish_reason": "stop"}]}'
    assert fetched(sends(whole)).text == "Rome"


def test_another_choice_is_not_mixed_in() -> None:
    other = delta(content="Madrid", index=1)
    both = delta(content="me")
    both["choices"] = [*other["choices"], *both["choices"]]
    got = fetched(chunks(delta(content="Ro"), other, both, delta(finish_reason="length", index=1), STOP))
    assert (got.text, got.finish_reason) == ("Rome", "stop")


# -- characters ----------------------------------------------------------------------------------------------


def test_a_character_in_two_halves_is_one() -> None:
    got = fetched(
        streams(
            b'data: {"choices": [{"index": 0, "delta": {"content": "Rome \\ud83c"}}]}\n\n',
            b'data: {"choices": [{"index": 0, "delta": {"content": "\\udf1e!"}}]}\n\n',
            event(STOP),
        )
    )
    assert got.text == "Rome 🌞!"


@pytest.mark.parametrize("half", [b"\\ud83c", b"\\udf1e"])
def test_half_a_character_becomes_the_replacement_character(half: bytes) -> None:
    got = fetched(
        streams(
            b'data: {"model": "%s", "choices": [{"delta": {"content": "Rome %s"}}]}\n\n' % (half, half), event(STOP)
        )
    )
    assert got.text == "Rome \ufffd"
    assert got.text.encode()
    assert json.dumps(got.to_dict(), ensure_ascii=False).encode()


@given(st.text(min_size=1), st.lists(st.integers(0, 60), max_size=8))
def test_text_is_the_same_wherever_its_code_units_are_cut(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    edges = sorted({0, len(units), *(2 * cut for cut in cuts if 2 * cut < len(units))})
    reply = Reply()
    for start, end in itertools.pairwise(edges):
        piece = units[start:end].decode("utf-16-le", "surrogatepass")
        reply.take(json.dumps(delta(content=piece)).encode())
    reply.close()
    said = reply.text + "".join(reply.reasoning_pieces)
    assert said == text or text.lstrip().lower().startswith("<th")


# -- thoughts in the text ------------------------------------------------------------------------------------

OPEN_THOUGHTS = [
    ("<think>hm</think>Rome", "Rome", "hm"),
    ("\n<think>\nhm\n</think>\n\nRome.", "Rome.", "\nhm\n"),
    ("<thinking>hm</thinking>Rome", "Rome", "hm"),
    ("<thought>hm</thought> Rome", "Rome", "hm"),
    ("<THINK>hm</THINK>Rome", "Rome", "hm"),
    ("<think>one</think><think>two</think>Rome", "Rome", "onetwo"),
    ("<think></think>\n\nRome", "Rome", ""),
    (
        "The tag <think> opens a thought, </think> closes it.",
        "The tag <think> opens a thought, </think> closes it.",
        "",
    ),
    ("<thin ice", "<thin ice", ""),
    ("<th", "<th", ""),
    ("a < b </think", "a < b </think", ""),
    ("<think>hm </thin ice</think>Rome", "Rome", "hm </thin ice"),
]


@pytest.mark.parametrize(("said", "text", "thought"), OPEN_THOUGHTS)
@pytest.mark.parametrize("size", [1, 3, 99])
def test_thoughts_in_tags_are_thoughts(said: str, text: str, thought: str, size: int) -> None:
    reply, shown = Reply(), ""
    for start in range(0, len(said), size):
        shown += reply.take(json.dumps(delta(content=said[start : start + size])).encode()) or ""
    shown += reply.close()
    assert (reply.text.strip(), shown.strip(), "".join(reply.reasoning_pieces)) == (text, text, thought)


def test_thoughts_that_are_cut_are_no_answer() -> None:
    got = fetched(says("<think>Let me ", "think", reason="length"), says("<think>so</think>Rome"))
    assert (got.text, got.model) == ("Rome", "a")
    assert got.reasoning_tokens > 0
    assert len(got.attempts) == 2


# -- what is no answer ---------------------------------------------------------------------------------------


async def calls(exchange: Exchange) -> None:
    await exchange.start()
    function = {"name": "search", "arguments": "{}"}
    await exchange.event(delta(tool_calls=[{"index": 0, "id": "1", "type": "function", "function": function}]))
    await exchange.finish("tool_calls")


NO_ANSWER: dict[str, tuple[Behaviour, str]] = {
    "a refusal": (chunks(delta(refusal="I can't "), delta(refusal="help."), STOP), "the model refused: I can't help."),
    "thoughts alone": (thinks("hm", reason="stop", field="reasoning_content"), "thought and wrote no answer"),
    "a call of a tool": (calls, "called a tool"),
    "nothing": (says(), "wrote nothing"),
    "white space": (says(" ", "\n"), "wrote nothing"),
    "a filter": (says(reason="content_filter"), "content filter let nothing through"),
    "Gemini's filter": (says(reason="SAFETY"), "content filter let nothing through"),
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_what_is_no_answer_is_said_and_billed_and_the_next_model_asked(name: str) -> None:
    behaviour, reason = NO_ANSWER[name]
    got = fetched(behaviour, says("Rome"))
    assert (got.text, got.model, got.partial) == ("Rome", "b", False)
    first, second = got.attempts
    assert reason in first.reason
    assert first.cost_usd > 0
    assert got.cost_usd == pytest.approx(first.cost_usd + second.cost_usd)
    with pytest.raises(ProviderError, match=r"No model answered|gave no answer"):
        fetched(behaviour)


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "RECITATION", "sensitive"])
def test_an_answer_that_a_filter_cut_says_so(reason: str) -> None:
    got = fetched(says("Rome is ", reason=reason))
    assert (got.text, got.partial) == ("Rome is ", True)
    assert got.error == "the provider's content filter cut the answer off"
    assert not got.usage_estimated


def test_text_beside_a_call_is_an_answer() -> None:
    with_text = delta(content="Rome", tool_calls=[{"index": 0, "function": {"name": "x", "arguments": "{}"}}])
    assert fetched(chunks(with_text, STOP)).text == "Rome"
