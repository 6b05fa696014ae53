"""A log of conversations in the form of a public one: each message of the model is a request, and no call is lost."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest


def call(name: str) -> dict[str, Any]:
    return {"id": f"call-{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}


def tried(task: int, trial: int = 0) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are the clerk of an airline."},
        {"role": "user", "content": f"What does booking {task} cost?"},
        {"role": "assistant", "content": None, "tool_calls": [call("find_booking")]},
        {"role": "tool", "tool_call_id": "call-find_booking", "name": "find_booking", "content": "$120"},
        {"role": "assistant", "content": "It costs $120.", "tool_calls": None},
        {"role": "user", "content": "Thanks!"},
        {"role": "assistant", "content": "You are welcome."},
        {"role": "user", "content": "###STOP###"},
    ]
    return {"task_id": task, "trial": trial, "traj": messages}


@pytest.mark.slow
def test_a_log_is_played_in_every_way(
    benchmarks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    public = importlib.import_module("public_sessions")
    log, told = tmp_path / "log.json", {}
    log.write_text(json.dumps([tried(1), tried(2), tried(2, trial=1)]))
    monkeypatch.setattr(sys, "argv", ["public_sessions.py", str(log)])
    monkeypatch.setattr(public, "WORTHS", (0.1,))
    monkeypatch.setattr(public, "publish", lambda name, command, found: told.update(found))
    public.main()
    assert (told["sessions"], told["requests"], told["tools"], told["requests_with_a_call_lost"]) == (2, 6, 1, 0)
    (ways,) = told["worths"].values()
    assert list(ways) == list(public.WAYS)
    assert ways["always the strongest"]["billed_usd"] > ways["always the cheapest"]["billed_usd"] > 0
    assert ways["pinned to the first"]["switches"] == 0
    assert "always the strongest" in capsys.readouterr().out
