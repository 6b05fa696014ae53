"""The magic as a function, for scripts and for notebooks without magics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Unpack

from r2_magic.answer import CellAnswer, cell_answer
from r2_magic.session import Session
from r2_router.routing.wishes import Wishes, takes_wishes

if TYPE_CHECKING:
    from r2_router.generate import Messages


@takes_wishes
def r2(
    query: Messages,
    lambda_val: float | None = None,
    *,
    system: str | None = None,
    on_text: Callable[[str], None] | None = None,
    checkpoint: str = "",
    pool: str = "",
    embed_url: str = "",
    **wishes: Unpack[Wishes],
) -> CellAnswer:
    """The answer to `query`, a text or an OpenAI `messages` list; the options are those of `%%r2`.

    `system` is the message itself; `on_text` is given the text as it comes. Why this model and this length is in
    the answer's `decision`. Raises R2Error.
    """
    router = _session().router(checkpoint, pool, embed_url)
    return cell_answer(router.route_and_generate(query, lambda_val, system=system, on_text=on_text, **wishes))


@cache
def _session() -> Session:
    return Session()
