"""What is here: keys by name, servers that answer, lists good and bad, each asked with its own key and no other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.chat_server import chat_server, fails, hangs, resets, sends
from support.offers import KEY, KEY_VARIABLE, MODELS, Offers, as_ollama, write_profiles

from r2_router.config.settings import load_settings
from r2_router.errors import DownloadError, InputError
from r2_router.pools.known_prices import known_models
from r2_router.pools.profiles import forget as forget_profiles
from r2_router.pools.profiles import profiles
from r2_router.setup import discover
from r2_router.setup.discover import Source, given_source, key_sources, read_offers, running_sources, server_sources
from r2_router.setup.unused import unused

LOCAL = {"ollama", "lmstudio", "llamacpp", "vllm", "jan"}


def test_every_provider_of_the_issue_and_every_usual_port_is_known(home: Path) -> None:
    forget_profiles()
    known = profiles()
    named = "openrouter openai anthropic gemini groq deepseek mistral together fireworks xai cerebras moonshot zai"
    assert all(known[name].api_key_env and known[name].base_url for name in named.split())
    ports = {known[name].base_url.rpartition(":")[2] for name in LOCAL}
    assert ports == {"11434/v1", "1234/v1", "8080/v1", "8000/v1", "1337/v1"}


def test_keys_are_found_in_the_environment_and_in_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profiles(home)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_KEY", "two words")  # can be no key
    (home / "keys.toml").write_text(f'ANTHROPIC_API_KEY = "{KEY}"\n', encoding="utf-8")
    found = {source.name: source.key_place for source in key_sources(load_settings())}
    assert found == {"openai": "environment", "anthropic": "keys.toml"}
    assert KEY not in repr(key_sources(load_settings()))


def test_the_other_name_of_a_key_is_known_and_the_usual_one_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_profiles()
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    assert [(s.name, s.api_key_env) for s in key_sources(load_settings())] == [("gemini", "GOOGLE_API_KEY")]
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    assert [(s.name, s.api_key_env) for s in key_sources(load_settings())] == [("gemini", "GEMINI_API_KEY")]


def test_only_servers_that_take_connections_are_found(here: Offers) -> None:
    (found,) = server_sources()
    assert (found.name, found.base_url, found.own) == ("ollama", here.own.url, True)


def test_what_listens_at_such_a_port_and_lists_no_model_is_not_said_to_run(here: Offers) -> None:
    assert [source.name for source in running_sources()] == ["ollama"]
    here.own.then(fails(404))
    assert running_sources() == []
    assert unused(load_settings()).startswith(f"{KEY_VARIABLE} is set and unused: ")


def test_each_source_lists_its_models(here: Offers) -> None:
    settings = load_settings()
    listed = {o.source.name: o for o in read_offers([*server_sources(), *key_sources(settings)], settings)}
    assert {entry.id for entry in listed["openrouter"].listed} == {model[0] for model in MODELS}
    assert [entry.id for entry in listed["ollama"].listed] == ["qwen3:8b"]
    assert not any(o.failure or o.snapshot for o in listed.values())


def test_the_key_goes_to_its_provider_and_to_nobody_else(here: Offers) -> None:
    settings = load_settings()
    read_offers([*server_sources(), *key_sources(settings)], settings)
    assert [r.headers["authorization"] for r in here.hosted.requests] == [f"Bearer {KEY}"]
    assert not any("authorization" in r.headers for r in here.own.requests)


def test_no_proxy_stands_between(here: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    settings = load_settings()
    assert not any(o.failure for o in read_offers([*server_sources(), *key_sources(settings)], settings))


@pytest.mark.parametrize(
    "bad",
    [
        fails(500),
        fails(401),
        resets(),
        sends(b"<html>"),
        sends([]),
        sends({"data": [{"id": 7}, None, 3]}),
        sends({"models": "all"}),
        sends(b"[" * 100_000),
    ],
)
def test_a_bad_list_stops_no_other(here: Offers, bad: object) -> None:
    here.hosted.then(bad)  # pyright: ignore[reportArgumentType]
    settings = load_settings()
    offers = {o.source.name: o for o in read_offers([*server_sources(), *key_sources(settings)], settings)}
    assert offers["openrouter"].failure
    assert KEY not in offers["openrouter"].failure
    assert [entry.id for entry in offers["ollama"].listed] == ["qwen3:8b"]


@pytest.mark.slow
def test_slow_servers_are_waited_for_together_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "_OWN_SECONDS", 0.3)
    with chat_server(hangs()) as slow, chat_server(hangs()) as slower, chat_server(sends(as_ollama("m"))) as good:
        sources = [Source(provider="", base_url=server.url) for server in (slow, slower, good)]
        start = time.monotonic()
        offers = read_offers(sources, load_settings())
        assert time.monotonic() - start < 5  # not for the 10 s that a provider gets
    assert [bool(o.failure) for o in offers] == [True, True, False]


def test_without_network_the_snapshot_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise DownloadError("cannot be reached")

    monkeypatch.setattr(discover, "fetch_list", unreachable)
    provider = Source(provider="openai", base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY")
    local = Source(provider="ollama", base_url="http://127.0.0.1:11434/v1")
    offered, nothing = read_offers([provider, local], load_settings())
    assert offered.snapshot
    assert {"gpt-4.1", "gpt-4o-mini"} <= {entry.id for entry in offered.listed}
    ids = {entry.id for entry in known_models("https://api.fireworks.ai/inference/v1")}
    assert ids
    assert all(model_id.startswith("accounts/fireworks/") for model_id in ids)  # as it is asked there
    assert (nothing.listed, nothing.snapshot) == ([], "")


# -- an address that the user gives --------------------------------------------------------------------------------


def test_a_given_address_gets_no_key_but_its_providers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_profiles()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    settings = load_settings()
    assert given_source("https://models.example/v1/", settings).api_key_env == ""
    assert given_source("https://api.openai.com/v1", settings).api_key_env == "OPENAI_API_KEY"
    assert given_source("http://127.0.0.1:5000/v1", settings).own


def test_the_key_of_the_settings_goes_to_their_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_LLM_API_BASE", "https://models.example/v1")
    monkeypatch.setenv("R2_LLM_API_KEY", KEY)
    assert given_source("https://models.example/v1", load_settings()).api_key_env == "R2_LLM_API_KEY"
    assert given_source("https://elsewhere.example/v1", load_settings()).api_key_env == ""


@pytest.mark.parametrize("address", ["", "nonsense", "ftp://x", "http://user:word@host/v1", "https://h/v1?key=x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="--base-url"):
        given_source(address, load_settings())
