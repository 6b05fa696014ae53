"""A file read over HTTP as it comes: connections that break are taken up again where they broke."""

from __future__ import annotations

import io
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from r2_router.errors import DownloadError
from r2_router.net.download import RefusedError, opened
from r2_router.net.retry_after import retry_after

if TYPE_CHECKING:
    import httpx

_TRIES = 5  # in a row, without anything coming
_BACKOFF_SECONDS = 0.2  # doubles with each
_MAX_WAIT_SECONDS = 120.0
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_PAGES = 1000


class _AgainError(Exception):
    """This try failed; another may not. `wait_s`: when the server says it may be asked again."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def read_stream(http: httpx.Client, url: str) -> Generator[bytes]:
    """The body at `url`, block by block. A break in the middle is mended by Range, or by reading again past what came.

    Raises DownloadError, naming the file, where it cannot be read to its end.
    """
    done, failed = 0, 0
    while True:
        try:
            for block in _from(http, url, done):
                done, failed = done + len(block), 0
                yield block
            return
        except _AgainError as reason:
            failed += 1
            if failed >= _TRIES:
                raise DownloadError(
                    f"{_name(url)} could not be read: {reason} ({failed} tries). Run it again."
                ) from None
            wait_s = _BACKOFF_SECONDS * 2 ** (failed - 1) if reason.wait_s is None else reason.wait_s
            time.sleep(min(wait_s, _MAX_WAIT_SECONDS))


def _from(http: httpx.Client, url: str, done: int) -> Iterator[bytes]:
    """The body from byte `done` on, by one request."""
    import httpx

    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    try:
        with opened(http, url, headers) as response:
            if response.status_code in _RETRIED_STATUS:
                raise _AgainError(f"HTTP {response.status_code}", retry_after(response.headers.get("retry-after")))
            if response.status_code == 416 and done:  # it ended just there
                return
            if response.status_code not in (200, 206):
                raise DownloadError(f"{_name(url)} cannot be read: HTTP {response.status_code}.")
            skip = done if response.status_code == 200 else 0
            for block in response.iter_raw():
                kept = block[skip:]
                skip = max(0, skip - len(block))
                if kept:
                    yield kept
    except httpx.TimeoutException:
        raise _AgainError("no answer in time") from None
    except httpx.TransportError:
        raise _AgainError("the connection broke") from None
    except RefusedError as reason:
        raise DownloadError(f"{_name(url)} cannot be read: {reason}.") from None
    except (httpx.InvalidURL, httpx.HTTPError) as error:
        raise DownloadError(f"{_name(url)} cannot be read: {type(error).__name__}.") from None


def read_pages(http: httpx.Client, url: str) -> Iterator[Any]:
    """The JSON of each page of a listing, the next one named by the Link header. Raises DownloadError."""
    import json

    for _ in range(_MAX_PAGES):
        answer = _page(http, url)
        try:
            yield json.loads(answer.content)
        except ValueError:
            raise DownloadError(f"{_name(url)} is not JSON. Is the address right?") from None
        following = answer.links.get("next", {}).get("url")
        if not following:
            return
        url = urljoin(url, following)
    raise DownloadError(f"The listing has more than {_MAX_PAGES} pages.")


def _page(http: httpx.Client, url: str) -> httpx.Response:
    import httpx

    reason = ""
    for failed in range(1, _TRIES + 1):
        wait_s: float | None = None
        try:
            with opened(http, url, {}) as answer:
                answer.read()
            if answer.status_code == 200:
                return answer
            reason = f"HTTP {answer.status_code}"
            if answer.status_code not in _RETRIED_STATUS:
                break
            wait_s = retry_after(answer.headers.get("retry-after"))
        except RefusedError as refusal:
            reason = str(refusal)
            break
        except httpx.HTTPError as error:
            reason = type(error).__name__
        time.sleep(min(_BACKOFF_SECONDS * 2 ** (failed - 1) if wait_s is None else wait_s, _MAX_WAIT_SECONDS))
    raise DownloadError(f"The listing {_name(url)} could not be read: {reason}. Check the connection and try again.")


def text_of(blocks: Iterator[bytes]) -> io.TextIOWrapper:
    """`blocks` as a text stream; bytes that are no UTF-8 become the replacement character."""
    return io.TextIOWrapper(
        io.BufferedReader(_Raw(blocks), 1 << 18), encoding="utf-8-sig", errors="replace", newline=""
    )


class _Raw(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._blocks, b"")
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2] or url[:100]
