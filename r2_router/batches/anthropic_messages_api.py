"""A chat request as Anthropic's Messages API takes it, and its answer as a chat completion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from r2_router.generate.body import Body
from r2_router.generate.refused import CAPS
from r2_router.records import as_dict
from r2_router.routing.messages import content_text

# Fields of both APIs, and those of ours that mean nothing in a batch.
_SAME = ("model", "temperature", "top_p", "top_k", "thinking")
_LEFT_OUT = ("messages", "stream", "stream_options", "stop", *CAPS)
_DATA_URL = re.compile(r"data:(image/[\w.+-]+);base64,(.+)", re.DOTALL)
_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def message_params(body: Body) -> dict[str, Any] | None:
    """The parameters of a message; None where the request holds what is said otherwise there: tools, formats, files."""
    if any(name not in (*_SAME, *_LEFT_OUT) for name in body):
        return None
    params: dict[str, Any] = {name: body[name] for name in _SAME if name in body}
    params["max_tokens"] = next(body[cap] for cap in CAPS if cap in body)
    if stop := body.get("stop"):
        params["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    system: list[str] = []
    said: list[dict[str, Any]] = []
    for message in body["messages"]:
        if message["role"] in ("system", "developer"):
            system.append(content_text(message))
        elif message["role"] in ("user", "assistant") and not message.get("tool_calls"):
            content = _content(message.get("content"))
            if content is None:
                return None
            said.append({"role": message["role"], "content": content})
        else:
            return None
    if system:
        params["system"] = "\n\n".join(system)
    return {**params, "messages": said}


def _content(content: object) -> str | list[dict[str, Any]] | None:
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    blocks = [_block(as_dict(part)) for part in cast("list[object]", content)]
    return None if None in blocks else cast("list[dict[str, Any]]", blocks)


def _block(part: Mapping[str, Any]) -> dict[str, Any] | None:
    if part.get("type") == "text":
        return {"type": "text", "text": part.get("text", "")}
    if part.get("type") != "image_url":
        return None
    url = str(as_dict(part.get("image_url")).get("url", ""))
    if found := _DATA_URL.fullmatch(url):
        return {"type": "image", "source": {"type": "base64", "media_type": found[1], "data": found[2]}}
    return {"type": "image", "source": {"type": "url", "url": url}} if url.startswith("https://") else None


def completion_of(message: dict[str, Any]) -> dict[str, Any]:
    """A message as a chat completion."""
    blocks = [as_dict(block) for block in message.get("content") or ()]
    said = {
        "role": "assistant",
        "content": "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text"),
        "reasoning_content": "".join(str(block.get("thinking", "")) for block in blocks),
    }
    stopped = str(message.get("stop_reason") or "")
    choice = {"index": 0, "message": said, "finish_reason": _FINISH.get(stopped, stopped)}
    kept = {name: message[name] for name in ("id", "model", "usage") if name in message}
    return {**kept, "choices": [choice]}
