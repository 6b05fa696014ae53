"""`r2-router models`: the list in each form, and a refresh that writes only what it may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.file_server import FileServer, file_server, status, whole

from r2_router.cli import main
from r2_router.cli.models import NOT_WRITTEN
from r2_router.pools.pool import load_pool, models_file

Captured = pytest.CaptureFixture[str]

LISTED = {
    "data": [
        {"id": "vendor/a", "pricing": {"prompt": "0.000002", "completion": "0.000003"}},
        {"id": "vendor/b", "pricing": {"prompt": "0", "completion": "0"}},
    ]
}


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        running.on("/v1/models", whole(json.dumps(LISTED).encode()))
        yield running


@pytest.fixture
def mine(home: Path, server: FileServer) -> Path:
    """A pool named `mine` of two models at the server, one of which it lists."""
    (home / "pools").mkdir()
    path = home / "pools" / "mine.toml"
    path.write_text(
        f'[pool]\nbase_url = "{server.url("/v1")}"\napi_key_env = "MINE_KEY"\nprices_date = 2026-01-02\n'
        '[models.A]\nid = "vendor/a"\nusd_per_million = [1, 3]\ncontext_window = 32768\n'
        '[models."[red]C"]\nid = "vendor/c"\nusd_per_million = [0.07, 0.10]\n'
    )
    return path


def test_the_list_in_a_pipe_is_aligned(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["models", "--pool", "paper"]) == 0
    assert "no: OPENROUTER_API_KEY is not set" in capsys.readouterr().out
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-0123456789")
    assert main(["models", "--pool", "paper"]) == 0
    out, err = capsys.readouterr()
    head, *rows = out.splitlines()
    assert head.split("  ")[0] == "model"
    assert head.endswith("$/M in  $/M out  price of    context  available")
    assert len(rows) == 11
    glm = next(row for row in rows if row.startswith("GLM"))
    assert glm.split() == ["GLM-4.5-Air", "z-ai/glm-4.5-air", "0.13", "0.85", "2026-04-05", "131,072", "yes"]
    assert len({row.index("2026-04-05") for row in rows}) == 1
    assert sum("no: not offered by openrouter.ai (2026-04-05)" in row for row in rows) == 6
    assert "Pool 'paper'. Others: local" in err


def test_the_list_as_json(capsys: Captured) -> None:
    assert main(["models", "--pool", "local", "--json"]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["pool"] == "local"
    assert [model["name"] for model in answer["models"]] == list(load_pool("local").models)
    assert answer["models"][0]["available"] is True
    assert answer["models"][0]["weights"] == "SmolLM2-135M-Instruct"
    assert not err


def test_the_configured_pool_is_listed_unless_another_is_named(
    mine: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_POOL", "mine")
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pool"] == "mine"
    assert main(["models", "--json", "--pool", "local"]) == 0
    assert json.loads(capsys.readouterr().out)["pool"] == "local"
    assert main(["models", "--json", "--pool", str(mine)]) == 0
    assert json.loads(capsys.readouterr().out)["pool"] == "mine"


def test_without_a_pool_the_checkpoints_own_is_listed(capsys: Captured) -> None:
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pool"] == "local"


def test_an_unknown_pool_is_an_error_without_traceback(capsys: Captured) -> None:
    assert main(["models", "--pool", "papr"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("error: No pool 'papr'. Known: local, paper.")


def test_a_refresh_in_a_pipe_shows_and_does_not_write(mine: Path, capsys: Captured) -> None:
    assert main(["models", "--pool", "mine", "--refresh"]) == NOT_WRITTEN
    out, err = capsys.readouterr()
    rows = [line.split(maxsplit=3) for line in out.splitlines()]
    assert rows[0] == ["model", "field", "old", "new"]
    assert rows[1] == ["A", "input_usd_per_million", "1", "2"]
    assert rows[2][:3] == ["A", "prices_date", "2026-01-02"]
    assert len(rows) == 3
    assert "note: vendor/c is unknown to 127.0.0.1:" in err
    assert "Nothing is written." in err
    assert not models_file().exists()


@pytest.mark.slow
def test_a_refresh_with_yes_writes(mine: Path, capsys: Captured) -> None:
    assert main(["models", "--pool", "mine", "--refresh", "--yes"]) == 0
    assert f"Written to {models_file().resolve()}." in capsys.readouterr().err
    pool = load_pool("mine")
    assert pool.models["A"].input_usd_per_million == 2.0
    assert pool.models["[red]C"].available
    assert main(["models", "--pool", "mine", "--refresh"]) == 0
    assert "nothing has changed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_refresh_as_json(mine: Path, capsys: Captured) -> None:
    assert main(["models", "--pool", "mine", "--refresh", "--json"]) == NOT_WRITTEN
    answer = json.loads(capsys.readouterr().out)
    assert list(answer["unknown"]) == ["[red]C"]
    assert answer["failures"] == {}
    assert answer["changes"][0] == {"model": "A", "field": "input_usd_per_million", "old": 1.0, "new": 2.0}
    assert answer["written"] is None
    assert main(["models", "--pool", "mine", "--refresh", "--json", "--yes"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == str(models_file().resolve())


@pytest.mark.slow
def test_the_key_goes_to_its_own_provider_only(mine: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_KEY", "my-key")
    main(["models", "--pool", "mine", "--refresh"])
    assert server.asked("/v1/models")[0]["authorization"] == "Bearer my-key"
    with file_server() as other:
        other.on("/models", whole(json.dumps(LISTED).encode()))
        main(["models", "--pool", "mine", "--refresh", "--api-base", other.url("/")])
        assert "authorization" not in other.asked("/models")[0]
    assert len(server.requests) == 1


@pytest.mark.slow
def test_two_providers_are_asked_for_their_own_models(mine: Path, capsys: Captured) -> None:
    with file_server() as other:
        other.on("/models", whole(b'{"data": [{"id": "vendor/c"}]}'))
        models_file().write_text(f'[models."[red]C"]\nbase_url = "{other.url()}"\n')
        assert main(["models", "--pool", "mine", "--refresh", "--json"]) == NOT_WRITTEN
    answer = json.loads(capsys.readouterr().out)
    assert {change["model"] for change in answer["changes"]} == {"A"}
    assert answer["unknown"] == {}


def test_a_provider_that_fails_is_one_line(mine: Path, server: FileServer, capsys: Captured) -> None:
    server.on("/v1/models", status(500))
    assert main(["models", "--pool", "mine", "--refresh", "--yes"]) == 1
    assert capsys.readouterr().err.startswith(f"note: {server.url('/v1/models')} answers HTTP 500.")
    assert not models_file().exists()


@pytest.mark.slow
def test_a_provider_that_fails_stops_no_other(mine: Path, server: FileServer, capsys: Captured) -> None:
    with file_server() as other:
        other.on("/models", whole(b"<html>"))
        models_file().write_text(f'[models."[red]C"]\nbase_url = "{other.url()}"\n')
        assert main(["models", "--pool", "mine", "--refresh", "--yes"]) == 1
        address = other.url()
    assert load_pool("mine").models["A"].input_usd_per_million == 2.0
    err = capsys.readouterr().err
    assert f"note: {address.removeprefix('http://')} answered with something that is not JSON" in err
    assert "Written to" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pool", "local", "--refresh"], "local models only"),
        (["--yes"], "belong to --refresh"),
        (["--api-base", "http://127.0.0.1"], "belong to --refresh"),
        (["--pool", "paper", "--refresh", "--api-base", "openrouter"], "--api-base must be an address"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: list[str], said: str, capsys: Captured) -> None:
    assert main(["models", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_stray_argument_is_wrong_usage(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["models", "--pool", "local", "nonsense"])
    assert caught.value.code == 2


# -- on a terminal -------------------------------------------------------------------------------------------


def at_a_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Run the command in a pseudo-terminal; its exit code and all it showed."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the other end is closed
                return
            shown.extend(block)

    reader = threading.Thread(target=read)
    code = "import sys; from r2_router.cli import main; sys.exit(main())"
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        reader.start()
        os.write(ours, typed.encode())
        process.wait(timeout=30)
    reader.join()
    os.close(ours)
    return process.returncode, shown.decode()


@pytest.mark.slow
def test_a_terminal_gets_a_table(mine: Path) -> None:
    code, shown = at_a_terminal(["models", "--pool", "mine"], "")
    assert code == 0
    assert "[red]C" in shown
    assert "vendor/c" in shown


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "written"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_terminal_is_asked_before_writing(mine: Path, typed: str, written: bool) -> None:
    code, shown = at_a_terminal(["models", "--pool", "mine", "--refresh"], typed)
    assert "input_usd_per_million" in shown
    assert "[y/N]" in shown
    assert code == (0 if written else NOT_WRITTEN)
    assert models_file().exists() == written


# -- ratings -------------------------------------------------------------------------------------------------


def test_what_each_model_can_do_and_where_that_is_from(mine: Path, capsys: Captured) -> None:
    with mine.open("a") as file:
        file.write('[models.B]\nid = "openai/gpt-5-chat"\nusd_per_million = [1, 3]\n')
    assert main(["models", "ratings", "--pool", "mine"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split(maxsplit=3) for line in out.splitlines()]
    assert rows[0] == ["model", "rating", "±", "from"]
    assert rows[-1] == ["B", "1426", "27", "rated as gpt-5-chat, 1426 (2026-10-20)"]
    assert "Ratings of 2026-10-20: LMArena leaderboard dataset, CC BY 4.0." in err
    assert main(["models", "--pool", "mine", "ratings", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["pool"], answer["ratings"]["date"]) == ("mine", "2026-10-20")
    assert answer["abilities"]["B"]["source"] == "rated"


def test_newer_ratings_are_taken_over_first(tmp_path: Path, capsys: Captured) -> None:
    rows = "".join(f"maker/x-{n},X,overall,{1300 + n},1290,1310,900,2027-03-01\n" for n in range(30))
    source = tmp_path / "new.csv"
    source.write_text("model,name,category,rating,low,high,votes,date\n" + rows)
    assert main(["models", "ratings", "--from", str(source)]) == 0
    err = capsys.readouterr().err
    assert "30 models are rated, as of 2027-03-01. Written to " in err
    assert "Ratings of 2027-03-01" in err
    assert main(["models", "ratings", "--from", str(tmp_path / "none.csv")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
