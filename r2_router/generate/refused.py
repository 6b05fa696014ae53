"""What a server refuses of a request, found in its complaint, and the request in a form that it may take.

One rule for every field: a complaint that names a field we sent drops it, renames it, or brings it within bounds. What
a model turned out to refuse is remembered for as long as the process lives, and not asked of it again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from r2_router.generate.body import Body
from r2_router.generate.cache_hints import FIELDS
from r2_router.routing.messages import fold_system, unmark

CAPS = ("max_tokens", "max_completion_tokens")
_CAP_ELSEWHERE = ("max_output_tokens", "maxOutputTokens", "max_new_tokens", "num_predict")  # names behind a gateway
_EFFORTS = ("none", "minimal", "low")  # each the next one's, where it is refused
_NEVER_DROPPED = frozenset({"model", "messages", "tools", "tool_choice", "response_format", *CAPS})
# Words of English that are fields too: they count where a server marks them as a name.
_ENGLISH = frozenset({"n", "stop", "stream", "seed", "user", "reasoning", "store", "tools", "metadata"})
_LEAST_CAP = 16  # where a server names no least one
_MOST_RAISED = 1024  # what a cap is raised to at most: it costs money
_STREAMING = re.compile(
    r"streaming\b.{0,60}\b(not|n't|unsupported|disabled)|to stream this|not support.{0,20} stream", re.I
)
_SYSTEM = re.compile(
    r"(system|developer)\W.{0,40}\b(role|prompt|message|instruction)|role.{0,60}\b(system|developer)\b", re.I
)
_DEVELOPER = re.compile(r"\bdeveloper\b", re.I)
_TOO_SMALL = re.compile(
    r"(at least|minimum( value)?( of)?|>=?|greater than( or equal to)?|below( the)? minimum|too small|too low)", re.I
)
_BOUND = re.compile(
    r"(?:at most|up to|maximum(?: value)?(?: of| is|:)?|less than or equal to|<=?|no more than|supports only"
    r"|limit(?: of| is)?|\[\s*\d+\s*,|between \d+ and|range\D{0,30}\d+\D{0,20}to)"
    r"\s*[`'\"]?(\d{1,9})(?P<exclusive>\s*\(exclusive\))?",
    re.I,
)
_WINDOW = re.compile(r"context (?:length|window|size)\D{0,30}(\d{2,9})", re.I)
_READ = re.compile(
    r"(\d{1,9}) (?:input|prompt) tokens|(\d{1,9}) (?:tokens )?(?:in|from) the (?:messages|prompt|input)", re.I
)
_NUMBER = re.compile(r"(?<![\w.\-])\d{1,9}(?![\w.]*\d)")


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a server refused a request: `names`, the fields it points at, and all its words."""

    names: tuple[str, ...]
    text: str

    @classmethod
    def read(cls, stated: str) -> Complaint:
        """The complaint in the body of a refusal, whatever its shape. What it repeats of our request does not count."""
        try:
            document: object = json.loads(stated)
        except (ValueError, RecursionError):
            return cls((), stated)
        names: list[str] = []
        words = list(_walk(document, names, 0))
        for word in words:  # a gateway passes on what the provider said, as text
            if word.lstrip().startswith(("{", "[")) and word != stated:
                names += cls.read(word).names
        return cls(tuple(names), " ".join(words))

    def about(self, name: str) -> bool:
        """Whether it names the field."""
        if name in self.names:
            return True
        spelt = re.escape(name)
        called = rf"\b(?:parameter|argument|field|property|input)s?(?: supplied)?:?\s+{spelt}\b"
        if re.search(rf"[`'\"\u2018\u201c]{spelt}[`'\"\u2019\u201d]|{called}", self.text):
            return True
        return name not in _ENGLISH and bool(re.search(rf"(?<![\w-]){spelt}(?![\w-])", self.text))


def _walk(value: object, names: list[str], depth: int) -> Iterator[str]:
    """The words of a document; `names` gets the fields that it points at."""
    if depth > 8:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _walk(item, names, depth + 1)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            if key in ("param", "parameter", "field", "loc"):
                names += _path(item)
            if key not in ("input", "body", "request", "ctx", "url"):
                yield from _walk(item, names, depth + 1)


