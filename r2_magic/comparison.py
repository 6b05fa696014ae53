"""`%%r2 --compare N`: real answers of several candidates side by side, and which of them the user prefers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r2_magic import options
from r2_magic.compared import Compared, Comparison
from r2_magic.screen import News, Passing, publish, say
from r2_router.errors import InputError, R2Error
from r2_router.routing.rows import choice
from r2_router.words import counted, listed

if TYPE_CHECKING:
    from r2_magic.base import Configured
    from r2_router.routing.considered import Candidate


def compare(query: str, args: argparse.Namespace, system: str | None, magics: Configured) -> Comparison:
    """Ask `args.compare` candidates for an answer, one after the other, within the limits of the cell and notebook.

    Raises what R2Router.ask raises, where no candidate answers; what came until then is shown.
    """
    session = magics.session
    conversation = session.history.messages(query, args.history)
    with magics.loading() as router:
        session.decision = router.decide(options.request(conversation, args, system=system), ready_only=True)
    found: list[Compared] = []
    failed: R2Error | None = None
    with Passing(magics.shell) as status:
        for candidate in alternatives(session.decision.candidates, args.compare):
            news = News()
            news.tell = status.say
            try:
                found.append(_asked(candidate, conversation, args, system, magics, news))
            except R2Error as error:
                failed = failed or error
                found.append(Compared(candidate, error=str(error)))
            except KeyboardInterrupt:
                publish(Comparison(query, tuple(found)))
                raise
    comparison = Comparison(query, tuple(found))
    if failed is not None and not comparison.answers:
        raise failed
    session.comparison = comparison
    _take(next(each for each in found if each.answer), query, magics)
    return comparison


def alternatives(ranked: Sequence[Candidate], count: int) -> list[Candidate]:
    """The best candidates of so many models; of too few models, their next best too. Raises InputError for one only."""
    firsts: dict[str, Candidate] = {}
    for c in ranked:
        firsts.setdefault(c.model, c)
    if len(ranked) < 2:
        raise InputError(f"{ranked[0].label} is the only candidate: loosen the limits to compare.")
    others = [c for c in ranked if c is not firsts[c.model]]
    return [*firsts.values(), *others][:count]


def _asked(
    candidate: Candidate,
    conversation: Any,
    args: argparse.Namespace,
    system: str | None,
    magics: Configured,
    news: News,
) -> Compared:
    from r2_magic.answering import answered

    forced = {"model": candidate.model, "budget": candidate.budget, "models": None, "exclude": None}
    request = options.request(conversation, argparse.Namespace(**{**vars(args), **forced}), system=system)
    guard = magics.guard()
    stream = magics.router().ask(request, guard=guard, on_event=news)
    try:
        answer = answered(magics.shell, stream, "markdown", news=news, show=False, keep=lambda answer: None)
    finally:
        magics.session.spent_usd += guard.billed_usd
    return Compared(candidate, answer, stream.id)


def _take(one: Compared, query: str, magics: Configured) -> None:
    """Go on with this answer: it is the last one, and the turn of the conversation."""
    session = magics.session
    session.answer, session.answer_id = one.answer, one.id
    session.history.settle(query, one.text)


# -- which is the better -------------------------------------------------------------------------------------------


def prefer(which: str, magics: Configured) -> None:
    """Note in the ledger that the user prefers answer number `which` of the last comparison to each other one: pairs
    of ids, as `R2Router.prefer` does. Raises InputError for what is none of them."""
    comparison = magics.session.comparison
    if comparison is None:
        raise InputError("There is nothing to prefer yet. Write a cell: %%r2 --compare 2 on its first line.")
    numbered = {str(n): each for n, each in enumerate(comparison.compared, 1) if each.answer}
    if which not in numbered:
        raise InputError(f"Say which of the {counted(len(numbered), 'answer')}: `%r2 prefer {next(iter(numbered))}`.")
    better = numbered.pop(which)
    for other in numbered.values():
        magics.router().prefer(better.id, over=other.id)
    _take(better, comparison.query, magics)
    others = listed([choice(each.candidate) for each in numbered.values()])
    said = f"preferred to {others}. `r2-router learn` learns from it." if others else "is the only answer that came."
    say(f"{choice(better.candidate)} {said}")
