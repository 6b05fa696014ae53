"""`%%r2` in IPython on a real terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.chat_server import ChatServer

pytestmark = pytest.mark.slow
pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")

CELLS = """
shell = get_ipython()
shell.run_cell("%load_ext r2_magic")
shell.run_cell("%%r2\\nWhat is [red]5[/red]?")
shell.run_cell("%%r2 --min-quality 1\\nx")
"""


def test_a_terminal_gets_colours_the_text_and_a_short_error(server: ChatServer, tmp_path: Path) -> None:
    script = tmp_path / "cells.ipy"
    script.write_text(CELLS)
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-m", "IPython", "--no-banner", "--HistoryManager.enabled=False", str(script)]
    process = subprocess.Popen(command, stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, env=environment)
    os.close(follower)
    shown = read_all(leader)
    assert process.wait() == 0, shown
    assert re.search(r"\x1b\[[0-9;]*m.*█", shown), "no colours"
    assert "Rome is the **capital**." in shown
    assert "NoCandidateError: " in shown
    assert "Traceback" not in shown
    assert server.bodies[0]["messages"][0]["content"].startswith("What is [red]5[/red]?")


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
