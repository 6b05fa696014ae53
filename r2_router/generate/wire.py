"""What a chat API sends, read defensively: server-sent events or one JSON body become text, usage and errors."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

Document: TypeAlias = dict[str, Any]

_DONE = b"[DONE]"

_MAX_NAME_CHARS = 200
_MAX_TOKENS = 10**9  # what is more is not a count
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

# What providers call their errors, as the HTTP status it stands for; the first that fits counts.
_STATUS_OF_NAME = (
    ("insufficient_quota", 402),
    ("context_length", 400),
    ("exceed_context", 400),
    ("rate_limit", 429),
    ("overloaded", 503),
    ("unavailable", 503),
    ("timeout", 504),
    ("api_key", 401),
    ("authentication", 401),
    ("permission", 403),
    ("not_found", 404),
    ("invalid_request", 400),
)
_UNNAMED_STATUS = 500


class BodyError(Exception):
    """The body is not an answer: broken (status None), or an error the provider reports with this status."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


# -- meaning -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider counted. completion_tokens holds reasoning_tokens; None where it did not say."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int | None
    cost_usd: float | None


@dataclass(slots=True)
class Reply:
    """What one try has brought so far.

    `begun`: the model has written something, so there is something to bill; `shown`: some of it is text for the
    user, where white space alone does not count; `ended`: the provider says that this is all.
    """

    status: int | None = None  # of HTTP
    text_pieces: list[str] = field(default_factory=list[str])
    reasoning_pieces: list[str] = field(default_factory=list[str])
    finish_reason: str = ""
    usage: Usage | None = None
    served_model: str = ""
    request_id: str = ""
    begun: bool = False
    shown: bool = False
    ended: bool = False

    @property
    def text(self) -> str:
        return "".join(self.text_pieces)

    def take(self, data: bytes) -> str | None:
        """Read one JSON document, a chunk of a stream or a whole answer.

        Gives the text it adds; "" if it adds only reasoning, or white space, which is held back until text follows;
        None if nothing. Raises BodyError for data that is no such document, or that reports an error.
        """
        if self.ended or data.strip() == _DONE:
            self.ended = True
            return None
        document = read_json(data)
        error = read_error(document)
        if error is not None:
            raise BodyError(error.reason, error.status or _UNNAMED_STATUS)
        self.served_model = self.served_model or _name(document.get("model"))
        self.request_id = _name(document.get("id")) or self.request_id
        self.usage = _read_usage(document.get("usage")) or self.usage
        choices: object = document.get("choices")
        if not isinstance(choices, list) or not choices:
            return None
        return self._take_choice(_dict(cast("list[object]", choices)[0]))

    def _take_choice(self, choice: Document) -> str | None:
        streamed = "delta" in choice
        self.ended = not streamed
        self.finish_reason = _name(choice.get("finish_reason")) or self.finish_reason
        said = _dict(choice.get("delta" if streamed else "message"))
        text, thought = _split(said.get("content"))
        thought += _text(said.get("reasoning_content")) or _text(said.get("reasoning"))
        new = bool(text or thought)
        self.begun = self.begun or new or bool(self.finish_reason)
        if thought:
            self.reasoning_pieces.append(thought)
        if text:
            self.text_pieces.append(text)
        if not self.shown:
            self.shown, text = (True, self.text) if text.strip() else (False, "")
        return text if new else None


