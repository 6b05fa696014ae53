"""Refresh: what a provider's list changes, and what it may not."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.file_server import FileServer, file_server, status, whole

from r2_router.config.settings import Secret
from r2_router.errors import ConfigError
from r2_router.pools.known_prices import known_prices, snapshot_date
from r2_router.pools.model import Model
from r2_router.pools.pool import load_pool
from r2_router.pools.prices import Change, Refresh, refresh

MODEL = Model("mine", "vendor/mine", 0.5, 1.5, context_window=1000, prices_date="2026-04-05")
DAY = dt.timedelta(days=1)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def today() -> str:
    return dt.datetime.now().astimezone().date().isoformat()


def entry(**fields: object) -> dict[str, Any]:
    return {"id": MODEL.id, "pricing": {"prompt": "0.0000005", "completion": "0.0000015"}, **fields}


def found(server: FileServer, *entries: object, models: tuple[Model, ...] = (MODEL,)) -> Refresh:
    """What a list of `entries`, served for real, says."""
    base = server.url("/v1")
    server.on("/v1/models", whole(json.dumps({"data": entries}).encode()))
    return refresh(models, base_url=base)


def asked(server: FileServer, *entries: object, models: tuple[Model, ...] = (MODEL,)) -> list[Change]:
    """What it changes."""
    refreshed = found(server, *entries, models=models)
    assert not refreshed.failures
    return list(refreshed.changes)


def host(server: FileServer) -> str:
    return server.url().removeprefix("http://")


# -- what changes --------------------------------------------------------------------------------------------


def test_a_new_price(server: FileServer) -> None:
    (change,) = asked(server, entry(pricing={"prompt": "0.00000007", "completion": "0.0000004"}))
    assert change.before == MODEL
    assert change.fields() == {
        "input_usd_per_million": 0.07,
        "output_usd_per_million": 0.4,
        "prices_date": today(),
    }


def test_the_prices_of_the_cache_are_kept(server: FileServer) -> None:
    told = {"prompt": "0.0000005", "completion": "0.0000015", "input_cache_read": "0.00000005"}
    (change,) = asked(server, entry(pricing=told))
    assert change.fields() == {"prices_date": today(), "cache_read_usd_per_million": 0.05}


def test_a_price_of_the_cache_that_is_not_told_keeps_step_with_the_plain_one(server: FileServer) -> None:
    model = replace(MODEL, cache_read_usd_per_million=0.05, cache_write_usd_per_million=0.625)
    (change,) = asked(server, entry(pricing={"prompt": "0.000001", "completion": "0.0000015"}), models=(model,))
    assert change.after.cache_read_usd_per_million == 0.1
    assert change.after.cache_write_usd_per_million == 1.25


def test_the_same_price_gets_todays_date_once(server: FileServer) -> None:
    (change,) = asked(server, entry())
    assert change.fields() == {"prices_date": today()}
    assert asked(server, entry(), models=(change.after,)) == []


def test_a_new_context_window(server: FileServer) -> None:
    (change,) = asked(server, entry(context_length=4096))
    assert change.after.context_window == 4096


@pytest.mark.parametrize("length", [None, 0, -1, "many", True, 1.5, [1]])
def test_a_context_window_that_is_none_is_passed_over(server: FileServer, length: object) -> None:
    (change,) = asked(server, entry(context_length=length))
    assert change.after.context_window == MODEL.context_window


def test_a_model_the_list_does_not_hold_is_unknown_and_stays(server: FileServer) -> None:
    refreshed = found(server, {"id": "another"})
    assert refreshed.changes == ()
    assert refreshed.unknown == {"mine": f"vendor/mine is unknown to {host(server)} ({today()})"}
    assert refreshed.failures == {}


def test_only_a_free_form_that_is_listed_is_known(server: FileServer) -> None:
    free = replace(MODEL, id="vendor/mine:free")
    assert list(found(server, entry(), models=(free,)).unknown) == ["mine"]
    (change,) = asked(server, entry(), entry(id=free.id, pricing={"prompt": "0", "completion": "0"}), models=(free,))
    assert (change.after.input_usd_per_million, change.after.output_usd_per_million) == (0.0, 0.0)


@pytest.mark.parametrize("sign", [{"available": False}, {"active": False}, {"archived": True}], ids=str)
def test_a_model_the_list_says_to_be_gone_becomes_unavailable_with_the_date(
    server: FileServer, sign: dict[str, bool]
) -> None:
    (change,) = asked(server, {"id": MODEL.id, **sign})
    assert change.fields() == {"unavailable": f"not offered by {host(server)} ({today()})"}


def test_a_model_offered_again_becomes_available(server: FileServer) -> None:
    gone = asked(server, {"id": MODEL.id, "available": False})[0].after
    (change,) = asked(server, entry(), models=(gone,))
    assert change.fields() == {"unavailable": "", "prices_date": today()}


def test_a_model_that_expires_says_when_and_is_unavailable_after_it(server: FileServer) -> None:
    now = dt.datetime.now().astimezone().date()
    soon, past = (now + DAY).isoformat(), (now - DAY).isoformat()
    (change,) = asked(server, {"id": MODEL.id, "expiration_date": soon})
    assert change.fields() == {"expires": soon}
    (change,) = asked(server, {"id": MODEL.id, "deprecation": f"{past}T12:00:00Z"}, models=(change.after,))
    assert change.fields() == {"expires": past, "unavailable": f"expired on {past}"}
    (back,) = asked(server, {"id": MODEL.id, "deprecation": None}, models=(change.after,))
    assert back.fields() == {"expires": "", "unavailable": ""}
    assert asked(server, {"id": MODEL.id}, models=(change.after,)) == []  # a list that does not speak of it


def test_the_limits_of_the_provider_are_kept(server: FileServer) -> None:
    listed = {
        "id": MODEL.id,
        "context_length": 200_000,
        "top_provider": {"context_length": 131_072, "max_completion_tokens": 16_384, "is_moderated": False},
        "per_request_limits": {"prompt_tokens": "65536", "completion_tokens": "8192"},
    }
    (change,) = asked(server, listed)
    assert change.fields() == {"context_window": 131_072, "max_input_tokens": 65_536, "max_output_tokens": 8192}


def test_the_users_own_choice_is_not_lifted(server: FileServer) -> None:
    off = replace(MODEL, unavailable="too slow for me")
    (change,) = asked(server, entry(), models=(off,))
    assert change.after.unavailable == "too slow for me"
    assert asked(server, {"id": MODEL.id, "available": False}, models=(off,)) == []


def test_the_shipped_reasons_are_lifted_when_the_model_is_listed(server: FileServer) -> None:
    pool = load_pool("paper")
    every = [{"id": model.id, "pricing": {"prompt": "0", "completion": "0"}} for model in pool if model.id]
    after = {change.after.name: change.after for change in asked(server, *every, models=tuple(pool))}
    assert len(after) == 10
    assert all(model.available for model in after.values())
    assert "gemma-3-270m-it" not in after  # without an id nothing is known of it


@pytest.mark.parametrize("price", ["-1", "-0.1", -1], ids=repr)
@pytest.mark.parametrize("side", ["prompt", "completion"])
def test_a_price_that_depends_makes_a_model_unavailable(server: FileServer, side: str, price: object) -> None:
    (change,) = asked(server, entry(pricing={"prompt": "0.000001", "completion": "0.000001", side: price}))
    assert change.after.unavailable == f"not offered by {host(server)} at a fixed price ({today()})"
    assert change.after.input_usd_per_million == MODEL.input_usd_per_million
    assert change.after.prices_date == MODEL.prices_date


@pytest.mark.slow
@pytest.mark.parametrize(
    "pricing", [None, {}, {"prompt": "0.1"}, [], "0.1", 3, {"prompt": "0.1", "completion": "free"}]
)
def test_a_list_without_prices_tells_only_who_is_there(server: FileServer, pricing: object) -> None:
    assert asked(server, {"id": MODEL.id}) == []
    assert asked(server, entry(pricing=pricing)) == []


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, {"id": 3}, {"id": None}, {"id": "other", "pricing": 3}])
def test_what_else_is_listed_does_not_matter(server: FileServer, odd: object) -> None:
    (change,) = asked(server, odd, entry())
    assert change.fields() == {"prices_date": today()}


# -- prices that no list tells ---------------------------------------------------------------------------------

KNOWN = Model("known", "gpt-4o", 1.0, 1.0, base_url="https://api.openai.com/v1", prices_date="2024-01-01")


def test_a_price_the_list_does_not_tell_is_the_known_one_with_its_date(server: FileServer) -> None:
    (change,) = asked(server, {"id": "gpt-4o"}, models=(KNOWN,))
    prices = known_prices("https://api.openai.com/v1", "gpt-4o")
    assert prices is not None
    assert change.fields() == {
        "input_usd_per_million": prices.input_usd_per_million,
        "output_usd_per_million": prices.output_usd_per_million,
        "cache_read_usd_per_million": prices.cache_read_usd_per_million,
        "prices_date": snapshot_date(),
    }


def test_the_lists_own_price_and_a_newer_price_of_ours_stand_before_it(server: FileServer) -> None:
    listed = {"id": "gpt-4o", "pricing": {"prompt": "0.000001", "completion": "0.000002"}}
    (change,) = asked(server, listed, models=(KNOWN,))
    assert (change.after.output_usd_per_million, change.after.prices_date) == (2.0, today())
    assert asked(server, {"id": "gpt-4o"}, models=(replace(KNOWN, prices_date="2999-01-01"),)) == []


def test_a_price_nobody_knows_stays_ours(server: FileServer) -> None:
    assert asked(server, {"id": "home-made"}, models=(replace(KNOWN, id="home-made"),)) == []


# -- several lists ---------------------------------------------------------------------------------------------


def test_one_list_that_cannot_be_read_stops_no_other(server: FileServer) -> None:
    good, down, odd = (replace(MODEL, name=name, base_url=server.url(f"/{name}")) for name in ("good", "down", "odd"))
    server.on("/good/models", whole(json.dumps({"data": [entry()]}).encode()))
    server.on("/down/models", status(500))
    server.on("/odd/models", whole(b'{"data": "none"}'))
    refreshed = refresh([down, odd, good])
    assert [change.after.name for change in refreshed.changes] == ["good"]
    assert list(refreshed.failures) == [down.base_url, odd.base_url]
    assert "answers HTTP 500" in refreshed.failures[down.base_url]
    assert refreshed.unknown == {}


def test_a_key_that_cannot_be_one_stops_its_own_list_only(server: FileServer) -> None:
    good, bad = (replace(MODEL, name=name, base_url=server.url(f"/{name}")) for name in ("good", "bad"))
    server.on("/good/models", whole(json.dumps({"data": [entry()]}).encode()))

    def key_of(model: Model) -> Secret:
        if model is bad:
            raise ConfigError("BAD_KEY is no key.")
        return Secret("sk-good")

    refreshed = refresh([bad, good], key_of=key_of)
    assert refreshed.failures == {bad.base_url: "BAD_KEY is no key."}
    assert [change.after.name for change in refreshed.changes] == ["good"]
    assert server.asked("/good/models")[0]["authorization"] == "Bearer sk-good"
