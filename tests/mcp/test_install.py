from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from r2_mcp.__main__ import main
from r2_mcp.install import CLIENTS

ENTRY = {"command": "uvx", "args": ["r2-mcp"]}


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every client's file lands in tmp_path."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
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
    assert {**document[CLIENTS[name].key]["r2"], **ENTRY} == document[CLIENTS[name].key]["r2"]


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [
        ("claude-code", ".mcp.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", ".vscode/mcp.json", "servers"),
        ("codex", ".codex/config.toml", "mcp_servers"),
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
    assert _parsed((folders / file).read_text(), folders / file)[key]["r2"]["command"] == "uvx"


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


@pytest.mark.parametrize("text", ["{// mine\n}", "[]", '{"servers": []}', "{"])
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
