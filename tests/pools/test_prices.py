"""Refresh: what a provider's list changes, what it may not, and what is kept in the user's file."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.file_server import FileServer, dropped, file_server, hanging, page, redirect, status, whole

from r2_router.config.settings import Secret
from r2_router.errors import ConfigError, DownloadError
from r2_router.pools import prices
from r2_router.pools.model import Model
from r2_router.pools.pool import load_pool, models_file
from r2_router.pools.prices import Change, refresh, write_user_models

MODEL = Model("mine", "vendor/mine", 0.5, 1.5, context_window=1000, prices_date="2026-04-05")
KEY = Secret("sk-or-v1-5ecret5ecret")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def today() -> str:
    return dt.datetime.now().astimezone().date().isoformat()


def entry(**fields: object) -> dict[str, Any]:
    return {"id": MODEL.id, "pricing": {"prompt": "0.0000005", "completion": "0.0000015"}, **fields}


def asked(server: FileServer, *entries: object, models: tuple[Model, ...] = (MODEL,)) -> list[Change]:
    """What a list of `entries`, served for real, changes."""
    base = server.url("/v1")
    server.on("/v1/models", whole(json.dumps({"data": entries}).encode()))
    return refresh(models, base_url=base)


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


def test_the_same_price_gets_todays_date_once(server: FileServer) -> None:
    (change,) = asked(server, entry())
    assert change.fields() == {"prices_date": today()}
    assert asked(server, entry(), models=(change.after,)) == []


def test_a_new_context_window(server: FileServer) -> None:
    (change,) = asked(server, entry(context_length=4096))
    assert change.after.context_window == 4096


@pytest.mark.parametrize("length", [None, 0, -1, "4096", True, 1.5, [1]])
def test_a_context_window_that_is_none_is_passed_over(server: FileServer, length: object) -> None:
    (change,) = asked(server, entry(context_length=length))
    assert change.after.context_window == MODEL.context_window


def test_a_model_no_longer_listed_becomes_unavailable_with_the_date(server: FileServer) -> None:
    (change,) = asked(server, {"id": "another"})
    assert change.fields() == {"unavailable": f"not offered by {host(server)} ({today()})"}


def test_a_model_listed_again_becomes_available(server: FileServer) -> None:
    gone = asked(server, {"id": "another"})[0].after
    (change,) = asked(server, entry(), models=(gone,))
    assert change.fields() == {"unavailable": "", "prices_date": today()}


def test_the_users_own_choice_is_not_lifted(server: FileServer) -> None:
    off = replace(MODEL, unavailable="too slow for me")
    (change,) = asked(server, entry(), models=(off,))
    assert change.after.unavailable == "too slow for me"
    assert asked(server, {"id": "another"}, models=(off,)) == []


def test_the_shipped_reasons_are_lifted_when_the_model_is_listed(server: FileServer) -> None:
    pool = load_pool("paper")
    every = [{"id": model.id, "pricing": {"prompt": "0", "completion": "0"}} for model in pool if model.id]
    after = {change.after.name: change.after for change in asked(server, *every, models=tuple(pool))}
    assert len(after) == 10
    assert all(model.available for model in after.values())
    assert "gemma-3-270m-it" not in after  # without an id nothing is known of it


PRICELESS = [
    "-1",
    "NaN",
    "Infinity",
    "-0.1",
    "",
    "free",
    "1e999",
    "1e999999999",
    None,
    True,
    [],
    {},
    -1,
    1e400,
]


@pytest.mark.parametrize("price", PRICELESS, ids=repr)
@pytest.mark.parametrize("side", ["prompt", "completion"])
def test_a_price_that_is_none_makes_a_model_unavailable(server: FileServer, side: str, price: object) -> None:
    (change,) = asked(server, entry(pricing={"prompt": "0.000001", "completion": "0.000001", side: price}))
    assert change.after.unavailable == f"not offered by {host(server)} at a fixed price ({today()})"
    assert change.after.input_usd_per_million == MODEL.input_usd_per_million
    assert change.after.prices_date == MODEL.prices_date


@pytest.mark.parametrize("pricing", [{}, {"prompt": "0.1"}, [], "0.1", 3])
def test_missing_prices_make_a_model_unavailable(server: FileServer, pricing: object) -> None:
    (change,) = asked(server, entry(pricing=pricing))
    assert "at a fixed price" in change.after.unavailable


def test_a_list_without_prices_tells_only_who_is_there(server: FileServer) -> None:
    assert asked(server, {"id": MODEL.id}) == []


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, {"id": 3}, {"id": None}, {"id": "other", "pricing": 3}])
def test_what_else_is_listed_does_not_matter(server: FileServer, odd: object) -> None:
    (change,) = asked(server, odd, entry())
    assert change.fields() == {"prices_date": today()}


@given(st.decimals(min_value=0, max_value=1, places=12))
def test_prices_are_exact_decimals(price: Decimal) -> None:
    assert prices._per_million(str(price)) == float(price.scaleb(6))


# -- the wire ------------------------------------------------------------------------------------------------


def test_the_key_is_sent_as_bearer_and_only_if_given(server: FileServer) -> None:
    asked(server, entry())
    refresh([MODEL], base_url=server.url("/v1/"), key=KEY)
    first, second = server.asked("/v1/models")
    assert "authorization" not in first
    assert second["authorization"] == f"Bearer {KEY.reveal()}"


def test_the_key_does_not_follow_a_redirect(server: FileServer) -> None:
    with file_server() as other:
        server.on("/models", redirect(other.url("/models")))
        with pytest.raises(DownloadError, match="redirects elsewhere"):
            refresh([MODEL], base_url=server.url(), key=KEY)
        assert other.requests == []


BAD_ANSWERS = [
    (status(401), "refuses the key, or wants one"),
    (status(403), "refuses the key"),
    (status(404), "answers HTTP 404"),
    (status(500), "answers HTTP 500"),
    (status(204), "answers HTTP 204"),
    (page(200, b"<html>Sign in to the wifi</html>", Content_Type="text/html"), "not JSON"),
    (page(200, b'{"data": [' + b"[" * 100_000), "not JSON"),
    (page(200, b'{"data": [{"id": ' + b"9" * 5000 + b"}]}"), "not JSON"),
    (page(200, b"\xff\xfe\x00"), "not JSON"),
    (page(200, b"[]"), "without a list of models"),
    (page(200, b'{"data": {"id": "x"}}'), "without a list of models"),
    (page(200, b'{"error": {"message": "no"}}'), "without a list of models"),
    (page(200, b'{"data": []}'), "lists no model at all"),
    (page(200, b'{"data": [3, null]}'), "lists no model at all"),
    (page(200, b"not gzip", Content_Encoding="gzip"), "cannot be reached"),
    (whole(b'{"data": []}', cut=4), "cannot be reached"),
    (dropped, "cannot be reached"),
]


@pytest.mark.parametrize(("answer", "said"), BAD_ANSWERS, ids=[said for _, said in BAD_ANSWERS])
def test_a_bad_answer_is_one_clear_error(server: FileServer, answer: Any, said: str) -> None:
    server.on("/models", answer)
    with pytest.raises(DownloadError, match=said) as caught:
        refresh([MODEL], base_url=server.url(), key=KEY)
    assert host(server) in str(caught.value)
    assert "5ecret" not in str(caught.value)


def test_a_server_that_is_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="cannot be reached"):
        refresh([MODEL], base_url=f"http://127.0.0.1:{port}")


def test_a_server_that_stops_speaking(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "_READ_SECONDS", 0.2)
    server.on("/models", hanging(b'{"data": []}', 5))
    with pytest.raises(DownloadError, match="ReadTimeout"):
        refresh([MODEL], base_url=server.url())


def test_a_server_that_takes_too_long(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "_MAX_SECONDS", -1.0)
    server.on("/models", whole(b'{"data": []}'))
    with pytest.raises(DownloadError, match="too slow"):
        refresh([MODEL], base_url=server.url())


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_cut_off(server: FileServer, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "_MAX_BYTES", 1 << 20)
    body = b" " * (4 << 20)
    headers = {"Content_Encoding": "gzip"} if packed else {}
    server.on("/models", page(200, gzip.compress(body) if packed else body, **headers))
    with pytest.raises(DownloadError, match="more than 1 MiB"):
        refresh([MODEL], base_url=server.url())


# -- the user's file -----------------------------------------------------------------------------------------

TODAY = "2026-11-23"
CHANGED = replace(
    MODEL,
    output_usd_per_million=2.0,
    prices_date=TODAY,
    context_window=9,
    unavailable=f"not offered by x ({TODAY})",
)


def test_a_new_file_has_what_changed_and_no_more() -> None:
    path = write_user_models([Change(MODEL, CHANGED)])
    assert path == models_file().resolve()
    assert tomllib.loads(path.read_text()) == {
        "models": {
            "mine": {
                "usd_per_million": [0.5, 2.0],
                "prices_date": dt.date(2026, 11, 23),
                "context_window": 9,
                "available": False,
                "reason": f"not offered by x ({TODAY})",
            }
        }
    }


COMMENTED = """\
# my models

