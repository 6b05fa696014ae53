"""The conversation: checked once, the query in it found, the instruction put in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from r2_router.checkpoints.format import Instruction
from r2_router.errors import InputError
from r2_router.pools.model import Capability
from r2_router.pools.part_tokens import Part
from r2_router.records import Budget
from r2_router.routing.image_size import image_size
from r2_router.routing.tokens import estimate_tokens
from r2_router.words import whole_characters

Message: TypeAlias = dict[str, Any]
Messages: TypeAlias = str | Sequence[Mapping[str, Any]]

BLANK = "The query is blank. Give the text you would send to an LLM."

_ROLES = ("system", "developer", "user", "assistant", "tool")
_PART_KINDS: Mapping[str, Capability] = {
    "image_url": "images",
    "input_image": "images",
    "image": "images",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "input_video": "video",
    "file": "files",
    "input_file": "files",
    "document": "files",
}
_COUNTED_AS = {"images": "image", "audio": "audio", "video": "video", "files": "file"}
_OVERHEAD_TOKENS = 4  # what a chat template puts around a message


def check_messages(messages: Messages) -> list[Message]:
    """`messages` as a new list of OpenAI messages; a string is one user message.

    Content is a string, or a list of parts: text, and others (images, audio, files), which are sent as they are.
    Raises InputError for an empty list, an unknown role, other content, no user message, or a blank last one.
    """
    if isinstance(messages, str):
        if not messages.strip():
            raise InputError(BLANK)
        return [{"role": "user", "content": whole_characters(messages)}]
    if not isinstance(messages, Sequence) or not messages:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError('messages is a string, or a list such as [{"role": "user", "content": "..."}].')
    checked = [_check_message(i, message) for i, message in enumerate(messages)]
    last = _last_user(checked)
    if last is None:
        raise InputError('messages holds no message of role "user": there is nothing to answer.')
    if not content_text(last).strip() and not part_kinds(last):
        raise InputError(BLANK)
    try:
        text = json.dumps(checked, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise InputError("messages holds something JSON cannot say: keep to text, numbers, lists and dicts.") from None
    return cast("list[Message]", json.loads(whole_characters(text)))


def last_user_text(messages: Sequence[Message]) -> str:
    """The text that is routed: the last user message of a checked conversation."""
    return query_text(cast("Message", _last_user(messages)))


def context_tokens(messages: Sequence[Message]) -> int:
    """Tokens, estimated, of everything but the last user message: what the model reads besides the query."""
    last = _last_user(messages)
    return sum(message_tokens(message) for message in messages if message is not last)


def prompt_tokens(messages: Sequence[Message], form_text: str = "") -> int:
    """Tokens, estimated, of a whole checked conversation, and of what is asked for beside it (`Form.text`)."""
    return context_tokens(messages) + estimate_tokens(last_user_text(messages)) + estimate_tokens(form_text)


def instruct(messages: Sequence[Message], instruction: Instruction, budget: Budget) -> list[Message]:
    """`messages` with the instruction for `budget` put where the checkpoint's heads were measured with it.

    "system": appended to the first system message, or made one; "suffix": after the last user text. "unlimited"
    has none.
    """
    sentence = instruction.render(budget)
    if not sentence:
        return list(messages)
    if instruction.place == "suffix":
        place = _last_user(messages)
    else:
        place = next((m for m in messages if m["role"] in ("system", "developer")), None)
    if place is None:
        return [{"role": "system", "content": sentence}, *messages]
    return [_append(message, sentence) if message is place else message for message in messages]


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """`messages` for a model that knows no system role: what it holds is put before the first user text."""
    system = [content_text(message) for message in messages if message["role"] in ("system", "developer")]
    kept = [message for message in messages if message["role"] not in ("system", "developer")]
    first = next((message for message in kept if message["role"] == "user"), None)
    return [_prepend(message, "\n\n".join(system)) if message is first else message for message in kept]


def is_marked(messages: Sequence[Message]) -> bool:
    """Whether a message, or a part of one, says with `cache_control` what a provider's prompt cache is to keep."""
    return any(
        "cache_control" in part
        for message in messages
        for part in (message, *(message["content"] if isinstance(message.get("content"), list) else ()))
    )


