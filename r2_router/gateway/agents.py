"""What a coding agent must be told to ask the gateway: its own settings, to be shown or merged into its file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r2_router.config.client_files import Values, document_of, dot_config, merge, render
from r2_router.gateway.api import ROUTED

NO_TOKEN = "any"  # what stands for a key where the gateway asks for none
_SMALL = f"{ROUTED}:economy"  # for titles, summaries and the like


@dataclass(frozen=True, slots=True)
class Agent:
    """Where an agent keeps its settings, and which are ours: made of the gateway's address and the key to send, which
    is the name of a variable where the agent reads one (`key_variable`)."""

    file: Callable[[], Path]
    values: Callable[[str, str], Values]
    start: str
    key_variable: str = ""


def _claude_code(url: str, key: str) -> Values:
    return {
        ("env",): {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": key,
            "ANTHROPIC_MODEL": ROUTED,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": _SMALL,
        }
    }


def _codex(url: str, key: str) -> Values:
    provider = {"name": ROUTED, "base_url": f"{url}/v1", "wire_api": "responses", "env_key": key}
    return {("model",): ROUTED, ("model_provider",): ROUTED, ("model_providers", ROUTED): provider}


def _opencode(url: str, key: str) -> Values:
    provider: Mapping[str, Any] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": ROUTED,
        "options": {"baseURL": f"{url}/v1", "apiKey": key},
        "models": {ROUTED: {"name": ROUTED}, _SMALL: {"name": _SMALL}},
    }
    return {
        ("model",): f"{ROUTED}/{ROUTED}",
        ("small_model",): f"{ROUTED}/{_SMALL}",
        ("provider", ROUTED): provider,
    }


AGENTS: Mapping[str, Agent] = {
    "claude-code": Agent(lambda: Path.home() / ".claude" / "settings.json", _claude_code, "claude"),
    "codex": Agent(
        lambda: Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml",
        _codex,
        "codex",
        key_variable="R2_GATEWAY_TOKEN",
    ),
    "opencode": Agent(lambda: dot_config() / "opencode" / "opencode.json", _opencode, "opencode"),
}


def settings_of(name: str, url: str) -> tuple[Path, str]:
    """The file of an agent and what is to stand in it, as text."""
    agent = AGENTS[name]
    return agent.file(), render(agent.file(), document_of(_values(agent, url)))


def write_settings(name: str, url: str) -> tuple[Path, bool]:
    """Merge them into that file, a copy of which is kept; whether anything had to be changed. Raises ConfigError."""
    agent = AGENTS[name]
    return agent.file(), merge(agent.file(), _values(agent, url), what="these settings")


def _values(agent: Agent, url: str) -> Values:
    return agent.values(url, agent.key_variable or NO_TOKEN)
