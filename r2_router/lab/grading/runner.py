"""The process an answer's code runs in, and the one above it that ends whatever it leaves behind. Run as a script.

stdin: what to run, as JSON behind its length, then a secret, which is read when the tests have passed and not before.
stdout: the secret, written then. What the code prints goes where stderr goes. Exit code: that of the code, or 1.

The code runs in a child of this process. On Linux this process is the parent of every process that loses its own, so
that none gets away from it, whatever group or session it moves to.
"""

import json
import os
import signal
import stat
import sys
from contextlib import suppress
from types import FrameType, ModuleType
from typing import Any

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_NOBODY = 65534
_FILE = "answer.py"
LENGTH_DIGITS = 12


# -- above ---------------------------------------------------------------------------------------------------


def supervise(child: int) -> None:
    """Wait for `child`, end what it started, and end as it did."""
    status = 1
    with suppress(_StopError):
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_children()
    os._exit(min(255, abs(status)))


def adopt_orphans() -> None:
    """Become the parent of every orphan among one's descendants (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """End every child, and those that become children when their own parents end, until none is left."""
    while children := _children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    """The children of this process. Only Linux tells; elsewhere the group is ended from outside."""
    found: list[int] = []
    if sys.platform == "linux":
        for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 - pathlib takes long to load
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:  # noqa: PTH123
                if int(stream.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


class _StopError(Exception):
    """The time is up."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _StopError


# -- below ---------------------------------------------------------------------------------------------------


def limit(seconds: float, memory_mb: int, output_bytes: int, processes: int) -> None:
    """Limits this process and all it starts; the system holds them."""
    try:
        import resource
    except ImportError:  # Windows: only the parent's clock
        return
    wanted = {
        resource.RLIMIT_CPU: int(seconds) + 1,
        resource.RLIMIT_AS: memory_mb << 20,
        resource.RLIMIT_FSIZE: output_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    running = _running()
    if running is not None:  # the system counts all of this user's, and none of root's
        wanted[resource.RLIMIT_NPROC] = running + processes
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS does not limit every kind
            continue


def open_to_all() -> bool:
    """Whether any user may load what this interpreter still has to load."""
    path = os.path.dirname(os.path.realpath(os.__file__))  # noqa: PTH120
    mode = stat.S_IROTH | stat.S_IXOTH
    while os.stat(path).st_mode & mode == mode:  # noqa: PTH116
        if path == os.path.dirname(path):  # noqa: PTH120
            return True
        path, mode = os.path.dirname(path), stat.S_IXOTH  # noqa: PTH120
    return False


def step_down() -> None:
    """Root becomes nobody, who owns nothing and whose processes the system counts. Where nobody could not load the
    interpreter's modules, or where no other user is known (behind walls), it stays who it is."""
    if sys.platform == "win32" or os.getuid() or not open_to_all():
        return
    with suppress(OSError):
        for place in (".", *os.listdir(".")):  # noqa: PTH208
            os.chown(place, _NOBODY, _NOBODY)
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _running() -> int | None:
    """How many threads this user has now; None where the system does not say."""
    if sys.platform != "linux":
        return None
    count = 0
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == os.getuid():  # noqa: PTH116
                count += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    return count


def run(code: str, tests: str | None) -> None:
    """Run the code, then the tests; when they have passed, pass the secret on.

    Until then it is nowhere in this process: not in its memory, arguments, environment or files.
    """
    secret, report = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    with open("stdin", "rb") as source:  # noqa: PTH123
        os.dup2(source.fileno(), 0)
    main = ModuleType("__main__")
    main.__file__ = _FILE
    sys.argv[:] = [_FILE]
    sys.modules["__main__"] = main
    exec(compile(code, _FILE, "exec"), main.__dict__)  # noqa: S102
    if tests is not None:
        exec(compile(tests, "tests", "exec"), main.__dict__)  # noqa: S102
    os.write(report, os.read(secret, 64))


def _read(size: int) -> bytes:
    """The next `size` bytes of stdin, and not one more."""
    data = b""
    while len(data) < size and (piece := os.read(0, size - len(data))):
        data += piece
    return data


if __name__ == "__main__":
    job: dict[str, Any] = json.loads(_read(int(_read(LENGTH_DIGITS))))
    limits = job.pop("limits")
    if hasattr(os, "fork"):
        adopt_orphans()
        child = os.fork()
        if child:
            signal.signal(signal.SIGTERM, _stop)
            supervise(child)
    step_down()
    limit(**limits)
    run(**job)
