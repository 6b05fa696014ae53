"""Prices known without asking: by the server's address and the model's id, dated."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest
from genai_prices.types import ClauseEquals as Equals
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, TimeOfDateConstraint

from r2_router.pools import known_prices as module
from r2_router.pools.known_prices import known_models, known_prices, snapshot_date

OPENAI = "https://api.openai.com/v1"
OPENROUTER = "https://openrouter.ai/api/v1"


@pytest.mark.parametrize(
    ("base_url", "model_id", "input_usd", "output_usd"),
    [
        (OPENAI, "gpt-4o", 2.5, 10.0),
        (OPENAI, "gpt-4o-2024-08-06", 2.5, 10.0),
        ("https://api.groq.com/openai/v1", "llama-3.1-8b-instant", 0.05, 0.08),
        ("https://api.anthropic.com/v1", "claude-sonnet-4-5", 3.0, 15.0),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "models/gemini-2.5-pro", 1.25, 10.0),
    ],
)
def test_a_price_by_server_and_id(base_url: str, model_id: str, input_usd: float, output_usd: float) -> None:
    prices = known_prices(base_url, model_id)
    assert prices is not None
    assert (prices.input_usd_per_million, prices.output_usd_per_million) == (input_usd, output_usd)
    assert prices.date == snapshot_date()


def test_cached_tokens_and_long_inputs_have_their_own() -> None:
    prices = known_prices("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro")
    assert prices is not None
    assert prices.cache_read_usd_per_million == 0.125
    (tier,) = prices.tiers
    assert tier.to_dict() == {
        "above_input_tokens": 200_000,
        "input_usd_per_million": 2.5,
        "output_usd_per_million": 15.0,
    }


def test_openrouters_routes_cost_what_the_model_costs() -> None:
    assert known_prices(OPENROUTER, "z-ai/glm-4.5-air:nitro") == known_prices(OPENROUTER, "z-ai/glm-4.5-air")
    assert known_prices(OPENROUTER, "z-ai/glm-4.5-air") is not None


@pytest.mark.parametrize(
    ("base_url", "model_id"),
    [
        ("http://127.0.0.1:11434/v1", "gpt-4o"),
        ("https://example.com/v1", "gpt-4o"),
        (OPENAI, "home-made"),
        (OPENAI, ""),
        (OPENAI, "text-embedding-3-small"),
        (OPENROUTER, "z-ai/glm-4.5-air:free"),
        ("", "gpt-4o"),
    ],
)
def test_what_it_does_not_know(base_url: str, model_id: str) -> None:
    assert known_prices(base_url, model_id) is None


def test_the_date_is_of_the_past_and_not_of_a_change_to_come() -> None:
    date = dt.date.fromisoformat(snapshot_date())
    assert dt.date(2026, 11, 1) <= date <= dt.datetime.now(dt.UTC).date()


def test_a_price_that_changes_with_the_hour_counts_at_its_highest() -> None:
    from decimal import Decimal

    night = TimeOfDateConstraint(dt.time(16, 30, tzinfo=dt.UTC), dt.time(0, 30, tzinfo=dt.UTC))
    cheap, dear = (ModelPrice(input_mtok=Decimal(price), output_mtok=Decimal(price) * 4) for price in ("0.135", "0.27"))
    model = ModelInfo("m", Equals("m"), prices=[ConditionalPrice(prices=dear), ConditionalPrice(night, prices=cheap)])
    prices = module._prices(model, "2026-11-25")
    assert prices is not None
    assert (prices.input_usd_per_million, prices.output_usd_per_million) == (0.27, 1.08)


def test_it_is_not_imported_before_it_is_asked() -> None:
    code = "import sys, r2_router.pools.prices; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("base_url", "served", "unserved"),
    [
        ("https://api.openai.com/v1", "gpt-", "gpt-oss-"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-", "claude-"),
    ],
)
def test_what_the_api_does_not_serve_does_not_stand_in_for_its_list(base_url, served, unserved):
    ids = [listed.id for listed in known_models(base_url)]
    assert any(name.startswith(served) for name in ids)
    assert not [name for name in ids if name.startswith(unserved)]
