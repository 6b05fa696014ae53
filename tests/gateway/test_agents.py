"""The settings of coding agents: shown, or merged into their own files. tests/gateway/clients runs the agents."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.command import run_command

from r2_router.gateway.agents import AGENTS


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
    return tmp_path


def read(text: str, file: Path) -> dict[str, Any]:
    return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)


@pytest.mark.parametrize("name", AGENTS)
def test_what_is_printed_is_what_is_written(name: str) -> None:
    file = AGENTS[name].file()
    printed = run_command("serve", "--for", name)
    assert (printed.returncode, file.exists()) == (0, False)
    assert str(file) in printed.stderr
    assert run_command("serve", "--for", name, "--write").returncode == 0
    assert read(file.read_text(), file) == read(printed.stdout, file)
    assert "127.0.0.1:4280" in printed.stdout
    assert "already has it" in run_command("serve", "--for", name, "--write").stderr


def test_what_else_a_file_holds_stays_and_a_copy_of_it(user: Path) -> None:
    file = user / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{\n  // mine\n  "env": {"EDITOR": "vi"},\n  "theme": "dark"\n}')
    assert run_command("serve", "--for", "claude-code", "--write", "--port", "5000").returncode == 0
    text = file.read_text()
    assert "// mine" in text
    assert '"EDITOR": "vi"' in text
    assert '"ANTHROPIC_BASE_URL": "http://127.0.0.1:5000"' in text
    assert '"theme": "dark"' in text
    assert file.with_name("settings.json.bak").read_text().startswith("{\n  // mine")


def test_a_gateway_of_a_team_is_asked_by_its_name(user: Path) -> None:
    printed = run_command("serve", "--for", "codex", "--allowed-host", "r2.example.org")
    provider = tomllib.loads(printed.stdout)["model_providers"]["r2"]
    assert (provider["base_url"], provider["env_key"]) == ("https://r2.example.org/v1", "R2_GATEWAY_TOKEN")
    assert "R2_GATEWAY_TOKEN" in printed.stderr


def test_write_wants_an_agent() -> None:
    done = run_command("serve", "--write")
    assert (done.returncode, "--for" in done.stderr) == (1, True)
