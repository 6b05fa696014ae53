"""`r2-router route` and `explain` as a user runs them: real embedder, the shipped checkpoint."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import run_command as run

from r2_router.cli import build_parser, main

QUERY = "Write a Python function that returns the n-th prime."


def process(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "r2_router.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_a_prompt_is_routed_and_explained_in_plain_text_in_a_pipe() -> None:
    done = process("route", QUERY)
    assert done.returncode == 0
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    lines = done.stdout.splitlines()
    assert "\x1b" not in done.stdout
    assert lines[1].split()[:3] == ["model", "budget", "quality"]
    assert lines[2].split()[0] == "1"
    assert lines[2].split()[1] in lines[0]
    assert "Why: the best trade" in done.stdout
    assert "20 times $0.000118, what a typical answer of Qwen2.5-Coder-1.5B-Instruct costs" in done.stdout


@pytest.mark.slow
def test_json_is_one_object_a_query_and_nothing_else() -> None:
    done = run("route", "--query", QUERY, "--json")
    assert done.stdout.count("\n") == 1
    shown = json.loads(done.stdout)
    assert shown["query"] == QUERY
    assert shown["model"] == shown["candidates"][0]["model"]
    assert shown["embedder"] == "use-multilingual-v3"
    assert shown["predicted_cost_usd"] > 0
    assert len(json.loads(run("route", QUERY, "--json", "--top", "2").stdout)["candidates"]) == 2


def test_a_file_of_json_lines_gives_a_line_each_and_keeps_line_breaks(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"query": "one\\ntwo", "id": 7}\n\n{"query": "素数"}\n')
    done = run("route", "--file", str(file), "--json")
    assert [json.loads(line)["query"] for line in done.stdout.splitlines()] == ["one\ntwo", "素数"]


@pytest.mark.slow
def test_a_text_file_and_stdin_are_one_prompt(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("first line\n\n  third line\n")
    assert json.loads(run("route", "--file", str(file), "--json").stdout)["query"] == "first line\n\n  third line"
    assert json.loads(run("route", "--file", "-", "--json", stdin="from a pipe\n").stdout)["query"] == "from a pipe"
    assert json.loads(run("route", "--file", "-", "--json", stdin='{"query": "x"}\n').stdout)["query"] == "x"


@pytest.mark.slow
def test_worth_preset_and_lambda_change_the_choice() -> None:
    cheap = json.loads(run("route", QUERY, "--json", "--worth", "0").stdout)
    dear = json.loads(run("route", QUERY, "--json", "--lambda", "0").stdout)
    assert cheap["predicted_cost_usd"] < dear["predicted_cost_usd"]
    assert dear["worth_usd"] is None
    economy, balanced = (
        json.loads(run("route", QUERY, "--json", *preset).stdout)["worth_usd"]
        for preset in (("--preset", "economy"), ())
    )
    assert balanced == pytest.approx(4 * economy)
    assert json.loads(run("route", QUERY, "--json", "--lambda_val", "0.5").stdout)["worth_usd"] == 1.0


def test_every_decision_is_in_the_ledger_without_its_text(home: Path) -> None:
    run("route", QUERY)
    shown = json.loads(run("stats", "--json").stdout)
    assert (shown["decided"], shown["calls"]) == (1, 0)
    assert QUERY.encode() not in b"".join(path.read_bytes() for path in (home / "data").iterdir())


def test_limits_filter_and_verbose_says_why() -> None:
    done = run("route", QUERY, "--verbose", "--max-tokens", "60", "--exclude", "SmolLM2*")
    assert "Filtered out:" in done.stdout
    assert "not allowed: exclude is SmolLM2*" in done.stdout
    assert "over max_tokens 60" in done.stdout


@pytest.mark.slow
def test_explain_shows_frontier_and_baseline() -> None:
    done = run("explain", QUERY)
    assert done.returncode == 0
    assert "Frontier" in done.stdout
    shown = json.loads(run("explain", QUERY, "--json").stdout)
    assert shown["frontier"][0]["from_worth_usd"] == 0
    assert shown["baseline"]["candidate"]["budget"] == "unlimited"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("route",), "Give the prompt once"),
        (("route", "a", "--query", "b"), "Give the prompt once"),
        (("route", "   "), "blank"),
        (("route", ""), "blank"),
        (("route", "x", "--worth", "nan"), "finite"),
        (("route", "x", "--worth", "-1"), "at least 0"),
        (("route", "x", "--lambda", "2"), "between 0"),
        (("route", "x", "--preset", "lavish"), "economy, balanced, quality"),
        (("route", "x", "--models", "gpt-*"), "No model"),
        (("route", "x", "--min-quality", "1"), "Nearest:"),
        (("route", "x", "--max-tokens", "0"), "at least 1"),
        (("route", "x", "--checkpoint", "nowhere"), "r2-router import release"),
        (("route", "x", "--pool", "nowhere"), "nowhere"),
        (("route", "--file", "nowhere.txt"), "No such file"),
        (("route", "x", "--embed-url", "not a url"), "url"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_no_traceback(args: tuple[str, ...], message: str) -> None:
    done = run(*args)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "args", [("route", "x", "--top", "0"), ("route", "x", "--worth", "1", "--lambda", "1"), ("nope",), ()]
)
def test_wrong_usage_is_exit_code_2(args: tuple[str, ...]) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_bad_lines_and_bytes_in_files_are_named(tmp_path: Path) -> None:
    lines = tmp_path / "bad.jsonl"
    lines.write_text('{"query": "fine"}\n{"question": "no"}\n')
    assert "line 2" in run("route", "--file", str(lines)).stderr
    binary = tmp_path / "image.bin"
    binary.write_bytes(b"\xff\xfe\x00binary")
    assert "not UTF-8" in run("route", "--file", str(binary)).stderr


@pytest.mark.slow
def test_a_long_prompt_is_routed_with_a_note(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("All work and no play. " * 400)
    done = run("route", "--file", str(file), "--json")
    assert done.returncode == 0
    assert "The query is long" in done.stderr
    assert json.loads(done.stdout)["truncated"] is True


@pytest.mark.slow
def test_a_megabyte_no_model_can_read_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "longer.txt"
    file.write_text("All work and no play. " * 50_000)
    done = run("route", "--file", str(file))
    assert done.returncode == 1
    assert "over its context window" in done.stderr


@pytest.mark.slow
def test_a_broken_user_file_is_named_with_its_line(home: Path) -> None:
    (home / "config.toml").write_text('preset = "balanced"\nworthy = 3\n')
    done = process("route", "x")
    assert done.returncode == 1
    assert "config.toml" in done.stderr
    assert "2" in done.stderr


@pytest.mark.slow
def test_a_terminal_gets_a_table_with_bars_and_markup_stays_text() -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "r2_router.cli", "route", "[red]what[/red] is :smile: 5?"],
        stdout=follower,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "140"},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:
            break
        if not block:
            break
        shown += block
    assert process.wait() == 0
    os.close(leader)
    process.communicate()
    assert "█" in shown.decode()
    assert "\x1b[" in shown.decode()


@pytest.mark.slow
def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m r2_router.cli route hello --json | head -c 1",
        shell=True,
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr


@pytest.mark.slow
def test_doctor_finds_everything_in_order_and_a_fault_where_there_is_one(home: Path) -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    assert "no faults" in done.stdout
    findings = json.loads(run("doctor", "--json", "--checkpoint", "nowhere").stdout)
    assert findings["ok"] is False
    assert any(f["state"] == "fault" and "nowhere" in f["text"] for f in findings["findings"])
    (home / "keys.toml").write_text('OPENROUTER_API_KEY = "sk-or-0123456789"\n')
    (home / "keys.toml").chmod(0o644)
    paper = run("doctor", "--pool", "paper")
    assert "chmod 600" in paper.stdout
    assert "sk-or" not in paper.stdout + paper.stderr
    (home / "config.toml").write_text("x = [")
    broken = run("doctor")
    assert broken.returncode == 1
    assert "config.toml" in broken.stdout
    assert "Traceback" not in broken.stderr


@pytest.mark.slow
def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("route", "explain", "models", "import", "doctor"):
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        assert name in capsys.readouterr().out
    assert build_parser().prog == "r2-router"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    with pytest.raises(SystemExit):
        main(["--version"])
    assert version("r2-mcp") in capsys.readouterr().out


# -- chats -----------------------------------------------------------------------------------------------------

HARD = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
CHAT = [{"role": "user", "content": HARD}, {"role": "assistant", "content": "func New() ..."}]
BRIEF = {"role": "user", "content": "commit it"}
READ = "Read together with 'Write a Go function implementing an LRU cache …' ("


@pytest.fixture
def chat_file(tmp_path: Path) -> Path:
    file = tmp_path / "chat.json"
    file.write_text(json.dumps([*CHAT, BRIEF]))
    return file


@pytest.mark.slow
def test_a_chat_is_routed_and_explained_from_a_file(chat_file: Path) -> None:
    assert READ in run("route", "--messages", str(chat_file)).stdout
    assert READ in run("explain", "--messages", str(chat_file)).stdout
    assert "Read together" not in run("route", "--messages", str(chat_file), "--context", "last").stdout
    shown = json.loads(run("route", "--messages", str(chat_file), "--json").stdout)
    assert shown["query"] == "commit it"
    assert shown["read_with"][0]["text"] == HARD


@pytest.mark.slow
def test_a_prompt_comes_after_the_chat_and_stdin_is_a_chat_too(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"model": "x", "messages": CHAT}))
    after = json.loads(run("route", "commit it", "--messages", str(file), "--json").stdout)
    piped = json.loads(run("route", "--messages", "-", "--json", stdin=json.dumps([*CHAT, BRIEF])).stdout)
    assert after == piped
    assert after["read_with"][0]["text"] == HARD


@pytest.mark.parametrize("text", ["", "{", "7", '"text"', '{"query": "x"}', "[" * 100_000, "null"])
def test_a_file_that_holds_no_chat_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "chat.json"
    file.write_text(text)
    done = run("route", "--messages", str(file))
    assert done.returncode == 1
    assert "no JSON list of messages" in done.stderr


def test_stdin_is_read_once() -> None:
    done = run("route", "--messages", "-", "--file", "-", stdin="[]")
    assert done.returncode == 1
    assert "Stdin can be read once" in done.stderr
