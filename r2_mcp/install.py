"""`r2-mcp install CLIENT`: the client's own configuration for this server, printed or merged into its file."""

from __future__ import annotations

import argparse
import base64
import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote

from r2_mcp import jsonc
from r2_router.config.safe_files import read_plain, replace_file
from r2_router.errors import ConfigError, R2Error

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]

Command: TypeAlias = list[str]

NAME = "r2"
_MAX_BYTES = 16 << 20


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


def _application_support() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _dot_config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _zed() -> Path:
    return (_application_support() if sys.platform == "win32" else _dot_config()) / "zed" / "settings.json"


CLIENTS = {
    "claude-code": Client(lambda: Path(".mcp.json"), "mcpServers", _stdio, _added_by("claude")),
    "claude-desktop": Client(lambda: _application_support() / "Claude" / "claude_desktop_config.json", "mcpServers"),
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
    "opencode": Client(lambda: _dot_config() / "opencode" / "opencode.json", "mcp", _opencode),
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
        sys.stdout.write(_render(path, {client.key: {NAME: client.entry(command)}}) + "\n")
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
    """Merge the entry into the file at `path`; whether anything had to be changed.

    What else it holds stays, comments, mode and link included. Raises ConfigError, and changes nothing, where the file
    is not what the client would read.
    """
    _check_inside(path)
    try:
        data = read_plain(path, _MAX_BYTES) if path.exists() else b""
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than {_MAX_BYTES >> 20} MiB, so it is left alone.")
    document = _parse(path, text)
    found = document.get(client.key, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: '{client.key}' is not a table of servers. Mend it, or add the server by hand.")
    old = cast("dict[str, Any]", found).get(NAME)
    entry = {**(cast("dict[str, Any]", old) if isinstance(old, dict) else {}), **client.entry(command)}
    if entry == old:
        return False
    changed = _changed(client, path, text, document, entry)
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    try:
        if data:
            _keep(path, data)
        replace_file(path, mark + changed.encode(), private=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from None
    return True


def _check_inside(path: Path) -> None:
    """Raise ConfigError where a file of the working folder is a link out of it, made by whom we cannot know."""
    if not path.is_absolute() and not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise ConfigError(
            f"{path} leads out of this folder, to {path.resolve()}. Write there yourself, if that is meant."
        )


def _keep(path: Path, data: bytes) -> None:
    """The old file beside it, readable for whom it was. A link in its place is not followed."""
    backup = path.with_name(path.name + ".bak")
    replace_file(backup, data, follow=False)
    backup.chmod(stat.S_IMODE(path.stat().st_mode))


def _parse(path: Path, text: str) -> dict[str, Any]:
    """The document in the file; empty for no text."""
    try:
        if path.suffix == ".toml":
            import tomlkit

            return tomlkit.parse(text)
        found: object = jsonc.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read, so it is left alone ({error}). Add the server by hand.") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path} does not hold an object, so it is left alone. Add the server by hand.")
    return cast("dict[str, Any]", found)


def _changed(client: Client, path: Path, text: str, document: dict[str, Any], entry: dict[str, Any]) -> str:
    """The text of the file with the entry in it."""
    if path.suffix == ".toml" or not text.strip():
        document.setdefault(client.key, {})[NAME] = entry
        return _render(path, document) + "\n"
    try:
        return jsonc.put(text, (client.key, NAME), entry)
    except (ValueError, IndexError) as error:
        raise ConfigError(
            f"{path} cannot be changed in place ({error}), so it is left alone. Add this by hand: "
            f"{json.dumps({client.key: {NAME: entry}}, ensure_ascii=False)}"
        ) from None


def _render(path: Path, document: dict[str, Any]) -> str:
    if path.suffix == ".toml":
        import tomlkit

        return tomlkit.dumps(document).strip()
    return json.dumps(document, indent=2, ensure_ascii=False)
