"""Embedders: the embedded default, any OpenAI-compatible server, fastembed, a local GGUF, plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from r2_router import plugins
from r2_router.embedders.base import Embedder, clip_text, unit_rows
from r2_router.errors import CheckpointError, EmbedderError

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint

__all__ = ["Embedder", "clip_text", "is_file", "make_embedder", "recorded_embedder", "unit_rows"]

USE_ID = "use-multilingual-v3"
_GGUF = "gguf:"
_NEEDED = ("id", "local", "max_chars", "embed")


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
    GGUF is ("Qwen/Qwen3-0.6B"). "NAME" or "NAME:REST" is a plugin where an installed package registers NAME among
    the entry points "r2_router.embedders". Any other name is that of a model on the OpenAI-compatible server at
    `url`, which may call it `model`.

    Raises EmbedderError, saying what to start or install, where there is no such embedder.
    """
    name, colon, rest = spec.partition(":")
    make = _BUILT_IN.get(name + colon)
    if make is not None and bool(colon) == bool(rest):
        return make(rest, model or "")
    if (plugin := _plugin(spec, name)) is not None:
        return plugin
    from r2_router.embedders.served import ServerEmbedder, start_hint

    if not url:
        raise EmbedderError(f"The embedder {spec} needs a server. {start_hint(spec)}")
    return ServerEmbedder(url, model or spec, id=spec, api_key=api_key, dim=dim)


def is_file(spec: str) -> bool:
    """Whether `spec` names a file, which a user may do and a checkpoint, data from anywhere, may not."""
    return spec.startswith(_GGUF)


def recorded_embedder(checkpoint: Checkpoint) -> str:
    """The embedder that `checkpoint` names. Raises CheckpointError where it names a file of this machine: which files
    are loaded is the user's to say."""
    name = checkpoint.embedder.id
    if is_file(name):
        raise CheckpointError(
            f"Checkpoint '{checkpoint.name}' names a file as its embedder ({name}). If you trust that file, say so "
            f"yourself: R2_EMBEDDER={name}, or `embedder` in the settings."
        )
    return name


def _plugin(spec: str, name: str) -> Embedder | None:
    made: Embedder | None = plugins.make_plugin(plugins.EMBEDDERS, spec, _NEEDED, EmbedderError)
    if made is not None and made.id.partition(":")[0] != name:
        raise EmbedderError(
            f"The plugin '{name}' made an embedder of id '{made.id}', by which no checkpoint would find it again: its "
            f"id must be '{name}' or begin with '{name}:'."
        )
    return made


def _use(rest: str, model: str) -> Embedder:
    from r2_router.embedders.use import UseEmbedder

    return UseEmbedder()


def _fastembed(rest: str, model: str) -> Embedder:
    from r2_router.embedders.fast import FastEmbedEmbedder

    return FastEmbedEmbedder(rest)


def _gguf(rest: str, model: str) -> Embedder:
    from r2_router.embedders.gguf import GgufEmbedder

    return GgufEmbedder(rest, id=model)


_BUILT_IN: Mapping[str, Callable[[str, str], Embedder]] = {USE_ID: _use, "fastembed:": _fastembed, _GGUF: _gguf}
