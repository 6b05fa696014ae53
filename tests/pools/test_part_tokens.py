from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from r2_router.config.folders import shipped
from r2_router.errors import ConfigError
from r2_router.pools import part_tokens
from r2_router.pools.model import Model
from r2_router.pools.part_tokens import counted_as


def model(model_id: str) -> Model:
    return Model("m", model_id, 1.0, 1.0)


@pytest.mark.parametrize(
    ("model_id", "image"),
    [
        ("anthropic/claude-opus-5.5", 1400),
        ("claude-haiku-4.5", 1400),
        ("gpt-4o-2024-11-20", 765),
        ("openai/gpt-4o-mini", 25501),
        ("openai/gpt-5-nano", 2519),
        ("google/gemini-2.5-flash", 1032),
        ("models/gemini-3.1-pro-preview", 1120),
        ("somebody/else", 1000),
    ],
)
def test_the_first_table_that_fits_an_id_holds(model_id: str, image: int) -> None:
    assert part_tokens.part_tokens(model(model_id), ["image"]) == image
    assert part_tokens.part_tokens(model(model_id), []) == 0


def test_parts_add_up_and_what_a_table_leaves_out_a_later_one_says() -> None:
    counts = counted_as("claude-opus-5")
    assert counts["audio"] == counted_as("somebody/else")["audio"] > 0
    assert part_tokens.part_tokens(model("claude-opus-5"), ["image", "audio", "image"]) == 2 * 1400 + counts["audio"]


def test_every_shipped_count_is_dated_and_says_where_it_is_from() -> None:
    tables = tomllib.loads((shipped("config") / "part_tokens.toml").read_text(encoding="utf-8"))
    assert all(table["date"] and table["source"] for table in tables.values())
    assert next(reversed(tables.values()))["models"] == ["*"]


@pytest.mark.parametrize(
    ("text", "fault"), [("[a]\nimage = 5\n", "lacks models"), ('[a]\nmodels = ["x"]\nimage = -1\n', "image")]
)
def test_a_fault_in_your_file_is_named(text: str, fault: str, home: Path) -> None:
    (home / "part_tokens.toml").write_text(text)
    part_tokens.forget()
    with pytest.raises(ConfigError, match=fault):
        counted_as("x")
