from __future__ import annotations

from typing import Any

import pytest

from r2_router.pools.listed import read_entry

OPENROUTER = {
    "id": "vendor/a",
    "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
    "supported_parameters": ["max_tokens", "tools", "tool_choice", "structured_outputs"],
}


def said(entry: dict[str, Any]) -> tuple[set[str], set[str]]:
    found = read_entry({"id": "a", **entry}, "2026-11-26")
    assert found is not None
    return set(found.can), set(found.cannot)


def test_modalities_and_parameters_say_what_a_model_can_and_cannot() -> None:
    can, cannot = said(OPENROUTER)
    assert can == {"images", "files", "tools", "json_schema", "json_object"}
    assert cannot == {"audio", "video"}


def test_files_that_are_not_listed_are_not_denied() -> None:
    can, cannot = said({"architecture": {"input_modalities": ["text"]}, "supported_parameters": ["seed"]})
    assert (can, "files" in cannot) == (set(), False)
    assert cannot == {"images", "audio", "video", "tools", "json_schema", "json_object"}


def test_flags_count_where_they_are_given() -> None:
    assert said({"capabilities": {"completion_chat": True, "function_calling": True, "vision": False}}) == (
        {"tools"},
        {"images"},
    )
    assert said({"supports_assistant_prefill": True}) == ({"prefill"}, set())


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"architecture": None, "supported_parameters": "tools", "capabilities": ["chat"]},
        {"architecture": {"input_modalities": [1, None]}, "supported_parameters": [], "supports_vision": "yes"},
        {"architecture": {"input_modalities": "text+image"}},
    ],
)
def test_silence_says_nothing(entry: dict[str, Any]) -> None:
    assert said(entry) == (set(), set())
