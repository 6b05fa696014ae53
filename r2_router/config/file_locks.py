"""The one right, over all processes, to write a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from r2_router.config.safe_files import open_plain

_POLL_SECONDS = 0.1


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Hold the right to write `file`, once nobody else has it. Raises OSError."""
    while (stream := _taken(file)) is None:
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        _give_back(file, stream)


@contextmanager
def locked_if_free(file: Path) -> Generator[bool]:
    """Hold that right, where nobody else has it: whether it is held. Raises OSError."""
    stream = _taken(file)
    try:
        yield stream is not None
    finally:
        if stream is not None:
            _give_back(file, stream)


def _taken(file: Path) -> IO[bytes] | None:
    """The open lock of `file`, None where somebody else holds it."""
    path = _lock_of(file)
    stream = os.fdopen(open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666, follow=False), "ab")
    if _try_lock(stream.fileno()) and _is_same(stream.fileno(), path):
        return stream
    stream.close()
    return None


def _give_back(file: Path, stream: IO[bytes]) -> None:
    if sys.platform == "win32":  # an open file cannot be deleted there
        stream.close()
    with suppress(OSError):
        _lock_of(file).unlink()
    stream.close()


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether `path` is still the open file: its holder deletes it, and a lock on a deleted file is void."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
