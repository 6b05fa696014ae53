"""`r2-mcp install CLIENT`: the client's own configuration for this server, printed or merged into its file."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from r2_mcp import jsonc
from r2_router.config.safe_files import read_plain, replace_file
from r2_router.errors import ConfigError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]

NAME = "r2"
_MAX_BYTES = 16 << 20
_COMMAND = {"command": "uvx", "args": ["r2-mcp"]}


@dataclass(frozen=True, slots=True)
class Client:
    """Where a client keeps its servers: the file, the key in it, the entry; `hint` is another way in."""

    file: Callable[[], Path]
    key: str
    entry: dict[str, Any]
    hint: str = ""


def _claude_desktop() -> Path:
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "Claude" / "claude_desktop_config.json"


def _codex() -> Path:
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml"


CLIENTS = {
    "claude-code": Client(
        lambda: Path(".mcp.json"), "mcpServers", {"type": "stdio", **_COMMAND}, "claude mcp add r2 -- uvx r2-mcp"
    ),
    "claude-desktop": Client(_claude_desktop, "mcpServers", _COMMAND),
    "cursor": Client(lambda: Path.home() / ".cursor" / "mcp.json", "mcpServers", _COMMAND),
    "vscode": Client(lambda: Path(".vscode") / "mcp.json", "servers", {"type": "stdio", **_COMMAND}),
    "codex": Client(_codex, "mcp_servers", _COMMAND, "codex mcp add r2 -- uvx r2-mcp"),
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
    client = CLIENTS[args.client]
    path = client.file()
    if args.write:
        message = f"wrote {path}" if write(client, path) else f"{path} already has it"
        sys.stderr.write(f"{message}\n")
        return 0
    sys.stdout.write(_render(path, {client.key: {NAME: client.entry}}) + "\n")
    sys.stdout.flush()
    sys.stderr.write(f"Put this into {path}{f', or run: {client.hint}' if client.hint else ''}\n")
    return 0


def write(client: Client, path: Path) -> bool:
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
    entry = {**(cast("dict[str, Any]", old) if isinstance(old, dict) else {}), **client.entry}
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
