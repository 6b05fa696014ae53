"""`r2-router setup`: from an empty home to an answer of one's own models, with one command and no question."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.chat_server import chat_server, fails, hangs
from support.command import run_command
from support.offers import KEY, KEY_VARIABLE, MODELS, REPLY, Offers, as_openrouter, entry, write_profiles

from r2_router.cli.models import NOT_WRITTEN
from r2_router.ledger import Ledger
from r2_router.pools.pool import load_pool

SETUP = [sys.executable, "-m", "r2_router.cli", "setup"]


def process(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, as on a fresh machine."""
    return subprocess.run(
        [sys.executable, "-m", "r2_router.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, **env},
        check=False,
    )


# -- nothing written -----------------------------------------------------------------------------------------------


def test_a_dry_run_shows_table_and_picture_writes_nothing_and_asks_no_model(home: Path, here: Offers) -> None:
    before = set(home.rglob("*"))
    done = run_command("setup", "--yes", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "gemini-4-argon" in done.stdout
    assert "cost of an answer" in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert set(home.rglob("*")) == before
    asked = [exchange.path for server in (here.hosted, here.own) for exchange in server.requests]
    assert set(asked) == {"/v1/models"}


def test_without_a_person_and_without_yes_nothing_is_written(home: Path, here: Offers) -> None:
    done = run_command("setup")
    assert done.returncode == NOT_WRITTEN
    assert "`--yes`" in done.stderr
    assert not (home / "pools").exists()


def test_json_is_one_object_without_the_key(here: Offers) -> None:
    done = run_command("setup", "--dry-run", "--json")
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert {source["provider"]: source["models"] for source in found["sources"]} == {"ollama": 1, "openrouter": 12}
    assert 3 <= len(found["models"]) <= 8
    assert (found["pool"], found["written"], found["answer"]) == ("mine", None, None)
    assert KEY not in done.stdout


def test_chosen_models_are_the_pool(here: Offers) -> None:
    done = run_command("setup", "--dry-run", "--json", "--models", "gpt-*,anthropic/*,never-rated-40b")
    names = {model["model"]["name"] for model in json.loads(done.stdout)["models"]}
    assert {"gpt-4.1-mini", "gpt-4o-mini", "claude-opus-5.5", "never-rated-40b"} <= names
    assert not any("gemma" in name for name in names)


def test_where_nothing_is_here_it_says_what_to_do(home: Path) -> None:
    write_profiles(home)
    done = run_command("setup", "--yes")
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert "--base-url" in done.stderr
    assert not (home / "pools").exists()


def test_another_server_is_named(home: Path, here: Offers) -> None:
    other = run_command("setup", "--dry-run", "--json", "--base-url", here.own.url.replace("127.0.0.1", "localhost"))
    sources = json.loads(other.stdout)["sources"]
    assert sources[0]["base_url"].startswith("http://localhost:")
    assert sources[0]["models"] == 1


def test_where_one_server_answers_for_all_only_it_is_asked(here: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_LLM_API_BASE", here.own.url)
    found = json.loads(run_command("setup", "--dry-run", "--json").stdout)
    assert [source["base_url"] for source in found["sources"]] == [here.own.url]
    assert here.hosted.requests == []


@pytest.mark.parametrize(
    "bad", [["--name", "../x"], ["--name", "local"], ["--base-url", "nonsense"], ["--models", "no-such-model"]]
)
def test_what_cannot_be_meant_is_refused(here: Offers, bad: list[str]) -> None:
    done = run_command("setup", "--yes", *bad)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


def test_a_provider_that_fails_is_told_and_stops_no_other(here: Offers) -> None:
    here.hosted.then(fails(500, f"oops {KEY}"))
    done = run_command("setup", "--dry-run")
    assert done.returncode == 0
    assert "HTTP 500" in done.stderr
    assert "qwen3:8b" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_hostile_names_reach_no_terminal(here: Offers) -> None:
    hostile = [entry("x/\x1b[31mred", 1, 2), entry("x/\u202eevil", 1, 2), entry("x/a\nb", 1, 2)]
    here.hosted_list.body = {"data": [*hostile, *as_openrouter()["data"]]}
    done = run_command("setup", "--dry-run", "--json", "--models", "*")
    shown = [model["model"]["id"] for model in json.loads(done.stdout)["models"]]
    assert {model[0] for model in MODELS} <= set(shown)
    assert all(model_id.isprintable() for model_id in shown)


# -- written -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_an_empty_home_to_an_answer_with_one_command_and_no_question(home: Path, here: Offers) -> None:
    done = process("setup", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(REPLY)
    assert KEY not in done.stdout + done.stderr
    pool = load_pool("mine")
    assert {model.base_url for model in pool} == {here.hosted.url, here.own.url}
    assert 3 <= len(pool) <= 8
    assert not any(KEY in path.read_text("utf-8", "replace") for path in home.rglob("*") if path.is_file())

    asked = process("ask", "What is the capital of Italy?")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip() == REPLY
    assert any(f"{model.name}, " in asked.stderr for model in pool)
    assert "unused" not in asked.stderr


@pytest.mark.slow
def test_the_answer_is_one_entry_of_the_ledger_and_its_cost_is_said(here: Offers) -> None:
    done = run_command("setup", "--yes", "--json")
    answer = json.loads(done.stdout)["answer"]
    assert answer["text"] == REPLY
    assert answer["cost_usd"] > 0
    with Ledger() as ledger:
        entries = list(ledger.entries())
    assert [e.cost_usd for e in entries] == [pytest.approx(answer["cost_usd"])]


@pytest.mark.slow
def test_a_spending_limit_holds_for_the_first_answer_and_the_pool_stands(
    here: Offers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_MAX_USD_PER_CALL", "0")
    done = run_command("setup", "--yes", "--models", "gpt-4.1-mini,claude-*")
    assert done.returncode == 1
    assert "the pool stands" in done.stderr
    assert "R2_MAX_USD_PER_CALL" in done.stderr
    assert len(load_pool("mine")) >= 2
    assert not any(exchange.path.endswith("/completions") for exchange in here.hosted.requests)


@pytest.mark.slow
def test_a_local_model_that_does_not_answer_is_left_out(here: Offers) -> None:
    here.own_list.whole = fails(500, "out of memory")
    done = run_command("setup", "--yes")
    assert done.returncode == 0, done.stderr
    assert "qwen3:8b gave no answer and is left out" in done.stderr
    assert load_pool("mine").get("qwen3:8b") is None


@pytest.mark.slow
def test_a_second_run_says_that_nothing_has_changed_and_measures_nothing(here: Offers) -> None:
    run_command("setup", "--yes")
    here.own.requests.clear()
    done = run_command("setup", "--yes")
    assert "nothing has changed" in done.stderr
    assert [exchange.path for exchange in here.own.requests] == ["/v1/models"]


# -- at a terminal -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_at_a_terminal_the_proposal_is_edited_and_accepted(here: Offers) -> None:
    import pty

    controller, terminal = pty.openpty()
    started = subprocess.Popen(SETUP, stdin=terminal, stderr=terminal, stdout=subprocess.DEVNULL, env=os.environ)
    os.close(terminal)
    os.write(controller, b"-gemini-4-argon +gpt-4o-mini\nnonsense\n\n")
    said = b""
    try:
        while block := os.read(controller, 4096):
            said += block
    except OSError:  # the other end is closed
        pass
    assert started.wait(120) == 0, said.decode()
    names = set(load_pool("mine").models)
    assert "gpt-4o-mini" in names
    assert "gemini-4-argon" not in names
    assert b"begins neither with + nor with -" in said


# -- what `ask` and `doctor` say -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_ask_names_an_unused_key_and_fetches_no_toy(home: Path, here: Offers) -> None:
    done = run_command("ask", "hello")
    assert done.returncode == 1
    assert f"{KEY_VARIABLE} is set and unused; ollama is running here and unused: `r2-router setup`" in done.stderr
    assert "fetching" not in done.stderr
    assert not (home / "data" / "models").exists()


@pytest.mark.slow
def test_doctor_names_keys_servers_and_what_is_unused(here: Offers) -> None:
    done = run_command("doctor", "--json")
    found = {(f["part"], f["text"]) for f in json.loads(done.stdout)["findings"]}
    assert ("keys", f"{KEY_VARIABLE} is set (environment), for openrouter") in found
    assert ("servers", f"ollama at {here.own.url}") in found
    assert any(part == "setup" and "unused" in text for part, text in found)
    assert any(part == "ratings" and "2026" in text for part, text in found)
    assert KEY not in done.stdout


@pytest.mark.slow
def test_a_server_that_hangs_is_waited_for_no_longer_than_a_few_seconds(home: Path, here: Offers) -> None:
    with chat_server(hangs()) as slow:
        write_profiles(home, openrouter=here.hosted.url, ollama=slow.url)
        done = process("setup", "--dry-run")
    assert done.returncode == 0
    assert "ReadTimeout" in done.stderr
    assert "gemini-4-argon" in done.stdout
