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
    r"[-_@:.](?:i?q\d(?:_\w+)?|[uf]d-\w+|fp\d+|f16|f32|bf16|nvfp4|mxfp4|int[48]|[48]bit|awq|gptq|gguf|mlx|qat|i1"
    r"|(?<=instruct-)turbo)$"  # Together's, in 8 bits
)
_ISO = re.compile(r"[-@](20\d\d)-?([01]\d)-?([0-3]\d)(?=$|[-@:])")
_SHORT = re.compile(r"[-@](0[0-9]{2}|\d{2}-20\d\d|\d{2}-\d{2}|\d{4})$")
_BEDROCK = re.compile(r"^(?:[a-z]+\.){1,2}(?=[a-z])")  # the region, the maker
_BEDROCK_END = re.compile(r"-(?:v[1-9]\d*|1)(?::\d+)?(?::\d+k)?$")
_THINKS = ("non-thinking", "non-reasoning", "thinking", "reasoning")
_PIECES = re.compile(r"\d+x\d+b?|\d+[a-z]*|[a-z]+")
_ROUTES = (*ROUTES, ":free", ":batch", ":beta", ":extended", ":exacto")  # the same model, otherwise served
_CHAT = frozenset({"instruct", "it", "chat"})  # what Ollama leaves out
_SIZES = re.compile(r"(?<![\w.])e?(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_SIZE = re.compile(r"\d+(?:x\d+)?b")

Key = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ModelName:
    """An id taken apart: the `key` of its words and numbers; `version`, a date or a number like 001, in digits;
    `preview`; `thinking`, where the name says so; `tagged`, written as Ollama does, which leaves "instruct" out;
    `size`, billions of parameters, those of all experts, where the name tells."""

    key: Key
    version: str = ""
    preview: bool = False
    thinking: bool | None = None
    tagged: bool = False
    size: float | None = None

    @property
    def chatless(self) -> Key:
        """The key without the words that say that it chats."""
        return tuple(word for word in self.key[0] if word not in _CHAT), self.key[1]


def plain_id(model_id: str) -> str:
    """`model_id` in small letters, whatever way it is served."""
    text = model_id.strip().lower().removeprefix("~").removeprefix("models/")
    while text.endswith(_ROUTES):
        text = text.rpartition(":")[0]
    return text


def model_name(model_id: str) -> ModelName:
    """`model_id` taken apart, whoever's id it is."""
    text = re.sub(r"-v0:(?=\d)", "-v0.", plain_id(model_id)).rpartition("/")[2]
    text = _BEDROCK_END.sub("", bare) if (bare := _BEDROCK.sub("", text)) != text else text
    head, _, tag = text.partition(":")
    thinking: bool | None = tag == "thinking" or None
    tagged = bool(tag) and not thinking and not _PACKING.fullmatch(f"-{tag}")
    text = f"{head}-{tag.removesuffix('-cloud')}" if tagged and tag != "latest" else head
    if any(not _SIZE.fullmatch(number) for number in _key(text)[1]):  # else what is latest changes with time
        text = text.removesuffix("-latest")
    while (stripped := _PACKING.sub("", text)) != text:
        text = stripped
    text, preview = _without(text, "-preview")
    version = ""
    if found := _ISO.search(text):
        version, text = "".join(found.groups()), text[: found.start()] + text[found.end() :]
    elif (found := _SHORT.search(text)) and not tagged:
        version, text = found[1].replace("-", ""), text[: found.start()]
    for words in _THINKS:
        text, stated = _without(text, f"-{words}")
        if stated:
            thinking = not words.startswith("non")
            break
    text, before = _without(text, "-preview")
    return ModelName(_key(text), version, preview or before, thinking, tagged, _size(text))


def _without(text: str, end: str) -> tuple[str, bool]:
    return text.removesuffix(end), text.endswith(end)


def _size(text: str) -> float | None:
    sizes = [
        float(experts or 1) * float(number) / (1000 if unit == "m" else 1)
        for experts, number, unit in _SIZES.findall(text)
    ]
    return max(sizes, default=None)


def _key(text: str) -> Key:
    """Words and numbers in their order, apart: claude-3-opus is claude-opus-3, and 3.1 is 3-1 and v3p1."""
    pieces: list[str] = _PIECES.findall(re.sub(r"(?<=\d)p(?=\d)", ".", text).removeprefix("meta-"))
    words = tuple(piece for piece in pieces if piece[0].isalpha() and piece != "v")
    return words, tuple(piece for piece in pieces if piece[0].isdigit())
