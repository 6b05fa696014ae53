"""Settings: which level wins, what is refused and how it is named, and that keys stay hidden."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from r2_router.config import toml_file
from r2_router.config.settings import LLM_API_KEY, Multiple, Secret, keys_file, load_settings, settings_file
from r2_router.errors import ConfigError, InputError

KEY = "sk-or-v1-5ecret5ecret5ecret"


def configure(text: str) -> Path:
    settings_file().write_text(text, encoding="utf-8")
    return settings_file()


# -- levels --------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    settings = load_settings()
    assert settings.presets == {"economy": Multiple(5.0), "balanced": Multiple(20.0), "quality": Multiple(200.0)}
    assert (settings.preset, settings.worth_usd, settings.lambda_val) == ("balanced", None, None)
    assert (settings.pool, settings.checkpoint, settings.log_text, settings.max_usd_per_day) == (
        "",
        "",
        False,
        None,
    )
    assert settings.sources["preset"] == "default"
    assert settings.sources["pool"] == "not set"


LEVELS = [
    ("pool", 'pool = "filed"', "filed", "R2_POOL", "varied", "varied", "argued"),
    ("checkpoint", 'checkpoint = "a"', "a", "R2_CHECKPOINT", "b", "b", "c"),
    ("worth_usd", "worth_usd = 1", 1.0, "R2_WORTH_USD", "2.5", 2.5, 3.0),
    ("lambda_val", "lambda_val = 0.5", 0.5, "R2_LAMBDA_VAL", "0.25", 0.25, 1.0),
    ("preset", 'preset = "economy"', "economy", "R2_PRESET", "quality", "quality", "balanced"),
    ("embedder", 'embedder = "a"', "a", "R2_EMBEDDER", "b", "b", "c"),
    ("embed_url", 'embed_url = "http://a/"', "http://a", "R2_EMBED_URL", "http://b", "http://b", "http://c"),
    ("embed_model", 'embed_model = "a"', "a", "R2_EMBED_MODEL", "b", "b", "c"),
    (
        "llm_api_base",
        'llm_api_base = "http://a"',
        "http://a",
        "R2_LLM_API_BASE",
        "http://b",
        "http://b",
        "http://c",
    ),
    ("models_dir", 'models_dir = "/a"', "/a", "R2_MODELS_DIR", "/b", "/b", "/c"),
    ("log_text", "log_text = true", True, "R2_LOG_TEXT", "0", False, True),
    ("ledger_days", "ledger_days = 90", 90, "R2_LEDGER_DAYS", "30", 30, 7),
    ("max_usd_per_call", "max_usd_per_call = 0.1", 0.1, "R2_MAX_USD_PER_CALL", "0", 0.0, 2.0),
    ("max_usd_per_day", "max_usd_per_day = 1", 1.0, "R2_MAX_USD_PER_DAY", "2e-3", 0.002, 3.0),
    ("max_usd_per_month", "max_usd_per_month = 1", 1.0, "R2_MAX_USD_PER_MONTH", "9", 9.0, 8.0),
    ("confirm_above_usd", "confirm_above_usd = 0", 0.0, "R2_CONFIRM_ABOVE_USD", "0.05", 0.05, 1.0),
]


@pytest.mark.parametrize(("name", "line", "filed", "variable", "said", "varied", "argued"), LEVELS)
def test_file_then_environment_then_argument(
    name: str,
    line: str,
    filed: object,
    variable: str,
    said: str,
    varied: object,
    argued: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(variable, raising=False)
    file = configure(f"# mine\n{line}\n")
    assert (load_settings()[name], load_settings().sources[name]) == (filed, f"{file}, line 2")
    monkeypatch.setenv(variable, said)
    assert (load_settings()[name], load_settings().sources[name]) == (varied, variable)
    settings = load_settings(**{name: argued})
    assert (settings[name], settings.sources[name]) == (argued, "argument")
    assert load_settings(**{name: None})[name] == varied


def test_every_setting_is_in_the_shipped_file_with_its_variable() -> None:
    shipped = (Path(__file__).parents[2] / "config" / "defaults.toml").read_text(encoding="utf-8")
    settings = load_settings()
    for name in settings.sources:
        assert f"\n{name} = " in shipped or f"\n# {name} = " in shipped
    for variable in [level[3] for level in LEVELS]:
        assert f"{variable}" in shipped


@pytest.mark.parametrize("said", ["", "  "])
def test_an_empty_variable_is_not_set(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    configure("max_usd_per_day = 1")
    monkeypatch.setenv("R2_MAX_USD_PER_DAY", said)
    assert load_settings().max_usd_per_day == 1


def test_an_unknown_variable_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_D2", "beep")
    assert load_settings().preset == "balanced"


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="worth_eur"):
        load_settings(worth_eur=1)


# -- the trade-off -------------------------------------------------------------------------------------------


def trade_off(**overrides: object) -> tuple[object, object, object]:
    settings = load_settings(**overrides)
    return settings.worth_usd, settings.lambda_val, settings.preset


def test_a_higher_levels_choice_replaces_a_lower_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    configure("worth_usd = 2")
    assert trade_off() == (2.0, None, None)
    monkeypatch.setenv("R2_LAMBDA_VAL", "0.9")
    assert trade_off() == (None, 0.9, None)
    assert trade_off(preset="quality") == (None, None, "quality")


def test_two_choices_at_one_level_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    file = configure('worth_usd = 2\npool = "paper"\npreset = "quality"')
    with pytest.raises(ConfigError, match="both given") as caught:
        load_settings()
    assert f"worth_usd ({file}, line 1)" in str(caught.value)
    assert f"preset ({file}, line 3)" in str(caught.value)
    file.unlink()
    monkeypatch.setenv("R2_LAMBDA_VAL", "0.9")
    monkeypatch.setenv("R2_WORTH_USD", "1")
    with pytest.raises(ConfigError, match=r"R2_WORTH_USD.*R2_LAMBDA_VAL"):
        load_settings()
    with pytest.raises(ConfigError):  # an argument above does not make the fault below right
        load_settings(preset="quality")
    monkeypatch.delenv("R2_LAMBDA_VAL")
    with pytest.raises(InputError, match="Give one of"):
        load_settings(lambda_val=0.5, preset="quality")


def test_presets_are_added_and_replaced() -> None:
    configure('preset = "mine"\n[presets]\nmine = 5\nquality = 1\nbalanced = " 2.5x"')
    settings = load_settings()
    assert settings.preset == "mine"
    assert settings.presets == {"economy": Multiple(5.0), "balanced": Multiple(2.5), "quality": 1.0, "mine": 5.0}


def test_an_unknown_preset_is_named_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    file = configure('\npreset = "best"')
    with pytest.raises(ConfigError, match=r"no preset 'best'. Choose one of: economy, balanced, quality") as caught:
        load_settings()
    assert str(caught.value).startswith(f"{file}, line 2")
    assert load_settings(preset="quality").preset == "quality"  # replaced before it is looked up
    monkeypatch.setenv("R2_PRESET", "worst")
    with pytest.raises(ConfigError, match=r"^R2_PRESET: there is no preset 'worst'"):
        load_settings()
    with pytest.raises(InputError, match="no preset 'x'"):
        load_settings(preset="x")


# -- bad values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("\nworth_usd = nan", 2, "worth_usd must be a number of at least 0, not nan"),
        ("worth_usd = -1", 1, "worth_usd must be a number of at least 0"),
        ("worth_usd = inf", 1, "worth_usd must be"),
        ("worth_usd = true", 1, "worth_usd must be"),
        ('worth_usd = "1"', 1, "worth_usd must be a number of at least 0, not '1'"),
        ("# λ\nlambda_val = 1.5", 2, "lambda_val must be a number from 0 to 1, not 1.5"),
        ("pool = 3", 1, "pool must be text in quotes, not 3"),
        ('log_text = "yes"', 1, "log_text must be true or false"),
        ('embed_url = "localhost"', 1, "embed_url must be an address"),
        ("\n\nmax_usd_per_day = -0.1", 3, "max_usd_per_day must be"),
        ("[presets]\nmine = -1", 2, "mine must be a number"),
        ('[presets]\nmine = "20"', 2, "mine must be dollars, or times a typical answer as in \"20x\", not '20'"),
        ('[presets]\nmine = "-1x"', 2, "mine must be dollars"),
        ("presets = 3", 1, "presets must be a table"),
        ("worth = 1", 1, "unknown key 'worth'. Did you mean 'worth_usd'?"),
        ("[pools]\nx = 1", 1, "unknown key 'pools'. Did you mean 'pool'?"),
        ("zzz = 1", 1, "Known: pool, checkpoint"),
    ],
)
def test_a_bad_file_is_named_with_its_line(text: str, line: int, said: str) -> None:
    file = configure(text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{file}, line {line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("R2_WORTH_USD", "cheap"),
        ("R2_WORTH_USD", "nan"),
        ("R2_WORTH_USD", "-1"),
        ("R2_LAMBDA_VAL", "1.01"),
        ("R2_LAMBDA_VAL", "inf"),
        ("R2_MAX_USD_PER_MONTH", "1e999"),
        ("R2_LOG_TEXT", "maybe"),
        ("R2_EMBED_URL", "localhost:8000"),
    ],
)
def test_a_bad_variable_is_named(variable: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, said)
    with pytest.raises(ConfigError, match=f"^{variable} must be"):
        load_settings()


@pytest.mark.parametrize("bad", [{"worth_usd": float("nan")}, {"lambda_val": 2}, {"log_text": "1"}, {"pool": 3}])
def test_a_bad_argument_is_named(bad: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(bad))} must be"):
        load_settings(**bad)


@pytest.mark.parametrize("line", [f'openrouter_api_key = "{KEY}"', f'api-key="{KEY}"', f'anything = "{KEY}"'])
def test_a_key_in_the_settings_is_sent_to_its_place_and_not_repeated(line: str) -> None:
    configure(line)
    with pytest.raises(ConfigError, match="looks like a key") as caught:
        load_settings()
    assert str(keys_file()) in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.slow
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.floats().map(repr))
def test_any_text_is_a_worth_or_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("R2_WORTH_USD", said)
    worth = _float(said.strip())  # as the variable is read: str.strip takes off more than float allows
    if not said.strip():
        assert load_settings().worth_usd is None
    elif worth is not None and 0 <= worth < float("inf"):
        assert load_settings().worth_usd == worth
    else:
        with pytest.raises(ConfigError, match=r"^R2_WORTH_USD must be"):
            load_settings()


def _float(said: str) -> float | None:
    try:
        return float(said)
    except ValueError:
        return None


# -- keys ----------------------------------------------------------------------------------------------------


def test_a_secret_hides_itself() -> None:
    secret = Secret(KEY)
    for said in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>30}",
        f"{secret!r}",
        " ".join(map(str, [secret])),
        repr([secret]),
    ):
        assert KEY not in said
        assert "5ecret" not in said
    assert secret.reveal() == KEY
    assert secret == Secret(KEY)
    assert hash(secret) == hash(Secret(KEY))
    assert secret != Secret("other")
    assert secret != KEY
    assert copy.deepcopy(secret) == secret


def test_the_environment_comes_before_the_keys_file(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert settings.key("MY_KEY") is None
    keys_file().write_text(f'# keys\nMY_KEY = " {KEY} "\nEMPTY = ""\n')
    assert settings.key("MY_KEY") == Secret(KEY)
    assert settings.key("EMPTY") is None
    assert settings.key("OTHER") is None
    monkeypatch.setenv("MY_KEY", "from-env")
    assert settings.key("MY_KEY") == Secret("from-env")
    monkeypatch.setenv("MY_KEY", "")
    assert settings.key("MY_KEY") == Secret(KEY)


def test_the_keys_file_is_read_again_when_it_has_changed_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, read = load_settings(), list[Path]()

    def counted(file: Path) -> toml_file.ConfigFile:
        read.append(file)
        return read_config(file)

    read_config = toml_file.read_config
    monkeypatch.setattr(toml_file, "read_config", counted)
    keys_file().write_text(f'MY_KEY = "{KEY}"\n')
    assert [settings.key(name) for name in ("MY_KEY", "OTHER", "MY_KEY")] == [Secret(KEY), None, Secret(KEY)]
    assert read == [keys_file()]
    keys_file().write_text(f'MY_KEY = "{KEY}"\nOTHER = "another"\n')
    assert settings.key("OTHER") == Secret("another")
    keys_file().unlink()
    assert settings.key("MY_KEY") is None


def test_no_variable_no_key() -> None:
    keys_file().write_text(f'"" = "{KEY}"')
    assert load_settings().key("") is None


def test_a_key_given_as_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LLM_API_KEY, "from-env")
    settings = load_settings(llm_api_key=KEY)
    assert settings.key(LLM_API_KEY) == Secret(KEY)
    assert load_settings(llm_api_key=Secret(KEY)).key(LLM_API_KEY) == Secret(KEY)
    assert load_settings().key(LLM_API_KEY) == Secret("from-env")
    for said in (repr(settings), json.dumps(settings.to_dict()), str(dict(settings))):
        assert "5ecret" not in said
    with pytest.raises(InputError, match=r"^llm_api_key cannot be a key") as caught:
        load_settings(llm_api_key=f"{KEY}\u2026")
    assert "5ecret" not in str(caught.value)


@pytest.mark.parametrize("bad", [f"{KEY}\\n{KEY}", f"Bearer {KEY}", f"{KEY}é"])
def test_what_cannot_be_a_key_is_refused_without_repeating_it(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys_file().write_text(f'\nMY_KEY = "{bad}"', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"keys.toml, line 2: MY_KEY cannot be a key") as caught:
        load_settings().key("MY_KEY")
    assert "5ecret" not in str(caught.value)
    monkeypatch.setenv("MY_KEY", bad.replace("\\n", "\n"))
    with pytest.raises(ConfigError, match=r"^MY_KEY cannot be a key") as caught:
        load_settings().key("MY_KEY")
    assert "5ecret" not in str(caught.value)


@pytest.mark.parametrize("text", ["MY_KEY = 5", f"MY_KEY = {KEY}", f'MY_KEY = "{KEY}"\nMY_KEY = "{KEY}"'])
def test_a_broken_keys_file_is_named_without_repeating_it(text: str) -> None:
    keys_file().write_text(text)
    with pytest.raises(ConfigError, match=r"keys.toml, line [12]: ") as caught:
        load_settings().key("MY_KEY")
    assert "5ecret" not in str(caught.value)


def test_settings_load_nothing_heavy() -> None:
    heavy = {"numpy", "httpx", "rich", "tomlkit", "sklearn", "mcp", "IPython"}
    code = f"import sys, r2_router.config.settings as s; s.load_settings(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_relative_path_in_the_file_starts_at_the_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the settings are used, somebody else may have put one of that name."""
    (home / "config.toml").write_text('checkpoint = "./mine"\npool = "sub/mine.toml"\nmodels_dir = "models"\n')
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert Path(settings.checkpoint) == home / "mine"
    assert Path(settings.pool) == home / "sub" / "mine.toml"
    assert Path(settings.models_dir) == home / "models"
    (home / "config.toml").write_text('checkpoint = "mine"\npool = "mine.toml"\n')
    assert load_settings().checkpoint == "mine"
    assert Path(load_settings().pool) == home / "mine.toml"