def _path(place: object) -> list[str]:
    """The names on the way to a field: "messages[0].role", or ["body", "messages", 0, "role"]."""
    steps = cast("list[object]", place) if isinstance(place, list) else (place,)
    return [part for step in steps for part in re.split(r"[.\[\]]+", str(step)) if part]


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a model does not take. `dropped`: fields with the values that it refused, as JSON."""

    dropped: frozenset[tuple[str, str]] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    effort: str = ""
    least_cap: int = 0
    most_cap: int | None = None
    room: int | None = None  # for this prompt only
    whole: bool = False  # no streams
    no_developer: bool = False
    no_system: bool = False
    no_hints: bool = False  # to its prompt cache

    def apply(self, body: Body) -> Body:
        """`body` as the model takes it."""
        if self is _NOTHING:
            return body
        known = {self.renamed.get(k, k): v for k, v in body.items() if (k, _json(v)) not in self.dropped}
        for cap in CAPS:
            if cap in known:
                bounds = [bound for bound in (self.most_cap, self.room) if bound is not None]
                known[cap] = min([max(self.least_cap, known[cap]), *bounds])
        if self.effort and "reasoning_effort" in known:
            known["reasoning_effort"] = self.effort
        if self.whole:
            known.pop("stream_options", None)
            known["stream"] = False
        if self.no_hints:
            known = {name: value for name, value in known.items() if name not in FIELDS}
            known["messages"] = unmark(known["messages"])
        if self.no_system:
            known["messages"] = fold_system(known["messages"])
        elif self.no_developer:
            known["messages"] = [
                {**message, "role": "system"} if message["role"] == "developer" else message
                for message in known["messages"]
            ]
        return known

    def learn(self, body: Body, complaint: Complaint) -> Quirks | None:
        """What is known after `complaint` about `body`, as it was before `apply`; None if nothing new."""
        sent = self.apply(body)
        hinted = not self.no_hints and any(complaint.about(name) for name in FIELDS)
        learned = replace(self, no_hints=True) if hinted else self._learn(body, sent, complaint)
        return learned if learned is not None and learned.apply(body) != sent else None

    def _learn(self, body: Body, sent: Body, complaint: Complaint) -> Quirks | None:
        cap = next((name for name in CAPS if name in sent), None)
        if cap is not None:
            other = CAPS[1 - CAPS.index(cap)]
            if complaint.about(other) and other not in self.renamed and not self._about_size(complaint):
                return replace(self, renamed={**self.renamed, cap: other})
            in_all = "in the completion" in complaint.text and _WINDOW.search(complaint.text)
            if in_all or any(complaint.about(name) for name in (cap, other, *_CAP_ELSEWHERE)):
                return self._capped(sent[cap], complaint.text)
        if complaint.about("reasoning_effort") and sent.get("reasoning_effort") in _EFFORTS:
            lower = _EFFORTS[_EFFORTS.index(sent["reasoning_effort"]) + 1 :]
            offered = next((effort for effort in lower if re.search(rf"\b{effort}\b", complaint.text)), None)
            if offered:
                return replace(self, effort=offered)
        named = [name for name in sent if name not in _NEVER_DROPPED and name != "stream" and complaint.about(name)]
        if named:
            name = min(named, key=lambda n: (n not in complaint.names, complaint.text.find(n)))
            value = body[name] if name in body else sent[name]
            return replace(self, dropped=self.dropped | {(name, _json(value))})
        if sent.get("stream") and (complaint.about("stream") or _STREAMING.search(complaint.text)):
            return replace(self, whole=True)
        return self._roles(sent, complaint)

    def _roles(self, sent: Body, complaint: Complaint) -> Quirks | None:
        roles = {message["role"] for message in sent["messages"]}
        if "developer" in roles and (_DEVELOPER.search(complaint.text) or "role" in complaint.names):
            return replace(self, no_developer=True)
        if roles & {"system", "developer"} and (_SYSTEM.search(complaint.text) or "role" in complaint.names):
            return replace(self, no_system=True)
        return None

    @staticmethod
    def _about_size(complaint: Complaint) -> bool:
        return bool(
            _TOO_SMALL.search(complaint.text) or _BOUND.search(complaint.text) or _WINDOW.search(complaint.text)
        )

    def _capped(self, cap: int, text: str) -> Quirks | None:
        """The cap brought within the bounds that `text` tells; it is never dropped, for then nothing ends an answer."""
        window, read = _WINDOW.search(text), _READ.search(text)
        if window and read:
            room = int(window[1]) - next(int(n) for n in read.groups() if n)
            return replace(self, room=room) if 0 < room < cap else None
        bounds = [int(found[1]) - bool(found["exclusive"]) for found in _BOUND.finditer(text)]
        lower = [bound for bound in bounds if _LEAST_CAP <= bound < cap]
        if lower:
            return replace(self, most_cap=max(lower))
        if small := _TOO_SMALL.search(text):
            least = min((int(n) for n in _NUMBER.findall(text[small.end() :]) if int(n) > cap), default=_LEAST_CAP)
            if cap < least <= max(_MOST_RAISED, cap * 2):
                return replace(self, least_cap=least)
        lower = [int(n) for n in _NUMBER.findall(text) if _LEAST_CAP <= int(n) < cap]
        return replace(self, most_cap=max(lower)) if lower else None


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


# -- what is remembered --------------------------------------------------------------------------------------

_NOTHING = Quirks()
_known: dict[tuple[str, str], Quirks] = {}  # by base URL and id of the model


def known_quirks(base_url: str, model_id: str) -> Quirks:
    """What this process has learned of a model."""
    return _known.get((base_url, model_id), _NOTHING)


def remember(base_url: str, model_id: str, quirks: Quirks) -> None:
    """Ask the model so from now on; for a request that it answered. Room that one prompt left is not remembered."""
    if quirks is not _NOTHING:
        _known[base_url, model_id] = replace(quirks, room=None)


def forget() -> None:
    """Know nothing of any model."""
    _known.clear()
