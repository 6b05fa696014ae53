"""Every command and the server, started in a folder full of traps: nothing there is read, nothing sent anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from support.traps import WATCH, Listener, as_fifos, as_links, fill, listening

import r2_router
from r2_router import cli

if sys.platform == "win32":
    pytest.skip("FIFOs and links", allow_module_level=True)

pytestmark = pytest.mark.slow

SECONDS = 240
KINDS = ("files", "fifos", "links")
QUERIES = "query,answer,answer_type\nWhat is 1 + 1?,2,number\n"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


class Folder:
    """The folder, who listens at the address its traps name, and what was seen of the processes started in it."""

    def __init__(self, base: Path, home: Path, weights: Path, listener: Listener, kind: str) -> None:
        self.path, self.outside, self.listener = base / "project", base / "outside", listener
        watched = [self.path, base / "elsewhere"]
        for folder in (*watched, self.outside, base / "watch"):
            folder.mkdir()
        (base / "watch" / "sitecustomize.py").write_text(WATCH)
        (self.outside / "queries.csv").write_text(QUERIES)
        self.log = base / "log"
        self.log.touch()
        fill(self.path, listener.url)
        if kind == "fifos":
            as_fifos(self.path)
        if kind == "links":
            as_links(self.path, watched[1])
        code = Path(r2_router.__path__[0]).parent
        self.env = {
            **os.environ,
            "R2_HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(base / "watch"), str(code)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "R2_TEST_WATCHED": os.pathsep.join(map(str, watched)),
            "R2_TEST_LOG": str(self.log),
            "OPENROUTER_API_KEY": "sk-the-users-own-0123456789",
            "https_proxy": "http://127.0.0.1:9",  # nothing leaves this machine
            "UV_OFFLINE": "1",
            "PIP_NO_INDEX": "1",
            "R2_MODELS_DIR": str(weights.parent),  # the local model really answers
        }

    def run(self, *arguments: str, said: str = "", safe: bool = True) -> subprocess.CompletedProcess[str]:
        """Run python -m ARGUMENTS here; `safe`: as the installed scripts do, which do not look here for modules."""
        return subprocess.run(
            [sys.executable, *(["-P"] if safe else []), "-m", *arguments],
            cwd=self.path,
            env=self.env,
            input=said,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def seen(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path, home: Path, smollm2: Path) -> Generator[Folder]:
    with listening() as listener:
        yield Folder(tmp_path.resolve(), home, smollm2, listener, request.param)


COMMANDS = [
    "setup --dry-run",
    "route hi",
    "explain hi",
    "ask hi --max-tokens 12",
    "ask hi --pool paper --models none*",
    "ask hi --checkpoint mine",
    "ask hi --pool mine",
    "batch OUT/queries.csv --output OUT/batch",
    "serve --host 0.0.0.0",
    "token list",
    "models",
    "models --pool paper --json",
    "models pull mine",
    "doctor",
    "stats",
    "ledger prune --days 30",
    "calibrate",
    "feedback last good",
    "learn",
    "collect --queries OUT/queries.csv --dry-run --output OUT/measured",
    "train --data OUT/none.csv --instruction x --output OUT/heads",
    "evaluate --data OUT/none.csv --output OUT/report",
    "import OUT/none --output OUT/imported",
]


def commands(folder: Folder) -> list[list[str]]:
    return [command.replace("OUT", str(folder.outside)).split() for command in COMMANDS]


def test_no_command_reads_or_asks_anything(folder: Folder) -> None:
    for command in commands(folder):
        done = folder.run("r2_router.cli", *command)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        assert folder.seen() == [], command
        assert folder.listener.connections == 0, command


def test_no_command_is_forgotten() -> None:
    offered = next(a.choices for a in cli.build_parser()._actions if a.choices and "route" in a.choices)
    assert {command.split()[0] for command in COMMANDS} == set(offered)


def test_a_name_that_is_a_folder_here_says_how_to_mean_it(folder: Folder) -> None:
    done = folder.run("r2_router.cli", "route", "hi", "--checkpoint", "mine")
    assert done.returncode == 1
    assert "say ./mine" in done.stderr


def call(number: int, tool: str) -> dict[str, object]:
    params = {"name": tool, "arguments": {"query": "my secret prompt", "max_tokens": 12}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


CONVERSATION = [
    INITIALIZE,
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": "r2://models"}},
    call(3, "route"),
    call(4, "explain_candidates"),
    call(5, "route_and_generate"),
]


@pytest.mark.parametrize("safe", [True, False], ids=["script", "python -m"])
def test_the_server_reads_and_asks_nothing(folder: Folder, safe: bool) -> None:
    """Clients start it in the folder of a project. `python -m` lists the folder before our code begins, no more."""
    process = subprocess.Popen(
        [sys.executable, *(["-P"] if safe else []), "-m", "r2_mcp"],
        cwd=folder.path,
        env=folder.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(json.dumps(message) + "\n" for message in CONVERSATION))
        process.stdin.flush()
        answers: dict[int, dict[str, object]] = {}
        while len(answers) < 5 and (line := process.stdout.readline()):
            said = json.loads(line)
            answers[said.get("id")] = said
        process.stdin.close()
        process.kill()
        assert process.stderr is not None
        assert len(answers) == 5, process.stderr.read()
    result = answers[3]["result"]
    assert isinstance(result, dict)
    assert result["structuredContent"]["model"]
    assert folder.listener.connections == 0
    listed = [] if safe else [f"os.listdir {folder.path}"]
    assert [event for event in folder.seen() if event not in listed] == []


def test_python_m_runs_no_module_of_the_folder(folder: Folder) -> None:
    folder.run("r2_router.cli", "route", "hi", safe=False)
    assert set(folder.seen()) <= {f"os.listdir {folder.path}"}


def test_the_traps_would_be_seen(folder: Folder) -> None:
    """What is watched is watched: a path that is meant is read, and the address in it is told."""
    if not (folder.path / "pool.toml").is_file():
        done = folder.run("r2_router.cli", "models", "--pool", "./pool.toml")
        assert "not a regular file" in done.stderr
        assert folder.seen()
        return
    done = folder.run("r2_router.cli", "models", "--pool", "./pool.toml")
    assert f"open {folder.path / 'pool.toml'}" in folder.seen()
    assert "which is not in your configuration: queries go to http://127.0.0.1:" in done.stderr
    assert "OPENROUTER_API_KEY is not sent to http://127.0.0.1:" in done.stdout
    refused = folder.run("r2_router.cli", "route", "hi", "--checkpoint", "./mine")
    assert "names its pool by something that is no name" in refused.stderr
    assert folder.listener.connections == 0


def test_an_explicit_pool_is_asked_without_the_users_key(folder: Folder) -> None:
    is_file = (folder.path / "pool.toml").is_file()
    done = folder.run("r2_router.cli", "ask", "hi", "--pool", "./pool.toml")
    assert done.returncode == 1
    assert ("OPENROUTER_API_KEY is not sent to" if is_file else "not a regular file") in done.stderr
    assert folder.listener.connections == 0


def test_pictures_take_no_settings_from_here(folder: Folder) -> None:
    code = "from r2_router.lab.evaluation import plots; plots._axes('x', 'y')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=folder.path, env=folder.env, timeout=SECONDS, check=False
    )
    assert done.returncode == 0
    assert folder.seen() == [f"os.chdir {folder.path}"]  # back to where it was
