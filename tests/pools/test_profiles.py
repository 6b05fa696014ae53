"""Provider profiles: where each is asked, with which header, in which words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from r2_router.config.settings import Secret
from r2_router.errors import ConfigError
from r2_router.generate.body import without_thinking
from r2_router.generate.endpoint import Endpoint
from r2_router.net.loopback import is_loopback
from r2_router.pools.pool import load_pool
from r2_router.pools.profiles import forget as forget_profiles
from r2_router.pools.profiles import profile, profile_of, profiles, providers_file

DEPLOYMENT = "https://mine.openai.azure.com/openai/deployments/gpt-4o"


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    forget_profiles()
    yield
    forget_profiles()


def pool(tmp_path: Path, lines: str) -> Path:
    path = tmp_path / "some.toml"
    path.write_text(f'[models.m]\nid = "vendor/m"\nusd_per_million = [1, 2]\n{lines}\n', encoding="utf-8")
    return path


def test_shipped_profiles_are_complete() -> None:
    assert {"openrouter", "openai", "azure", "anthropic", "gemini", "xai", "groq", "mistral"} <= set(profiles())
    for known in profiles().values():
        if not known.api_key_env:  # a server on this machine
            assert is_loopback(Endpoint(known.base_url).host)
            assert not known.hosts
            continue
        assert known.hosts
        assert known.name == "azure" or profile_of(Endpoint(known.base_url).host) == known


def test_azure_gets_its_version_and_its_header() -> None:
    import httpx

    endpoint = Endpoint(DEPLOYMENT, Secret("azure-key-0123456789"))
    assert endpoint.chat_url == f"{DEPLOYMENT}/chat/completions?api-version=2024-10-21"
    assert Endpoint("https://mine.openai.azure.com/openai/v1").chat_url.endswith("/openai/v1/chat/completions")
    request = endpoint.sign(httpx.Request("POST", endpoint.chat_url))
    assert request.headers["api-key"] == "azure-key-0123456789"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("name", "url", "variable"),
    [
        ("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    ],
)
def test_a_pool_may_name_the_provider_alone(tmp_path: Path, name: str, url: str, variable: str) -> None:
    [model] = load_pool(pool(tmp_path, f'provider = "{name}"'))
    assert (model.base_url, model.api_key_env) == (url, variable)


def test_azure_needs_an_address_and_an_unknown_provider_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 1: m needs a base_url"):
        load_pool(pool(tmp_path, 'provider = "azure"'))
    [model] = load_pool(pool(tmp_path, f'provider = "azure"\nbase_url = "{DEPLOYMENT}"'))
    assert (model.base_url, model.api_key_env) == (DEPLOYMENT, "AZURE_OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="line 4: provider must be one of openrouter, openai"):
        load_pool(pool(tmp_path, 'provider = "opnai"'))
    with pytest.raises(ConfigError, match="No provider 'opnai'"):
        profile("opnai")


def test_the_users_profile_replaces_the_shipped(tmp_path: Path) -> None:
    providers_file().write_text(
        '[azure]\nhosts = ["*.openai.azure.com"]\napi_key_env = "MINE"\nquery = { api-version = "2025-01-01" }\n',
        encoding="utf-8",
    )
    assert Endpoint(DEPLOYMENT).chat_url.endswith("api-version=2025-01-01")
    providers_file().write_text("[azure]\nhost = 3\n", encoding="utf-8")
    forget_profiles()
    with pytest.raises(ConfigError, match="line 2: unknown key 'host'"):
        profiles()


def test_thinking_is_switched_off_in_each_ones_words() -> None:
    body = {"model": "x"}
    assert without_thinking(body, Endpoint("https://openrouter.ai/api/v1"))["reasoning"] == {"enabled": False}
    assert without_thinking(body, Endpoint("https://api.openai.com/v1")) == {"model": "x", "reasoning_effort": "none"}
    assert set(without_thinking(body, Endpoint("http://localhost:8080/v1"))) == {
        "model",
        "reasoning_effort",
        "chat_template_kwargs",
    }
