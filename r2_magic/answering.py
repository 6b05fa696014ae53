"""The answer of a cell, from the first piece of text to the last, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from r2_magic.answer import CellAnswer, Format, cell_answer
from r2_magic.screen import Growing, News
from r2_router.errors import ProviderError
from r2_router.routing.rows import choice

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from r2_router.generate import AnswerStream


def answered(
    shell: InteractiveShell,
    stream: AnswerStream,
    format: Format,  # noqa: A002  (the option's name)
    *,
    news: News,
    show: bool,
    keep: Callable[[CellAnswer], None],
) -> CellAnswer:
    """The whole answer, shown as it comes if `show`; until then the `news` of it. What came is given to `keep`, whole
    or not.

    Raises ProviderError also where the answer broke off, or is not the JSON that was asked for; KeyboardInterrupt
    where the user stopped it.
    """
    try:
        _receive(shell, stream, format, news, show=show)
    finally:
        answer = None if stream.answer is None else cell_answer(stream.answer, format)
        if answer is not None:
            keep(answer)
    if answer is None:
        raise ProviderError("No answer came. Run the cell again.")
    if answer.partial:
        raise ProviderError(
            f"{answer.model} broke off: {answer.error}. `%r2 last` has the text so far; run the cell again, or "
            "choose another with --model.",
            answer.attempts,
        )
    if format == "json":
        _ = answer.data
    return answer


def _receive(
    shell: InteractiveShell,
    stream: AnswerStream,
    format: Format,  # noqa: A002
    news: News,
    *,
    show: bool,
) -> None:
    from r2_router.generate import iterate

    screen = Growing(shell, format, f"asking {choice(stream.decision.best)} …") if show else None
    if screen:
        news.tell = screen.wait_for
    try:
        with closing(iterate(stream)) as pieces:
            for piece in pieces:
                if screen:
                    screen.add(piece)
    finally:
        if screen:
            screen.close()
