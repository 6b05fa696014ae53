"""What an answer costs that can wait: by provider, by model, and what a user says of a server of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from r2_router.errors import ConfigError
from r2_router.pools.batch_prices import at_batch_price, batch_terms
from r2_router.pools.model import Model, PriceTier
from r2_router.pools.profiles import forget as forget_profiles
from r2_router.pools.profiles import profiles

OPENAI = "https://api.openai.com/v1"
OPENROUTER = "https://openrouter.ai/api/v1"


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    yield
    forget_profiles()


def model(model_id: str, **more: float) -> Model:
    return Model("m", model_id, 2.0, 8.0, **more)  # type: ignore[arg-type]


def test_every_price_of_a_model_is_cut_alike() -> None:
    tiered = Model("m", "gpt-x", 2.0, 8.0, cache_read_usd_per_million=0.2, tiers=(PriceTier(1000, 4.0, 12.0),))
    waiting = at_batch_price(tiered, OPENAI)
    assert waiting is not None
    assert (waiting.input_usd_per_million, waiting.output_usd_per_million) == (1.0, 4.0)
    assert waiting.cache_read_usd_per_million == 0.1
    assert waiting.usd_per_million(2000) == (2.0, 6.0)
    assert waiting.cost_usd(500, 100) == tiered.cost_usd(500, 100) / 2


def test_where_a_provider_prices_models_one_by_one_only_those_it_prices_have_batches() -> None:
    waiting = at_batch_price(model("anthropic/claude-haiku-4.5"), OPENROUTER)
    assert waiting is not None
    assert waiting.output_usd_per_million == 4.0
    assert at_batch_price(model("qwen/qwen3-235b-a22b-2507"), OPENROUTER) is None


@pytest.mark.parametrize("base_url", ["https://api.deepseek.com/v1", "http://127.0.0.1:8000/v1", ""])
def test_a_server_without_batches_has_no_price_for_them(base_url: str) -> None:
    assert at_batch_price(model("m"), base_url) is None


def test_what_has_no_price_has_none_in_a_batch() -> None:
    assert at_batch_price(Model("m", "gpt-x", None, None), OPENAI) is None


def test_shipped_terms_are_dated_and_sourced() -> None:
    terms = [profile.batch for profile in profiles().values() if profile.batch]
    assert {t.api for t in terms} == {"openai", "anthropic", "openrouter"}
    assert all(t.date and t.source and t.max_requests and t.max_bytes for t in terms)
    assert all(t.price is None or 0 < t.price < 1 for t in terms)


def test_a_user_describes_a_server_of_their_own(home: Path) -> None:
    (home / "providers.toml").write_text('[mine]\nhosts = ["127.0.0.1"]\nbatch = { api = "openai", price = 1.0 }\n')
    forget_profiles()
    terms = batch_terms("http://127.0.0.1:4000/v1")
    assert terms is not None
    assert (terms.api, terms.price, terms.window) == ("openai", 1.0, "24h")


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ('{ api = "soap" }', "holds api, which must be one of 'openai', 'anthropic', 'openrouter'"),
        ("{ price = 0.5 }", "must say its api"),
        ('{ api = "openai", price = 2 }', "holds price, which must be a number from 0 to 1"),
        ('{ api = "openai", prize = 1 }', "and no prize"),
        ('"openai"', "must be a table"),
    ],
)
def test_what_cannot_be_used_is_told_with_file_and_line(home: Path, batch: str, said: str) -> None:
    (home / "providers.toml").write_text(f'[mine]\nhosts = ["127.0.0.1"]\nbatch = {batch}\n')
    forget_profiles()
    with pytest.raises(ConfigError, match=rf"providers\.toml, line 3: .*{said}"):
        profiles()
