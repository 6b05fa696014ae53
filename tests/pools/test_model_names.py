"""Names and ids: what means one model is found, and what only looks alike is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.pools.model_names import model_name
from r2_router.pools.ratings import Ratings, load_ratings, read_ratings

# (id of a provider, name in the ratings)
SAME = [
    ("openai/gpt-5-chat", "openai/gpt-5-chat"),
    ("gpt-5-chat-latest", "openai/gpt-5-chat"),
    ("gpt-5-2025-08-07", "openai/gpt-5"),
    ("gpt-4o-2024-05-13", "openai/gpt-4o"),
    ("chatgpt-4o-latest", "openai/chatgpt-4o"),
    ("o3-2025-04-16", "openai/o3"),
    ("openai/gpt-oss-20b:free", "openai/gpt-oss-20b"),
    ("claude-3-haiku-20240307", "anthropic/claude-3-haiku"),
    ("claude-3-5-sonnet-20241022", "anthropic/claude-3.5-sonnet"),
    ("claude-3-5-sonnet-latest", "anthropic/claude-3.5-sonnet"),
    ("claude-3-5-haiku@20241022", "anthropic/claude-3.5-haiku"),
    ("claude-opus-4-5", "anthropic/claude-opus-4.5"),
    ("claude-4-opus", "anthropic/claude-opus-4"),
    ("anthropic/claude-sonnet-4.5:nitro", "anthropic/claude-sonnet-4.5"),
    ("anthropic/claude-3.7-sonnet:thinking", "anthropic/claude-3.7-sonnet"),
    ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic/claude-3.5-sonnet"),
    ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic/claude-3-haiku"),
    ("mistral.mistral-7b-instruct-v0:2", "mistral/mistral-7b-instruct-v0.2"),
    ("openai.gpt-oss-120b-1:0", "openai/gpt-oss-120b"),
    ("models/gemini-2.0-flash-001", "google/gemini-2.0-flash"),
    ("google/gemini-2.5-flash-preview-09-2025", "google/gemini-2.5-flash"),
    ("google/gemini-flash-1.5-8b", "google/gemini-1.5-flash-8b"),
    ("google/gemma-4-31b-it", "google/gemma-4-31b"),
    ("qwen/qwen-2.5-72b-instruct:free", "alibaba/qwen2.5-72b-instruct"),
    ("Qwen/Qwen2.5-72B-Instruct", "alibaba/qwen2.5-72b-instruct"),
    ("Qwen/Qwen2.5-72B-Instruct-AWQ", "alibaba/qwen2.5-72b-instruct"),
    ("qwen2.5:72b", "alibaba/qwen2.5-72b-instruct"),
    ("qwen2.5:72b-instruct-q4_K_M", "alibaba/qwen2.5-72b-instruct"),
    ("qwen2.5-72b-instruct@q4_k_m", "alibaba/qwen2.5-72b-instruct"),
    ("qwen2.5-coder:32b", "alibaba/qwen2.5-coder-32b-instruct"),
    ("qwen/qwen3-235b-a22b-thinking-2507", "alibaba/qwen3-235b-a22b"),
    ("Qwen/Qwen3-235B-A22B-Instruct-2507", "alibaba/qwen3-235b-a22b"),
    ("unsloth/Qwen3-32B-GGUF:Q4_K_M", "alibaba/qwen3-32b"),
    ("gemma3:27b-it-qat", "google/gemma-3-27b-it"),
    ("gemma3n:e4b", "google/gemma-3n-e4b-it"),
    ("gpt-oss:20b-cloud", "openai/gpt-oss-20b"),
    ("llama3.1:8b", "meta/llama-3.1-8b-instruct"),
    ("mixtral:8x7b-instruct-v0.1-q4_0", "mistral/mixtral-8x7b-instruct-v0.1"),
    ("Llama-3.1-8B-Instruct-Q4_K_M.gguf", "meta/llama-3.1-8b-instruct"),
    ("meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo", "meta/llama-3.1-70b-instruct"),
    ("accounts/fireworks/models/llama-v3p1-70b-instruct", "meta/llama-3.1-70b-instruct"),
    ("accounts/fireworks/models/deepseek-v3p2", "deepseek/deepseek-v3.2"),
    ("deepseek/deepseek-r1-0528:free", "deepseek/deepseek-r1"),
    ("grok-4-0709", "xai/grok-4"),
    ("grok-4-fast-non-reasoning", "xai/grok-4-fast"),
    ("kimi-k2-0905-preview", "moonshot/kimi-k2"),
    ("z-ai/glm-4.5-air:free", "zhipu/glm-4.5-air"),
    ("zai-org/GLM-4.5-Air-FP8", "zhipu/glm-4.5-air"),
    ("command-r-08-2024", "cohere/command-r"),
    ("mistral-large-2411", "mistral/mistral-large"),
    ("qwen-max-2024-09-19", "alibaba/qwen-max"),
    # told by rated_as.toml alone
    ("meta-llama/llama-4-maverick:free", "meta/llama-4-maverick-17b-128e-instruct"),
    ("llama-3.3-70b-versatile", "meta/llama-3.3-70b-instruct"),
    ("mistral-large-2512", "mistral/mistral-large-3"),
    ("google/gemini-3-pro-preview", "google/gemini-3-pro"),
]

# Ids of no rated model, each close to one that is rated.
OTHERS = [
    "openai/gpt-5-pro",
    "openai/gpt-5-codex",
    "openai/gpt-5-image-mini",
    "openai/gpt-4o-mini-search-preview",
    "openai/gpt-4o-audio-preview",
    "gpt-4o-2024-11-20",  # of another date than those rated
    "gpt-4-32k",
    "gpt-4-vision-preview",
    "openai/o1-pro",
    "openai/o3-deep-research",
    "ft:gpt-4o-mini:somebody::1234",
    "claude-3-5-sonnet-20240620",
    "anthropic/claude-haiku-latest",
    "anthropic/claude-opus-4.6-fast",
    "google/gemini-2.5-flash-image",
    "google/gemini-2.5-pro-preview-03-25",
    "google/gemini-2.5-flash-preview",
    "google/gemini-3.1-flash-lite",  # only its preview is rated
    "gemini-pro-latest",
    "gemini-flash-latest",
    "gemini-2.0-flash-exp",
    "google/gemma-2-27b",  # no chat model
    "google/gemma-3-1b-it",
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-3.1-405B",
    "llama3.1:8b-text-q4_0",
    "meta-llama/llama-3.2-11b-vision-instruct",
    "meta-llama/llama-guard-3-8b",
    "nousresearch/hermes-3-llama-3.1-70b",
    "qwen2.5:7b-instruct-q4_K_M",
    "qwen2.5:latest",
    "Qwen/Qwen2.5-7B-Instruct",
    "qwen/qwen-2.5-vl-72b-instruct",
    "Qwen/Qwen3-32B-Base",
    "qwen/qwen3-30b-a3b-thinking-2507",
    "qwen/qwen3-max-thinking",
    "qwen/qwen3-next-80b-a3b",
    "qwen/qwen3-vl-235b-a22b",
    "qwen3-coder",  # at Ollama a model of 30b
    "mistralai/mistral-medium",  # moves on: rated is one of long ago
    "mistral-large",
    "qwen-plus",
    "qwen-max",
    "google/gemini-pro",
    "deepseek-r1:7b",
    "deepseek-r1:latest",
    "deepseek/deepseek-r1-distill-llama-70b",
    "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
    "deepseek/deepseek-v3-base",
    "deepseek/deepseek-v3.2-speciale",
    "x-ai/grok-2-1212",
    "x-ai/grok-4-1-fast-non-reasoning",
    "x-ai/grok-code-fast-1",
    "mistral-large-2407",
    "mistral-small-latest",
    "ministral-8b-latest",
    "ministral-8b-2512",
    "Mistral-7B-Instruct-v0.3",
    "microsoft/phi-3-medium-128k-instruct",
    "microsoft/phi-4-reasoning-plus",
    "moonshotai/kimi-dev-72b",
    "z-ai/glm-5-turbo",
    "",
    "-",
]


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return load_ratings()


@pytest.mark.parametrize(("model_id", "name"), SAME)
def test_an_id_means_a_name(ratings: Ratings, model_id: str, name: str) -> None:
    found = ratings.find(model_id)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("model_id", OTHERS)
def test_what_only_looks_alike_is_no_match(ratings: Ratings, model_id: str) -> None:
    assert ratings.find(model_id) is None


def test_every_name_is_its_own_id_and_no_others(ratings: Ratings) -> None:
    """With its maker and without, spelled with dots or dashes. Five names do not say which of several they are."""
    moving = [name for name in ratings.rated if ratings.find(name) is None]
    assert sorted(name.rpartition("/")[2] for name in moving) == [
        *("gemini-pro", "mistral-large", "mistral-medium", "qwen-max", "qwen-plus")
    ]
    assert all(ratings.get(name) is not None for name in moving)
    for name in ratings.rated.keys() - set(moving):
        for spelled in (name, name.rpartition("/")[2], name.replace(".", "-"), f"{name}:free", name.upper()):
            found = ratings.find(spelled)
            assert found is not None, spelled
            assert found.name == name, spelled


def test_no_two_rated_models_are_spelled_alike(ratings: Ratings) -> None:
    spelled = [(name.key, name.thinking, name.preview) for name in map(model_name, ratings.rated)]
    assert len(set(spelled)) == len(ratings.rated)


@pytest.mark.parametrize("end", ["-mini", "-pro", "-coder", "-vision", "-base", "-distill", "-8b", "-image"])
def test_a_word_more_is_another_model(ratings: Ratings, end: str) -> None:
    known = {name for name in ratings.rated if name.endswith(end)}
    for name in ratings.rated:
        found = ratings.find(name + end)
        assert found is None or found.name in known, name + end


def test_openrouters_list_is_found_as_far_as_ever(ratings: Ratings) -> None:
    """Fewer after a change of the rule, and fewer ids would be told their rating: benchmarks/ratings.py counts."""
    from genai_prices.data_snapshot import get_snapshot

    ids = [model.id for p in get_snapshot().providers if p.id == "openrouter" for model in p.models]
    assert len({found.name for each in ids if (found := ratings.find(each))}) >= 200


def test_the_shipped_ratings_are_the_datasets(ratings: Ratings) -> None:
    folder = os.environ.get("R2_DATA_DIR", "")
    if not folder:
        pytest.skip("R2_DATA_DIR is not set")
    whole = read_ratings((Path(folder) / "arena_ratings.csv").read_bytes(), "the dataset")
    assert (whole.date, len(whole.rated)) == ("2026-10-20", 245)
    assert whole.rated.keys() == ratings.rated.keys()
    assert whole.twins.keys() == ratings.twins.keys()
    for name, rating in whole.rated.items():
        shipped = ratings.rated[name]
        assert shipped.by_category.keys() == rating.by_category.keys()
        assert all(abs(shipped.by_category[c] - points) <= 0.5 for c, points in rating.by_category.items())
        assert (shipped.votes, shipped.versions, shipped.thinking) == (rating.votes, rating.versions, rating.thinking)


@pytest.mark.parametrize(
    ("model_id", "size"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7),
        ("qwen2.5:0.5b", 0.5),
        ("SmolLM2-135M-Instruct", 0.135),
        ("mistralai/mixtral-8x22b-instruct", 176),
        ("qwen/qwen3-235b-a22b", 235),
        ("gemma3n:e4b", 4),
        ("gpt-5-mini", None),
        ("microsoft/phi-3-mini-4k-instruct", None),
    ],
)
def test_the_size_a_name_tells(model_id: str, size: float | None) -> None:
    assert model_name(model_id).size == size


@given(st.text(max_size=60))
def test_any_text_is_taken_apart(text: str) -> None:
    assert model_name(text).key == model_name(f" {text.upper().lower()} ").key or not text.isascii()
