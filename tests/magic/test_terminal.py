"""`%%r2` in IPython, and `r2-router ask`, on a real terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.chat_server import ChatServer, says

pytestmark = pytest.mark.slow
pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")


@pytest.fixture(autouse=True)
def _own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


CELLS = """
shell = get_ipython()
shell.run_cell("%load_ext r2_magic")
shell.run_cell("%%r2\\nWhat is [red]5[/red]?")
shell.run_cell("%%r2 --min-quality 1\\nx")
"""


DRIVES = (
    "\x1b[2Jwi",
    "ped \x1b",
    "]0;title\x07 \x9b31m \u202eabc ",
    "over\rwritten \x1b]8;;http://a.example\x1b\\\\",
    "x\n\tend",
)
_QUIET = ("--TerminalInteractiveShell.term_title=False",)  # IPython 7 writes one with escapes of its own
READS = r"\x1b[2Jwiped \x1b]0;title\x07 \x9b31m \u202eabc over\rwritten \x1b]8;;http://a.example\x1b" + "\\\\x"


def test_a_terminal_gets_colours_the_text_and_a_short_error(server: ChatServer, tmp_path: Path) -> None:
    shown = on_a_terminal(cells(tmp_path, CELLS))
    assert re.search(r"\x1b\[[0-9;]*m.*█", shown), "no colours"
    assert "Rome is the **capital**." in shown
    assert "NoCandidateError: " in shown
    assert "Traceback" not in shown
    assert server.bodies[0]["messages"][0]["content"].startswith("What is [red]5[/red]?")


def test_what_is_waited_for_is_said_and_gone_when_the_answer_comes(server: ChatServer, tmp_path: Path) -> None:
    shown = on_a_terminal(cells(tmp_path, CELLS))
    gone = re.escape("\x1b[0m\r\x1b[K")
    assert re.search(f"loading the router …{gone}", shown)
    assert re.search(f"asking [^\x1b]+ …{gone}Rome is", shown)
    assert shown.count("loading the router") == 1


@pytest.mark.parametrize("option", ["", "--no-stream", "--format text --no-stream"])
def test_an_answer_cannot_drive_the_terminal_of_a_cell(option: str, server: ChatServer, tmp_path: Path) -> None:
    server.then(says(*DRIVES))
    cell = f'get_ipython().run_cell("%load_ext r2_magic")\nget_ipython().run_cell("%%r2 --quiet {option}\\nx")\n'
    assert harmless(on_a_terminal(cells(tmp_path, cell)))


def test_an_answer_cannot_drive_the_terminal_of_a_command(server: ChatServer) -> None:
    server.then(says(*DRIVES))
    assert harmless(on_a_terminal([sys.executable, "-m", "r2_router.cli", "ask", "x"]))


def test_a_pipe_gets_the_answer_as_it_is(server: ChatServer) -> None:
    server.then(says(*DRIVES))
    done = subprocess.run([sys.executable, "-m", "r2_router.cli", "ask", "x"], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(DRIVES) + os.linesep


def harmless(shown: str) -> bool:
    """Whether the answer stands in `shown` to be read, and nothing of it was left for the terminal to obey."""
    assert READS in shown, shown
    return not any(drives in shown for drives in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\u202e", "over\r"))


def cells(folder: Path, text: str) -> list[str]:
    """The command that runs `text` in IPython."""
    script = folder / "cells.ipy"
    script.write_text(text)
    return [sys.executable, "-m", "IPython", "--no-banner", "--HistoryManager.enabled=False", *_QUIET, str(script)]


def on_a_terminal(command: list[str]) -> str:
    """What `command` writes to a terminal of its own."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140"}
    process = subprocess.Popen(command, stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, env=environment)
    os.close(follower)
    shown = read_all(leader)
    assert process.wait() == 0, shown
    return shown


def read_all(leader: int) -> str:
    shown = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:  # the terminal's other end is closed
            break
        if not block:
            break
        shown += block
    os.close(leader)
    return shown.decode()
