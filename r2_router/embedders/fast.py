"""fastembed's models as embedders: ONNX on this machine's processor, downloaded from their hub on first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from os import PathLike
from typing import Any, cast

import numpy as np

from r2_router.arrays import Singles
from r2_router.config.folders import user_data_dir
from r2_router.embedders.base import clip_text, unit_rows
from r2_router.errors import EmbedderError

_CACHE_ENV = "FASTEMBED_CACHE_PATH"  # fastembed's own variable


class FastEmbedEmbedder:
    """A model of fastembed by its name, through the extra `fastembed`. Thread-safe.

    It is loaded on first use: from the folder `model_path` if given, else from the user's data folder (or
    FASTEMBED_CACHE_PATH), where fastembed downloads it to.
    """

    local: bool = True
    max_chars: int = 2000  # most of its models read 512 tokens; the end of a text is to be among them

    def __init__(self, model: str, *, model_path: str | PathLike[str] | None = None) -> None:
        self.model = model
        self.id: str = f"fastembed:{model}"
        self._model_path = model_path
        self._lock = threading.Lock()
        self._loaded: Any = None

    def embed(self, texts: Sequence[str]) -> Singles:
        """Unit vectors (n, d) of n texts."""
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
        rows = list(self._loaded.embed([clip_text(text, self.max_chars) for text in texts]))
        return unit_rows(rows, len(texts), None, self.id)

    def _load(self) -> Any:
        try:
            from fastembed import TextEmbedding
            from loguru import logger
        except ImportError:
            raise EmbedderError('fastembed is not installed: `pip install "r2-mcp[fastembed]"`.') from None
        logger.disable("fastembed")  # a failure is raised, not printed
        options = {} if self._model_path is None else {"specific_model_path": os.fspath(self._model_path)}
        cache = os.environ.get(_CACHE_ENV) or str(user_data_dir() / "fastembed")
        try:
            return cast("Any", TextEmbedding)(self.model, cache_dir=cache, **options)
        except Exception as error:  # its hub client and runtime raise their own, many kinds
            raise EmbedderError(
                f"fastembed cannot load {self.model} ({str(error).rstrip('.')}). Check the name and the connection "
                f"to its hub, or set {_CACHE_ENV} to a folder that holds the model."
            ) from error
