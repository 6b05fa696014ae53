"""Pools: the shipped say what they must, a user's are read as written, faults are named by file and line."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2_router.errors import ConfigError
from r2_router.pools.model import Model, PriceTier
from r2_router.pools.pool import DEFAULT_API_KEY_ENV, DEFAULT_BASE_URL, Pool, load_pool, models_file, pool_names

MINE = """\
[models.my-model]
id = "vendor/my-model"
usd_per_million = [0.10, 0.40]
"""


def pool_file(folder: Path, text: str) -> Path:
    path = folder / "some.toml"
    path.write_text(text, encoding="utf-8")
    return path


def user_models(text: str) -> Path:
    models_file().write_text(text, encoding="utf-8")
    return models_file()


def only(pool: Pool) -> Model:
    (model,) = pool
    return model


# -- shipped -------------------------------------------------------------------------------------------------


def test_shipped_names() -> None:
    assert pool_names() == ("local", "paper")


def test_paper_has_the_releases_models_and_prices(release_dir: Path) -> None:
    released = json.loads((release_dir / "config.json").read_text(encoding="utf-8"))["models"]
    pool = load_pool("paper")
    assert list(pool.models) == list(released)
    for model in pool:
        entry = released[model.name]
        prices = (entry["input_price_per_million"], entry["output_price_per_million"])
        assert (model.input_usd_per_million, model.output_usd_per_million) == prices
        assert model.available <= entry["available"]
        if model.available:
            assert model.id == entry["openrouter_id"]


def test_paper_names_no_other_model_and_offers_what_has_an_endpoint() -> None:
    pool = load_pool("paper")
    unavailable = {model.name for model in pool if not model.available}
    assert unavailable == {
        "Qwen2.5-Math-7B-Instruct",
        "Qwen2.5-Math-1.5B-Instruct",
        "Qwen3-0.6B",
        "gemma-3-1b-it",
        "gemma-3-270m-it",
        "Mistral-7B-Instruct-v0.2",
    }
    assert pool.models["gemma-3-270m-it"].id == ""
    assert pool.models["Mistral-7B-Instruct-v0.2"].id == "mistralai/mistral-7b-instruct-v0.2"
    for model in pool:
        vendor_dropped = model.id.split("/")[-1]
        assert not model.id or vendor_dropped.startswith(model.name.lower().removesuffix("-instruct-2507"))
        assert (model.prices_date, model.base_url) == ("2026-04-05", DEFAULT_BASE_URL)
        assert model.api_key_env == "OPENROUTER_API_KEY"
        assert model.context_window


def test_local_models_are_those_of_the_measured_sweep(data_dir: Path) -> None:
    import pyarrow.parquet as pq

    measured = set(pq.read_table(data_dir / "local_sweep.parquet", columns=["model"])["model"].to_pylist())
    assert set(load_pool("local").models) == measured


def test_local_compute_is_priced_by_time() -> None:
    pool = load_pool("local")
    for name, tokens_per_second in zip(pool.models, (100, 39, 23), strict=True):
        seconds = 1_000_000 / tokens_per_second
        assert pool.models[name].output_usd_per_million == pytest.approx(seconds * 0.05 / 3600)
    for model in pool:
        assert model.input_usd_per_million < model.output_usd_per_million
        assert (model.base_url, model.api_key_env, model.weights) == ("", "", model.name)
        assert model.available


# -- the user's ----------------------------------------------------------------------------------------------


def test_three_lines_add_a_model_to_any_pool() -> None:
    user_models(MINE)
    for name in pool_names():
        model = load_pool(name).models["my-model"]
        assert model.available
        assert (model.id, model.input_usd_per_million, model.output_usd_per_million) == (
            "vendor/my-model",
            0.1,
            0.4,
        )
        assert (model.base_url, model.api_key_env) == (DEFAULT_BASE_URL, DEFAULT_API_KEY_ENV)
        assert list(load_pool(name).models)[-1] == "my-model"
        assert "my-model" not in load_pool(name, user_file=False).models


def test_every_field(tmp_path: Path) -> None:
    path = pool_file(
        tmp_path,
        """
        [pool]
        name = "mine"
        prices_date = "2026-01-02"
        base_url = "http://localhost:1234/v1/"
        api_key_env = "MINE_KEY"

        [models.shared]
        id = "s"
        usd_per_million = [1, 2]

        [models."own.everything"]
        id = "o"
        usd_per_million = [0, 0.5]
        available = false
        reason = "on holiday"
        context_window = 8192
        base_url = "https://other.example/v1"
        api_key_env = "OTHER_KEY"
        thinking_tokens = 100
        prices_date = 2026-03-04
        note = "a note"
        weights = "w"
        cache_read_usd_per_million = 0.25
        cache_write_usd_per_million = 1.25
        thinking_usd_per_million = 3
        request_usd = 0.005
        tiers = [{ above_input_tokens = 200_000, usd_per_million = [2, 4.5] }]
        """,
    )
    pool = load_pool(path)
    assert pool.name == "mine"
    assert pool.models["shared"] == Model(
        "shared",
        "s",
        1.0,
        2.0,
        base_url="http://localhost:1234/v1",
        api_key_env="MINE_KEY",
        prices_date="2026-01-02",
        untrusted=str(path),
    )
    assert pool.models["own.everything"] == Model(
        "own.everything",
        "o",
        0.0,
        0.5,
        unavailable="on holiday",
        context_window=8192,
        base_url="https://other.example/v1",
        api_key_env="OTHER_KEY",
        thinking_tokens=100,
        prices_date="2026-03-04",
        note="a note",
        weights="w",
        untrusted=str(path),
        cache_read_usd_per_million=0.25,
        cache_write_usd_per_million=1.25,
        thinking_usd_per_million=3.0,
        request_usd=0.005,
        tiers=(PriceTier(200_000, 2.0, 4.5),),
    )


def test_a_new_price_drops_the_prices_beside_the_old_one_but_no_fee(tmp_path: Path) -> None:
    path = pool_file(
        tmp_path,
        MINE
        + "cache_read_usd_per_million = 0.01\nrequest_usd = 0.005\n"
        + "tiers = [{ above_input_tokens = 9, usd_per_million = [1, 2] }]\n",
    )
    user_models("[models.my-model]\nusd_per_million = [7, 8]\n")
    changed = only(load_pool(path))
    assert (changed.input_usd_per_million, changed.cache_read_usd_per_million, changed.tiers) == (7.0, None, ())
    assert changed.request_usd == 0.005


@pytest.mark.parametrize(
    ("tiers", "fault"),
    [
        ("3", "must be a list of tables"),
        ("[3]", "must be a table"),
        ("[{ above_input_tokens = 9 }]", "must hold above_input_tokens and usd_per_million"),
        ("[{ above_input_tokens = 0, usd_per_million = [1, 2] }]", "must be above 0"),
        ("[{ above_input_tokens = 9, usd_per_million = 1 }]", "must be two numbers"),
        (
            f"[{', '.join(['{ above_input_tokens = 9, usd_per_million = [1, 2] }'] * 2)}]",
            "must rise",
        ),
    ],
)
def test_tiers_that_make_no_sense(tmp_path: Path, tiers: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=f"line 4: tiers {fault}"):
        load_pool(pool_file(tmp_path, f"{MINE}tiers = {tiers}\n"))


def test_a_pools_key_does_not_go_to_a_models_own_server(tmp_path: Path) -> None:
    text = '[pool]\nbase_url = "https://a.example"\napi_key_env = "A_KEY"\n' + MINE
    path = pool_file(tmp_path, text + 'base_url = "https://b.example"\n')
    assert only(load_pool(path)).api_key_env == ""
    user_models('[models.my-model]\nbase_url = "https://c.example"\n')
    changed = only(load_pool(pool_file(tmp_path, text)))
    assert (changed.base_url, changed.api_key_env) == ("https://c.example", "")


def test_the_users_file_changes_only_the_fields_it_names() -> None:
    before = load_pool("paper").models["GLM-4.5-Air"]
    user_models('[models."GLM-4.5-Air"]\ncontext_window = 1000\n')
    after = load_pool("paper").models["GLM-4.5-Air"]
    assert after.context_window == 1000
    assert {**after.to_dict(), "context_window": before.context_window} == before.to_dict()
    assert list(load_pool("paper").models) == list(load_pool("paper", user_file=False).models)


def test_a_new_price_does_not_keep_the_old_date() -> None:
    user_models('[models."GLM-4.5-Air"]\nusd_per_million = [1, 1]\n')
    assert load_pool("paper").models["GLM-4.5-Air"].prices_date == ""


def test_the_users_own_speed_and_price_replace_each_other() -> None:
    user_models(
        "[models.SmolLM2-135M-Instruct]\noutput_tokens_per_second = 200\n"
        '[models."Qwen2.5-Coder-0.5B-Instruct"]\nusd_per_million = [7, 8]\n'
        '[models."Qwen2.5-Coder-1.5B-Instruct"]\nusd_per_hour = 0.5\n'
    )
    before, after = load_pool("local", user_file=False), load_pool("local")
    smol, half, big = after.models.values()
    assert smol.output_usd_per_million == pytest.approx(before.models[smol.name].output_usd_per_million / 2)
    assert smol.input_usd_per_million == before.models[smol.name].input_usd_per_million
    assert (half.input_usd_per_million, half.output_usd_per_million) == (7.0, 8.0)
    assert big.output_usd_per_million == pytest.approx(before.models[big.name].output_usd_per_million * 10)


def test_switching_off_and_on() -> None:
    user_models(
        '[models."GLM-4.5-Air"]\navailable = false\n'
        '[models."Qwen3-0.6B"]\navailable = true\nbase_url = "http://localhost:8000/v1"\n'
    )
    pool = load_pool("paper")
    assert pool.models["GLM-4.5-Air"].unavailable == "switched off in models.toml"
    assert pool.models["Qwen3-0.6B"].available
    assert pool.models["Qwen3-0.6B"].api_key_env == ""


def test_a_change_for_another_pool_is_left_alone_and_a_typo_is_not() -> None:
    file = user_models('[models."GLM-4.5-Air"]\nusd_per_million = [1, 1]\n\n[models.GLM-45-Air]\navailable = false\n')
    with pytest.raises(ConfigError, match=r"'GLM-45-Air' is a model of no pool.*Did you mean 'GLM-4.5-Air'") as caught:
        load_pool("paper")
    assert str(caught.value).startswith(f"{file}, line 4: ")
    user_models('[models."GLM-4.5-Air"]\nusd_per_million = [1, 1]\n')
    assert load_pool("local") == load_pool("local", user_file=False)


def test_the_users_pool_comes_before_the_shipped_of_that_name(home: Path) -> None:
    (home / "pools").mkdir()
    (home / "pools" / "paper.toml").write_text(MINE)
    (home / "pools" / "extra.toml").write_text(MINE)
    assert pool_names() == ("extra", "local", "paper")
    assert list(load_pool("paper").models) == ["my-model"]
    assert load_pool("extra").name == "extra"


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pool_file(tmp_path, MINE)
    monkeypatch.chdir(tmp_path)
    for given_path in (path, str(path), "some.toml", "./some.toml"):
        assert only(load_pool(given_path)).id == "vendor/my-model"


@pytest.mark.parametrize("name", ["papr", "", "some", "D:some"])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(ConfigError, match=r"No pool .*Known: local, paper"):
        load_pool(name)


# -- faults --------------------------------------------------------------------------------------------------

FAULTS = [
    (
        '[models.a]\nid = "x"\nusd_per_milion = [1, 2]',
        3,
        "unknown key 'usd_per_milion'. Did you mean 'usd_per_million'?",
    ),
    ('[models.a]\nid = "x"\ncolour = 1', 3, "unknown key 'colour'. Known: id, usd_per_million"),
    ('[model.a]\nid = "x"', 1, "unknown key 'model'. Did you mean 'models'?"),
    ("[pool]\nusd_per_day = 1", 2, "unknown key 'usd_per_day'. Did you mean 'usd_per_hour'?"),
    ('\n[models.a]\nid = "x"', 2, "a has no price: add usd_per_million"),
    (
        '[models.a]\nid = "x"\ninput_tokens_per_second = 5',
        1,
        "output_tokens_per_second and usd_per_hour missing",
    ),
    ("\n\n[models.a]\nusd_per_million = [1, 2]", 3, "a has no id"),
    ('[models.a]\nid = ""\nusd_per_million = [1, 2]', 1, "a has no id"),
    ('[models.a]\nid = "x"\nusd_per_million = [1]', 3, "must be two numbers, [input, output], not [1]"),
    ('[models.a]\nid = "x"\nusd_per_million = 1', 3, "must be two numbers"),
    ('[models.a]\nid = "x"\nusd_per_million = [1, -2]', 3, "must be a number of at least 0, not -2"),
    ('[models.a]\nid = "x"\nusd_per_million = [nan, 2]', 3, "must be a number of at least 0, not nan"),
    ('[models.a]\nid = "x"\nusd_per_million = [1, inf]', 3, "must be a number of at least 0, not inf"),
    ('[models.a]\nid = "x"\nusd_per_million = [true, 2]', 3, "must be a number of at least 0, not True"),
    ('[models.a]\nid = "x"\nusd_per_million = [1, "2"]', 3, "must be a number of at least 0, not '2'"),
    ('[models.a]\nid = "x"\nusd_per_million = [1, 2]\noutput_tokens_per_second = 5', 1, "give one of them"),
    ('[models.a]\nid = "x"\noutput_tokens_per_second = 0', 3, "must be a number above 0"),
    ("[pool]\nusd_per_hour = -1", 2, "usd_per_hour must be a number of at least 0"),
    ('[models.a]\nid = "x"\ncontext_window = 0', 3, "context_window must be above 0"),
    ('[models.a]\nid = "x"\ncontext_window = 1.5', 3, "context_window must be a whole number"),
    ('[models.a]\nid = "x"\nthinking_tokens = true', 3, "thinking_tokens must be a whole number"),
    ('[models.a]\nid = "x"\nprices_date = 2026-13-01', 3, "not valid TOML"),
    (
        '[models.a]\nid = "x"\nprices_date = "today"',
        3,
        "prices_date must be a date like 2026-04-05, not 'today'",
    ),
    ('[models.a]\nid = "x"\nprices_date = 2026-04-05T00:00:00', 3, "prices_date must be a date"),
    ('[models.a]\nid = "x"\navailable = "no"', 3, "available must be true or false"),
    ('[models.a]\nid = "x"\nusd_per_million = [1, 2]\nreason = "why"', 4, "reason needs `available = false`"),
    ("[models.a]\nid = 5", 2, "id must be text"),
    ('[models.a]\nid = "x\\u001b[31m"', 2, "id holds a character that cannot be printed"),
    ('[models."a\\nb"]\nid = "x"', 1, "cannot be the name of a model"),
    ('[models." a"]\nid = "x"', 1, "cannot be the name of a model"),
    ('[models.a]\nbase_url = "openrouter.ai"', 2, "base_url must be an address"),
    ('[models.a]\napi_key_env = "sk-or-v1-5ecret5ecret"', 2, "must be the NAME of the environment variable"),
    ('[models.a]\napi_key = "sk-or-v1-5ecret5ecret"', 2, "looks like a key"),
    ("[models]\na = 5", 2, "a must be a table, not 5"),
    ("models = 5", 1, "models must be a table, not 5"),
    ('[models.a]\nid = "x"\n[models.a]', 3, "twice"),
    ('[models.a]\nid = "x"\nid = "y"\nusd_per_million = [1, 2]', 3, "not valid TOML"),
    (
        f'{MINE}\n[models.b]\nusd_per_million = [1, 2]\nid = "vendor/my-model"',
        7,
        "b has the same id as my-model",
    ),
    (f"{MINE}rating = -5", 4, "rating must be a rating in points"),
    (f'{MINE}rating = "good"', 4, "rating must be a rating in points"),
    (f"{MINE}rating = {{ math = 1450 }}", 4, "rating must hold overall too"),
    (f"{MINE}rating = {{ overall = 1400, maths = 1450 }}", 4, "knows no category 'maths'; there are overall, bus"),
    (f"{MINE}quality = 80", 4, "quality must be a number from 0 to 1"),
    (f"{MINE}verbosity = 0", 4, "verbosity must be a number above 0"),
    (f"{MINE}request = 5", 4, "request must be a table"),
    (f"{MINE}request = {{ model = 'other', max_tokens = 5 }}", 4, "request cannot set max_tokens, model: the router"),
    (f"{MINE}request = {{ stream = false }}", 4, "request cannot set stream: the router does"),
    (f"{MINE}request = {{ since = 2026-01-01 }}", 4, "request holds a date or a number that a request cannot carry"),
    (f"{MINE}request = {{ top_p = nan }}", 4, "request holds a date or a number that a request cannot carry"),
    (f"{MINE}request = {{ x = '{'x' * 11_000}' }}", 4, "request is longer than 10,000 characters"),
    (
        f'{MINE}request.a = 1\nrequest.b = 2\n[models.b]\nusd_per_million = [1, 2]\nid = "vendor/my-model"\n'
        "request = { b = 2, a = 1 }",
        8,
        "b has the same id as my-model",
    ),
    (
        "[models.a]\nusd_per_hour = 1\ninput_tokens_per_second = 1e-320\noutput_tokens_per_second = 1",
        1,
        "too slow to be priced",
    ),
]


@pytest.mark.parametrize(("text", "line", "said"), FAULTS)
def test_a_fault_is_named_by_file_and_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = pool_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_pool(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert said in str(caught.value)
    assert "5ecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "said"), [f for f in FAULTS if "[pool]" not in f[0] and "same id" not in f[2]]
)
def test_so_it_is_in_the_users_file(text: str, line: int, said: str) -> None:
    file = user_models(text)
    with pytest.raises(ConfigError) as caught:
        load_pool("paper")
    assert str(caught.value).startswith(f"{file}, line {line}: ")
    assert said in str(caught.value) or "needs an id" in str(caught.value)


def test_the_users_file_holds_models_only() -> None:
    file = user_models("[pool]\nusd_per_hour = 1")
    with pytest.raises(ConfigError, match="unknown key 'pool'") as caught:
        load_pool("paper")
    assert str(caught.value).startswith(f"{file}, line 1: ")


def test_a_second_name_for_a_pools_model_is_named_in_the_users_file() -> None:
    file = user_models(f'{MINE}\n[models.glm]\nid = "z-ai/glm-4.5-air"\nusd_per_million = [1, 2]\n')
    with pytest.raises(ConfigError, match=r"glm has the same id as GLM-4.5-Air") as caught:
        load_pool("paper")
    assert str(caught.value).startswith(f"{file}, line 6: ")


def test_one_id_asked_in_two_ways_is_two_models(tmp_path: Path) -> None:
    text = (
        f'{MINE}[models.thinking]\nid = "vendor/my-model"\nusd_per_million = [0.1, 0.4]\nverbosity = 1.2\n'
        'request = { reasoning_effort = "low", extra = { deep = [1, 2] } }\n'
    )
    plain, thinking = load_pool(pool_file(tmp_path, text))
    assert (plain.request, plain.verbosity) == ({}, 1.0)
    assert thinking.request == {"reasoning_effort": "low", "extra": {"deep": [1, 2]}}
    assert thinking.verbosity == 1.2
    assert len({plain, thinking}) == 2
    assert json.loads(json.dumps(thinking.to_dict()))["request"] == thinking.request


def test_what_a_model_can_do_is_stated_in_three_ways(tmp_path: Path) -> None:
    text = "".join(
        f'[models.{name}]\nid = "vendor/{name}"\nusd_per_million = [1, 2]\n{stated}\n'
        for name, stated in {
            "a": "rating = 1426",
            "b": "rating = { overall = 1426, math = 1450.5 }",
            "c": "quality = 0.8",
            "d": 'rated_as = "gpt-5-chat"',
            "e": "",
        }.items()
    )
    pool = load_pool(pool_file(tmp_path, text))
    assert pool.models["a"].rating == {"overall": 1426.0}
    assert pool.models["b"].rating == {"overall": 1426.0, "math": 1450.5}
    assert [(m.quality, m.rated_as) for m in pool][2:] == [(0.8, ""), (None, "gpt-5-chat"), (None, "")]


def test_what_the_user_says_a_model_can_do_replaces_what_the_pool_says(tmp_path: Path) -> None:
    path = pool_file(tmp_path, f"{MINE}rating = 1426\nrequest = {{ top_k = 1 }}\n")
    user_models("[models.my-model]\nquality = 0.7\n")
    (model,) = load_pool(path)
    assert (model.rating, model.quality, model.request) == ({}, 0.7, {"top_k": 1})


def test_one_id_at_two_servers_is_two_models(tmp_path: Path) -> None:
    text = f'{MINE}[models.b]\nid = "vendor/my-model"\nusd_per_million = [1, 2]\nbase_url = "http://localhost/v1"\n'
    assert len(load_pool(pool_file(tmp_path, text))) == 2


@pytest.mark.parametrize("text", ["", "# nothing", "[pool]\nusd_per_hour = 1", "[models]"])
def test_an_empty_pool_is_an_error(tmp_path: Path, text: str) -> None:
    path = pool_file(tmp_path, text)
    with pytest.raises(ConfigError, match="the pool is empty") as caught:
        load_pool(path)
    assert str(path) in str(caught.value)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
PRICES = st.floats(0, 1e6)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.dictionaries(NAMES, st.tuples(PRICES, PRICES, st.none() | st.dates()), min_size=1, max_size=5))
def test_what_is_written_is_what_is_read(
    tmp_path: Path, models: dict[str, tuple[float, float, dt.date | None]]
) -> None:
    text = ""
    for name, (price_in, price_out, day) in models.items():
        quoted = json.dumps(name, ensure_ascii=False)
        text += f"[models.{quoted}]\nid = {quoted}\nusd_per_million = [{price_in!r}, {price_out!r}]\n"
        text += f"prices_date = {day}\n" if day else ""
    pool = load_pool(pool_file(tmp_path, text))
    read = {m.name: (m.input_usd_per_million, m.output_usd_per_million, m.prices_date) for m in pool}
    assert read == {name: (a, b, day.isoformat() if day else "") for name, (a, b, day) in models.items()}
    assert list(read) == list(models)
