"""Tab completion of `%%r2`: commands, options, and the names an option takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2_magic import options
from r2_router.errors import R2Error

if TYPE_CHECKING:
    from r2_magic.base import Configured

_OF_MODELS = ("--model", "--models", "--exclude")


def complete(shell: Any, event: Any) -> list[str]:
    """The words that can stand at the cursor; `event` holds the line up to it."""
    line: str = event.text_until_cursor or event.line
    words = line.split()
    before = words[-1] if line.endswith(" ") else (words[-2] if len(words) > 1 else "")
    if before in (*_OF_MODELS, "--preset"):
        return _configured(before, shell.magics_manager.registry["R2Magics"])
    if before == "--format":
        return list(options.FORMATS)
    if before in ("-o", "--out", "--system"):
        return [name for name in shell.user_ns if not name.startswith("_")]
    return [*(options.COMMANDS if before in ("%r2", "%%r2") else ()), *options.names()]


def _configured(option: str, magics: Configured) -> list[str]:
    """What settings and pool offer for `option`; nothing where they are at fault, which a cell will tell."""
    try:
        router = magics.router()
    except R2Error:
        return []
    return list(router.presets) if option == "--preset" else [_quoted(model.name) for model in router.models]


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
