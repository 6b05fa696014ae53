"""The embedder of one checkpoint: made when it is first needed, and held against what the heads were trained on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from r2_router.arrays import Singles
from r2_router.checkpoints.format import Checkpoint
from r2_router.config.settings import EMBED_API_KEY, Settings
from r2_router.embedders.base import Embedder, clip_text


class CheckedEmbedder:
    """An embedder, or what makes one, for the heads of `checkpoint`. Thread-safe."""

    def __init__(self, given: Embedder | Callable[[], Embedder], checkpoint: Checkpoint) -> None:
        self._given = given
        self._checkpoint = checkpoint
        self._embedder: Embedder | None = None
        self._probing = threading.Lock()

    def get(self) -> Embedder:
        """The embedder, checked against the checkpoint's probes on first use.

        Raises EmbedderError where it cannot be had, CheckpointError where it is the wrong one.
        """
        with self._probing:
            if self._embedder is None:
                embedder = self._given() if callable(self._given) else self._given
                if self._checkpoint.probe_texts:
                    self._checkpoint.check_probes(embedder.embed(self._checkpoint.probe_texts), embedder.id)
                self._embedder = embedder
            return self._embedder

    @property
    def id(self) -> str:
        """Its name; before first use the one that the checkpoint records."""
        return self._checkpoint.embedder.id if self._embedder is None else self._embedder.id

    def cuts(self, text: str) -> bool:
        """Whether only part of `text` is embedded; False before first use."""
        return self._embedder is not None and len(text) > self._embedder.max_chars

    def embed(self, texts: Sequence[str]) -> Singles:
        """Vectors (n, d) of n texts, cut as `Embedder.max_chars` says; raises what `get` raises."""
        embedder = self.get()
        return embedder.embed([clip_text(text, embedder.max_chars) for text in texts])


def embedder_maker(checkpoint: Checkpoint, settings: Settings) -> Callable[[], Embedder]:
    """Makes the embedder that the settings name, by default the one the checkpoint was trained with."""

    def make() -> Embedder:
        from r2_router.embedders import make_embedder, recorded_embedder

        key = settings.key(EMBED_API_KEY)
        return make_embedder(
            settings.embedder or recorded_embedder(checkpoint),
            url=settings.embed_url or None,
            model=settings.embed_model or None,
            api_key=key and key.reveal(),
            dim=checkpoint.embedder.dim,
        )

    return make
