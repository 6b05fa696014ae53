"""Files read without waiting and written whole: what is not a plain file is refused, what is private stays so."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PRIVATE = 0o600
_OPEN = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)  # binary: Windows would translate line ends
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a FIFO nobody writes to opens at once, to be refused
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def open_plain(path: Path, flags: int = os.O_RDONLY, mode: int = _PRIVATE, *, follow: bool = True) -> int:
    """A descriptor of the regular file at `path`. `mode` is that of a file made by O_CREAT in `flags`.

    Raises OSError for a FIFO, a device or a folder, without waiting for it, and for a link unless `follow`.
    """
    try:
        descriptor = os.open(path, flags | _OPEN | _AT_ONCE | (0 if follow else _NO_LINK), mode)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ELOOP, errno.EISDIR):  # a FIFO nobody reads, a link, a folder
            raise _not_plain(path, error.errno) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain(path)
    return descriptor


def read_plain(path: Path, max_bytes: int) -> bytes:
    """What the regular file at `path` holds, one byte more than `max_bytes` at most: so that too much can be told."""
    with os.fdopen(open_plain(path), "rb") as stream:
        return stream.read(max_bytes + 1)


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, for SQLite to open; one that is there stays as it is.

    Only a new one is opened: to close another descriptor of a database would drop SQLite's locks on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))


def replace_file(path: Path, data: bytes, *, private: bool = True, follow: bool = True) -> None:
    """Write the file at `path`, whole or not at all; see `replacing`. Raises OSError."""
    with replacing(path, private=private, follow=follow) as stream:
        stream.write(data)


@contextmanager
def replacing(path: Path, *, private: bool = True, follow: bool = True) -> Generator[IO[bytes]]:
    """A stream whose bytes become the file at `path` when the block ends, and are dropped if it raises.

    A file that was there passes its mode on; a new one is for its owner alone, or as the system makes files where not
    `private`. A link stays, and what it leads to is written, unless not `follow`: then the link is replaced, and what
    it leads to left alone. Folders on the way are made. Raises OSError, for what is not a regular file too.
    """
    target = Path(os.path.realpath(path)) if follow else path
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = _mode(target, private=private)
    part = target.with_name(f".{target.name[:200]}.{os.getpid()}.{os.urandom(4).hex()}.part")
    stream = os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | _OPEN | _NO_LINK, _PRIVATE), "w+b")
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(mode)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _mode(target: Path, *, private: bool) -> int:
    """The mode the file at `target` is to have."""
    try:
        known = target.lstat().st_mode
    except FileNotFoundError:
        return _PRIVATE if private else 0o666 & ~_umask()
    if stat.S_ISLNK(known):  # not followed: it is what is replaced
        return _PRIVATE if private else 0o666 & ~_umask()
    if not stat.S_ISREG(known):
        raise _not_plain(target)
    return stat.S_IMODE(known)


def _umask() -> int:
    """Read from the system where that is possible: to ask for it otherwise is to change it for every thread."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("Umask:")), 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _not_plain(path: Path, number: int = errno.EINVAL) -> OSError:
    return OSError(number, "it is not a regular file", str(path))
