"""Embedders: the embedded default, any OpenAI-compatible server, fastembed, a local GGUF."""

from r2_router.embedders.base import Embedder, Vectors, clip_text, unit_rows
from r2_router.errors import EmbedderError

__all__ = ["Embedder", "Vectors", "clip_text", "make_embedder", "unit_rows"]

USE_ID = "use-multilingual-v3"


def make_embedder(
    spec: str,
    *,
    url: str | None = None,
    model: str | None = None,
    api_key: str | None = None,
    dim: int | None = None,
) -> Embedder:
    """The embedder that `spec` names, as checkpoints and settings do; nothing is loaded or asked yet.

    "use-multilingual-v3", "fastembed:NAME" and "gguf:PATH" run in this process; `model` says which model the
    GGUF is ("Qwen/Qwen3-0.6B"). Any other name is that of a model on the OpenAI-compatible server at `url`, which
    may call it `model`.

    Raises EmbedderError, saying what to start or install, where there is no such embedder.
    """
    if spec == USE_ID:
        from r2_router.embedders.use import UseEmbedder

        return UseEmbedder()
    kind, _, rest = spec.partition(":")
    if kind == "fastembed" and rest:
        from r2_router.embedders.fast import FastEmbedEmbedder

        return FastEmbedEmbedder(rest)
    if kind == "gguf" and rest:
        from r2_router.embedders.gguf import GgufEmbedder

        return GgufEmbedder(rest, id=model or "")
    from r2_router.embedders.served import ServerEmbedder, start_hint

    if not url:
        raise EmbedderError(f"The embedder {spec} needs a server. {start_hint(spec)}")
    return ServerEmbedder(url, model or spec, id=spec, api_key=api_key, dim=dim)
