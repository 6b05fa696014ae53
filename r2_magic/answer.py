"""The answer of a cell: the core's answer, shown the way the cell asked for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from typing import Any, Literal

from r2_magic.safe_markdown import code_block, safe_markdown
from r2_router.errors import ProviderError
from r2_router.generate.answer import Answer
from r2_router.words import visible, whole_characters

Format = Literal["markdown", "text", "code", "json"]

Bundle = dict[str, Any]

_FENCE = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_OPEN_FENCE = re.compile(r"^```[^\n`]*\n(.*)\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, repr=False)
class CellAnswer(Answer):
    """An Answer whose display in a notebook is its text. `str()` is the text too."""

    format: Format = "markdown"

    @property
    def code(self) -> str:
        """The code in the text: its fenced blocks, or all of it where there are none."""
        return code_in(self.text)

    @property
    def data(self) -> Any:
        """The text read as JSON, a fence around it taken off. Raises ProviderError where it is none."""
        try:
            return json.loads(code_in(self.text))
        except (ValueError, RecursionError) as fault:
            raise ProviderError(
                f"{self.model} did not answer with JSON ({fault}). Ask for it in the prompt, allow more tokens, or "
                "leave --format json out; `%r2 last` shows the text."
            ) from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.model} @ {self.budget}: {len(self.text):,} characters>"

    def _repr_html_(self) -> None:
        """None: its text is Markdown, and the cell has said what it took."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        return bundle(self.text, self.format)


def cell_answer(answer: Answer, format: Format = "markdown") -> CellAnswer:  # noqa: A002  (the option's name)
    """`answer` as a CellAnswer."""
    return CellAnswer(**{field.name: getattr(answer, field.name) for field in fields(answer)}, format=format)


def bundle(text: str, format: Format) -> Bundle:  # noqa: A002
    """`text`, whole or as far as it came, for every kind of front end: nothing in it runs, or drives a terminal."""
    text = whole_characters(text)
    plain = {"text/plain": visible(text)}
    if format == "text":
        return plain
    if format == "json":
        return {"text/markdown": code_block(code_in(text), "json"), **plain}
    return {"text/markdown": safe_markdown(text), **plain}


def code_in(text: str) -> str:
    """The fenced blocks in `text`, one after the other; one left open too; `text` itself without any."""
    blocks = [m[1] for m in _FENCE.finditer(text)] or [m[1] for m in _OPEN_FENCE.finditer(text)]
    return "\n".join(block.rstrip("\n") for block in blocks) if blocks else text.strip()
