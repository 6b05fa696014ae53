"""Typed, key by key, as in a terminal: `%%r2` and Enter waits for its cell, and the answer appears."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, chat_server, says
from support.collecting import write_inputs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals that a test can type into"),
]

PROGRAMS = {"ipython": ["-m", "IPython", "--no-banner"], "jupyter console": ["-m", "jupyter_console"]}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(says("Packets ", "in the ", "rain")) as server:
        yield server


@pytest.fixture(params=PROGRAMS)
def terminal(request: pytest.FixtureRequest, home: Path, tmp_path: Path, server: ChatServer) -> Iterator[Any]:
    import pexpect

    pool = write_inputs(tmp_path, server.url, 1)[1]
    env = {**os.environ, "R2_POOL": str(pool), "TERM": "xterm", "IPYTHONDIR": str(tmp_path / "ipython")}
    child = pexpect.spawn(
        sys.executable, PROGRAMS[request.param], env=env, encoding="utf-8", timeout=60, dimensions=(60, 160)
    )
    child.expect(r"In ")
    child.send("%load_ext r2_magic\r")
    child.expect(r"In .*2")
    yield child
    child.close(force=True)


def test_a_cell_is_typed_to_its_end_and_then_answered(terminal: Any, server: ChatServer) -> None:
    terminal.send("%%r2\r")
    terminal.expect(r"\.\.\.:")  # it waits for the prompt
    assert server.bodies == []
    terminal.send("Write a haiku about routers.\r")
    terminal.expect(r"\.\.\.:")
    terminal.send("\r")
    terminal.expect(r"\.\.\.:")
    terminal.send("\r")
    terminal.expect("Packets in the rain")
    assert server.bodies[0]["messages"][-1]["content"].startswith("Write a haiku about routers.")
