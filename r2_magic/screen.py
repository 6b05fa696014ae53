"""Where a cell's output goes: a notebook that takes rich displays, or a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from r2_magic.answer import Format
    from r2_magic.render import View
    from r2_router.generate import Event

_REFRESH_S = 0.08  # between two updates of a growing answer: more than a reader sees, little for a front end
_SHARE = 4  # a refresh that takes long comes as much rarer: the text is read anew each time


def in_notebook(shell: InteractiveShell) -> bool:
    """Whether a front end behind a kernel shows the output: it can replace what it shows."""
    return hasattr(shell, "kernel")


def publish(shown: object, **how: Any) -> Any:
    """IPython's display(); its handle where a display_id is asked for."""
    from IPython import display

    untyped: Any = display
    return untyped.display(shown, **how)


def say(text: str) -> None:
    """Lines of plain text."""
    sys.stdout.write(f"{text}\n")


def hint(shell: InteractiveShell, text: str) -> None:
    """A line that is no part of what was asked for: dim."""
    from r2_router.pages import html
    from r2_router.words import visible

    text = visible(text)
    if in_notebook(shell):
        publish({"text/html": html.page(html.paragraph(text, "r2-note")), "text/plain": text}, raw=True)
    else:
        say(f"\x1b[2m{text}\x1b[0m" if sys.stdout.isatty() else text)


def show(shell: InteractiveShell, view: View) -> None:
    """Display `view`: with colours where a terminal shows a ranking."""
    if in_notebook(shell) or not (view.ranked and sys.stdout.isatty()):
        publish(view)
        return
    from r2_router.show.terminal import show_ranking

    show_ranking(view.head, view.ranked, view.notes)


def is_whole_cell(shell: InteractiveShell) -> bool:
    """Whether the cell that runs in a notebook is one `%%r2`, or one line `%r2`: all its outputs are ours."""
    parent: Any = getattr(shell, "parent_header", {})
    lines = [line.strip() for line in parent.get("content", {}).get("code", "").strip().splitlines()]
    if lines[:1] == ["%load_ext r2_magic"]:
        lines = [line for line in lines[1:] if line]
    first = lines[0].partition(" ")[0] if lines else ""
    return first == "%%r2" or (first == "%r2" and len(lines) == 1)


class Passing:
    """A line about what goes on, gone when it is over. A pipe gets none. In a notebook it leaves an empty output, for
    front ends take none away alone; where the cell has put out nothing else that is to stay (`alone`), nothing."""

    def __init__(self, shell: InteractiveShell, text: str = "", *, alone: bool = False) -> None:
        self._notebook = in_notebook(shell)
        self._alone = alone
        self._handle: Any = None
        self._stands = False
        if text:
            self.say(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def say(self, text: str) -> None:
        """What goes on now."""
        from r2_router.words import visible

        text = visible(text)
        if self._handle is not None:
            self._handle.update({"text/plain": text}, raw=True)
        elif self._notebook:
            self._handle = publish({"text/plain": text}, raw=True, display_id=True)
        elif sys.stdout.isatty():
            self.clear()
            fits = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"\x1b[2m{text[:fits]}\x1b[0m")
            sys.stdout.flush()
            self._stands = True

    def clear(self) -> None:
        """Nothing goes on any more."""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
            if self._alone:
                from IPython.display import clear_output

                clear_output(wait=True)  # when the next output comes: nothing jumps
        elif self._stands:
            sys.stdout.write("\r\x1b[K")
            self._stands = False


class News:
    """What happens to an answer on its way, told to whoever shows it. It may come from any thread."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda text: None

    def __call__(self, event: Event) -> None:
        from r2_router.show.facts import event_text

        self.tell(event_text(event))


class Growing:
    """An answer on its way to the screen. In a notebook one output that is replaced; else text that is printed. Until
    it comes, a line says what is waited for."""

    def __init__(self, shell: InteractiveShell, format: Format, waiting: str) -> None:  # noqa: A002
        self._format: Format = format
        self._pieces: list[str] = []
        self._handle: Any = None
        self._refresh_at = 0.0
        self._line = Passing(shell)
        if in_notebook(shell):
            self._handle = publish({"text/plain": waiting}, raw=True, display_id=True)
        else:
            self._line.say(waiting)

    def wait_for(self, what: str) -> None:
        """What goes on while there is no text."""
        if self._pieces:
            return
        if self._handle is not None:
            self._handle.update({"text/plain": what}, raw=True)
        else:
            self._line.say(what)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """More text."""
        from r2_router.words import for_terminal

        if not piece and not self._pieces:  # of a model that thinks
            return
        self._line.clear()
        self._pieces.append(piece)
        if self._handle is None:
            sys.stdout.write(for_terminal(piece, sys.stdout))
            sys.stdout.flush()
        elif time.monotonic() >= self._refresh_at:
            self._refresh()

    def close(self) -> None:
        """Show all that came, also where that is nothing."""
        self._line.clear()
        if self._handle is not None:
            self._refresh()
        elif self._pieces:
            sys.stdout.write("\n")

    def _refresh(self) -> None:
        from r2_magic.answer import bundle

        began = time.monotonic()
        self._handle.update(bundle(self.text, self._format), raw=True)
        now = time.monotonic()
        self._refresh_at = now + max(_REFRESH_S, _SHARE * (now - began))
