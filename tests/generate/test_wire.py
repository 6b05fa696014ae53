from __future__ import annotations

import gzip
import itertools
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chat_server import completion, delta

from r2_router.generate.usage import Usage
from r2_router.generate.wire import BodyError, BodyReader, Reply, read_error

MIB = 1 << 20
NAMES = """
    choices delta message content reasoning usage error code type text finish_reason prompt_tokens completion_tokens
    cost completion_tokens_details thinking metadata raw id model object
""".strip().split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def documents(*blocks: bytes, limit: int = MIB, encoding: str = "") -> list[bytes]:
    reader = BodyReader(limit, encoding)
    return [data for block in blocks for data in reader.feed(block)] + reader.close()


# -- bytes into documents ------------------------------------------------------------------------------------


@pytest.mark.slow
@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=5),
    st.lists(st.integers(0, 400), max_size=20),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_events_are_the_same_wherever_the_network_cuts_them(texts: list[str], cuts: list[int], newline: bytes) -> None:
    sent = [json.dumps({"t": text}, ensure_ascii=False).encode("utf-8", "surrogatepass") for text in texts]
    body = b"".join(b": comment" + newline + b"event: x" + newline + b"data: " + s + newline * 2 for s in sent)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    blocks = [body[a:b] for a, b in itertools.pairwise(edges)]
    assert documents(*blocks) == sent


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b'data:{"a":1}\n\n', [b'{"a":1}']),
        (b'data: {"a":1}', [b'{"a":1}']),
        (b'data: {"a":1}\n', [b'{"a":1}']),
        (b": OPENROUTER PROCESSING\n\n: again\n\ndata: [DONE]\n\n", [b"[DONE]"]),
        (b"\n\n\n: only comments\n\n", []),
        (b"id: 7\nretry: 10\nevent: ping\ndata\n\n", []),
        (b'\n \n{"a":1}', [b'{"a":1}']),
        (b'[{"a":1}]', [b'[{"a":1}]']),
        (b"", []),
    ],
)
def test_documents_of_a_body(body: bytes, expected: list[bytes]) -> None:
    assert [data.strip() for data in documents(body)] == expected
    assert [data.strip() for data in documents(*(body[i : i + 1] for i in range(len(body))))] == expected


def test_ten_thousand_lines_make_one_event() -> None:
    assert documents(b"data: x\n" * 10_000 + b"\n") == [b"\n".join([b"x"] * 10_000)]


def test_a_body_over_its_limit_is_refused() -> None:
    assert documents(b'{"a":1}', limit=7) == [b'{"a":1}']
    with pytest.raises(BodyError, match="more than an answer can hold"):
        documents(b'{"a"', b":1} ", limit=7)


@pytest.mark.slow
@pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_a_packed_body_is_unpacked_within_the_limit(pack: object, encoding: str) -> None:
    small = pack(b'{"a":1}')  # type: ignore[operator]
    assert documents(small[:5], small[5:], encoding=encoding) == [b'{"a":1}']
    bomb = pack(b'{"a":"' + b" " * (200 * MIB))  # type: ignore[operator]
    assert len(bomb) < MIB
    with pytest.raises(BodyError, match="more than an answer can hold"):
        documents(bomb, limit=MIB, encoding=encoding)


@pytest.mark.parametrize(("body", "encoding"), [(b"not gzip at all", "gzip"), (b"{}", "br")])
def test_a_body_that_cannot_be_unpacked(body: bytes, encoding: str) -> None:
    with pytest.raises(BodyError, match=r"unpacked|not asked for"):
        documents(body, encoding=encoding)


def test_a_web_page_hints_at_the_base_url() -> None:
    with pytest.raises(BodyError, match="base_url"):
        documents(b"\n<!doctype html><p>Welcome")


# -- documents into a reply ----------------------------------------------------------------------------------


def take(*given: object) -> tuple[Reply, list[str | None]]:
    reply = Reply()
    return reply, [reply.take(g if isinstance(g, bytes) else json.dumps(g).encode()) for g in given]


def test_a_stream_becomes_text_and_usage() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 1}}
    reply, pieces = take(
        delta(role="assistant", content=""),
        delta(content="Ro"),
        delta(content="me"),
        delta(finish_reason="stop"),
        {"choices": [], "usage": usage},
        b"[DONE]",
        delta(content="tokens after the end"),
    )
    assert pieces == [None, "Ro", "me", None, None, None, None]
    assert (reply.text, reply.finish_reason, reply.ended, reply.shown) == ("Rome", "stop", True, True)
    assert reply.usage == Usage(3, 4, 1, None)
    assert (reply.served_model, reply.request_id) == ("served/model", "gen-1")


