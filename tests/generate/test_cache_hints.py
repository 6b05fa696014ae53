"""What is set for the user so that a provider's cache finds a chat again, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.caching_server import TABLES, rules
from support.chat_server import chat_server, fails, says
from support.generations import answer, candidate, model, options

from r2_router.pools import prompt_caches
from r2_router.pools.profiles import forget as forget_profiles

LONG = "A long turn of the chat. " * 40
CHAT = [
    {"role": "system", "content": LONG},
    {"role": "user", "content": LONG},
    {"role": "assistant", "content": "An answer."},
    {"role": "user", "content": "go on"},
]
CALL = {"id": "1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
TAIL = [
    *CHAT,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "what it read"},
]
UNLIMITED = [candidate(budget="unlimited")]
MARK = {"type": "ephemeral"}


@pytest.fixture
def configure(home: Path) -> Callable[..., None]:
    def write(**rule: Any) -> None:
        (home / "providers.toml").write_text(TABLES)
        (home / "prompt_caches.toml").write_text(rules(**rule))
        forget_profiles()
        prompt_caches.forget()

    return write


def sent(messages: Any, candidates: Any = UNLIMITED, *, hits: Any = None, **given: Any) -> dict[str, Any]:
    """The body that a server gets; `hits` {}: it is a chat, of whose provider nothing was learned."""
    with chat_server() as server:
        answer(server, candidates, messages, hits=hits, **given)
        return server.bodies[-1]


def marks(body: dict[str, Any]) -> list[int]:
    """The messages that are marked."""
    return [i for i, message in enumerate(body["messages"]) if "cache_control" in json.dumps(message)]


def test_a_chat_is_marked_where_it_is_sent_again(configure: Callable[..., None]) -> None:
    configure(marked=True, asks="cache_control")
    body = sent(CHAT, hits={})
    assert marks(body) == [2, 3]
    assert body["messages"][3]["content"] == [{"type": "text", "text": "go on", "cache_control": MARK}]
    assert body["messages"][0] == CHAT[0]
    assert marks(sent(TAIL, hits={})) == [2, 5]
    limited = sent(CHAT, [candidate(budget=100)], hits={})  # its last message holds an instruction, this time
    assert marks(limited) == [2]
    assert limited["messages"][3]["content"].startswith("go on\n\n")


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ({"marked": True}, {"hits": {}}),
        ({"marked": True, "asks": "cache_control"}, {}),
        ({"marked": True, "asks": "cache_control", "min_tokens": 2000}, {"hits": {}}),
        ({"marked": True, "asks": "cache_control"}, {"hits": {"a": 0.1}}),
        ({"marked": True, "asks": "cache_control", "write": 3.0}, {"hits": {}}),
    ],
    ids=["not asked for", "no chat", "too short", "never found", "too dear"],
)
def test_nothing_is_marked_where_it_does_not_pay(
    configure: Callable[..., None], rule: dict[str, Any], given: dict[str, Any]
) -> None:
    configure(**rule)
    assert sent(CHAT, **given)["messages"] == CHAT


def test_the_users_own_marks_are_kept_and_none_is_added(configure: Callable[..., None]) -> None:
    configure(marked=True, asks="cache_control")
    part = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    own = [{"role": "system", "content": [part]}, *CHAT[1:]]
    assert sent(own, hits={})["messages"] == own
    body = sent(CHAT, hits={}, options=options(sampling={"cache_control": MARK}))
    assert (body["messages"], body["cache_control"]) == (CHAT, MARK)
    with chat_server() as server:
        asking = {"a": model("a", server.url, request={"cache_control": MARK})}
        answer(server, UNLIMITED, CHAT, hits={}, models=asking)
        assert server.bodies[0]["messages"] == CHAT


def test_a_key_names_the_chat_and_holds_no_text(configure: Callable[..., None]) -> None:
    configure(asks="prompt_cache_key")
    short = [{"role": "system", "content": "Be brief."}, *CHAT[1:]]
    key = sent(short)["prompt_cache_key"]
    assert len(key) == 32
    assert int(key, 16)
    more = [*short, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "and?"}]
    assert sent(more, hits={})["prompt_cache_key"] == key == sent(short[:2])["prompt_cache_key"]
    assert sent([short[0], {"role": "user", "content": LONG + "?"}])["prompt_cache_key"] != key


def test_no_key_leads_chats_away_from_the_system_message_they_share(configure: Callable[..., None]) -> None:
    configure(asks="prompt_cache_key")
    assert "prompt_cache_key" not in sent(CHAT, hits={})
    assert "prompt_cache_key" not in sent("What is the capital of France?")
    tools = [{"type": "function", "function": {"name": "read", "parameters": {}}}]
    assert "prompt_cache_key" in sent(CHAT, options=options(sampling={"tools": tools}))
    own = sent(CHAT[1:], options=options(sampling={"prompt_cache_key": "mine"}))
    assert own["prompt_cache_key"] == "mine"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {"marked": True, "asks": "cache_control"},
            "messages.2.content.0.cache_control: Extra inputs are not permitted",
        ),
        ({"asks": "prompt_cache_key"}, "Unrecognized request argument supplied: prompt_cache_key"),
    ],
)
def test_a_server_that_refuses_hints_is_asked_without_and_remembered(
    configure: Callable[..., None], rule: dict[str, Any], words: str
) -> None:
    configure(**rule)
    chat = CHAT[1:]
    with chat_server(fails(400, words), says("Yes.")) as server:
        got = answer(server, UNLIMITED, chat, hits={})
        assert got.text
        answer(server, UNLIMITED, [{**chat[0], "content": LONG + "?"}, *chat[1:]], hits={})
        first, again, later = server.bodies
    assert marks(first) or "prompt_cache_key" in first
    assert again["messages"] == chat
    assert "prompt_cache_key" not in again
    assert not marks(later)
    assert "prompt_cache_key" not in later
