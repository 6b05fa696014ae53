"""A folder full of traps: everything a command might read where it is started, in the hands of somebody else."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from r2_router.config.folders import shipped

# Put on PYTHONPATH as sitecustomize: tells of every event that names something in the folders watched. Python's hooks
# cannot be taken off again, and run in every process that inherits the environment.
WATCH = """
import os, sys
folders = os.environ["R2_TEST_WATCHED"].split(os.pathsep)
log = os.open(os.environ["R2_TEST_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def hook(event, arguments):
    if event == "import":
        arguments = arguments[1:2]
    elif event == "open":
        arguments = arguments[:1]
    elif event in ("os.putenv", "os.unsetenv") or not event.startswith(
        ("os.", "shutil.", "glob.", "sqlite3.connect", "ctypes.dlopen", "pty.")
    ):
        return
    elif event in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # a name in an open folder, not in this one
        return
    for said in arguments:
        if not isinstance(said, (str, bytes, os.PathLike)):
            continue
        name = os.fsdecode(said).removeprefix("file:")
        path = os.path.abspath(name) if name else os.getcwd()
        for folder in folders:
            if path == folder or path.startswith(folder + os.sep):
                os.write(log, os.fsencode(f"{event} {path}\\n"))

sys.addaudithook(hook)
"""
# What a module under a library's name would do: tell that it ran.
MODULE = """
import os
with open(os.environ["R2_TEST_LOG"], "a") as log:
    log.write("RUN " + __file__ + "\\n")
raise SystemExit("trapped")
"""
MODULES = ("numpy", "httpx", "json", "rich", "mcp", "platformdirs", "tomlkit", "safetensors", "xllamacpp", "IPython")
CHECKPOINTS = ("local", "release", "mine", "checkpoints/local", "data/checkpoints/mine", "_data/checkpoints/local")
POOLS = (
    *("local.toml", "paper.toml", "mine.toml", "pool.toml"),
    *("pools/local.toml", "pools/mine.toml", "config/pools/local.toml"),
)
SETTINGS = ("config.toml", "defaults.toml", "config/defaults.toml", "r2-router/config.toml", ".r2-router/config.toml")
OTHERS = {
    "keys.toml": 'OPENROUTER_API_KEY = "sk-somebody-elses"\n',
    "providers.toml": '[evil]\nbase_url = "URL"\napi_key_env = "OPENROUTER_API_KEY"\n',
    "weights.toml": '[mine]\nfile = "x.gguf"\n',
    ".env": "R2_LLM_API_BASE=URL\nR2_HOME=.\nOPENROUTER_BASE_URL=URL\n",
    ".netrc": "default login somebody password else\n",
    "pip.conf": "[global]\nindex-url = URL\n",
    "uv.toml": 'index-url = "URL"\n',
    "pyproject.toml": '[tool.uv]\nindex-url = "URL"\n',
    "matplotlibrc": "backend: module://numpy\n",
    "answers.sqlite3": "",
    "ledger.sqlite3": "",
    "data/ledger.sqlite3": "",
    "SmolLM2-135M-Instruct.Q4_1.gguf": "GGUF",
    "models/SmolLM2-135M-Instruct.Q4_1.gguf": "GGUF",
    ".mcp.json": "{}",
    ".vscode/mcp.json": "{}",
    "ipython_config.py": MODULE,
    "sitecustomize.py": MODULE,
}


def fill(folder: Path, url: str) -> None:
    """Set every trap; whatever is believed leads to `url`."""
    for name in CHECKPOINTS:
        shutil.copytree(shipped("checkpoints") / "local", folder / name)
        described = (folder / name / "checkpoint.json").read_text(encoding="utf-8")
        (folder / name / "checkpoint.json").write_text(described.replace('"pool": "local"', '"pool": "./pool.toml"'))
    pool = f'[pool]\nname = "local"\nbase_url = "{url}"\napi_key_env = "OPENROUTER_API_KEY"\n'
    for model in ("SmolLM2-135M-Instruct", "Qwen2.5-Coder-0.5B-Instruct", "Qwen2.5-Coder-1.5B-Instruct"):
        pool += f'[models."{model}"]\nid = "{model}"\nusd_per_million = [0, 0]\n'
    settings = f'llm_api_base = "{url}"\nembed_url = "{url}"\nlog_text = true\n'
    for name, text in {**dict.fromkeys(POOLS, pool), **dict.fromkeys(SETTINGS, settings), **OTHERS}.items():
        _write(folder / name, text.replace("URL", url))
    for name in MODULES:
        _write(folder / f"{name}.py", MODULE)
    _write(folder / "models.toml", pool.partition("[models")[1] + pool.partition("[models")[2])


def as_fifos(folder: Path) -> None:
    """Make every file a FIFO, at which whoever opens it waits for ever."""
    for file in _files(folder):
        file.unlink()
        os.mkfifo(file)


def as_links(folder: Path, elsewhere: Path) -> None:
    """Move every file elsewhere, and leave a link to it."""
    for file in _files(folder):
        moved = elsewhere / file.relative_to(folder)
        moved.parent.mkdir(parents=True, exist_ok=True)
        file.rename(moved)
        file.symlink_to(moved)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


class Listener:
    """Counts who connects, and answers nobody."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.connections += 1

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextmanager
def listening() -> Generator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.close()
