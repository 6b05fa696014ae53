"""The magic as a function, for scripts and for notebooks without magics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from r2_magic.answer import CellAnswer, cell_answer
from r2_magic.session import Session
from r2_router.records import Budget

if TYPE_CHECKING:
    from r2_router.generate import Messages


def r2(  # noqa: PLR0913  (the options of a cell)
    query: Messages,
    *,
    worth: float | None = None,
    lambda_val: float | None = None,
    preset: str | None = None,
    max_cost: float | None = None,
    max_tokens: int | None = None,
    min_quality: float | None = None,
    models: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    system: str | None = None,
    on_text: Callable[[str], None] | None = None,
    checkpoint: str = "",
    pool: str = "",
    embed_url: str = "",
) -> CellAnswer:
    """The answer to `query`, a text or an OpenAI `messages` list; the options are those of `%%r2`.

    `system` is the message itself; `on_text` is given the text as it comes. Why this model and this length is in
    the answer's `decision`. Raises R2Error.
    """
    router = _session().router(checkpoint, pool, embed_url)
    answer = router.route_and_generate(
        query,
        lambda_val,
        model=model,
        budget=budget,
        system=system,
        on_text=on_text,
        worth_usd=worth,
        preset=preset,
        max_cost_usd=max_cost,
        max_tokens=max_tokens,
        min_quality=min_quality,
        models=models,
        exclude=exclude,
    )
    return cell_answer(answer)


@cache
def _session() -> Session:
    return Session()
