from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from r2_router.config.folders import shipped
from r2_router.errors import ConfigError
from r2_router.pools import part_tokens
from r2_router.pools.model import Model
from r2_router.pools.part_tokens import Part, counted_as


def model(model_id: str) -> Model:
    return Model("m", model_id, 1.0, 1.0)


@pytest.mark.parametrize(
    ("model_id", "image"),
    [
        ("anthropic/claude-opus-5.5", 1369),
        ("claude-haiku-4.5", 1369),
        ("openai/gpt-5", 630),
        ("o3", 675),
        ("openai/gpt-5.2", 1229),
        ("gpt-5-mini", 1659),
        ("gpt-4o-2024-11-20", 765),
        ("openai/gpt-4o-mini", 25501),
        ("openai/gpt-5-nano", 2520),
        ("google/gemini-2.5-flash", 1032),
        ("models/gemini-3.1-pro-preview", 1120),
        ("somebody/else", 1000),
    ],
)
def test_the_first_table_that_fits_an_id_holds(model_id: str, image: int) -> None:
    assert part_tokens.part_tokens(model(model_id), [Part("image")]) == image
    assert part_tokens.part_tokens(model(model_id), []) == 0


def test_parts_add_up_and_what_a_table_leaves_out_a_later_one_says() -> None:
    counts = counted_as("claude-opus-5")
    assert counts["audio"] == counted_as("somebody/else")["audio"] > 0
    parts = [Part("image"), Part("audio"), Part("image")]
    assert part_tokens.part_tokens(model("claude-opus-5"), parts) == 2 * 1369 + counts["audio"]


@pytest.mark.parametrize(
    ("model_id", "size", "tokens"),
    [
        ("gpt-4o", (1024, 1024), 765),  # the providers' own examples
        ("gpt-4o", (2048, 4096), 1105),
        ("gpt-4o", (100, 100), 255),
        ("gpt-4o-mini", (1024, 1024), 25501),
        ("claude-haiku-4-5", (1000, 1000), 1296),
        ("claude-opus-5", (200, 200), 64),
        ("claude-opus-5", (1920, 1080), 2691),
        ("claude-opus-5", (3840, 2160), 4784),
        ("anthropic/claude-opus-4.7", (3840, 2160), 4784),
        ("anthropic/claude-opus-4.6", (3840, 2160), 1568),
        ("claude-sonnet-4-20250514", (3840, 2160), 1568),
        ("gpt-5.6-sol", (1024, 1024), 1229),
        ("gemini-2.5-flash", (300, 300), 258),
        ("gemini-2.5-flash", (1024, 1024), 1032),
        ("gpt-5-nano", (1024, 1024), 2520),
        ("gpt-5-nano", (9000, 9000), 3779),
        ("somebody/else", (10, 10), 1000),  # nobody said how it counts
    ],
)
def test_an_image_of_known_size_counts_as_its_provider_says(model_id: str, size: tuple[int, int], tokens: int) -> None:
    assert part_tokens.part_tokens(model(model_id), [Part("image", size)]) == tokens


def test_every_shipped_count_is_dated_and_says_where_it_is_from() -> None:
    tables = tomllib.loads((shipped("config") / "part_tokens.toml").read_text(encoding="utf-8"))
    assert all(table["date"] and table["source"] for table in tables.values())
    assert next(reversed(tables.values()))["models"] == ["*"]


SIDES = '[a]\nmodels = ["x"]\nimage = 1\nimage_within = []\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [("[a]\nimage = 5\n", "lacks models"), ('[a]\nmodels = ["x"]\nimage = -1\n', "image"), (SIDES, "one side")],
)
def test_a_fault_in_your_file_is_named(text: str, fault: str, home: Path) -> None:
    (home / "part_tokens.toml").write_text(text)
    part_tokens.forget()
    with pytest.raises(ConfigError, match=fault):
        counted_as("x")
