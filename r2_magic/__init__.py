"""`%%r2`: route a notebook cell, see the ranking, get the answer.

>>> %load_ext r2_magic

Where there are no magics (scripts, marimo): `from r2_magic import r2; answer = r2("...", worth_usd=0.01)`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from r2_magic.answer import CellAnswer as CellAnswer
    from r2_magic.function import r2 as r2

__all__ = ["CellAnswer", "load_ipython_extension", "r2", "unload_ipython_extension"]


def load_ipython_extension(ipython: "InteractiveShell") -> None:
    """Called by `%load_ext r2_magic`: adds the magic `r2` to the shell."""
    from r2_magic.magic import load

    load(ipython)


def unload_ipython_extension(ipython: "InteractiveShell") -> None:
    """Called by `%unload_ext r2_magic`: leaves the shell as it was."""
    from r2_magic.magic import unload

    unload(ipython)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name == "r2":
        from r2_magic.function import r2

        return r2
    if name == "CellAnswer":
        from r2_magic.answer import CellAnswer

        return CellAnswer
    raise AttributeError(f"module 'r2_magic' has no attribute '{name}'")
