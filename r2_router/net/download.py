"""Fetch a file whole or not at all: several sources, resumed, verified by SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from r2_router.config.file_locks import locked
from r2_router.config.redaction import plain_url
from r2_router.config.safe_files import open_plain
from r2_router.errors import DownloadError
from r2_router.net.loopback import is_loopback

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int | None], None]

_BLOCK_BYTES = 1 << 20
_READ_SECONDS = 30.0
_STALL_SECONDS = 60.0  # a source that brings less than _STALL_BYTES in this time is as good as dead
_STALL_BYTES = 64 << 10
_TRIES = 4  # per source, in a row, without _STEP_BYTES of progress
_STEP_BYTES = 1 << 20
_BACKOFF_SECONDS = 0.5  # doubles with each failed try
_MAX_REDIRECTS = 5
_MAX_BYTES = 8 << 30
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class RefusedError(Exception):
    """This source will not do; the next one may."""


class _BrokenError(Exception):
    """This try failed; another may go on from where it stopped."""


def open_client() -> httpx.Client:
    """A client that keeps connections alive over several `fetch` calls; never a proxy for loopback."""
    from r2_router.net.connections import sync_client

    return sync_client(_READ_SECONDS)


def fetch(
    urls: Sequence[str],
    file: Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: Progress | None = None,
    max_bytes: int = _MAX_BYTES,
    client: httpx.Client | None = None,
) -> Path:
    """Make `file` the bytes whose SHA-256 is `sha256`, from the first of `urls` that has them; return `file`.

    A file that is already right is kept, a wrong one deleted. What arrives goes to a hidden `.part` beside
    it, from which the next call resumes; it takes its name only once its hash is right. A second process
    that wants the same file waits for the first. `size` and `max_bytes` are bytes, `progress(done, total)`
    is told bytes. `urls` are https://, or http:// on a loopback address.

    Raises DownloadError when no source has the file, or it cannot be written.
    """
    sha256, limit = sha256.lower(), max_bytes if size is None else min(size, max_bytes)
    try:
        if _is_right(file, sha256):
            return file
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file):
            if _is_right(file, sha256):  # while this process waited
                return file
            file.unlink(missing_ok=True)
            with _Part(file, sha256, limit) as part:
                if not part.is_right():
                    _fill(part, urls, size, progress or _silent, client)
            return part.path.replace(file)
    except OSError as error:
        raise DownloadError(
            f"{file} cannot be written: {error.strerror or error}. Free some space or choose another folder."
        ) from None


def _fill(part: _Part, urls: Sequence[str], size: int | None, progress: Progress, client: httpx.Client | None) -> None:
    """Complete `part` from the first source that can, or raise DownloadError with the reason of each."""
    reasons: list[str] = []
    with nullcontext(client) if client else open_client() as http:
        for url in urls:
            try:
                _from_source(http, url, part, size, progress)
                return
            except RefusedError as reason:
                reasons.append(f"{plain_url(url)}: {reason}")
    again = "run the same command again: it goes on from where it stopped" if part.done else "try again"
    raise DownloadError(
        f"{part.file.name} could not be fetched ({'; '.join(reasons) or 'no source is known'}). Check the "
        f"connection and {again}, or put the file with SHA-256 {part.sha256} at {part.file}."
    )


def _from_source(http: httpx.Client, url: str, part: _Part, size: int | None, progress: Progress) -> None:
    """Try one source until it is done, refuses, or fails _TRIES times in a row without progress."""
    failed, best, part.etag = 0, part.done, ""
    while True:
        try:
            _receive(http, url, part, size, progress)
            part.verify()
            return
        except _BrokenError as reason:
            if part.done >= best + _STEP_BYTES:
                failed, best = 0, part.done
            failed += 1
            if failed >= _TRIES:
                raise RefusedError(f"{reason} ({failed} tries)") from None
        time.sleep(_BACKOFF_SECONDS * 2 ** (failed - 1))


def _receive(http: httpx.Client, url: str, part: _Part, size: int | None, progress: Progress) -> None:
    """One request: append to `part` what the source sends, from the start if it will not resume."""
    import httpx

    headers = {"Accept-Encoding": "identity"}
    if part.done:
        headers["Range"] = f"bytes={part.done}-"
        if part.etag:
            headers["If-Range"] = part.etag
    try:
        with opened(http, url, headers) as response:
            total = _accept(response, part, size)
            progress(part.done, total)
            for block in _paced(response.iter_raw()):
                part.write(block)
                progress(part.done, total)
    except httpx.TimeoutException:
        raise _BrokenError("no answer in time") from None
    except httpx.ConnectError:
        raise _BrokenError("cannot connect") from None
    except httpx.TransportError:
        raise _BrokenError("the connection broke") from None
    except (httpx.InvalidURL, httpx.HTTPError) as error:
        raise RefusedError(f"not HTTP as it should be ({type(error).__name__})") from None
    if total is not None and part.done < total:
        raise _BrokenError(f"sent {part.done} of {total} bytes")


@contextmanager
def opened(http: httpx.Client, url: str, headers: dict[str, str]) -> Generator[httpx.Response]:
    """The response to GET, redirects followed by hand so that each hop is checked before it is asked."""
    for _ in range(_MAX_REDIRECTS + 1):
        _check_url(url)
        with http.stream("GET", url, headers=headers, follow_redirects=False) as response:
            if not response.has_redirect_location:
                yield response
                return
            url = _redirected(url, response.headers["location"])
    raise RefusedError(f"redirects more than {_MAX_REDIRECTS} times")


def _redirected(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        downgraded = urlsplit(url).scheme == "https" != urlsplit(target).scheme
    except ValueError:
        raise RefusedError("redirects to something that is no URL") from None
    if downgraded:
        raise RefusedError("redirects to an address that is not https://")
    return target


def _accept(response: httpx.Response, part: _Part, size: int | None) -> int | None:
    """Check status and headers, bring `part` to where the body starts; return the whole size if known."""
    status = response.status_code
    if status == 416 and part.done:
        part.restart()
        raise _BrokenError("refuses the range")
    if status in _RETRIED_STATUS:
        raise _BrokenError(f"HTTP {status}")
    if status not in (200, 206):
        raise RefusedError(f"HTTP {status}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError("sends the file in another encoding than asked for")
    if status == 206:
        total = _range_total(response.headers.get("content-range", ""), part)
    else:
        length = response.headers.get("content-length", "")
        total = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if size is not None and total not in (size, None):
        raise RefusedError(f"offers {total} bytes where {size} are expected")
    if total is not None and total > part.limit:
        raise RefusedError(f"offers {total} bytes, more than {part.limit}")
    if status == 200:  # what is there is given up only for a body that can be the file
        part.restart()
    part.pieces += 1
    etag = response.headers.get("etag", "")
    part.etag = "" if etag.startswith("W/") else etag
    return total if size is None else size


def _range_total(header: str, part: _Part) -> int | None:
    """The whole size named by a Content-Range that starts where `part` ends; None if it names none."""
    match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", header)
    if match is None or int(match[1]) != part.done:
        part.restart()
        raise _BrokenError("sends another range than asked for")
    return None if match[2] == "*" else int(match[2])


def _paced(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """`blocks`, ended by _BrokenError when they trickle: a read timeout alone lets one byte a minute pass."""
    since, received = time.monotonic(), 0
    for block in blocks:
        received += len(block)
        yield block
        if (now := time.monotonic()) - since >= _STALL_SECONDS:
            if received < _STALL_BYTES:
                raise _BrokenError("sends too slowly")
            since, received = now, 0


class _Part:
    """The unfinished file: its bytes on disk, their running hash, and the number of responses they are from.

    `etag` is the strong validator of the source in use, "" if none: a resumed range must be of the same file.
    """

    def __init__(self, file: Path, sha256: str, limit: int) -> None:
        self.file, self.sha256, self.limit = file, sha256, limit
        self.path = file.with_name(f".{file.name}.part")
        self.done = self.pieces = 0
        self.etag = ""
        self._hash = hashlib.sha256()
        # No link is followed: a file that somebody else put here could lead anywhere.
        self._stream = os.fdopen(
            open_plain(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666, follow=False), "a+b"
        )

    def __enter__(self) -> _Part:
        self._stream.seek(0)
        while block := self._stream.read(_BLOCK_BYTES):
            self._hash.update(block)
            self.done += len(block)
        self.pieces = 1 if self.done else 0
        if self.done >= self.limit and not self.is_right():
            self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        if not self.done and not self.is_right():
            self.path.unlink()

    def write(self, block: bytes) -> None:
        if self.done + len(block) > self.limit:
            self.restart()
            raise RefusedError(f"sends more than {self.limit} bytes")
        self._stream.write(block)
        self._hash.update(block)
        self.done += len(block)

    def restart(self) -> None:
        """Forget everything received so far."""
        self._stream.truncate(0)
        self._hash = hashlib.sha256()
        self.done = self.pieces = 0

    def is_right(self) -> bool:
        return self._hash.hexdigest() == self.sha256

    def verify(self) -> None:
        """Raise if the complete body is not the file; pieces of different files deserve one clean try."""
        if self.is_right():
            return
        mixed = self.pieces > 1
        self.restart()
        if mixed:
            raise _BrokenError("the resumed file has another SHA-256")
        raise RefusedError("sends another file (its SHA-256 differs)")


def _is_right(file: Path, sha256: str) -> bool:
    if not file.exists():
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def _check_url(url: str) -> None:
    """Raise RefusedError unless `url` is https://, or http:// on this machine."""
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    except ValueError:
        raise RefusedError("not a URL") from None
    if not (scheme == "https" and host) and not (scheme == "http" and is_loopback(host)):
        raise RefusedError("only https:// is fetched, and http:// on this machine")


def _silent(done: int, total: int | None) -> None:
    pass
