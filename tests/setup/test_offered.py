"""A model of no pool, by its id: found where a key or a server offers it, and never for an agent."""

from __future__ import annotations

from typing import Literal

import pytest
from support.offers import REPLY, Offers

from r2_router import InputError, R2Router
from r2_router.config.settings import load_settings
from r2_router.router import router_for
from r2_router.setup.offered import offered


def test_an_offered_id_is_a_model_at_its_listed_price(here: Offers) -> None:
    found = offered("Anthropic/Claude-Opus-5.5", load_settings())
    assert found is not None
    assert (found.id, found.output_usd_per_million) == ("anthropic/claude-opus-5.5", 25.0)
    by_name = offered("claude-opus-5.5", load_settings())
    assert by_name == found
    assert offered("claude-opus", load_settings()) is None


def test_it_is_routed_and_asked_though_no_pool_has_it(here: Offers) -> None:
    router = R2Router.from_pretrained()
    answer = router.route_and_generate("hello", model="openai/gpt-4.1-mini")
    assert (answer.text, answer.model) == (REPLY, "gpt-4.1-mini")
    decision = router.route_text("hello", model="openai/gpt-4.1-mini")
    assert (decision.model_id, decision.checkpoint) == ("openai/gpt-4.1-mini", "prior")


def test_lists_are_asked_once_for_a_name_and_a_name_nobody_offers_is_said(here: Offers) -> None:
    router = R2Router.from_pretrained()
    for _ in range(2):
        with pytest.raises(InputError, match="No model is called 'nobody/knows'"):
            router.route_text("hello", model="nobody/knows")
    assert len([exchange for exchange in here.hosted.requests if exchange.path == "/v1/models"]) == 1


@pytest.mark.parametrize("face", ["mcp", "gateway"])
def test_others_ask_none_but_the_models_that_the_user_chose(here: Offers, face: Literal["mcp", "gateway"]) -> None:
    with pytest.raises(InputError, match="No model is called"):
        router_for(face).route_text("hello", model="openai/gpt-4.1-mini")
    assert here.hosted.requests == []
