"""Tab completion of `%%r2`: commands, options, and the names an option takes; nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from r2_magic import options
from r2_router.errors import R2Error

if TYPE_CHECKING:
    from r2_magic.base import Configured

_NAMES = ("%%r2", "%r2")
_OF_MODELS = ("--model", "--models", "--exclude")


def install(shell: Any) -> Callable[[], None]:
    """Complete the lines of the magic in `shell`; the function that ends it.

    Before IPython 8.6 a shell adds names of Python, whatever it is told.
    """
    from IPython.core import completer

    if not hasattr(completer, "context_matcher"):
        for name in _NAMES:
            shell.set_hook("complete_command", _hook, str_key=name)
        return partial(_take_out, shell)
    matchers: list[Any] = shell.Completer.custom_matchers
    matcher = _matcher(shell, completer)
    matchers.append(matcher)
    return partial(matchers.remove, matcher)


def complete(shell: Any, line: str) -> list[str]:
    """The words that can stand at the end of `line`."""
    words = line.split()
    before = words[-1] if line.endswith(" ") else (words[-2] if len(words) > 1 else "")
    if before in (*_OF_MODELS, "--preset"):
        return _configured(before, shell.magics_manager.registry["R2Magics"])
    if before == "--format":
        return list(options.FORMATS)
    mine = [name for name in shell.user_ns if not name.startswith("_")]
    if before in ("-o", "--out", "--system"):
        return mine
    if before in _NAMES:
        return [*options.COMMANDS, *options.names()]
    if words[1:2] == ["map"]:
        return [*(mine if before == "map" else ()), *options.names(options.map_parser())]
    return options.names(options.setup_parser() if words[1:2] == ["setup"] else options.parser())


def _take_out(shell: Any) -> None:
    for name in _NAMES:
        shell.strdispatchers["complete_command"].strs.pop(name, None)


def _hook(shell: Any, event: Any) -> list[str]:
    """What IPython asks for the words; `event` holds the line up to the cursor."""
    return complete(shell, event.text_until_cursor or event.line)


def _matcher(shell: Any, completer: Any) -> Any:
    @completer.context_matcher(priority=1_000, identifier="r2")
    def r2(context: Any) -> dict[str, Any]:
        line: str = context.text_until_cursor
        if line.split(maxsplit=1)[:1] not in (["%%r2"], ["%r2"]) or (line.strip() in _NAMES and line[-1:] != " "):
            return {"completions": []}
        found = [word for word in complete(shell, line) if word.startswith(context.token)]
        return {
            "completions": [completer.SimpleCompletion(text=word, type="option") for word in found],
            "suppress": True,
        }

    return r2


def _configured(option: str, magics: Configured) -> list[str]:
    """What settings and pool offer for `option`; nothing where they are at fault, which a cell will tell."""
    try:
        router = magics.router()
    except R2Error:
        return []
    return list(router.presets) if option == "--preset" else [_quoted(model.name) for model in router.models]


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