def test_an_answer_in_one_piece_needs_no_done() -> None:
    reply, pieces = take(completion("Rome"))
    assert pieces == ["Rome"]
    assert reply.ended
    assert reply.usage == Usage(10, 5, None, None)


def test_a_chunk_that_repeats_the_whole_message_adds_its_delta_only() -> None:
    chunk = delta(content="me")
    chunk["choices"][0]["message"] = {"content": "Rome"}
    reply, pieces = take(delta(content="Ro"), chunk)
    assert (pieces, reply.ended) == (["Ro", "me"], False)


def test_white_space_is_held_back_until_text_follows() -> None:
    reply, pieces = take(delta(content="\n"), delta(content=" "), delta(content="Rome"), delta(content=" "))
    assert pieces == ["", "", "\n Rome", " "]
    assert reply.text == "\n Rome "


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm", "reasoning": "hm"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    ],
)
def test_reasoning_is_kept_apart(said: dict[str, object]) -> None:
    reply, pieces = take(delta(**said))
    assert (pieces, reply.reasoning_pieces, reply.text) == ([""], ["hm"], "")
    assert reply.begun
    assert not reply.shown


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "Ro"}, "me", {"type": "image_url", "image_url": {}}, 7, None]
    assert take(completion(parts))[1] == ["Rome"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ("many", None),
        ({"prompt_tokens": 1}, None),
        ({"prompt_tokens": True, "completion_tokens": 1}, None),
        ({"prompt_tokens": -1, "completion_tokens": 1}, None),
        ({"prompt_tokens": 1, "completion_tokens": 1e3}, None),
        ({"prompt_tokens": 1, "completion_tokens": 10**30}, None),
        ({"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": None}, Usage(1, 2, None, None)),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 9}},
            Usage(1, 11, 9, None),
        ),
        ({"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}, Usage(1, 2, None, 0.5)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "cost": 0}, Usage(1, 2, None, 0.0)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "cost": -1}, Usage(1, 2, None, None)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "cost": float("nan")}, Usage(1, 2, None, None)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "cost": {"total": 1}}, Usage(1, 2, None, None)),
        (
            {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "cost": 0.5,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 2.0},
            },
            Usage(1, 2, None, 2.5),
        ),
    ],
)
def test_usage_that_makes_no_sense_is_no_usage(usage: object, expected: Usage | None) -> None:
    assert take(completion("x", usage=usage))[0].usage == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ({"error": {"message": "slow down", "code": 429}}, 429, "slow down"),
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429, "slow down"),
        ({"error": {"message": "pay", "type": "insufficient_quota", "code": 429}}, 402, "pay"),
        ({"error": {"message": "busy", "type": "overloaded_error"}}, 503, "busy"),
        ({"error": {"message": "who", "code": "invalid_api_key"}}, 401, "who"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "boom"}}}, None, "error (boom)"),
        ({"error": {"code": 1302}}, None, "without a message"),
        ({"error": "model 'x' not found"}, None, "model 'x' not found"),
        ({"object": "error", "message": "too long", "code": 400}, 400, "too long"),
        ({"detail": "Not Found"}, None, "Not Found"),
    ],
)
def test_errors_in_every_form_servers_use(document: dict[str, object], status: int | None, words: str) -> None:
    error = read_error(document)
    assert error is not None
    assert error.status == status
    assert words in error.reason
    with pytest.raises(BodyError) as raised:
        take(document)
    assert raised.value.status == (status or 500)


def test_an_error_in_a_list_of_one() -> None:
    with pytest.raises(BodyError, match="quota"):
        take([{"error": {"message": "quota"}}])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b'"x"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_document(data: bytes) -> None:
    with pytest.raises(BodyError):
        take(data)


@pytest.mark.parametrize("document", [{}, {"choices": None}, {"choices": []}, {"choices": "x"}, {"choices": [None]}])
def test_a_document_without_choices_adds_nothing(document: dict[str, object]) -> None:
    reply, pieces = take(document)
    assert pieces == [None]
    assert not reply.begun


@pytest.mark.slow
@given(JSON)
def test_no_document_breaks_the_reader(document: object) -> None:
    reply = Reply()
    try:
        piece = reply.take(json.dumps(document).encode())
    except BodyError:
        return
    assert piece is None or isinstance(piece, str)
    assert isinstance(reply.text, str)


def test_the_size_of_a_reply_is_that_of_all_the_model_wrote() -> None:
    reply = Reply()
    reply.take(json.dumps(delta(content="four")).encode())
    reply.take(json.dumps(delta(reasoning="seven..")).encode())
    reply.take(json.dumps(delta(refusal="no")).encode())
    reply.take(
        json.dumps(
            delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "look", "arguments": "{}"}}])
        ).encode()
    )
    assert reply.size == 4 + 7 + 2 + 6
