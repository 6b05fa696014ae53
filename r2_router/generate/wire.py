"""What a chat API sends, read defensively: server-sent events or one JSON body become text, usage and errors."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

from r2_router.generate.logprobs import LogProbs
from r2_router.generate.tool_calls import ToolCallDelta, ToolCalls
from r2_router.generate.usage import Document, Usage, find_usage
from r2_router.records import as_dict
from r2_router.words import whole_characters

_DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"

_MAX_NAME_CHARS = 200
# Between these some models write what they think, at the start of their answer.
_THOUGHT_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>"}
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
_MAX_DEPTH = 8


class BodyError(Exception):
    """The body is not an answer: broken (status None), or an error the provider reports with this status, in `raw`.

    `strange`: it comes from something that is no chat API.
    """

    def __init__(self, reason: str, status: int | None = None, raw: bytes = b"", *, strange: bool = False) -> None:
        super().__init__(reason)
        self.reason = whole_characters(reason)
        self.status = status
        self.raw = raw
        self.strange = strange


# -- meaning -------------------------------------------------------------------------------------------------


class _Halves:
    """Joins characters whose two halves came apart; half a character alone becomes the replacement character."""

    def __init__(self) -> None:
        self._held = ""

    def join(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return whole_characters(text)

    def close(self) -> str:
        held, self._held = self._held, ""
        return whole_characters(held)


class _Thoughts:
    """Parts an answer from the thoughts that stand in it between tags, at its start, whether they are closed or not."""

    def __init__(self) -> None:
        self._held = ""  # may yet become a tag
        self._closing = ""  # the tag that ends the thoughts at hand
        self._at_start = True
        self._after_thoughts = False

    def part(self, piece: str) -> tuple[str, str]:
        """The text and the thoughts in the next piece."""
        rest, self._held = self._held + piece, ""
        text = thought = ""
        while rest:
            if self._closing:
                stated, rest = self._until_closed(rest)
                thought += stated
            elif self._at_start:
                rest = self._open(rest)
            else:
                text, rest = text + rest, ""
        return text, thought

    def close(self) -> tuple[str, str]:
        """What was held back, as text and as thoughts."""
        held, self._held = self._held, ""
        return ("", held) if self._closing else (held, "")

    def _open(self, rest: str) -> str:
        body = rest.lstrip()
        for opening, closing in _THOUGHT_TAGS.items():
            if body[: len(opening)].lower() == opening:
                self._closing = closing
                return body[len(opening) :]
        if any(opening.startswith(body.lower()) for opening in _THOUGHT_TAGS):
            self._held = rest
            return ""
        self._at_start = False
        return body if self._after_thoughts else rest

    def _until_closed(self, rest: str) -> tuple[str, str]:
        """The thoughts up to their end, and what follows it."""
        closing = self._closing
        place = rest.lower().find(closing)
        if place >= 0:
            self._closing, self._after_thoughts = "", True
            return rest[:place], rest[place + len(closing) :]
        kept = next((n for n in range(len(closing) - 1, 0, -1) if rest[-n:].lower() == closing[:n]), 0)
        self._held = rest[len(rest) - kept :]
        return rest[: len(rest) - kept], ""


@dataclass(slots=True)
class Reply:
    """What one try has brought so far.

    `begun`: the model has done something; `shown`: some of it is text for the user, where white space alone does not
    count; `ended`: the provider says that this is all. `unbilled`: nobody can have been billed: nothing was asked yet,
    or it was refused.
    """

    status: int | None = None  # of HTTP
    unbilled: bool = True
    text_pieces: list[str] = field(default_factory=list[str])
    reasoning_pieces: list[str] = field(default_factory=list[str])
    refusal_pieces: list[str] = field(default_factory=list[str])
    call_pieces: list[ToolCallDelta] = field(default_factory=list[ToolCallDelta])  # of the tools it asks for
    calls: ToolCalls = field(default_factory=ToolCalls)
    logprobs: LogProbs = field(default_factory=LogProbs)
    finish_reason: str = ""
    usage: Usage | None = None
    usage_final: bool = False  # else more may have been billed since
    size: int = 0  # characters that the model wrote, of whatever kind
    served_model: str = ""
    request_id: str = ""
    begun: bool = False
    shown: bool = False
    ended: bool = False
    _halves: _Halves = field(default_factory=_Halves)
    _thoughts: _Thoughts = field(default_factory=_Thoughts)

    @property
    def text(self) -> str:
        return "".join(self.text_pieces)

    @property
    def written(self) -> str:
        """All that the model wrote but its thoughts: text, refusals, calls of tools."""
        called = (part for piece in self.call_pieces for part in (piece.name, piece.arguments))
        return "".join((*self.text_pieces, *self.refusal_pieces, *called))

    @property
    def whole(self) -> bool:
        """Whether the provider said that it is done."""
        return self.finish_reason != "error" and bool(self.finish_reason or self.ended)

    def take(self, data: bytes) -> str | None:
        """Read one JSON document, a chunk of a stream or a whole answer.

        Gives the text it adds; "" if it adds only reasoning, or white space, which is held back until text follows;
        None if nothing. Raises BodyError for data that is no such document, or that reports an error.
        """
        if self.ended or data.strip() == _DONE:
            self.ended = True
            return None
        document = read_json(data)
        choices: object = document.get("choices")
        choice = _first_choice(choices)
        if (usage := find_usage(document)) is not None:
            self.usage = usage.merged(self.usage)
            self.usage_final = not choices or bool(choice.get("finish_reason")) or "message" in choice
        error = read_error(document)
        if error is not None:
            raise BodyError(error.reason, error.status or _UNNAMED_STATUS, data)
        self.served_model = self.served_model or _name(document.get("model"))
        self.request_id = _name(document.get("id")) or self.request_id
        return self._take_choice(choice) if choice else None

    def _take_choice(self, choice: Document) -> str | None:
        self.logprobs.take(choice)
        delta, message = choice.get("delta"), choice.get("message")
        whole = isinstance(message, dict) and not isinstance(delta, dict)
        self.finish_reason = _name(choice.get("finish_reason")) or self.finish_reason
        stated = as_dict(cast("object", message if whole else delta))
        content, thought = _split(stated.get("content"))
        thought += _text(stated.get("reasoning_content")) or _text(stated.get("reasoning"))
        refusal, calls = _text(stated.get("refusal")), self.calls.take(stated)
        self.size += len(content) + len(thought) + len(refusal)
        self.size += sum(len(call.name) + len(call.arguments) for call in calls) if calls else 0
        new = bool(content or thought or refusal or calls)
        self.begun = self.begun or new or bool(self.finish_reason)
        self.refusal_pieces += [refusal] if refusal else []
        self.call_pieces += calls
        text, thought_inside = self._thoughts.part(self._halves.join(content))
        text = self._add(text, thought + thought_inside)
        if whole:
            text += self.close()
            self.ended = True
        return text if new else None

    def close(self) -> str:
        """The text that was held back because more might have followed: nothing does."""
        text, thought = self._thoughts.part(self._halves.close())
        stated, thought_last = self._thoughts.close()
        return self._add(text + stated, thought + thought_last)

    def _add(self, text: str, thought: str) -> str:
        """Keep what came; the text that can be shown now."""
        if thought:
            self.reasoning_pieces.append(thought)
        if text:
            self.text_pieces.append(text)
        if self.shown:
            return text
        self.shown = bool(text.strip())
        return self.text if self.shown else ""


def _first_choice(choices: object) -> Document:
    """The choice of index 0: others are answers that nobody asked for."""
    if not isinstance(choices, list):
        return {}
    for choice in map(as_dict, cast("list[object]", choices)):
        if choice.get("index") in (0, None):
            return choice
    return {}


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


def read_error(document: Document, *, refused: bool = False) -> BodyError | None:
    """The error a document reports, in any of the forms servers use; its status is None if it names none.

    `refused`: the document is one, so what would be no error elsewhere, as a bare message, is one here.
    """
    error: object = document.get("error") or document.get("detail") or document.get("errors")
    if document.get("object") == "error" or (refused and not error and document.get("message")):
        error = document
    if not error:
        return None
    known = as_dict(error)
    raw = _text(as_dict(known.get("metadata")).get("raw"))  # what the provider behind a gateway said
    message = _words(error) or "reported an error without a message"
    return BodyError(f"{message} ({raw})" if raw else message, _status(known))


def _words(error: object, depth: int = 0) -> str:
    """What an error says, however it is nested: messages, each after the place it is about."""
    if depth > _MAX_DEPTH or isinstance(error, str):
        return _text(error)
    if isinstance(error, list):
        return "; ".join(filter(None, (_words(item, depth + 1) for item in cast("list[object]", error))))
    known = as_dict(error)
    for key in ("message", "msg", "detail", "errors"):
        if words := _words(known.get(key), depth + 1):
            place: object = known.get("loc") or known.get("param") or known.get("field") or ""
            path = ".".join(map(str, cast("list[object]", place))) if isinstance(place, list) else _text(place)
            return words if path in words else f"{path}: {words}"
    return ""


def _status(error: Document) -> int | None:
    stated = " ".join(str(error.get(key, "")) for key in ("code", "type", "status")).lower()
    for name, status in _STATUS_OF_NAME:
        if name in stated:
            return status
    code = str(error.get("code"))
    return int(code) if code.isdecimal() and len(code) == 3 and 400 <= int(code) <= 599 else None


def _split(content: object) -> tuple[str, str]:
    """Text and reasoning of a content: a string, or a list of parts."""
    if not isinstance(content, list):
        return _text(content), ""
    text, thought = "", ""
    for item in cast("list[object]", content):
        part = as_dict(item)
        if part.get("type") == "thinking":
            thought += _split(part.get("thinking"))[0]
        else:
            text += _text(item) or _text(part.get("text"))
    return text, thought


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _name(value: object) -> str:
    return whole_characters(_text(value)[:_MAX_NAME_CHARS])


# -- bytes ---------------------------------------------------------------------------------------------------


class BodyReader:
    """Cuts a body into documents: the data of server-sent events, or the one JSON body of an unstreamed answer.

    Which of the two it is, its first character tells: servers mislabel it. Never holds more than `max_bytes`.
    """

    def __init__(self, max_bytes: int, encoding: str = "") -> None:
        self._unpack = unpacker(encoding)
        self._left = max_bytes
        self._head = b""  # the first bytes, while they may be a byte order mark
        self._begun = False
        self._kind: Literal["unknown", "json", "events"] = "unknown"
        self._lines = _Lines()
        self._parts: list[bytes] = []  # of the JSON body, or the data lines of the event at hand

    def feed(self, block: bytes) -> list[bytes]:
        """The documents that `block` completes. Raises BodyError for a body too large, or of another kind."""
        block = self._unpack(block, self._left + 1)
        self._left -= len(block)
        if self._left < 0:
            raise BodyError("sent more than an answer can hold")
        block = self._without_mark(block)
        if self._kind == "unknown" and (start := block.lstrip()):
            if start.startswith(b"<"):
                raise BodyError("sent a web page: is its base_url right? It often ends in /v1", strange=True)
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

    def _without_mark(self, block: bytes) -> bytes:
        if self._begun:
            return block
        block, self._head = self._head + block, b""
        if len(block) < len(_BOM) and _BOM.startswith(block):
            self._head = block
            return b""
        self._begun = True
        return block.removeprefix(_BOM)

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
        if not self._open and block.endswith((b"\n", b"\r")):
            return block.splitlines()  # whole ones, as nearly always
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
