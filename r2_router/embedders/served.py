"""An embedder behind HTTP: any OpenAI-compatible /v1/embeddings (vLLM, TEI, llama.cpp, Ollama, a provider)."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import numpy as np

from r2_router.arrays import Singles
from r2_router.config.redaction import shown
from r2_router.config.settings import EMBED_API_KEY, Secret
from r2_router.embedders.base import clip_text, unit_rows
from r2_router.errors import ConfigError, EmbedderError
from r2_router.net.loopback import is_loopback
from r2_router.net.retry_after import retry_after
from r2_router.records import as_dict

if TYPE_CHECKING:
    import httpx

SEED_MODEL = "Qwen/Qwen3-0.6B"

_BATCH_TEXTS = 32  # the most TEI takes by default
_BATCH_CHARS = 200_000
_MAX_REPLY_BYTES = 64 << 20
_CONNECT_S = 5.0
_TRIES = 3
_MAX_PAUSE_S = 10.0  # a server that asks for a longer pause is reported at once
_PASSING = frozenset({408, 409, 429, 500, *range(502, 600)})  # worth another try; 501 is "cannot embed"
_SHOWN_CHARS = 200  # of what a server says


def start_hint(model: str) -> str:
    """What to type to get an embedding server for `model`."""
    if model == SEED_MODEL:
        start = f"Start the right one with `vllm serve {model} --runner pooling --port 8000`"
        return f"{start} and pass `--embed-url http://localhost:8000`."
    return f"Start an OpenAI-compatible embedding server for {model} and pass its address with `--embed-url`."


class ServerEmbedder:
    """Embeds by POST to an OpenAI-compatible server. Thread-safe; keeps connections open until `close()`.

    `url` may end in /v1, in /v1/embeddings or in neither; `model` is the name sent, `id` what checkpoints call
    it (default: `model`). `dim` is checked where given; else the first answer sets it. `timeout_s` bounds each
    answer. Raises ConfigError for a url or a key that cannot be one.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        id: str = "",  # noqa: A002  # the protocol's word
        api_key: str | None = None,
        dim: int | None = None,
        timeout_s: float = 30.0,
        max_chars: int = 24_000,  # about 6,000 tokens of English, 15,000 of Chinese
        backoff_s: float = 0.25,
    ) -> None:
        import httpx

        from r2_router.net.connections import trusted

        self.base_url, host = _base_url(url)
        self.model = model
        self.id: str = id or model
        self.local: bool = is_loopback(host)
        self.max_chars: int = max_chars
        self._key = Secret(api_key) if api_key else None
        self._dim = dim
        self._timeout_s = timeout_s
        self._backoff_s = backoff_s
        self._client = httpx.Client(
            verify=trusted(),
            headers=_headers(self._key),
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            follow_redirects=False,  # text and key go where the user sends them and nowhere else
            trust_env=not self.local,  # no proxy reaches this machine's loopback
        )

    def __repr__(self) -> str:
        return f"ServerEmbedder({self.base_url!r}, {self.model!r})"

    def close(self) -> None:
        """Close the connections; nothing can be embedded afterwards."""
        self._client.close()

    def embed(self, texts: Sequence[str]) -> Singles:
        """Unit vectors (n, d) of n texts.

        Raises EmbedderError, which says how to start the right server, if this one is down, slow or wrong.
        """
        clipped = [clip_text(text, self.max_chars) for text in texts]
        rows = [self._embed_batch(batch) for batch in _batches(clipped)]
        return np.concatenate(rows) if rows else np.empty((0, self._dim or 0), dtype=np.float32)

    def _embed_batch(self, texts: Sequence[str]) -> Singles:
        reply = self._ask(texts)
        self._raise_if_refused(reply)
        try:
            if reply.status != 200:
                raise EmbedderError(f"{self._source} {self._wrong_server(reply)}.")
            body = _parse(reply, self._source)
            _check_model(body.get("model"), self.model, self._source)
            vectors = _in_order(body.get("data"), len(texts), self._source)
            rows = unit_rows(vectors, len(texts), self._dim, self._source)
        except EmbedderError as error:
            raise EmbedderError(f"{error} {start_hint(self.model)}") from None
        self._dim = rows.shape[1]
        return rows

    # -- requests ----------------------------------------------------------------------------------------------

    def _ask(self, texts: Sequence[str]) -> _Reply:
        """The server's answer, or its last refusal of _TRIES."""
        request = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        for attempt in range(_TRIES - 1):
            reply = self._send("POST", "/embeddings", request)
            jitter = random.uniform(0.5, 1)  # noqa: S311  # no secret
            pause = max(reply.retry_after_s, self._backoff_s * 2**attempt * jitter)
            if not reply.passing or pause > _MAX_PAUSE_S:
                return reply
            time.sleep(pause)
        return self._send("POST", "/embeddings", request)

    def _send(self, method: str, path: str, request: object = None) -> _Reply:
        import httpx

        deadline = time.monotonic() + self._timeout_s
        try:
            with self._client.stream(method, self.base_url + path, json=request) as response:
                return _Reply.read(response, deadline, self._key)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return _Reply(fault=f"cannot be reached ({error})", passing=True)
        except httpx.TimeoutException:
            return _Reply(fault=f"did not answer within {self._timeout_s:g} s")
        except httpx.TransportError as error:
            return _Reply(fault=f"broke the connection ({error})", passing=True)
        except httpx.HTTPError as error:
            return _Reply(fault=f"sent what cannot be read ({error})")

    # -- what went wrong ---------------------------------------------------------------------------------------

    @property
    def _source(self) -> str:
        return f"The embedding server at {self.base_url}"

    def _raise_if_refused(self, reply: _Reply) -> None:
        """Raise EmbedderError where the server may be the right one, but will not take this request."""
        if 300 <= reply.status < 400:
            target = urlsplit(reply.location).netloc.rpartition("@")[2] or "another path"
            raise EmbedderError(f"{self._source} redirects to {target}. Pass the final address as `--embed-url`.")
        if reply.status in (401, 403):
            raise EmbedderError(
                f"{self._source} refuses the API key ({reply.http}). Set {EMBED_API_KEY} to a valid one."
            )
        if reply.status == 413:
            raise EmbedderError(
                f"{self._source} finds the text too long ({reply.http}). Give it a larger context window."
            )
        if reply.passing and reply.status:
            raise EmbedderError(
                f"{self._source} is busy or failing ({reply.http}). Try again later, or look at its log."
            )

    def _wrong_server(self, reply: _Reply) -> str:
        """What is wrong with a server that fails or refuses for a reason of its own."""
        if reply.fault:
            return reply.fault
        served = self._served_models() if reply.status in (400, 404) else []
        if served and not any(_same_model(self.model, name) for name in served):
            return f"serves {', '.join(served[:3])}, not {self.model}"
        if reply.status in (404, 405, 501):
            return f"does not embed ({reply.http})"
        return f"refuses the request ({reply.http})"

    def _served_models(self) -> list[str]:
        """The names at /v1/models; empty if there is no such list."""
        reply = self._send("GET", "/models")
        try:
            entries = _parse(reply, "").get("data")
        except EmbedderError:
            return []
        known = cast("list[object]", entries) if isinstance(entries, list) else []
        return [str(as_dict(entry)["id"])[:100] for entry in known if "id" in as_dict(entry)]


