"""Keeps a process that runs somebody else's code apart, as far as this machine can: bubblewrap where it works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

MARK = "R2_GRADED"  # the variable by which what was left behind is found

_PROBE_SECONDS = 20.0
# What an interpreter loads beside its own folder. What is not there is left out.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime")


def command(arguments: Sequence[str], folder: Path, script: Path) -> list[str]:
    """The command that runs this interpreter with `arguments` in `folder`, walled in where `has_walls`.

    Behind walls it sees the interpreter, `script` and `folder`, of which it can write the last; no network, no other
    process; and everything in there ends when the first process does.
    """
    python = [sys.executable, "-I", "-S", *arguments]
    return [*_walls(folder, script), *python] if has_walls() else python


def environment(mark: str) -> dict[str, str]:
    """Nothing of ours: no keys."""
    kept = {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}
    return {"PATH": os.defpath, "PYTHONIOENCODING": "utf-8", MARK: mark, **kept}


@cache
def has_walls() -> bool:
    """Whether bubblewrap is installed and may make namespaces here; many containers forbid them."""
    if sys.platform != "linux" or not shutil.which("bwrap"):
        return False
    here = Path(__file__)
    try:
        done = subprocess.run(
            [*_walls(None, here), sys.executable, "-I", "-S", "-c", "import ctypes, json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(""),
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _walls(folder: Path | None, script: Path) -> list[str]:
    """bubblewrap and its options, up to the command it runs."""
    seen = [Path(path) for path in _SYSTEM]
    seen += {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)}
    seen += [Path(sys.executable).resolve().parent, script.resolve()]
    found = shutil.which("bwrap") or "bwrap"
    walls = [found, "--unshare-all", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
    for path in seen:
        if path.is_symlink() and path.parent == Path("/"):  # /bin -> usr/bin
            walls += ["--symlink", str(path.readlink()), str(path)]
        else:
            walls += ["--ro-bind-try", str(path), str(path)]
    if folder is not None:
        walls += ["--bind", str(folder), str(folder)]
    # What is not bound lies in memory, and would be free to fill.
    return [*walls, "--remount-ro", "/", "--remount-ro", "/dev", "--chdir", str(folder or "/")]


def end(process: subprocess.Popen[bytes], mark: str, grace_seconds: float) -> None:
    """End the process and all it started: first it is asked to do that itself, then it is done from here."""
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        process.kill()
    process.wait()
    for pid in _marked(mark):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    """The processes that were started with our mark and are still there. Only Linux tells."""
    wanted = f"{MARK}={mark}".encode()
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*") if sys.platform == "linux" else ():
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
