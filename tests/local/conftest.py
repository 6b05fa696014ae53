"""SmolLM2 as it is served in these tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from r2_router.config.settings import Settings
from r2_router.pools.model import Model
from r2_router.pools.pool import load_pool

NAME = "SmolLM2-135M-Instruct"


@pytest.fixture
def settings(smollm2: Path) -> Settings:
    """Settings whose models_dir holds the real weights."""
    return Settings(models_dir=str(smollm2.parent))


@pytest.fixture
def model() -> Model:
    """SmolLM2 as the shipped pool describes it, with small slots."""
    model = load_pool("local").get(NAME)
    assert model is not None
    return replace(model, context_window=1024)