@dataclass(frozen=True, slots=True)
class _Reply:
    """A server's answer. Status 0: none came, and `fault` says why. `passing`: another try may help."""

    status: int = 0
    body: bytes = b""
    retry_after_s: float = 0.0
    location: str = ""
    fault: str = ""
    passing: bool = False
    key: Secret | None = None

    @classmethod
    def read(cls, response: httpx.Response, deadline: float, key: Secret | None) -> _Reply:
        body = bytearray()
        for block in response.iter_bytes():
            body += block
            if len(body) > _MAX_REPLY_BYTES:
                return cls(fault=f"sent more than {_MAX_REPLY_BYTES >> 20} MiB")
            if time.monotonic() > deadline:
                return cls(fault="took too long to send its answer")
        status = response.status_code
        return cls(
            status,
            bytes(body),
            retry_after_s=retry_after(response.headers.get("retry-after")) or 0.0,
            location=response.headers.get("location", ""),
            passing=status in _PASSING,
            key=key,
        )

    @property
    def message(self) -> str:
        """What an error body says, shortened to one line; "" for a web page."""
        try:
            found: object = json.loads(self.body)
        except (ValueError, RecursionError):
            found = self.body.decode(errors="replace")
        for field in ("error", "message", "detail"):
            found = as_dict(found).get(field, found)
        text = shown(str(found or ""), self.key, _SHOWN_CHARS)  # some servers quote the key
        return "" if text.startswith("<") else text.rstrip(".")

    @property
    def http(self) -> str:
        """Status and message, as in "HTTP 404: no such model"."""
        return f"HTTP {self.status}: {self.message}".removesuffix(": ")


