"""`r2-mcp install CLIENT`: the client's own configuration for this server, printed or merged into its file."""

from __future__ import annotations

import argparse
import base64
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from r2_router.config.client_files import application_support, dot_config, merge, render
from r2_router.errors import R2Error

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]

Command: TypeAlias = list[str]

NAME = "r2"


@dataclass(frozen=True, slots=True)
class Client:
    """Where a client keeps its servers: the file, the key in it, how it writes the entry of a command; `hint` is
    another way in."""

    file: Callable[[], Path]
    key: str
    entry: Callable[[Command], dict[str, Any]] = lambda command: {"command": command[0], "args": command[1:]}
    hint: Callable[[Command], str] = lambda command: ""


def server_command() -> Command:
    """What starts this very server: by uv's tool runner where it was started so, else by this Python."""
    if Path(sys.prefix).parent.name.startswith("archive-v"):  # uv makes such an environment anew at any time
        return ["uvx", *_from(), "r2-mcp"]
    return [sys.executable, "-m", "r2_mcp"]


def _from() -> list[str]:
    """Where uv is to take the package from: its index, or what it was installed from (PEP 610)."""
    with suppress(PackageNotFoundError, ValueError, TypeError, KeyError):
        stated: object = json.loads(distribution("r2-mcp").read_text("direct_url.json") or "")["url"]
        return ["--from", str(stated).removeprefix("file://")]
    return []


def _stdio(command: Command) -> dict[str, Any]:
    return {"type": "stdio", "command": command[0], "args": command[1:]}


def _opencode(command: Command) -> dict[str, Any]:
    return {"type": "local", "command": command, "enabled": True}


def _added_by(program: str) -> Callable[[Command], str]:
    return lambda command: f"{program} mcp add {NAME} -- {_typed(command)}"


def _typed(command: Command) -> str:
    """As it is typed into a shell of this system."""
    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)


def _cursor_link(command: Command) -> str:
    entry = base64.b64encode(json.dumps({"command": command[0], "args": command[1:]}).encode()).decode()
    return f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={quote(entry, safe='')}"


def _vscode_link(command: Command) -> str:
    return f"vscode:mcp/install?{quote(json.dumps({'name': NAME, **_stdio(command)}), safe='')}"


def _zed() -> Path:
    return (application_support() if sys.platform == "win32" else dot_config()) / "zed" / "settings.json"


CLIENTS = {
    "claude-code": Client(lambda: Path(".mcp.json"), "mcpServers", _stdio, _added_by("claude")),
    "claude-desktop": Client(lambda: application_support() / "Claude" / "claude_desktop_config.json", "mcpServers"),
    "codex": Client(
        lambda: Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml",
        "mcp_servers",
        hint=_added_by("codex"),
    ),
    "continue": Client(lambda: Path(".continue") / "mcpServers" / f"{NAME}.json", "mcpServers"),
    "copilot": Client(
        lambda: Path(os.environ.get("COPILOT_HOME") or Path.home() / ".copilot") / "mcp-config.json",
        "mcpServers",
        hint=_added_by("copilot"),
    ),
    "cursor": Client(lambda: Path.home() / ".cursor" / "mcp.json", "mcpServers", hint=_cursor_link),
    "gemini": Client(lambda: Path.home() / ".gemini" / "settings.json", "mcpServers"),
    "opencode": Client(lambda: dot_config() / "opencode" / "opencode.json", "mcp", _opencode),
    "qwen": Client(lambda: Path.home() / ".qwen" / "settings.json", "mcpServers"),
    "vscode": Client(lambda: Path(".vscode") / "mcp.json", "servers", _stdio, _vscode_link),
    "windsurf": Client(lambda: Path.home() / ".codeium" / "windsurf" / "mcp_config.json", "mcpServers"),
    "zed": Client(_zed, "context_servers"),
}


def register(commands: Commands) -> None:
    parser = commands.add_parser(
        "install",
        help="print a client's configuration for this server, or write it",
        description="Print what to put into the client's configuration. With --write it is merged into its file; "
        "the old file is kept beside it with .bak at its end. Keys are not written: they stay in the environment "
        "or in keys.toml.",
    )
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--write", action="store_true", help="merge it into the client's file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    client, command = CLIENTS[args.client], server_command()
    path = client.file()
    if args.write:
        message = f"wrote {path}" if write(client, path, command) else f"{path} already has it"
        sys.stderr.write(f"{message}\n")
    else:
        sys.stdout.write(render(path, {client.key: {NAME: client.entry(command)}}) + "\n")
        sys.stdout.flush()
        hint = client.hint(command)
        word = "open" if "://" in hint or hint.startswith("vscode:") else "run"
        sys.stderr.write(f"Put this into {path}{f', or {word}: {hint}' if hint else ''}\n")
    if missing := nothing_to_ask():
        sys.stderr.write(f"{missing}\n")
    return 0


def nothing_to_ask() -> str:
    """ "" or that no model can be asked yet, and the command that mends it, as it runs from here."""
    from r2_router.router import router_for

    try:
        router = router_for("mcp")
        if any(not router.not_ready(model) for model in router.models):
            return ""
    except R2Error as error:
        return f"The server will not answer yet: {error}"
    start = [sys.executable, "-m", "r2_router.cli"] if server_command()[0] == sys.executable else ["uvx", *_from()]
    setup = _typed([*start, *(["r2-router"] if start[0] == "uvx" else []), "setup"])
    return f"No model can be asked yet, so only `route` and `explain_candidates` work. To set one up: {setup}"


def write(client: Client, path: Path, command: Command) -> bool:
    """Merge the entry into the file at `path`; whether anything had to be changed. Raises what `merge` raises."""
    return merge(path, {(client.key, NAME): client.entry(command)}, what="the server")
