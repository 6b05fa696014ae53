"""`%r2 map`: many prompts of a notebook, routed, and answered where a limit is given; back comes a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from r2_magic.screen import say
from r2_router.errors import InputError
from r2_router.ledger.money import check_amount
from r2_router.words import counted, usd

if TYPE_CHECKING:
    from r2_magic.base import Configured
    from r2_router.batches.mapped import Mapped

_HOW = "`%r2 map df.prompt -o answers --max-usd 0.5`"


def map_prompts(expression: str, args: argparse.Namespace, magics: Configured) -> Any:
    """What became of each prompt of the user's `expression`: a DataFrame with its index, or rows where pandas is
    missing. Before anything is asked, what it is expected to cost is said; without --max-usd nothing is asked.

    Raises InputError for what is no prompts, and where an expression cannot be evaluated.
    """
    from r2_router.cli.options import wishes

    most = None if args.max_usd is None else check_amount(args.max_usd, "--max-usd")
    if (left := magics.left_usd()) is not None and most is not None:
        most = min(most, left)
    given = _evaluated(expression, magics)
    prompts = list(cast("Iterable[Any]", given))
    wished = wishes(args)
    with magics.passing(f"routing {counted(len(prompts), 'prompt')} …"):
        router = magics.router()
        routed = list(router.map(prompts, **wished))
    say(_expected(routed, most))
    if most is None:
        return _table(routed, given)
    found: list[Mapped] = []
    try:
        for mapped in _with_progress(router.map(prompts, answer=True, max_usd=most, **wished), len(prompts)):
            found.append(mapped)
            magics.session.spent_usd += mapped.cost_usd
    except KeyboardInterrupt:
        say("Stopped: what came is in the table.")
    say("; ".join(filter(None, (_outcome(found, len(prompts)), magics.spent_here()))))
    return _table(found, given)


def _evaluated(expression: str, magics: Configured) -> Any:
    if not expression:
        raise InputError(f"Which prompts? Name a variable or an expression: {_HOW}.")
    try:
        given = magics.shell.ev(expression)
    except Exception as error:  # noqa: BLE001  (whatever the user's own expression raises)
        raise InputError(f"{expression!r} cannot be evaluated: {type(error).__name__}: {error}.") from None
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"{expression!r} is {type(given).__name__}, and no list or column of prompts: {_HOW}.")
    return cast("Any", given)


def _expected(routed: Sequence[Mapped], max_usd: float | None) -> str:
    """What answering is expected to cost, and what is done now."""
    decided = [mapped.decision.best.predicted_cost_usd for mapped in routed if mapped.decision]
    failed = len(routed) - len(decided)
    errors = f" ({failed} cannot be routed: see `error`)" if failed else ""
    cost = f"{len(routed):,} prompts routed{errors}; answering them is expected to cost {usd(sum(decided))}"
    return f"{cost}. --max-usd USD answers them." if max_usd is None else f"{cost}, and at most {usd(max_usd)}."


def _with_progress(found: Iterator[Mapped], count: int) -> Iterator[Mapped]:
    """Each of `found`, while a bar shows how many of `count` came."""
    from IPython import display

    bar: Any = cast("Any", display).ProgressBar(count)
    bar.display()
    for done, mapped in enumerate(found, 1):
        yield mapped
        bar.progress = done


def _outcome(found: Sequence[Mapped], count: int) -> str:
    answered = sum(mapped.answer is not None for mapped in found)
    failed = sum(1 for mapped in found if mapped.error)
    parts = [f"{answered:,} of {count:,} answered for {usd(sum(mapped.cost_usd for mapped in found))}"]
    if failed:
        parts.append(f"{failed:,} with an error")
    if left := count - len(found):
        parts.append(f"{left:,} left out")
    return ", ".join(parts)


def _table(found: Sequence[Mapped], given: Any) -> Any:
    """A DataFrame with the index of `given`, where it has one; a list of rows where pandas is missing."""
    rows = [mapped.row() for mapped in found]
    try:
        pandas: Any = import_module("pandas")
    except ImportError:
        return rows
    frame = pandas.DataFrame(rows)
    if isinstance(given, pandas.Series) and rows:
        frame.index = given.index[[row["index"] for row in rows]]
    return frame
