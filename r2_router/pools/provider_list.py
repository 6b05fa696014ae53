"""A provider's list of models: all its pages, and the entry that an id means."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin, urlsplit

from r2_router.config.settings import Secret
from r2_router.errors import DownloadError
from r2_router.pools.listed import Listed, read_entry

if TYPE_CHECKING:
    import httpx

ROUTES = (":nitro", ":floor", ":online")  # OpenRouter's ways to ask a listed model, not listed themselves

_MAX_BYTES = 32 << 20
_MAX_SECONDS = 60.0
_MAX_PAGES = 100
_READ_SECONDS = 10.0
_DATED = re.compile(r"-20\d{2}-?\d{2}-?\d{2}$")
_CURSORS = {"nextPageToken": "pageToken", "next_page_token": "page_token"}
_ANTHROPIC = "api.anthropic.com"  # it wants the key, and a version, in headers of its own


@dataclass(frozen=True, slots=True)
class ProviderList:
    """The models that `host` listed, by id."""

    host: str
    listed: Mapping[str, Listed]
    aliases: Mapping[str, Listed]

    def find(self, model_id: str) -> Listed | None:
        """The entry `model_id` means: its own, or that of another form in which this provider knows it."""
        return next((found for form in id_forms(model_id) if (found := self._known(form))), None)

    def _known(self, form: str) -> Listed | None:
        return self.listed.get(form) or self.aliases.get(form)


def id_forms(model_id: str) -> Iterator[str]:
    """`model_id`, and as others write it: without OpenRouter's routes (`:free` is a model of its own), with and
    without Gemini's models/ and Ollama's :latest, without -latest."""
    yield model_id
    plain = model_id.removeprefix("models/")
    while plain.endswith(ROUTES):
        plain = plain.rpartition(":")[0]
        yield plain
    plain = plain.removesuffix(":latest")
    yield from (plain, f"models/{plain}", f"{plain}:latest")
    if plain.endswith("-latest"):
        yield plain.removesuffix("-latest")


def fetch_list(base_url: str, key: Secret | None, today: str, *, seconds: float = _MAX_SECONDS) -> ProviderList:
    """GET `base_url`/models, page by page, for at most `seconds`.

    Raises DownloadError if the list cannot be had or is no such list.
    """
    host = urlsplit(base_url).netloc
    listed: dict[str, Listed] = {}
    for page in _pages(base_url, key, host, seconds):
        for entry in _entries(page, host):
            if (found := read_entry(entry, today)) is not None:
                listed.setdefault(found.id, found)
    if not listed:
        raise DownloadError(f"{host} lists no model at all.")
    aliases = {alias: entry for entry in listed.values() for alias in entry.aliases}
    dated = {_DATED.sub("", model_id): entry for model_id, entry in sorted(listed.items()) if _DATED.search(model_id)}
    return ProviderList(host, listed, {**dated, **aliases})  # of several dates the newest


def _entries(page: object, host: str) -> list[object]:
    """The entries of a page: a bare array, or an object that has one."""
    if isinstance(page, dict):
        answer = cast("dict[str, object]", page)
        page = next((answer[key] for key in ("data", "models") if isinstance(answer.get(key), list)), None)
    if not isinstance(page, list):
        raise DownloadError(f'{host} answered without a list of models ("data" is missing). Check the address.')
    return cast("list[object]", page)


# -- the wire ------------------------------------------------------------------------------------------------


def _pages(base_url: str, key: Secret | None, host: str, seconds: float) -> Iterator[object]:
    import httpx

    from r2_router.net.connections import sync_client

    url = httpx.URL(f"{base_url.rstrip('/')}/models")
    deadline, left = time.monotonic() + seconds, _MAX_BYTES
    asked: set[str] = set()
    try:
        with sync_client(min(_READ_SECONDS, seconds), _headers(key, host)) as client:
            while str(url) not in asked:
                if len(asked) == _MAX_PAGES:
                    raise DownloadError(f"{host} lists its models on more than {_MAX_PAGES} pages.")
                asked.add(str(url))
                body, links = _body(client, url, left, deadline)
                left -= len(body)
                page = _json(body, host)
                yield page
                url = _next(url, page, links, host) or url
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"{base_url.rstrip('/')}/models cannot be reached ({type(error).__name__}). Check the address and the "
            f"connection."
        ) from None


def _headers(key: Secret | None, host: str) -> dict[str, str]:
    version = {"anthropic-version": "2023-06-01"} if host == _ANTHROPIC else {}
    if key is None:
        return version
    if version:
        return {"x-api-key": key.reveal(), **version}
    return {"Authorization": f"Bearer {key.reveal()}"}


def _body(
    client: httpx.Client, url: httpx.URL, left: int, deadline: float
) -> tuple[bytes, Mapping[str, Mapping[str, str]]]:
    """One answer, and the links in its header. A redirect is refused: the key is for this host alone."""
    body = bytearray()
    place = url.copy_with(query=None)
    with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise DownloadError(_refusal(str(place), response.status_code))
        for block in response.iter_bytes():
            body += block
            if len(body) > left:
                raise DownloadError(f"{place} sends more than {_MAX_BYTES >> 20} MiB: not a list of models.")
            if time.monotonic() > deadline:
                raise DownloadError(f"{place} is too slow. Try again later.")
        return bytes(body), cast("Any", response.links)


def _refusal(url: str, status: int) -> str:
    if status in (401, 403):
        return f"{url} refuses the key, or wants one (HTTP {status}). Check the key of this provider."
    if 300 <= status < 400:
        return f"{url} redirects elsewhere (HTTP {status}), which is not followed. Give the final address."
    return f"{url} answers HTTP {status}. Check the address (it ends before /models), or try again later."


def _json(body: bytes, host: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise DownloadError(f"{host} answered with something that is not JSON. Check the address.") from None


def _next(url: httpx.URL, page: object, links: Mapping[str, Mapping[str, str]], host: str) -> httpx.URL | None:
    """Where the next page is, by the answer's header or by what it says itself; None at the last."""
    import httpx

    answer = cast("dict[str, object]", page) if isinstance(page, dict) else {}
    following = links.get("next", {}).get("url") or answer.get("next")
    if isinstance(following, str) and following:
        there = httpx.URL(urljoin(str(url), following))
        if (there.scheme, there.netloc) != (url.scheme, url.netloc):
            raise DownloadError(f"{host} says that its list goes on at {there.host}, which is not followed.")
        return there
    if answer.get("has_more") is True and isinstance(last := answer.get("last_id"), str):
        return url.copy_set_param("after_id", last)
    for name, parameter in _CURSORS.items():
        if isinstance(cursor := answer.get(name), str) and cursor:
            return url.copy_set_param(parameter, cursor)
    return None
