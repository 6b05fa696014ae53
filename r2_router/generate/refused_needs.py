"""A refusal that names what the request needs: the model cannot do it, and is not asked for it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from r2_router.generate.faults import TryError
from r2_router.pools.model import Capability
from r2_router.routing.needs import Need

_STATUS = frozenset({400, 404, 415, 422, 500, 501})  # llama.cpp says 500 of an image, OpenRouter 404 of tools
_REFUSES = re.compile(
    r"\bnot? (?:currently |yet )?(?:support|accept|allow|permit|enabl|available|a (?:multimodal|vision))"
    r"|unsupported|does ?n[o']t (?:support|accept|allow|have)|do(?:es)? not (?:support|accept|allow|have)"
    r"|no endpoints found|requires? (?:--?enable|--tool)|at most 0|unavailable|must end with|last role"
    r"|must be a string|only supports? text|cannot (?:read|process|handle|be used with)",
    re.I,
)
# Of what was sent, rather than of the model: another image, or another schema, may do.
_OF_CONTENT = re.compile(
    r"(?:image|audio|video|file|media|mime)\W{0,3}(?:format|type|size|url|dimension|encoding|data)\b"
    r"|(?:download|fetch|decode|too (?:large|big|many|small)|corrupt|invalid (?:schema|base64|image))",
    re.I,
)
_WORDS: Mapping[Capability, re.Pattern[str]] = {
    "images": re.compile(r"image|vision|multi-?modal|content\W.{0,40}must be a string", re.I),
    "audio": re.compile(r"audio|content\W.{0,40}must be a string", re.I),
    "video": re.compile(r"video|content\W.{0,40}must be a string", re.I),
    "files": re.compile(r"\bfiles?\b|\bpdf|document|content\W.{0,40}must be a string", re.I),
    "tools": re.compile(r"\btools?\b|tool_use|function.?call", re.I),  # not tool_choice: another choice may do
    "json_schema": re.compile(r"response_format|json.?schema|structured.?output", re.I),
    "json_object": re.compile(r"response_format|json.?object|json.?mode", re.I),
    "prefill": re.compile(r"prefill|must end with|last role|last message|continu\w+ .{0,30}assistant", re.I),
}


def refused_need(failure: TryError, needs: Iterable[Need]) -> Need | None:
    """The need of the request that a server's refusal names, None where it names none.

    A complaint about what was sent, such as the format of an image, is none about the model.
    """
    said = failure.message or failure.reason
    if failure.status not in _STATUS or not _REFUSES.search(said) or _OF_CONTENT.search(said):
        return None
    named = [need for need in needs if _WORDS[need.kind].search(said)]
    return min(
        named, key=lambda need: need.kind != "prefill", default=None
    )  # whose refusals name roles, tool among them