def mark(sent: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
    """`sent`, which is `messages` with an instruction in it, with `cache_control` marks at the ends of what the next
    turn sends again: of the last message that holds no instruction, and of what stands before the last user message,
    which loses its own then."""
    last_user = max(i for i, message in enumerate(sent) if message["role"] == "user")
    end = len(sent) - 1 if sent[-1] is messages[-1] else len(sent) - 2
    marked = list(sent)
    for place in {end, last_user - 1}:
        at = next((i for i in range(place, -1, -1) if content_text(sent[i]).strip()), None)
        if at is not None:
            marked[at] = _marked(sent[at])
    return marked


def unmark(messages: Sequence[Message]) -> list[Message]:
    """`messages` without any mark."""
    return [_unmarked(message) for message in messages]


def _marked(message: Message) -> Message:
    content = message["content"]
    parts: list[Message] = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    last = max(i for i, part in enumerate(parts) if part.get("text", "").strip())  # a blank part cannot be marked
    parts[last] = {**parts[last], "cache_control": {"type": "ephemeral"}}
    return {**message, "content": parts}


def _unmarked(message: Message) -> Message:
    if not is_marked([message]):
        return message
    kept = {key: value for key, value in message.items() if key != "cache_control"}
    content = kept.get("content")
    if isinstance(content, list):
        parts = [{k: v for k, v in part.items() if k != "cache_control"} for part in cast("list[Message]", content)]
        alone = len(parts) == 1 and parts[0].get("type") == "text"
        kept["content"] = parts[0]["text"] if alone else parts
    return kept


def content_text(message: Mapping[str, Any]) -> str:
    """The text of a message: its content, or its text parts one after the other."""
    content: object = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in cast("list[Mapping[str, str]]", content))


def query_text(message: Message) -> str:
    """What a message says; of one that says nothing, what it holds: "[images]"."""
    text = content_text(message)
    return text if text.strip() else "".join(f"[{kind}]" for kind in dict.fromkeys(part_kinds(message))) or text


def part_kind(part: Mapping[str, Any]) -> Capability | None:
    """What a model must be able to read for this part of a message, None for text, or what nobody knows."""
    return _PART_KINDS.get(part.get("type", ""))


def counted_parts(messages: Sequence[Message]) -> list[Part]:
    """The parts that are no text, as pools/part_tokens.py counts them."""
    found: list[Part] = []
    for message in messages:
        content = message.get("content")
        for part in cast("list[Message]", content) if isinstance(content, list) else []:
            kind = part_kind(part)
            if kind is not None:
                image = part.get("image_url")
                low = isinstance(image, Mapping) and cast("Message", image).get("detail") == "low"
                counted = "image_low" if low else _COUNTED_AS[kind]
                found.append(Part(counted, image_size(part) if counted == "image" else None))
    return found


def part_kinds(message: Message) -> list[Capability]:
    """What a model must be able to read for a message besides text, a part each."""
    content = message.get("content")
    parts = cast("list[Message]", content) if isinstance(content, list) else []
    return [kind for part in parts if (kind := part_kind(part)) is not None]


def _check_message(i: int, message: object) -> Message:
    if not isinstance(message, Mapping):
        raise InputError(f'messages[{i}] is not a dict such as {{"role": "user", "content": "..."}}.')
    known = dict(cast("Mapping[str, Any]", message))
    if known.get("role") not in _ROLES:
        raise InputError(f"messages[{i}] has role {str(known.get('role'))[:40]!r}; roles are {', '.join(_ROLES)}.")
    content: object = known.get("content")
    if isinstance(content, str) or (content is None and known["role"] == "assistant"):
        return known
    if not isinstance(content, list) or not all(_is_part(part) for part in cast("list[object]", content)):
        raise InputError(
            f"messages[{i}] holds content that is not text: give a string, or a list of parts with a type."
        )
    return known


def _is_part(part: object) -> bool:
    if not isinstance(part, Mapping):
        return False
    known = cast("Mapping[str, object]", part)
    text, kind = known.get("text"), known.get("type")
    if kind == "text" or "text" in known:
        return isinstance(kind, str) and isinstance(text, str)
    return isinstance(kind, str) and bool(kind)


def _last_user(messages: Sequence[Message]) -> Message | None:
    return next((message for message in reversed(messages) if message["role"] == "user"), None)


def message_tokens(message: Message) -> int:
    """Tokens, estimated, of one message and of what a chat template puts around it."""
    calls = message.get("tool_calls")
    called = estimate_tokens(json.dumps(calls)) if calls else 0
    return estimate_tokens(content_text(message)) + called + _OVERHEAD_TOKENS


def _append(message: Message, sentence: str) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": f"{content}\n\n{sentence}"}
    return {**message, "content": [*content, {"type": "text", "text": f"\n\n{sentence}"}]}


def _prepend(message: Message, text: str) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": f"{text}\n\n{content}"}
    return {**message, "content": [{"type": "text", "text": f"{text}\n\n"}, *content]}
