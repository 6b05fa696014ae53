"""What was worked out for texts seen lately: a chat sends all of them again with every turn."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


def fingerprint(data: bytes) -> bytes:
    """16 bytes that stand for a text, which itself is not kept."""
    return hashlib.blake2b(data, digest_size=16).digest()


class Recent(Generic[_Value]):
    """The values of the `most` fingerprints last asked for. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[bytes, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> _Value | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def put(self, key: bytes, value: _Value) -> None:
        with self._lock:
            self._known[key] = value
            self._known.move_to_end(key)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
