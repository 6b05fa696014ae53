from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from r2_router.errors import ConfigError
from r2_router.pools.model import Model
from r2_router.pools.profiles import profile
from r2_router.pools.prompt_caches import cache_priced, cache_rule, cache_rules, forget, multiples

OPUS = Model("opus", "claude-opus-5", 5.0, 25.0, base_url="https://api.anthropic.com/v1")


def test_each_shipped_rule_is_of_a_known_provider_and_cheaper_to_read_than_to_send() -> None:
    forget()
    for rule in cache_rules():
        assert profile(rule.provider).hosts
        assert rule.models
        assert 0 < rule.read < 1 <= rule.write
        assert rule.ttl_s > 0
        assert rule.date
        assert rule.source
        assert not rule.marked or rule.asks in ("", "cache_control")


@pytest.mark.parametrize(
    ("model_id", "host", "least", "marked"),
    [
        ("claude-opus-5", "api.anthropic.com", 512, True),
        ("claude-haiku-4-5", "api.anthropic.com", 4096, True),
        ("claude-something", "api.anthropic.com", 2048, True),
        ("gpt-5.6-sol", "api.openai.com", 1024, False),
        ("gemini-3.8-flash", "generativelanguage.googleapis.com", 4096, False),
        ("anthropic/claude-haiku-4.5", "openrouter.ai", 4096, True),
        ("openai/gpt-5.6-luna", "openrouter.ai", 1024, False),
        ("gpt-5.6-luna", "mine.openai.azure.com", 1024, False),
        ("openai/gpt-oss-120b", "api.groq.com", 1024, False),
    ],
)
def test_the_first_rule_that_fits_holds(model_id: str, host: str, least: int, marked: bool) -> None:
    rule = cache_rule(replace(OPUS, id=model_id, base_url=f"https://{host}/v1"))
    assert rule is not None
    assert (rule.min_tokens, rule.marked) == (least, marked)


def test_of_other_servers_nothing_is_known() -> None:
    assert cache_rule(replace(OPUS, base_url="https://example.org/v1")) is None
    assert cache_rule(replace(OPUS, base_url="")) is None


@pytest.mark.parametrize(
    ("model_id", "host"),
    [
        ("meta-llama/llama-4-scout", "openrouter.ai"),
        ("openai/gpt-oss-120b", "openrouter.ai"),
        ("qwen3", "api.groq.com"),
    ],
)
def test_of_models_that_many_serve_nothing_is_known(model_id: str, host: str) -> None:
    assert cache_rule(replace(OPUS, id=model_id, base_url=f"https://{host}/v1")) is None


def test_the_models_own_prices_go_before_the_rules() -> None:
    rule = cache_rule(OPUS)
    assert rule is not None
    assert multiples(OPUS, rule) == (0.1, 1.25)
    priced = replace(OPUS, cache_read_usd_per_million=0.25, cache_write_usd_per_million=10.0)
    assert multiples(priced, rule) == (0.05, 2.0)
    assert multiples(priced, replace(rule, write=1.0)) == (0.05, 1.0)


def test_a_model_without_prices_of_its_cache_is_billed_by_the_rule() -> None:
    known = cache_priced(OPUS)
    assert (known.cache_read_usd_per_million, known.cache_write_usd_per_million) == (0.5, 6.25)
    own = replace(OPUS, cache_read_usd_per_million=0.25, cache_write_usd_per_million=10.0)
    assert cache_priced(own) == own
    elsewhere = replace(OPUS, base_url="https://example.org/v1")
    assert cache_priced(elsewhere) == elsewhere


def test_the_users_rules_go_first_and_errors_name_file_and_line(home: Path) -> None:
    file = home / "prompt_caches.toml"
    file.write_text('[mine]\nprovider = "anthropic"\nmodels = ["*"]\nread = 0.5\nmin_tokens = 1\nttl_s = 3600\n')
    forget()
    rule = cache_rule(OPUS)
    assert rule is not None
    assert (rule.read, rule.ttl_s, rule.write, rule.marked) == (0.5, 3600, 1, False)
    file.write_text('[mine]\nprovider = "anthropic"\nasks = "nicely"\n')
    forget()
    with pytest.raises(ConfigError, match=r"line 3: .*asks must be one of '', 'cache_control', 'prompt_cache_key'"):
        cache_rule(OPUS)
    file.write_text('[mine]\nprovider = "anthropic"\n')
    forget()
    with pytest.raises(ConfigError, match=r"prompt_caches\.toml, line 1: mine lacks models"):
        cache_rule(OPUS)
