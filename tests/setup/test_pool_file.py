"""The pool file: what setup writes can be read, and what the user changes in it stays, run after run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.offers import as_openrouter, entry

from r2_router.config.settings import load_settings
from r2_router.errors import ConfigError, InputError
from r2_router.pools.listed import Listed, read_entry
from r2_router.pools.pool import load_pool
from r2_router.pools.ratings import load_ratings
from r2_router.setup.discover import Offer, Source
from r2_router.setup.pool_file import PoolPlan, in_the_way, known_machine, overlaid, plan_pool, pool_file, write_pool
from r2_router.setup.ways import Way, all_ways, at_speeds

TODAY = "2026-11-26"
HOSTED = Source(provider="openrouter", base_url="https://openrouter.ai/api/v1", api_key_env="OPENROUTER_API_KEY")
OWN = Source(provider="ollama", base_url="http://127.0.0.1:11434/v1")
GEMMA, GPT, OPUS = "google/gemma-3-4b-it", "openai/gpt-4.1-mini", "anthropic/claude-opus-5.5"
PRICES = {GEMMA: (0.04, 0.05), GPT: (0.4, 1.6), OPUS: (5.0, 25.0)}


def listed(prices: Mapping[str, tuple[float, float]], today: str = TODAY) -> list[Listed]:
    read = [read_entry(entry(model, *pair), today) for model, pair in prices.items()]
    return [each for each in read if each is not None]


def offer(prices: Mapping[str, tuple[float, float]] = PRICES, **more: Any) -> Offer:
    return Offer(HOSTED, listed(prices), **more)


def ways_of(*offers: Offer) -> list[Way]:
    return all_ways(offers, load_ratings())


def run(*offers: Offer, ways: Sequence[Way] | None = None) -> PoolPlan:
    """One run of setup that takes all there is."""
    plan = plan_pool("mine", ways_of(*offers) if ways is None else ways, offers)
    write_pool(plan)
    return plan


def kinds(plan: PoolPlan) -> dict[str, str]:
    return {step.model: step.kind for step in plan.steps}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


# -- the first run -------------------------------------------------------------------------------------------------


def test_what_is_written_is_the_pool_that_was_meant(home: Path) -> None:
    assert set(kinds(run(offer())).values()) == {"new"}
    pool = load_pool("mine")
    assert not pool.untrusted
    for way in ways_of(offer()):
        model = pool.get(way.model.name)
        assert model is not None
        assert model == replace(way.model, untrusted="")
    assert load_settings().pool == "mine"
    assert in_the_way("mine") == ""


def test_every_field_survives_the_file(home: Path) -> None:
    dear = entry(
        OPUS,
        5,
        25,
        expiration_date="2999-01-01",
        top_provider={"max_completion_tokens": 32000},
        pricing={
            "prompt": "0.000005",
            "completion": "0.000025",
            "request": "0.001",
            "input_cache_read": "0.0000005",
            "input_cache_write": "0.00000625",
            "internal_reasoning": "0.00003",
            "overrides": [{"min_prompt_tokens": 200000, "prompt": "0.00001", "completion": "0.00004"}],
        },
    )
    read = read_entry(dear, TODAY)
    assert read is not None
    offered = Offer(HOSTED, [read])
    run(offered)
    (way,) = ways_of(offered)
    assert load_pool("mine").get(way.model.name) == way.model
    assert way.model.tiers
    assert way.model.request_usd == 0.001


def test_two_ways_of_asking_are_written_with_their_requests(home: Path) -> None:
    run(offer({"anthropic/claude-opus-4.6": (5, 25)}))
    pool = load_pool("mine")
    assert [model.request for model in pool] == [{"reasoning": {"enabled": False}}, {"reasoning": {"enabled": True}}]
    assert "request = {reasoning = {enabled = true}}" in pool_file("mine").read_text(encoding="utf-8")


def test_a_model_of_this_machine_is_priced_by_its_speed_at_an_hourly_price(home: Path) -> None:
    (way,) = ways_of(Offer(OWN, [Listed("qwen3:8b")]))
    run(ways=[at_speeds(way, (400.0, 25.0), usd_per_hour=0.05, measured=True)])
    edit(pool_file("mine"), "usd_per_hour = 0.05", "usd_per_hour = 0.9")
    (model,) = load_pool("mine")
    assert model.output_usd_per_million == pytest.approx(0.9 / 3600 / 25 * 1e6)
    assert model.base_url == OWN.base_url
    machine = known_machine("mine")
    assert machine.usd_per_hour == 0.9
    assert machine.speeds == {(OWN.base_url, "qwen3:8b"): (400.0, 25.0)}


def test_an_address_that_was_given_is_written_as_it_is(home: Path) -> None:
    source = Source(provider="", base_url="http://127.0.0.1:5000/v1")
    run(Offer(source, [Listed("qwen3:8b")]))
    (model,) = load_pool("mine")
    assert (model.base_url, model.api_key_env) == (source.base_url, "")


def test_the_other_settings_stay_as_they_are_written(home: Path) -> None:
    text = '# mine\nworth_usd = 0.01  # a cent\npool = "local" # for now\n\n[presets]\nfast = 0.001\n'
    (home / "config.toml").write_text(text, encoding="utf-8")
    run(offer())
    assert (home / "config.toml").read_text(encoding="utf-8") == text.replace('"local"', '"mine"')


def test_a_pool_is_named_above_the_tables_of_the_settings(home: Path) -> None:
    (home / "config.toml").write_text("[presets]\r\nfast = 0.001\r\n", encoding="utf-8", newline="")
    run(offer())
    assert load_settings().pool == "mine"
    assert load_settings().presets["fast"] == 0.001
    assert (home / "config.toml").read_bytes().count(b"\r\n") == (home / "config.toml").read_bytes().count(b"\n")


def test_who_sets_another_pool_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(offer())
    monkeypatch.setenv("R2_POOL", "local")
    assert in_the_way("mine") == "pool = local (R2_POOL)"


def test_what_the_users_models_file_changes_is_named(home: Path) -> None:
    run(offer())
    assert overlaid("mine") == []
    own = '[models.own]\nid = "v/own"\nusd_per_million = [1, 2]\n'
    (home / "models.toml").write_text(f"[models.gemma-3-4b-it]\nusd_per_million = [9, 9]\n{own}", encoding="utf-8")
    assert overlaid("mine") == ["gemma-3-4b-it", "own"]
    (home / "models.toml").write_text("[models.x]\n", encoding="utf-8")
    assert overlaid("mine") == []


def test_a_checkpoint_with_heads_of_its_own_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(offer())
    monkeypatch.setenv("R2_CHECKPOINT", "release")
    assert in_the_way("mine") == "checkpoint = release (R2_CHECKPOINT)"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "x" * 61, "C:x", "local", "paper"])
def test_a_name_that_is_none_or_taken_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--name"):
        pool_file(name)


# -- the next ones -------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing(home: Path) -> None:
    run(offer())
    before = pool_file("mine").read_bytes()
    assert run(offer()).steps == []
    assert pool_file("mine").read_bytes() == before


def test_new_prices_new_models_and_those_that_are_gone_are_told_and_written(home: Path) -> None:
    run(offer())
    plan = run(offer({GEMMA: (0.03, 0.05), OPUS: PRICES[OPUS], "z-ai/glm-5.3-flash": (0.1, 0.2)}))
    assert kinds(plan) == {"gemma-3-4b-it": "price", "gpt-4.1-mini": "gone", "glm-5.3-flash": "new"}
    (price,) = (step for step in plan.steps if step.kind == "price")
    assert price.detail == "0.04/0.05 -> 0.03/0.05 $ a million tokens"
    pool = load_pool("mine")
    assert set(pool.models) == {"gemma-3-4b-it", "claude-opus-5.5", "glm-5.3-flash"}
    assert pool.models["gemma-3-4b-it"].input_usd_per_million == 0.03


def test_a_model_that_is_not_proposed_any_more_leaves(home: Path) -> None:
    run(offer())
    some = [way for way in ways_of(offer()) if way.model.id != GPT]
    assert kinds(run(offer(), ways=some)) == {"gpt-4.1-mini": "left"}
    assert load_pool("mine").get("gpt-4.1-mini") is None


def test_a_field_that_the_user_changed_or_added_stays_and_the_rest_is_renewed(home: Path) -> None:
    run(offer())
    file = pool_file("mine")
    edit(file, "[models.gemma-3-4b-it]\n", "[models.gemma-3-4b-it]\nverbosity = 0.5 # short\ncontext_window = 4096\n")
    first, _, rest = file.read_text(encoding="utf-8").partition("context_window = 131072\n")
    file.write_text(first + rest, encoding="utf-8")
    run(offer({**PRICES, GEMMA: (0.02, 0.03)}))
    model = load_pool("mine").models["gemma-3-4b-it"]
    assert (model.verbosity, model.context_window, model.input_usd_per_million) == (0.5, 4096, 0.02)
    assert "verbosity = 0.5 # short" in file.read_text(encoding="utf-8")
    run(offer())
    assert load_pool("mine").models["gemma-3-4b-it"].context_window == 4096


def test_a_price_that_the_user_changed_stays_his(home: Path) -> None:
    run(offer())
    edit(pool_file("mine"), "usd_per_million = [0.4, 1.6]", "usd_per_million = [0.1, 0.2]")
    run(offer({**PRICES, GPT: (0.5, 2.0)}))
    run(offer({**PRICES, GPT: (0.6, 2.5)}))
    assert load_pool("mine").models["gpt-4.1-mini"].output_usd_per_million == 0.2


def test_a_model_that_the_user_changed_stays_when_it_is_not_proposed(home: Path) -> None:
    run(offer())
    edit(pool_file("mine"), "usd_per_million = [0.4, 1.6]", "usd_per_million = [0.1, 0.2]")
    plan = run(offer(), ways=[way for way in ways_of(offer()) if way.model.id != GPT])
    assert kinds(plan) == {"gpt-4.1-mini": "yours"}
    assert load_pool("mine").get("gpt-4.1-mini") is not None


def test_what_the_user_added_stays_and_is_not_doubled(home: Path) -> None:
    run(offer({GEMMA: PRICES[GEMMA]}))
    with pool_file("mine").open("a", encoding="utf-8") as file:
        file.write(f'\n[models.favourite]\nid = "{GPT}"\nprovider = "openrouter"\nusd_per_million = [9, 9]\n')
    assert kinds(run(offer()))["favourite"] == "yours"
    pool = load_pool("mine")
    assert [model.name for model in pool if model.id == GPT] == ["favourite"]
    assert pool.models["favourite"].output_usd_per_million == 9


def test_what_the_user_removed_stays_out_run_after_run(home: Path) -> None:
    run(offer())
    file = pool_file("mine")
    head, _, rest = file.read_text(encoding="utf-8").partition("[models.gemma-3-4b-it]")
    file.write_text(head + rest[rest.index("[models") :], encoding="utf-8")
    for _ in range(2):
        assert kinds(run(offer())) == {"gemma-3-4b-it": "removed"}
        assert load_pool("mine").get("gemma-3-4b-it") is None
    write_pool(plan_pool("mine", ways_of(offer()), [offer()], {"gemma-3-4b-it"}))  # but who names it gets it
    assert load_pool("mine").get("gemma-3-4b-it") is not None


def test_a_pool_whose_file_was_deleted_begins_anew(home: Path) -> None:
    run(offer())
    pool_file("mine").unlink()
    assert set(kinds(run(offer())).values()) == {"new"}


def test_a_pool_of_which_all_was_removed_is_not_written_empty(home: Path) -> None:
    run(offer({GPT: PRICES[GPT]}))
    head, _, _ = pool_file("mine").read_text(encoding="utf-8").partition("[models")
    pool_file("mine").write_text(f'{head}[models.own]\nid = "v/own"\nusd_per_million = [1, 2]\n', encoding="utf-8")
    run(offer({GPT: PRICES[GPT]}))
    assert list(load_pool("mine").models) == ["own"]
    with pytest.raises(ConfigError, match="would be empty"):
        write_pool(PoolPlan("mine", pool_file("mine"), {}, {}, []))


def test_a_second_provider_of_the_same_model_renames_nothing(home: Path) -> None:
    run(offer())
    edit(pool_file("mine"), "[models.gemma-3-4b-it]\n", "[models.gemma-3-4b-it]\nverbosity = 0.5\n")
    other = Offer(Source(provider="openai", base_url="https://api.openai.com/v1", api_key_env="K"), listed(PRICES))
    assert "gemma-3-4b-it@openrouter" in {way.model.name for way in ways_of(offer(), other)}
    run(offer(), other)
    assert load_pool("mine").models["gemma-3-4b-it"].verbosity == 0.5


def test_a_list_that_cannot_be_had_takes_nothing_away(home: Path) -> None:
    run(offer())
    plan = run(Offer(HOSTED, (), failure="no"), ways=[])
    assert plan.steps == []
    assert len(load_pool("mine")) == 3


def test_an_older_snapshot_changes_no_price(home: Path) -> None:
    run(offer())
    older = Offer(HOSTED, listed({**PRICES, GPT: (9, 9)}, "2026-01-01"), failure="no", snapshot="2026-01-01")
    run(older)
    model = load_pool("mine").models["gpt-4.1-mini"]
    assert (model.output_usd_per_million, model.prices_date) == (1.6, TODAY)


def test_without_its_memory_all_that_stands_there_is_the_users(home: Path) -> None:
    run(offer())
    (home / "data" / "setup" / "mine.json").write_text("{broken", encoding="utf-8")
    plan = run(offer({**PRICES, GPT: (9, 9)}))
    assert set(kinds(plan).values()) == {"yours"}
    assert load_pool("mine").models["gpt-4.1-mini"].output_usd_per_million == 1.6


# -- files that are not as they should be ---------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_stays_and_what_it_leads_to_is_written(home: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mine.toml"
    real.parent.mkdir()
    pool_file("mine").parent.mkdir(parents=True)
    pool_file("mine").symlink_to(real)
    run(offer())
    assert pool_file("mine").is_symlink()
    assert "[models.gemma-3-4b-it]" in real.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_to_what_is_no_file_is_refused(home: Path, tmp_path: Path) -> None:
    pool_file("mine").parent.mkdir(parents=True)
    pool_file("mine").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="not a regular file"):
        run(offer())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_changed_in_place_is_left_alone(home: Path) -> None:
    file = pool_file("mine")
    file.parent.mkdir(parents=True)
    text = 'models = { a = { id = "v/a", usd_per_million = [1, 2] } }\n'
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="Nothing was changed"):
        run(offer())
    assert file.read_text(encoding="utf-8") == text
    assert not (home / "config.toml").exists()


def test_broken_toml_is_told_with_its_line(home: Path) -> None:
    pool_file("mine").parent.mkdir(parents=True)
    pool_file("mine").write_text("[models\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.toml, line 1"):
        run(offer())


@pytest.mark.parametrize("memory", ["[]", "{}", '{"models": 1}', '{"models": {"a": 1}}', "\x00"])
def test_a_memory_that_is_none_is_no_harm(home: Path, memory: str) -> None:
    run(offer())
    (home / "data" / "setup" / "mine.json").write_text(memory, encoding="utf-8")
    assert set(kinds(run(offer())).values()) == {"yours"}


def test_a_model_that_is_no_table_is_told_with_its_line(home: Path) -> None:
    pool_file("mine").parent.mkdir(parents=True)
    pool_file("mine").write_text("[models]\na = 5\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.toml, line 2"):
        run(offer())


def test_a_cache_that_costs_nothing_costs_nothing_in_the_file(home: Path) -> None:
    free = entry(GPT, 0.4, 1.6)
    free["pricing"]["input_cache_read"] = "0"
    read = read_entry(free, TODAY)
    assert read is not None
    run(Offer(HOSTED, [read]))
    assert load_pool("mine").models["gpt-4.1-mini"].cache_read_usd_per_million == 0


def test_names_with_markup_and_dots_are_quoted(home: Path) -> None:
    hostile = {
        "x/[red]bold[/red]": (1.0, 2.0),
        'x/"; evil = 1 #': (1.0, 2.0),
        "x/a.b.c": (1.0, 2.0),
        "x/é\\n": (1.0, 3.0),
    }
    run(offer(hostile))
    assert {model.id for model in load_pool("mine")} == set(hostile)


def test_the_whole_list_of_the_tests_can_be_a_pool(home: Path) -> None:
    entries = [read_entry(each, TODAY) for each in as_openrouter()["data"]]
    run(Offer(HOSTED, [each for each in entries if each is not None]))
    assert len(load_pool("mine")) >= 12
