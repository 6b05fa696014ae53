"""A small file from the network, into memory: bounded in size and time, nothing sent along."""

from __future__ import annotations

import time

from r2_router.config.redaction import plain_url
from r2_router.errors import DownloadError
from r2_router.net.download import RefusedError, open_client, opened

_MAX_SECONDS = 60.0


def read_url(url: str, max_bytes: int) -> bytes:
    """What GET `url` answers. `url` is https://, or http:// on a loopback address, and so is every redirect.

    Raises DownloadError for anything but an answer of at most `max_bytes` bytes within a minute.
    """
    import httpx

    deadline, body = time.monotonic() + _MAX_SECONDS, bytearray()
    try:
        with open_client() as http, opened(http, url, {}) as response:
            if response.status_code != 200:
                raise RefusedError(f"HTTP {response.status_code}")
            for block in response.iter_bytes():
                body += block
                if len(body) > max_bytes:
                    raise RefusedError(f"sends more than {max_bytes >> 20} MiB")
                if time.monotonic() > deadline:
                    raise RefusedError(f"is not done after {_MAX_SECONDS:.0f} s")
    except (RefusedError, httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) if isinstance(error, RefusedError) else type(error).__name__
        raise DownloadError(f"{plain_url(url)} cannot be read: {reason}. Check the address.") from None
    return bytes(body)
