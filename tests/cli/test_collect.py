import json

import pytest
from support.chat_server import chat_server, says
from support.collecting import write_inputs
from support.paying_server import Till

from r2_router.cli import main
from r2_router.generate import sync


@pytest.fixture(autouse=True)
def loop():
    """The background loop that a command starts ends with its process; here with its test."""
    yield
    sync.stop()


def command(tmp_path, url, *more, n=4):
    queries, pool = write_inputs(tmp_path, url, n)
    return [
        *("collect", "--queries", str(queries), "--pool", str(pool), "--budgets", "20,unlimited"),
        *("--output", str(tmp_path / "out"), *more),
    ]


@pytest.mark.slow
def test_from_queries_to_a_table(tmp_path, capsys):
    with chat_server(Till(remembers=True).behaviour) as server:
        assert main(command(tmp_path, server.url, "--json")) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["asked"], report["missing"]) == (16, 0)
        assert main(command(tmp_path, server.url)) == 0
        said = capsys.readouterr().out
        assert "0 calls answered now; 16 answers in all" in said
        assert "Mean quality 1.000 over 16 graded answers." in said
    assert (tmp_path / "out" / "table.parquet").is_file()
    assert (tmp_path / "out" / "answers.parquet").is_file()


@pytest.mark.slow
def test_a_dry_run_asks_nothing(tmp_path, capsys):
    with chat_server() as server:
        assert main(command(tmp_path, server.url, "--dry-run", "--rpm", "60", "--rpm", "b=6")) == 0
        assert not server.requests
    said = capsys.readouterr().out
    assert "16 calls, about $" in said
    assert "No answer seen yet of a, b" in said
    with chat_server(says("42")) as server:
        main(command(tmp_path, server.url, "--limit", "2", "--models", "a"))
        capsys.readouterr()
        assert main(command(tmp_path, server.url, "--dry-run", "--json")) == 0
    ahead = json.loads(capsys.readouterr().out)
    assert ahead["guessed"] == ["b"]
    assert [m["done"] for m in ahead["models"]] == [4, 0]


def test_a_limit_that_is_reached_is_said_and_is_no_success(tmp_path, capsys):
    with chat_server(says("42")) as server:
        assert main(command(tmp_path, server.url, "--max-usd", "0.0005")) == 1
    said = capsys.readouterr().out
    assert "Stopped by --max-usd 0.0005." in said
    assert "cells have no answer yet" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budgets", "ten"], "budgets are numbers of tokens"),
        (["--models", "nobody*"], "No model is called 'nobody*'. Models: a, b."),
        (["--rpm", "fast"], "--rpm is N or GLOB=N"),
        (["--grader", "taste"], "No grader 'taste'"),
        (["--grader", "judge"], "Name one of the pool with --judge"),
        (["--queries", "nowhere.csv"], "No file of queries at nowhere.csv"),
        (["--max-output", "0"], "max_output is tokens"),
        (["--limit", "0"], "nothing to ask"),
    ],
)
def test_bad_input_is_named_and_nothing_is_asked(tmp_path, capsys, more, words):
    with chat_server() as server:
        assert main(command(tmp_path, server.url, *more)) == 1
        assert not server.requests
    assert words in capsys.readouterr().err


def test_a_missing_extra_is_said_before_anything_is_paid(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("r2_router.cli.collect.find_spec", lambda name: None if name == "regex" else True)
    with chat_server() as server:
        assert main(command(tmp_path, server.url)) == 1
        assert not server.requests
    assert "Collecting needs regex: `pip install 'r2-mcp[lab]'`" in capsys.readouterr().err


def test_queries_and_budgets_are_needed(tmp_path, capsys):
    assert main(["collect", "--output", str(tmp_path / "o")]) == 1
    assert "Give --queries and --budgets, or --from" in capsys.readouterr().err


@pytest.mark.slow
def test_another_instruction_does_not_go_into_the_same_table(tmp_path, capsys):
    with chat_server(says("42")) as server:
        main(command(tmp_path, server.url, "--instruction", "Be brief: {budget} tokens."))
        limited = [body["messages"][-1]["content"] for body in server.bodies if body["max_tokens"] == 20]
        assert len(limited) == 8
        assert all(text.endswith("Be brief: 20 tokens.") for text in limited)
        assert main(command(tmp_path, server.url)) == 1
    assert "was begun with another instruction" in capsys.readouterr().err
