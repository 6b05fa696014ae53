from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from r2_mcp.__main__ import main
from r2_mcp.install import CLIENTS, server_command
from r2_router.config import jsonc

ENTRY = {"command": sys.executable, "args": ["-m", "r2_mcp"]}


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every client's file lands in tmp_path."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for variable in ("CODEX_HOME", "COPILOT_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _parsed(text: str, path: Path) -> dict:
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


@pytest.mark.parametrize("name", CLIENTS)
def test_what_is_printed_is_what_is_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = CLIENTS[name].file()
    assert main(["install", name]) == 0
    printed = capsys.readouterr()
    assert not path.exists()
    assert str(path) in printed.err
    assert main(["install", name, "--write"]) == 0
    document = _parsed(printed.out, path)
    assert _parsed(path.read_text(), path) == document
    assert document[CLIENTS[name].key]["r2"] == CLIENTS[name].entry([sys.executable, "-m", "r2_mcp"])


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [
        ("claude-code", ".mcp.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", ".vscode/mcp.json", "servers"),
        ("codex", ".codex/config.toml", "mcp_servers"),
        ("copilot", ".copilot/mcp-config.json", "mcpServers"),
        ("windsurf", ".codeium/windsurf/mcp_config.json", "mcpServers"),
        ("gemini", ".gemini/settings.json", "mcpServers"),
        ("qwen", ".qwen/settings.json", "mcpServers"),
        ("continue", ".continue/mcpServers/r2.json", "mcpServers"),
        pytest.param(
            "claude-desktop",
            ".config/Claude/claude_desktop_config.json",
            "mcpServers",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="the path is Linux's"),
        ),
    ],
)
def test_each_client_has_its_own_file_and_key(folders: Path, name: str, file: str, key: str) -> None:
    main(["install", name, "--write"])
    assert _parsed((folders / file).read_text(), folders / file)[key]["r2"]["command"] == sys.executable


def test_what_else_the_file_holds_stays_and_a_backup_is_kept(folders: Path) -> None:
    file = folders / ".cursor" / "mcp.json"
    file.parent.mkdir()
    old = '{"theme": "dün", "mcpServers": {"other": {"command": "x"}, "r2": {"command": "old", "env": {"A": "b"}}}}'
    file.write_text(old, encoding="utf-8")
    assert main(["install", "cursor", "--write"]) == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["theme"] == "dün"
    assert found["mcpServers"] == {"other": {"command": "x"}, "r2": {**ENTRY, "env": {"A": "b"}}}
    assert (folders / ".cursor" / "mcp.json.bak").read_text(encoding="utf-8") == old


def test_toml_keeps_its_comments(folders: Path) -> None:
    file = folders / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text('# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y" # why\n')
    assert main(["install", "codex", "--write"]) == 0
    text = file.read_text()
    assert "# mine" in text
    assert "# why" in text
    assert tomllib.loads(text)["mcp_servers"] == {"other": {"command": "y"}, "r2": ENTRY}


def test_writing_twice_changes_nothing(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["install", "vscode", "--write"])
    file = folders / ".vscode" / "mcp.json"
    before = file.stat().st_mtime_ns
    assert main(["install", "vscode", "--write"]) == 0
    assert "already has it" in capsys.readouterr().err
    assert file.stat().st_mtime_ns == before
    assert not file.with_name("mcp.json.bak").exists()