def read_json(data: bytes) -> Document:
    """The JSON object in `data`; some providers put an error object into a list of one. Raises BodyError."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        raise BodyError("sent invalid JSON") from None
    if isinstance(value, list) and len(cast("list[object]", value)) == 1:
        value = cast("list[object]", value)[0]
    if not isinstance(value, dict):
        raise BodyError("sent JSON that is not an object")
    return cast("Document", value)


def read_error(document: Document) -> BodyError | None:
    """The error a document reports, in any of the forms servers use; its status is None if it names none."""
    error: object = document.get("error") or document.get("detail")
    if document.get("object") == "error":
        error = document
    if not error:
        return None
    if not isinstance(error, dict):
        return BodyError(str(error))
    known = cast("Document", error)
    raw = _text(_dict(known.get("metadata")).get("raw"))  # what the provider behind a gateway said
    message = _text(known.get("message")) or "reported an error without a message"
    return BodyError(f"{message} ({raw})" if raw else message, _status(known))


def _status(error: Document) -> int | None:
    said = " ".join(str(error.get(key, "")) for key in ("code", "type", "status")).lower()
    for name, status in _STATUS_OF_NAME:
        if name in said:
            return status
    code = _count(error.get("code"))
    return code if code is not None and 400 <= code <= 599 else None


def _read_usage(value: object) -> Usage | None:
    usage = _dict(value)
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    reasoning = _count(_dict(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    cost = _amount(usage.get("cost"))
    if cost is not None and usage.get("is_byok") is True:  # the gateway's fee; the provider bills beside it
        cost += _amount(_dict(usage.get("cost_details")).get("upstream_inference_cost")) or 0.0
    return Usage(prompt, completion, None if reasoning is None else min(reasoning, completion), cost)


def _split(content: object) -> tuple[str, str]:
    """Text and reasoning of a content: a string, or a list of parts."""
    if not isinstance(content, list):
        return _text(content), ""
    text, thought = "", ""
    for item in cast("list[object]", content):
        part = _dict(item)
        if part.get("type") == "thinking":
            thought += _split(part.get("thinking"))[0]
        else:
            text += _text(item) or _text(part.get("text"))
    return text, thought


def _dict(value: object) -> Document:
    return cast("Document", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _name(value: object) -> str:
    return _text(value)[:_MAX_NAME_CHARS]


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_TOKENS else None


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < math.inf else None


# -- bytes ---------------------------------------------------------------------------------------------------


class BodyReader:
    """Cuts a body into documents: the data of server-sent events, or the one JSON body of an unstreamed answer.

    Which of the two it is, its first character tells: servers mislabel it. Never holds more than `max_bytes`.
    """

    def __init__(self, max_bytes: int, encoding: str = "") -> None:
        self._unpack = unpacker(encoding)
        self._left = max_bytes
        self._kind: Literal["unknown", "json", "events"] = "unknown"
        self._lines = _Lines()
        self._parts: list[bytes] = []  # of the JSON body, or the data lines of the event at hand

    def feed(self, block: bytes) -> list[bytes]:
        """The documents that `block` completes. Raises BodyError for a body too large, or of another kind."""
        block = self._unpack(block, self._left + 1)
        self._left -= len(block)
        if self._left < 0:
            raise BodyError("sent more than an answer can hold")
        if self._kind == "unknown" and (start := block.lstrip()):
            if start.startswith(b"<"):
                raise BodyError("sent a web page: is its base_url right? It often ends in /v1")
            self._kind = "json" if start.startswith((b"{", b"[")) else "events"
        if self._kind == "json":
            self._parts.append(block)
            return []
        return [data for line in self._lines.feed(block) if (data := self._read_line(line))]

    def close(self) -> list[bytes]:
        """The document that the end of the body completes, if one is open."""
        if self._kind == "json":
            return [b"".join(self._parts)]
        if line := self._lines.close():
            self._read_line(line)
        data = self._read_line(b"")
        return [data] if data else []

    def _read_line(self, line: bytes) -> bytes:
        """Read one line of an event stream; the data of the event that ends with it, b"" if none does."""
        if line:
            name, _, value = line.partition(b":")  # a comment has no name
            if name == b"data":
                self._parts.append(value.removeprefix(b" "))
            return b""
        data = b"\n".join(self._parts)
        self._parts.clear()
        return data


class _Lines:
    """Cuts blocks into lines that end in LF, CR LF or CR, in time linear in their length."""

    def __init__(self) -> None:
        self._open: list[bytes] = []  # the pieces of a line that has not ended
        self._after_cr = False

    def feed(self, block: bytes) -> list[bytes]:
        if not block:
            return []
        if self._after_cr:
            block = block.removeprefix(b"\n")
        self._after_cr = block.endswith(b"\r")
        lines: list[bytes] = []
        for piece in block.splitlines(keepends=True):
            self._open.append(piece.rstrip(b"\r\n"))
            if piece.endswith((b"\n", b"\r")):
                lines.append(self.close())
        return lines

    def close(self) -> bytes:
        """The line at hand, ended or not."""
        line = b"".join(self._open)
        self._open.clear()
        return line


def unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """What undoes a Content-Encoding: (packed, max_bytes) -> unpacked, cut at max_bytes however well it packed.

    Raises BodyError for an encoding that nobody asked for.
    """
    if encoding in ("", "identity"):
        return lambda packed, _: packed
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BodyError(f"packs its body as {encoding[:40]!r}, which was not asked for")
    stream = zlib.decompressobj(_GZIP_OR_ZLIB)

    def unpack(packed: bytes, max_bytes: int) -> bytes:
        try:
            return stream.decompress(packed, max_bytes)
        except zlib.error:
            raise BodyError("sent a body that cannot be unpacked") from None

    return unpack
