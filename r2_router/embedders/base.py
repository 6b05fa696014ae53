"""What an embedder is: text in, float32 unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from r2_router.arrays import Singles
from r2_router.errors import EmbedderError


@runtime_checkable
class Embedder(Protocol):
    """Turns n texts into an (n, d) float32 array of unit vectors.

    `id` names model and pooling the way a checkpoint records it; `local` is False when text leaves this
    machine; `max_chars` is how much of a long text is embedded (see `clip_text`).
    """

    @property
    def id(self) -> str: ...
    @property
    def local(self) -> bool: ...
    @property
    def max_chars(self) -> int: ...
    def embed(self, texts: Sequence[str]) -> Singles: ...


def clip_text(text: str, max_chars: int) -> str:
    """At most `max_chars` of a text: its beginning and its end, for instructions stand at either.

    Half a surrogate pair, which no encoder takes, becomes "?".
    """
    if len(text) > max_chars:
        half = (max_chars - 1) // 2
        text = text[:half] + "\n" + text[len(text) - half :]
    return text.encode("utf-8", errors="replace").decode("utf-8")


def unit_rows(vectors: object, n: int, dim: int | None, source: str) -> Singles:
    """`vectors` as a checked (n, d) float32 array scaled to unit length.

    Raises EmbedderError, naming `source`, for another shape, another dimension than `dim`, a value that is
    not finite, or a zero vector.
    """
    try:
        array = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbedderError(f"{source} returned something that is not a table of numbers.") from error
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] == 0:
        raise EmbedderError(f"{source} returned shape {array.shape} for {n} texts.")
    if dim is not None and array.shape[1] != dim:
        raise EmbedderError(f"{source} returns {array.shape[1]} dimensions where {dim} are needed.")
    if not np.isfinite(array).all():
        raise EmbedderError(f"{source} returned a number that is not finite.")
    largest = np.abs(array).max(axis=1, keepdims=True)
    if (largest == 0).any():
        raise EmbedderError(f"{source} returned a zero vector.")
    array = array / largest  # so that no square overflows or vanishes
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)