@pytest.mark.parametrize(
    "text", ["[]", '{"servers": []}', "{", "{/*", '{"servers": {}} x', '{"servers": {}, "servers": {"a": {}}}']
)
def test_a_file_that_cannot_be_understood_is_left_alone(
    folders: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folders / ".vscode" / "mcp.json"
    file.parent.mkdir()
    file.write_text(text)
    assert main(["install", "vscode", "--write"]) == 1
    assert "by hand" in capsys.readouterr().err
    assert file.read_text() == text
    assert [p.name for p in file.parent.iterdir()] == ["mcp.json"]


COMMENTED = """\
{
    // my servers
    "servers": {
        "other": {
            "command": "x", // "not": a key
            "args": ["// no comment", "/* nor this */",],
        }, /* why */
        // "r2": {}
    },
    "inputs": [1, 2,], // all
}
"""


def test_comments_and_trailing_commas_stay(folders: Path) -> None:
    file = folders / ".vscode" / "mcp.json"
    file.parent.mkdir()
    file.write_text(COMMENTED)
    assert main(["install", "vscode", "--write"]) == 0
    text = file.read_text()
    entry = '        "r2": {\n          "type": "stdio",\n          "command": ' + json.dumps(sys.executable)
    assert text.startswith(COMMENTED[: COMMENTED.index('    },\n    "inputs')] + entry)
    assert text.endswith(COMMENTED[COMMENTED.index('    },\n    "inputs') :])
    assert jsonc.loads(text)["servers"]["other"]["args"] == ["// no comment", "/* nor this */"]
    assert main(["install", "vscode", "--write"]) == 0
    assert file.read_text() == text


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_mode_link_and_bom_stay(folders: Path, mode: int) -> None:
    real, file = folders / "dotfiles.json", folders / ".cursor" / "mcp.json"
    file.parent.mkdir()
    real.write_bytes(b'\xef\xbb\xbf{"mcpServers": {"other": {"env": {"KEY": "secret"}}}}')
    real.chmod(mode)
    file.symlink_to(real)
    old = real.read_bytes()
    assert main(["install", "cursor", "--write"]) == 0
    backup = file.with_name("mcp.json.bak")
    assert file.is_symlink()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (real, backup)] == [mode, mode]
    assert backup.read_bytes() == old
    assert real.read_bytes().startswith(b"\xef\xbb\xbf{")
    assert json.loads(real.read_text(encoding="utf-8-sig"))["mcpServers"]["r2"] == ENTRY
    assert sorted(path.name for path in file.parent.iterdir()) == ["mcp.json", "mcp.json.bak"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links")
def test_a_backup_follows_no_link_of_somebody_elses(folders: Path) -> None:
    precious = folders / "precious"
    precious.write_text("mine")
    Path(".mcp.json").write_text('{"mcpServers": {}}')
    Path(".mcp.json.bak").symlink_to(precious)
    assert main(["install", "claude-code", "--write"]) == 0
    assert precious.read_text() == "mine"
    assert Path(".mcp.json.bak").read_text() == '{"mcpServers": {}}'


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links")
def test_a_projects_file_that_leads_out_of_the_project_is_left_alone(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project, outside = folders / "project", folders / "outside.json"
    project.mkdir()
    monkeypatch.chdir(project)
    outside.write_text("{}")
    Path(".mcp.json").symlink_to(outside)
    assert main(["install", "claude-code", "--write"]) == 1
    assert "leads out of this folder" in capsys.readouterr().err
    assert outside.read_text() == "{}"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX FIFOs")
def test_a_fifo_is_not_waited_for(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(".mcp.json")
    assert main(["install", "claude-code", "--write"]) == 1
    assert "not a regular file" in capsys.readouterr().err


def test_what_is_written_starts_the_server(folders: Path) -> None:
    assert main(["install", "claude-code", "--write"]) == 0
    entry = json.loads(Path(".mcp.json").read_text())["mcpServers"]["r2"]
    done = subprocess.run(
        [entry["command"], *entry["args"], "--version"], check=True, capture_output=True, text=True, cwd=folders
    )
    assert done.stdout.startswith("r2-mcp ")


def test_by_uvs_tool_runner_it_is_started_so_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/cache/uv/archive-v0/abc")
    command = server_command()
    assert (command[0], command[-1]) == ("uvx", "r2-mcp")
    assert command[1:-1] in ([], ["--from", command[2] if len(command) > 3 else ""])


@pytest.mark.parametrize(("name", "scheme"), [("cursor", "cursor://"), ("vscode", "vscode:mcp/install?")])
def test_a_link_holds_what_would_be_written(name: str, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", name]) == 0
    link = next(word for word in capsys.readouterr().err.split() if word.startswith(scheme))
    query = unquote(link.partition("?")[2])
    held = json.loads(base64.b64decode(query.partition("config=")[2]) if name == "cursor" else query)
    assert {**held, **ENTRY} == held


def test_where_no_model_can_be_asked_the_command_that_mends_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "cursor"]) == 0
    assert f"{sys.executable} -m r2_router.cli setup" in capsys.readouterr().err


def test_an_unknown_client_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["install", "emacs"])
    assert "claude-code" in capsys.readouterr().err


def test_server_json_fits_the_package() -> None:
    import r2_mcp
    import r2_router

    file = Path(r2_mcp.__file__).parent.parent / "server.json"
    if not file.exists():
        pytest.skip("server.json stands in the checkout only")
    found = json.loads(file.read_text())
    assert found["version"] == found["packages"][0]["version"] == r2_router.__version__
    assert found["packages"][0]["identifier"] == "r2-mcp"
    assert len(found["description"]) <= 100


def test_the_readmes_links_install_what_they_say() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    links = dict(re.findall(r"\[add to (Cursor|VS Code)\]\((https://[^)]+)\)", readme))
    cursor, vscode = (parse_qs(urlsplit(links[name]).query) for name in ("Cursor", "VS Code"))
    command = ["uvx", "r2-mcp"]
    assert cursor["name"] == vscode["name"] == ["r2"]
    assert json.loads(base64.b64decode(cursor["config"][0])) == CLIENTS["cursor"].entry(command)
    assert json.loads(vscode["config"][0]) == CLIENTS["vscode"].entry(command)