[models.first] # one
id = 'a'   # an id
usd_per_million = [ 1,2 ]

[models.mine]
# mine indeed
usd_per_million = [3, 4] # paid
note = 'keep'

[models.last]
id = 'z'
"""


def test_comments_order_and_everything_else_stay() -> None:
    models_file().write_text(COMMENTED)
    write_user_models([Change(MODEL, replace(MODEL, output_usd_per_million=2.0))])
    assert models_file().read_text() == COMMENTED.replace("[3, 4]", "[0.5, 2.0]")


def test_a_model_that_is_back_loses_its_reason() -> None:
    write_user_models([Change(MODEL, CHANGED)])
    write_user_models([Change(CHANGED, replace(CHANGED, unavailable=""))])
    table = tomllib.loads(models_file().read_text())["models"]["mine"]
    assert table["available"] is True
    assert "reason" not in table


def test_a_price_replaces_speeds() -> None:
    models_file().write_text("[models.mine]\ninput_tokens_per_second = 1\noutput_tokens_per_second = 2\n")
    write_user_models([Change(MODEL, replace(MODEL, output_usd_per_million=2.0))])
    assert tomllib.loads(models_file().read_text()) == {"models": {"mine": {"usd_per_million": [0.5, 2.0]}}}


@pytest.mark.parametrize(
    "text", ["", "# only\n", "[models]\n", "[models]\nmine = {note = 'x'}\n", "[models.a]\nid='a'"]
)
def test_every_form_that_can_be_edited(text: str) -> None:
    models_file().write_text(text)
    write_user_models([Change(MODEL, CHANGED), Change(replace(MODEL, name="b c"), replace(CHANGED, name="b c"))])
    before = tomllib.loads(text).get("models", {})
    after = tomllib.loads(models_file().read_text())["models"]
    assert after.keys() == {*before, "mine", "b c"}
    assert all(after[name].items() >= table.items() for name, table in before.items())
    assert after["mine"]["usd_per_million"] == after["b c"]["usd_per_million"] == [0.5, 2.0]


@pytest.mark.parametrize("text", ["models = {a = {id = 'x'}}", "models.a.id = 'x'\nmodels.a.note = 'y'\n"])
def test_a_form_that_cannot_be_edited_is_left_alone(text: str) -> None:
    models_file().write_text(text)
    with pytest.raises(ConfigError, match=r"Write each as a table, \[models.NAME\]"):
        write_user_models([Change(MODEL, CHANGED)])
    assert models_file().read_text() == text


def test_a_broken_file_is_left_alone() -> None:
    models_file().write_text("a = 1\nb = \n")
    with pytest.raises(ConfigError, match="line 2: not valid TOML"):
        write_user_models([Change(MODEL, CHANGED)])
    assert models_file().read_text() == "a = 1\nb = \n"


def test_line_ends_and_permissions_stay() -> None:
    models_file().write_bytes(b"# mine\r\n[models.mine]\r\nnote = 'x'\r\n")
    models_file().chmod(0o600)
    write_user_models([Change(MODEL, CHANGED)])
    written = models_file().read_bytes()
    assert written.count(b"\r\n") == written.count(b"\n") > 4
    assert models_file().stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("# real\n")
    models_file().symlink_to(real)
    assert write_user_models([Change(MODEL, CHANGED)]) == models_file()
    assert models_file().is_symlink()
    assert "not offered" in real.read_text()


def test_a_folder_that_does_not_exist_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_HOME", str(home / "new" / "folder"))
    assert write_user_models([Change(MODEL, CHANGED)]).is_file()


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("R2_HOME", str(home / "file" / "under"))
    with pytest.raises(ConfigError, match="cannot be written"):
        write_user_models([Change(MODEL, CHANGED)])
    monkeypatch.setenv("R2_HOME", str(home / "other"))
    (home / "other" / "models.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_user_models([Change(MODEL, CHANGED)])
    assert [path.name for path in (home / "other").iterdir()] == ["models.toml"]


def test_what_is_written_is_what_the_pool_then_says(server: FileServer) -> None:
    pool = load_pool("paper")
    listed = [
        {
            "id": "z-ai/glm-4.5-air",
            "context_length": 100_000,
            "pricing": {"prompt": "0.0000002", "completion": "0.000001"},
        },
        {"id": "qwen/qwen3-0.6b", "pricing": {"prompt": "0.00000001", "completion": "0.00000002"}},
    ]
    changes = asked(server, *listed, models=tuple(pool))
    write_user_models(changes)
    after = load_pool("paper")
    assert {change.after.name: change.after for change in changes} == {
        model.name: model for model in after if model != pool.models[model.name]
    }
    glm = after.models["GLM-4.5-Air"]
    assert (glm.input_usd_per_million, glm.output_usd_per_million, glm.prices_date) == (0.2, 1.0, today())
    assert after.models["Qwen3-0.6B"].available
    assert not after.models["gemma-3-4b-it"].available
    assert load_pool("local") == load_pool("local", user_file=False)
