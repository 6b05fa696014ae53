"""An example plugin: `--embedder trigrams:DIM` and `--grader json-keys:KEY,KEY`.

A factory gets what stands after the colon, "" where nothing does, and raises one of r2_router.errors where it cannot
use that. What it makes is whatever has the methods of r2_router.embedders.Embedder or r2_router.lab.grading.Grader.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

import numpy as np

from r2_router.arrays import Singles
from r2_router.embedders import unit_rows
from r2_router.errors import EmbedderError, InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading import Grade


class Trigrams:
    """How often each of `dim` groups of three letters in a row occurs. It knows spelling, not meaning."""

    local = True  # no text leaves this machine
    max_chars = 4000  # of a longer text the router gives the beginning and the end

    def __init__(self, dim: int) -> None:
        self.id = f"trigrams:{dim}"  # what a checkpoint records: by it the same embedder must be found again
        self._dim = dim

    def embed(self, texts: Sequence[str]) -> Singles:
        counts = np.full((len(texts), self._dim), 1e-3)  # no text is a zero vector
        for row, text in zip(counts, texts, strict=True):
            letters = f" {text.lower()} "
            for i in range(len(letters) - 2):
                row[zlib.crc32(letters[i : i + 3].encode()) % self._dim] += 1
        return unit_rows(counts, len(texts), self._dim, self.id)


def make_embedder(rest: str) -> Trigrams:
    if rest and not rest.isdecimal():  # what a checkpoint names comes from anywhere: check it
        raise EmbedderError(f"trigrams:DIM needs a number of dimensions, not {rest!r}.")
    return Trigrams(min(int(rest or 256), 4096) or 256)


class JsonKeys:
    """An answer is as right as the share of `keys` that the JSON object it is made of has."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.id = f"json-keys/1:{','.join(keys)}"  # another id grades anew
        self._keys = keys

    def check(self, question: Question) -> None:
        """Any question will do."""

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        try:
            found = json.loads(text)
        except ValueError as error:
            return Grade(0.0, note=f"no JSON: {error}")
        keys = [key for key in self._keys if isinstance(found, dict) and key in found]
        return Grade(len(keys) / len(self._keys), ", ".join(keys))


def make_grader(rest: str) -> JsonKeys:
    keys = [key.strip() for key in rest.split(",") if key.strip()]
    if not keys:
        raise InputError("json-keys needs the keys an answer must have: --grader json-keys:name,year")
    return JsonKeys(keys)