# -- addresses and headers -----------------------------------------------------------------------------------


def _base_url(url: str) -> tuple[str, str]:
    """`url` up to its version segment, e.g. http://localhost:8000/v1, and its host."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    extra = "@" in parts.netloc or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not host or extra:
        raise ConfigError(
            "The embedding server's address must look like http://localhost:8000, without key, user or query; "
            f"{EMBED_API_KEY} holds the key."
        )
    path = parts.path.rstrip("/")
    if path.endswith("/embeddings"):
        path = path.removesuffix("/embeddings")
    elif not re.search(r"/v\d", path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}", host


def _headers(key: Secret | None) -> dict[str, str]:
    headers = {"User-Agent": "r2-router", "Accept-Encoding": "identity"}
    if key is None:
        return headers
    if not re.fullmatch(r"[!-~]+", key.reveal()):
        raise ConfigError(f"{EMBED_API_KEY} holds a character no key has: a space, a line end, or one beyond ASCII.")
    return headers | {"Authorization": f"Bearer {key.reveal()}"}


# -- requests and answers ------------------------------------------------------------------------------------


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of at most _BATCH_TEXTS texts and, where a single text is not longer, _BATCH_CHARS characters."""
    start, chars = 0, 0
    for i, text in enumerate(texts):
        if i > start and (i - start == _BATCH_TEXTS or chars + len(text) > _BATCH_CHARS):
            yield texts[start:i]
            start, chars = i, 0
        chars += len(text)
    if texts:
        yield texts[start:]


def _parse(reply: _Reply, source: str) -> Mapping[str, object]:
    """The JSON object of an answer, which holds no error."""
    try:
        parsed: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        body = reply.body.strip()
        what = "a web page" if body.startswith(b"<") else "broken JSON" if body else "nothing"
        raise EmbedderError(f"{source} answers with {what} instead of embeddings.") from None
    if not isinstance(parsed, dict):
        raise EmbedderError(f"{source} answers with something that is not an embeddings object.")
    known = cast("Mapping[str, object]", parsed)
    if known.get("error"):
        raise EmbedderError(f"{source} answers with an error: {reply.message}.")
    return known


def _in_order(data: object, n: int, source: str) -> list[object]:
    """The n embeddings by their `index`, each of 0..n-1 exactly once."""
    items = cast("list[object]", data) if isinstance(data, list) else []
    by_index: dict[object, object] = {}
    for item in items:
        known = as_dict(item)
        if isinstance(known.get("index"), int):
            by_index[known["index"]] = known.get("embedding")
    if len(items) != n or by_index.keys() != set(range(n)):
        raise EmbedderError(f"{source} does not return one embedding for each of the {n} texts.")
    return [by_index[i] for i in range(n)]


def _check_model(served: object, asked: str, source: str) -> None:
    if isinstance(served, str) and not _same_model(asked, served):
        raise EmbedderError(f"{source} serves {served[:100]}, not {asked}.")


def _same_model(asked: str, served: str) -> bool:
    """Whether two names agree but for folders, upper case and a suffix (":latest", "-Q8_0.gguf", a date)."""
    one, other = (re.split(r"[/\\]", name.lower())[-1] for name in (asked, served))
    return one.startswith(other) or other.startswith(one)
