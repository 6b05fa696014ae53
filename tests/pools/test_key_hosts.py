"""A key goes where the user's configuration or a shipped provider sends it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from r2_router.config.settings import load_settings
from r2_router.errors import ConfigError
from r2_router.pools.key_hosts import key_of, missing_key
from r2_router.pools.model import Model
from r2_router.pools.pool import load_pool

EVIL = "http://evil.example:8080/v1"


def pool_file(folder: Path, base_url: str = EVIL, variable: str = "SOME_API_KEY", name: str = "thing") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "given.toml"
    file.write_text(
        f'[models.{name}]\nid = "x/y"\nusd_per_million = [1, 2]\nbase_url = "{base_url}"\napi_key_env = "{variable}"\n'
    )
    return file


def only(file: Path | str) -> Model:
    (model,) = (m for m in load_pool(file) if m.id == "x/y")
    return model


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOME_API_KEY", "OPENROUTER_API_KEY", "R2_LLM_API_KEY", "R2_EMBED_API_KEY"):
        monkeypatch.setenv(name, f"sk-{name}-0123456789")


def sent(file: Path | str, **settings: object) -> bool:
    """Whether the key goes to the only model of the pool."""
    found, chosen = only(file), load_settings(**settings)
    key = key_of(found, chosen)
    assert bool(key) == (missing_key(found, chosen) == "")
    return bool(key)


@pytest.mark.parametrize(
    "variable", ["SOME_API_KEY", "OPENROUTER_API_KEY", "R2_LLM_API_KEY", "R2_EMBED_API_KEY", "PATH"]
)
def test_a_file_from_anywhere_gets_no_key_for_its_host(tmp_path: Path, variable: str) -> None:
    file = pool_file(tmp_path, variable=variable)
    assert not sent(file, llm_api_base="https://llm.example/v1", embed_url="https://embed.example")
    why = missing_key(only(file), load_settings())
    assert f'[key_hosts] {variable} = "http://evil.example:8080"' in why
    assert str(file) in why


def test_it_says_so_before_it_is_used(tmp_path: Path) -> None:
    file = pool_file(tmp_path)
    assert load_pool(file).untrusted == str(file)
    assert "queries go to http://evil.example:8080" in load_pool(file).warning
    assert load_pool("paper").warning == load_pool("local").warning == ""


def test_a_key_goes_to_the_provider_the_shipped_pools_pair_it_with(tmp_path: Path) -> None:
    assert sent(pool_file(tmp_path, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"))
    assert sent(pool_file(tmp_path, "https://openrouter.ai:443/other", "OPENROUTER_API_KEY"))
    for near in (
        "http://openrouter.ai/api/v1",
        "https://openrouter.ai:444/api/v1",
        "https://openrouter.ai.evil.example",
    ):
        assert not sent(pool_file(tmp_path, near, "OPENROUTER_API_KEY"))
    assert not sent(pool_file(tmp_path, "https://openrouter.ai/api/v1", "SOME_API_KEY"))


@pytest.mark.parametrize("hosts", [f'"{EVIL}"', '["api.example", "http://evil.example:8080"]'])
def test_config_toml_pairs_a_key_with_hosts(home: Path, tmp_path: Path, hosts: str) -> None:
    (home / "config.toml").write_text(f"[key_hosts]\nSOME_API_KEY = {hosts}\n")
    assert sent(pool_file(tmp_path))
    assert not sent(pool_file(tmp_path, variable="OPENROUTER_API_KEY"))
    assert not sent(pool_file(tmp_path, "https://evil.example/v1"))


@pytest.mark.parametrize(
    ("value", "fault"), [("5", "text in quotes"), ('"http://u:p@x"', "address alone"), ('"a b"', "address")]
)
def test_a_host_that_is_none_is_said(home: Path, value: str, fault: str) -> None:
    (home / "config.toml").write_text(f"[key_hosts]\nSOME_API_KEY = {value}\n")
    with pytest.raises(ConfigError, match=f"line 2: SOME_API_KEY .*{fault}"):
        load_settings()


def test_a_pool_of_the_users_own_pairs_its_keys(home: Path, tmp_path: Path) -> None:
    mine = pool_file(home / "pools")
    assert load_pool("given").untrusted == ""
    assert sent("given")
    assert sent(mine)
    assert sent(pool_file(tmp_path))  # the same pair in a file from elsewhere


def test_models_toml_pairs_what_it_names_whole_and_not_by_halves(home: Path, tmp_path: Path) -> None:
    file = pool_file(tmp_path, variable="PATH")
    (home / "models.toml").write_text('[models.thing]\napi_key_env = "SOME_API_KEY"\n')
    assert only(file).api_key_env == "SOME_API_KEY"
    assert not sent(file)  # a variable of the user's, an address of somebody else's
    (home / "models.toml").write_text(f'[models.thing]\napi_key_env = "SOME_API_KEY"\nbase_url = "{EVIL}"\n')
    assert sent(file)


def test_a_server_of_the_settings_is_paired_with_its_own_key(tmp_path: Path) -> None:
    assert sent(pool_file(tmp_path, variable="R2_LLM_API_KEY"), llm_api_base="http://evil.example:8080/other")
    assert sent(pool_file(tmp_path, variable="R2_EMBED_API_KEY"), embed_url="http://evil.example:8080")


def test_profiles_of_providers_pair_their_keys(home: Path, tmp_path: Path) -> None:
    (home / "providers.toml").write_text(f'[mine]\nbase_url = "{EVIL}"\napi_key_env = "SOME_API_KEY"\n')
    assert sent(pool_file(tmp_path))


def test_a_model_made_by_the_users_own_code_is_theirs() -> None:
    model = Model("m", "x/y", 1.0, 2.0, base_url=EVIL, api_key_env="SOME_API_KEY")
    assert key_of(model, load_settings())


def test_a_fault_in_another_pool_does_not_matter(home: Path, tmp_path: Path) -> None:
    (home / "pools").mkdir()
    (home / "pools" / "broken.toml").write_text("[")
    assert sent(pool_file(tmp_path, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"))
