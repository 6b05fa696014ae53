"""How long a server asks to wait before the next try, in whichever of its ways it says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPELT = {
    "ms": r"ms|milliseconds?",
    "s": r"s|secs?|seconds?",
    "m": r"m|mins?|minutes?",
    "h": r"h|hrs?|hours?",
    "d": r"d|days?",
}
_UNIT = "|".join(f"(?P<{unit}>{words})" for unit, words in _SPELT.items())
_PART = re.compile(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)\s*(?:{_UNIT})(?![a-z])", re.IGNORECASE | re.ASCII)
_SPAN = rf"(?:{re.sub(r'[?]P<[a-z]+>', '?:', _PART.pattern)}[\s,]*(?:and\s+)?)+"
# "try again in 4s", "retry in 34.07 seconds", "retryDelay": "34s"
_SAID = re.compile(
    rf"(?:(?:try|retry)(?:ing)?(?:\s+again)?\s+(?:in|after)\s+|retryDelay\W{{1,8}}|wait\s+(?:for\s+)?)({_SPAN})",
    re.IGNORECASE | re.ASCII,
)
_RESET = re.compile(r"(?:x-|anthropic-)?ratelimit-(?:reset(?:-.+)?|.+-reset)")
_EPOCH_S, _EPOCH_MS = 1e9, 1e12  # what is larger is a moment since 1970, not a span


def asked_wait(headers: Mapping[str, str], stated: str = "") -> float | None:
    """Seconds to wait by a refusal's headers and by what its body says; None if neither tells.

    `headers` by lower-case name. What is most exact comes first: retry-after-ms, Retry-After, the body, and last
    when the limit that is used up is lifted.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    wait_s = retry_after(headers.get("retry-after"))
    if wait_s is None and (found := _SAID.search(stated)):
        wait_s = _span(found[1])
    return _reset(headers) if wait_s is None else wait_s


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header, a number or an HTTP date; None if it says neither."""
    stated = (header or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", stated, re.ASCII):
        return float(stated)
    try:
        date = parsedate_to_datetime(stated)
    except (ValueError, OverflowError):
        return None
    return _until(date)


def _reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until a rate limit is lifted: the longest wait of those used up, else the shortest of all."""
    waits: list[tuple[bool, float]] = []
    for name, value in headers.items():
        if _RESET.fullmatch(name) and (wait_s := _moment(value.strip())) is not None:
            remaining = headers.get(name.replace("reset", "remaining"), "").strip()
            waits.append((remaining in ("0", "0.0"), wait_s))
    used_up = [wait_s for empty, wait_s in waits if empty]
    return max(used_up) if used_up else min((wait_s for _, wait_s in waits), default=None)


def _moment(value: str) -> float | None:
    """Seconds until `value`: a span (6m0s, 17ms, 20), seconds or milliseconds since 1970, or an ISO date."""
    if _NUMBER.fullmatch(value):
        number = float(value)
        if number < _EPOCH_S:
            return number
        return max(0.0, number / (1000 if number >= _EPOCH_MS else 1) - datetime.now(UTC).timestamp())
    if re.fullmatch(_SPAN, value, re.IGNORECASE | re.ASCII):
        return _span(value)
    try:
        return _until(datetime.fromisoformat(value))
    except ValueError:
        return None


def _span(text: str) -> float:
    return sum(float(part[1]) * _UNITS[part.lastgroup or "s"] for part in _PART.finditer(text))


def _until(date: datetime) -> float:
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
