"""The user's models.toml: what a refresh writes into it, and what stays."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from support.file_server import file_server, whole

from r2_router.errors import ConfigError
from r2_router.pools.model import Model
from r2_router.pools.pool import load_pool, models_file
from r2_router.pools.prices import Change, refresh
from r2_router.pools.user_models import write_user_models

MODEL = Model("mine", "vendor/mine", 0.5, 1.5, context_window=1000, prices_date="2026-04-05")
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


def test_limits_and_expiry_are_written_and_read_again() -> None:
    told = replace(MODEL, expires="2999-01-02", max_input_tokens=7, max_output_tokens=5)
    write_user_models([Change(MODEL, told)])
    table = tomllib.loads(models_file().read_text())["models"]["mine"]
    assert table == {"expires": dt.date(2999, 1, 2), "max_input_tokens": 7, "max_output_tokens": 5}
    expired = replace(told, expires="2026-01-02", unavailable="expired on 2026-01-02")
    write_user_models([Change(told, expired)])
    table = tomllib.loads(models_file().read_text())["models"]["mine"]
    assert (table["expires"], table["available"]) == (dt.date(2026, 1, 2), True)
    write_user_models([Change(expired, replace(told, expires=""))])
    assert tomllib.loads(models_file().read_text())["models"]["mine"]["expires"] == ""


def test_what_is_written_is_what_the_pool_then_says() -> None:
    pool = load_pool("paper")
    past = (dt.datetime.now().astimezone().date() - dt.timedelta(days=1)).isoformat()
    today = dt.datetime.now().astimezone().date().isoformat()
    listed = [
        {
            "id": "z-ai/glm-4.5-air",
            "context_length": 100_000,
            "expiration_date": past,
            "pricing": {"prompt": "0.0000002", "completion": "0.000001", "input_cache_read": "0.00000002"},
            "top_provider": {"max_completion_tokens": 96_000},
        },
        {"id": "qwen/qwen3-0.6b", "pricing": {"prompt": "0.00000001", "completion": "0.00000002"}},
    ]
    with file_server() as server:
        server.on("/models", whole(json.dumps(listed).encode()))
        changes = refresh(pool, base_url=server.url()).changes
    write_user_models(changes)
    after = load_pool("paper")
    assert {change.after.name: change.after for change in changes} == {
        model.name: model for model in after if model != pool.models[model.name]
    }
    glm = after.models["GLM-4.5-Air"]
    assert (glm.input_usd_per_million, glm.output_usd_per_million, glm.prices_date) == (0.2, 1.0, today)
    assert glm.cache_read_usd_per_million == 0.02
    assert (glm.unavailable, glm.max_output_tokens) == (f"expired on {past}", 96_000)
    assert after.models["Qwen3-0.6B"].available
    assert after.models["gemma-3-4b-it"].available  # not listed here, which switches nothing off
    assert load_pool("local") == load_pool("local", user_file=False)


def test_what_a_list_says_of_capabilities_is_written_and_read() -> None:
    user_models = write_user_models([Change(MODEL, replace(MODEL, can=("tools",), cannot=("images", "audio")))])
    assert tomllib.loads(user_models.read_text())["models"]["mine"] == {"can": ["tools"], "cannot": ["images", "audio"]}
    user_models.write_text(user_models.read_text() + 'id = "vendor/mine"\nusd_per_million = [1, 2]\n')
    mine = load_pool("local").models["mine"]
    assert (mine.can, mine.cannot) == (("tools",), ("images", "audio"))
    user_models.write_text('[models.mine]\nid = "a"\nusd_per_million = [1, 2]\ncan = ["fly"]\n')
    with pytest.raises(ConfigError, match=r"line 4.*must hold some of images.*it holds 'fly'"):
        load_pool("local")
