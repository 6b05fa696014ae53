"""A shell with the magic loaded, and a chat server that its answers come from."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, chat_server, says

from r2_magic.function import _session

REPLY = ("Rome is ", "the **capital**.")

POOL = """
[pool]
name = "loopback"
base_url = "{url}"

[models.SmolLM2-135M-Instruct]
id = "vendor/small"
usd_per_million = [0.05, 0.1]

[models."Qwen2.5-Coder-0.5B-Instruct"]
id = "vendor/middle"
usd_per_million = [0.1, 0.4]

[models."Qwen2.5-Coder-1.5B-Instruct"]
id = "vendor/large"
usd_per_million = [0.2, 0.6]
"""


@pytest.fixture(autouse=True)
def fresh_function() -> None:
    """The function `r2` reads the settings of each test anew."""
    _session.cache_clear()


@pytest.fixture
def server(home: Path) -> Generator[ChatServer]:
    """The server of every model of the configured pool."""
    with chat_server(says(*REPLY)) as running:
        (home / "loopback.toml").write_text(POOL.format(url=running.url))
        (home / "config.toml").write_text(f'pool = "{home / "loopback.toml"}"\n')
        yield running


@dataclass
class Ran:
    """What a cell gave: its result, its error, what it printed, and the bundles it displayed."""

    result: Any
    error: BaseException | None
    printed: str
    errors: str
    bundles: list[dict[str, Any]]


class Shell:
    """An IPython shell to run cells in."""

    def __init__(self, ip: Any) -> None:
        self.ip = ip
        self._results: list[dict[str, Any]] = []
        ip.displayhook.write_output_prompt = lambda: None
        ip.displayhook.write_format_data = lambda data, metadata=None: self._results.append(data)

    def run(self, cell: str) -> Ran:
        from IPython.utils.capture import capture_output

        self._results.clear()
        with capture_output() as captured:
            outcome = self.ip.run_cell(cell, store_history=True)
        bundles = [*(output.data for output in captured.outputs), *self._results]
        error = outcome.error_before_exec or outcome.error_in_exec
        return Ran(outcome.result, error, captured.stdout, captured.stderr, bundles)

    def complete(self, line: str) -> list[str]:
        """What Tab offers at the end of `line`."""
        from IPython.core.completer import provisionalcompleter

        with provisionalcompleter():
            return [completion.text for completion in self.ip.Completer.completions(line, len(line))]


@pytest.fixture
def bare_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Shell]:
    """A shell without the magic."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config
    config = Config()
    config.HistoryManager.enabled = False
    ip = InteractiveShell.instance(config=config, colors="nocolor")
    yield Shell(ip)
    InteractiveShell.clear_instance()
    atexit.unregister(ip.atexit_operations)  # collects all garbage, for each shell that there was: half a minute


@pytest.fixture
def shell(bare_shell: Shell, server: ChatServer) -> Shell:
    """A shell with the magic, answered by `server`."""
    assert bare_shell.run("%load_ext r2_magic").error is None
    return bare_shell
