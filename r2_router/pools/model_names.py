"""One model under many names: which id of a provider means which name in the public ratings.

A wrong match is worse than none: what cannot be told for sure is no match. Words, numbers and sizes must all agree;
what is seen through is who serves it, how it is packed (quantised, its route), and a date where the rating is of that
date or of none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from r2_router.pools.provider_list import ROUTES

_PACKING = re.compile(
    r"[-_@:.](?:i?q\d(?:_\w+)?|[uf]d-\w+|fp\d+|f16|f32|bf16|nvfp4|mxfp4|int[48]|[48]bit|awq|gptq|gguf|mlx|qat|i1)$"
)
_ISO = re.compile(r"[-@](20\d\d)-?([01]\d)-?([0-3]\d)(?=$|[-@:])")
_SHORT = re.compile(r"[-@](0[0-9]{2}|\d{2}-20\d\d|\d{2}-\d{2}|\d{4})$")
_BEDROCK = re.compile(
    r"^(?:[a-z]{2,4}\.)?(?:anthropic|meta|mistral|amazon|cohere|ai21|deepseek|openai|qwen)\.(?=[a-z])"
)
_BEDROCK_END = re.compile(r"-v\d+(?::\d+)?(?::\d+k)?$")
_THINKS = ("non-thinking", "non-reasoning", "thinking", "reasoning")
_PIECES = re.compile(r"\d+x\d+b?|\d+[a-z]*|[a-z]+")
_ROUTES = (*ROUTES, ":free", ":batch", ":beta", ":extended", ":exacto")  # the same model, otherwise served
_CHAT = frozenset({"instruct", "it", "chat"})  # what Ollama leaves out
_SIZE = re.compile(r"\d+(?:x\d+)?b")

Key = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ModelName:
    """An id taken apart: the `key` of its words and numbers; `version`, a date or a number like 001, in digits;
    `preview`; `thinking`, where the name says so; `tagged`, written as Ollama does, which leaves "instruct" out."""

    key: Key
    version: str = ""
    preview: bool = False
    thinking: bool | None = None
    tagged: bool = False

    @property
    def sized(self) -> bool:
        return any(_SIZE.fullmatch(number) for number in self.key[1])

    @property
    def chatless(self) -> Key:
        """The key without the words that say that it chats."""
        return tuple(word for word in self.key[0] if word not in _CHAT), self.key[1]


def model_name(model_id: str) -> ModelName:
    """`model_id` taken apart, whoever's id it is."""
    text = model_id.strip().lower().rpartition("/")[2]
    text = _BEDROCK_END.sub("", bare) if (bare := _BEDROCK.sub("", text)) != text else text
    thinking: bool | None = None
    head, _, tag = text.partition(":")
    tagged = bool(tag) and f":{tag}" not in (*_ROUTES, ":thinking")
    if tag == "thinking":
        thinking = True
    text = f"{head}-{tag}" if tagged and tag != "latest" else head
    if any(map(str.isdigit, text)):  # of what is latest, the name without a number does not say which
        text = text.removesuffix("-latest")
    while (stripped := _PACKING.sub("", text)) != text:
        text = stripped
    version = ""
    if found := _ISO.search(text):
        version, text = "".join(found.groups()), text[: found.start()] + text[found.end() :]
    elif (found := _SHORT.search(text)) and not tagged:
        version, text = found[1].replace("-", ""), text[: found.start()]
    for words in _THINKS:
        if text.endswith(f"-{words}"):
            thinking, text = not words.startswith("non"), text.removesuffix(f"-{words}")
            break
    preview = text.endswith("-preview")
    return ModelName(_key(text.removesuffix("-preview")), version, preview, thinking, tagged)


def _key(text: str) -> Key:
    """Words and numbers in their order, apart: claude-3-opus is claude-opus-3, and 3.1 is 3-1 and v3p1."""
    pieces: list[str] = _PIECES.findall(re.sub(r"(?<=\d)p(?=\d)", ".", text).removeprefix("meta-"))
    words = tuple(piece for piece in pieces if piece[0].isalpha() and piece != "v")
    return words, tuple(piece for piece in pieces if piece[0].isdigit())
