"""What is here and not used is said once, and only to who has not set anything up."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.offers import KEY, KEY_VARIABLE, Offers, write_profiles

from r2_router import R2Router
from r2_router.config.settings import load_settings
from r2_router.errors import NoCandidateError
from r2_router.routing.request import Request
from r2_router.setup.unused import unused


def test_a_key_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profiles(home)
    assert unused(load_settings()) == ""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    said = unused(load_settings())
    assert said == f"{KEY_VARIABLE} is set and unused: `r2-router setup` routes among its models."


def test_several_keys_and_a_server(here: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = unused(load_settings())
    assert said == (
        "OPENROUTER_API_KEY and OPENAI_API_KEY are set and unused; ollama is running here and unused: "
        "`r2-router setup` routes among their models."
    )
    assert KEY not in said


@pytest.mark.parametrize(
    "given", [{"pool": "local"}, {"checkpoint": "local"}, {"llm_api_base": "http://127.0.0.1:1/v1"}]
)
def test_who_has_chosen_is_told_nothing(here: Offers, given: dict[str, str]) -> None:
    assert unused(load_settings(**given)) == ""


@pytest.mark.slow
def test_a_decision_warns_of_it_and_one_without_a_model_begins_with_it(here: Offers) -> None:
    router = R2Router.from_pretrained()
    assert any("is set and unused" in warning for warning in router.route_text("hello").warnings())
    with pytest.raises(NoCandidateError, match=f"^{KEY_VARIABLE} is set and unused"):
        router.decide(Request.read("hello"), ready_only=True)
    chosen = R2Router.from_pretrained(pool="local")
    assert not any("unused" in warning for warning in chosen.route_text("hello").warnings())
