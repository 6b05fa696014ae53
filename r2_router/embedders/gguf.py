"""A local GGUF as embedder: llama.cpp in this process, last-token pooling, no server to start."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np

from r2_router.arrays import Singles
from r2_router.config.machine import cores
from r2_router.embedders.base import clip_text, unit_rows
from r2_router.errors import EmbedderError
from r2_router.local.child import close_to_others

_CONTEXT_TOKENS = 4096  # half a gigabyte of cache for Qwen3-0.6B
_EMPTY = " "  # llama.cpp refuses ""
_TOO_LONG = "exceed_context_size_error"


class GgufEmbedder:
    """The final hidden state of a text's last token, as `vllm serve --runner pooling` gives it. Thread-safe.

    The weights at `path` are loaded on first use, through the extra `local`. `id` is what checkpoints call the
    model ("Qwen/Qwen3-0.6B" for its GGUF); without it the path is. Raises EmbedderError if there is no such file.
    """

    local: bool = True
    # Words of any language this long mostly fit _CONTEXT_TOKENS; what does not is cut further.
    max_chars: int = 6000

    def __init__(self, path: str | PathLike[str], *, id: str = "") -> None:  # noqa: A002  # the protocol's word
        self.path = Path(path).expanduser()
        self.id: str = id or f"gguf:{path}"
        if not self.path.is_file():
            raise EmbedderError(f"There is no GGUF file at {self.path}. Check the path after `gguf:`.")
        self._lock = threading.Lock()
        self._server: Any = None

    def close(self) -> None:
        """Free the weights; the next `embed` loads them again."""
        with self._lock:
            self._server = None

    def embed(self, texts: Sequence[str]) -> Singles:
        """Unit vectors (n, d) of n texts."""
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        with self._lock:
            if self._server is None:
                self._server = _start(self.path)
            rows = [self._embed_one(clip_text(text, self.max_chars)) for text in texts]
        return unit_rows(rows, len(texts), None, str(self.path))

    def _embed_one(self, text: str) -> list[float]:
        reply = cast("Mapping[str, Any]", self._server.handle_embeddings({"input": text or _EMPTY}))
        error = reply.get("error")
        if error is None:
            return reply["data"][0]["embedding"]
        if error.get("type") == _TOO_LONG:
            return self._embed_one(clip_text(text, len(text) // 2))
        raise EmbedderError(f"llama.cpp cannot embed with {self.path}: {error.get('message')}.")


def _start(path: Path) -> Any:
    """llama.cpp with the weights at `path`. It listens on a loopback port too, closed by a random key."""
    try:
        import xllamacpp
    except ImportError:
        raise EmbedderError('GGUF embedders need llama.cpp: `pip install "r2-mcp[local]"`.') from None
    llama = cast("Any", xllamacpp)
    params = llama.CommonParams()
    params.model.path = str(path)
    params.embedding = True
    params.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    params.n_ctx = _CONTEXT_TOKENS
    # Threads wait for each other by spinning: on cores that another model keeps busy, all of them take 10x longer.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, cores() // 2)
    close_to_others(params, secrets.token_hex())
    params.warmup = False
    params.verbosity = 0
    try:
        return llama.Server(params)
    except RuntimeError:
        raise EmbedderError(
            f"llama.cpp cannot load {path}: it is damaged, not a GGUF, or larger than the free memory."
        ) from None
