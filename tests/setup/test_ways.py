"""Which entries of a list can enter a pool, in which ways they are asked, under which names, at what price."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.offers import KEY_VARIABLE, entry

from r2_router.pools.listed import Listed, Prices, read_entry
from r2_router.pools.ratings import load_ratings
from r2_router.setup.discover import Offer, Source
from r2_router.setup.ways import Way, all_ways

TODAY = "2026-11-26"
HOSTED = Source(provider="openrouter", base_url="https://openrouter.ai/api/v1", api_key_env=KEY_VARIABLE)
DIRECT = Source(provider="openai", base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY")
OWN = Source(provider="ollama", base_url="http://127.0.0.1:11434/v1")


def listed(*entries: object) -> list[Listed]:
    read = [read_entry(each, TODAY) for each in entries]
    return [each for each in read if each is not None]


def ways_of(*entries: object, source: Source = HOSTED) -> list[Way]:
    return all_ways([Offer(source, listed(*entries))], load_ratings())


def ids(ways: Sequence[Way]) -> list[str]:
    return [way.model.id for way in ways]


@pytest.mark.parametrize(
    "model_id",
    [
        *("text-embedding-3-large", "nomic-embed-text:latest", "bge-m3:latest", "mxbai-embed-large", "all-minilm:33m"),
        *("dall-e-3", "gpt-image-1", "black-forest-labs/flux-1", "google/imagen-4", "sora-2", "whisper-large-v3"),
        *(
            "tts-1-hd",
            "gpt-4o-mini-transcribe",
            "gpt-4o-realtime-preview",
            "omni-moderation-latest",
            "llama-guard-4-12b",
        ),
        *("gpt-3.5-turbo-instruct", "babbage-002", "computer-use-preview", "o3-deep-research", "mistral-ocr-2512"),
        *("~openai/gpt-latest", "openai/gpt-4.1:batch", "openai/gpt-oss-safeguard-20b"),
    ],
)
def test_what_does_not_chat_is_left_out(model_id: str) -> None:
    stated = {"id": model_id, "pricing": {"prompt": "0.000001", "completion": "0.000002"}}
    assert ids(ways_of(stated, entry("openai/gpt-4.1-mini", 1, 2))) == ["openai/gpt-4.1-mini"]


@pytest.mark.parametrize(
    "model_id",
    ["openai/gpt-4o-mini", "qwen3:8b", "mistral-large-4", "google/gemma-3-4b-it", "liveried-7b", "imagery-2"],
)
def test_what_chats_is_not(model_id: str) -> None:
    stated = {"id": model_id, "pricing": {"prompt": "0.000001", "completion": "0.000002"}}
    assert ids(ways_of(stated)) == [model_id]


@pytest.mark.parametrize(
    "more",
    [
        {"architecture": {"output_modalities": ["image", "text"]}},
        {"pricing": {"prompt": "-1", "completion": "-1"}},
        {"expiration_date": (dt.date.today() + dt.timedelta(days=5)).isoformat()},
        {"expiration_date": "2025-01-01"},
        {"active": False},
        {"type": "embedding", "architecture": None},
        {"capabilities": {"completion_chat": False}, "architecture": None},
    ],
)
def test_what_the_list_says_to_be_gone_dear_or_no_chat_is_left_out(more: dict[str, Any]) -> None:
    assert ways_of({**entry("openai/gpt-4.1-mini", 1, 2), **more}) == []


@pytest.mark.parametrize("bad", ["a\x1b[2Jb", "a\nb", "x" * 201, " padded ", "right\u202eleft", ""])
def test_an_id_that_a_terminal_would_obey_is_left_out(bad: str) -> None:
    assert ids(ways_of(entry(bad, 1, 2), entry("openai/gpt-4.1-mini", 1, 2))) == ["openai/gpt-4.1-mini"]


def test_a_price_that_the_list_lacks_is_the_known_one() -> None:
    (way,) = ways_of({"id": "gpt-4.1-mini"}, source=DIRECT)
    assert (way.model.input_usd_per_million, way.model.output_usd_per_million) == (0.4, 1.6)
    assert ways_of({"id": "nobody-knows-this"}, source=DIRECT) == []


def test_free_ones_are_left_out_unless_they_are_all() -> None:
    free, paid = entry("z-ai/glm-5.3-flash:free", 0, 0), entry("openai/gpt-4.1-mini", 1, 2)
    assert ids(ways_of(free, paid)) == ["openai/gpt-4.1-mini"]
    (alone,) = ways_of(free)
    assert alone.model.name == "glm-5.3-flash"


def test_thinking_and_not_are_two_ways_where_both_are_rated() -> None:
    plain, thinking = ways_of(entry("anthropic/claude-opus-4.6", 5, 25))
    assert (plain.model.name, thinking.model.name) == ("claude-opus-4.6", "claude-opus-4.6-thinking")
    assert plain.model.request == {"reasoning": {"enabled": False}}
    assert thinking.model.request == {"reasoning": {"enabled": True}}
    assert thinking.ability.rating > plain.ability.rating
    assert thinking.typical_usd > plain.typical_usd
    assert thinking.model.thinking_tokens > 0 == plain.model.thinking_tokens


def test_a_model_that_is_rated_in_one_way_is_asked_in_that_way() -> None:
    (thinking,) = ways_of(entry("anthropic/claude-opus-5.5", 5, 25))
    assert (thinking.model.name, thinking.model.request) == ("claude-opus-5.5", {"reasoning": {"enabled": True}})
    (plain,) = ways_of(entry("openai/gpt-4.1-mini", 0.4, 1.6))  # where the ratings do not tell
    assert (plain.model.request, plain.thinks) == ({}, False)


def test_an_id_that_says_how_it_is_asked_is_one_way() -> None:
    (way,) = ways_of(entry("x-ai/grok-4-fast-non-reasoning", 0.2, 0.5))
    assert (way.model.request, way.thinks) == ({}, False)


def test_models_of_this_machine_are_priced_by_a_guessed_speed_until_they_are_measured() -> None:
    small, large = ways_of({"id": "qwen3:0.6b"}, {"id": "qwen3:32b"}, source=OWN)
    assert not small.measured
    assert 0 < small.typical_usd < large.typical_usd
    assert small.speeds is not None


def test_a_keyless_server_elsewhere_is_a_machine_of_ones_own_too() -> None:
    lan = Source(provider="", base_url="http://192.168.1.5:8000/v1")
    (way,) = ways_of({"id": "Qwen/Qwen3-8B"}, source=lan)
    assert (way.measured, way.ability.source) == (False, "size")
    (priced,) = ways_of(entry("Qwen/Qwen3-8B", 1, 2), source=lan)
    assert (priced.measured, priced.speeds, priced.model.output_usd_per_million) == (True, None, 2.0)


def test_names_stand_once() -> None:
    offers = [
        Offer(HOSTED, listed(entry("openai/gpt-4.1-mini", 0.4, 1.6), entry("other/gpt-4.1-mini", 0.3, 1))),
        Offer(DIRECT, listed({"id": "gpt-4.1-mini"})),
    ]
    names = [way.model.name for way in all_ways(offers, load_ratings())]
    assert len(set(names)) == len(names) == 3
    assert "gpt-4.1-mini@openai" in names


prices = st.floats(0.001, 100).map(lambda usd: round(usd, 4))


ids_of_any_kind = st.text(max_size=30) | st.text(alphabet="a/ :@free", max_size=12)


@given(st.lists(st.tuples(ids_of_any_kind, prices, prices), max_size=12))
def test_any_list_gives_names_that_a_pool_can_have(models: list[tuple[str, float, float]]) -> None:
    offer = Offer(
        HOSTED, [Listed(i, prices=Prices(input_usd_per_million=a, output_usd_per_million=b)) for i, a, b in models]
    )
    ways = all_ways([offer], load_ratings())
    names = [way.model.name for way in ways]
    assert len(set(names)) == len(names)
    assert all(name.isprintable() and name == name.strip() and 0 < len(name) <= 200 for name in names)
    assert [way.typical_usd for way in ways] == sorted(way.typical_usd for way in ways)
