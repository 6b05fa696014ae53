"""`%%r2 --compare N`: real answers of several candidates side by side, and which of them the user prefers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from r2_magic import options
from r2_magic.compared import Compared, Comparison
from r2_magic.screen import publish, say
from r2_router.errors import InputError, ProviderError, R2Error
from r2_router.routing.rows import choice
from r2_router.words import counted, listed

if TYPE_CHECKING:
    from r2_magic.base import Configured
    from r2_magic.session import Session
    from r2_magic.together import Leg
    from r2_router.routing.considered import Candidate
    from r2_router.routing.request import Request


def compare(
    query: str,
    args: argparse.Namespace,
    system: str | None,
    magics: Configured,
    keep: Callable[[Comparison], None],
) -> Comparison:
    """Ask `args.compare` candidates for an answer, all at the same time, within the limits of the cell and notebook.
    What came is given to `keep`, also where the user stopped it; then, and where nobody's is whole, it is shown too.

    Raises what R2Router.ask raises, of the best candidate that failed, where no answer is whole; KeyboardInterrupt.
    """
    from r2_magic.together import Together

    session = magics.session
    conversation = session.history.messages(query, args.history)
    with magics.loading() as router:
        session.decision = router.decide(options.request(conversation, args, system=system), ready_only=True)
    picked = alternatives(session.decision.candidates, args.compare)
    session.comparison = session.answer = None
    session.answer_id = ""
    with magics.passing() as status:
        together = Together(magics, status.say)
        try:
            together.ask([(c, _request(c, conversation, args, system)) for c in picked])
        except KeyboardInterrupt:
            status.clear()
            stopped = _came(query, together.legs, session)
            publish(stopped)
            keep(stopped)
            raise
    comparison = _came(query, together.legs, session)
    keep(comparison)
    if not comparison.answers:
        if any(each.answer for each in comparison.compared):
            publish(comparison)
        raise _failure(together.legs)
    _take(next(each for each in comparison.compared if each.whole), query, session)
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


def _request(candidate: Candidate, conversation: Any, args: argparse.Namespace, system: str | None) -> Request:
    """What the cell asks, of this candidate and no other."""
    forced = {"model": candidate.model, "budget": candidate.budget, "models": None, "exclude": None}
    return options.request(conversation, argparse.Namespace(**{**vars(args), **forced}), system=system)


def _came(query: str, legs: Sequence[Leg], session: Session) -> Comparison:
    """What came of each; where there is a whole answer, `%r2 last` and `%r2 prefer` have it."""
    found = Comparison(query, tuple(Compared(leg.candidate, leg.answer, leg.id, _reason(leg)) for leg in legs))
    if first := next((each for each in found.compared if each.whole), None):
        session.comparison, session.answer, session.answer_id = found, first.answer, first.id
    return found


def _reason(leg: Leg) -> str:
    """Why there is no answer, its model not named again."""
    return str(leg.error).removeprefix(f"{leg.candidate.label} ") if leg.error else "stopped before any text came"


def _failure(legs: Sequence[Leg]) -> R2Error:
    """What is wrong with the best candidate, where no answer is whole."""
    for leg in legs:
        if leg.error:
            return leg.error
    return ProviderError("All answers broke off. Run the cell again, or choose other models with --models.")


def _take(one: Compared, query: str, session: Session) -> None:
    """Go on with this answer: it is the last one, and the turn of the conversation."""
    session.answer, session.answer_id = one.answer, one.id
    session.history.settle(query, one.text)


# -- which is the better -------------------------------------------------------------------------------------------


def prefer(which: str, magics: Configured) -> None:
    """Note in the ledger that the user prefers answer number `which` of the last comparison to each other one: pairs
    of ids, as `R2Router.prefer` does. Raises InputError for what is none of them."""
    comparison = magics.session.comparison
    if comparison is None:
        raise InputError("There is nothing to prefer yet. Write a cell: %%r2 --compare 2 on its first line.")
    numbered = {str(n): each for n, each in enumerate(comparison.compared, 1) if each.whole}
    if which not in numbered:
        raise InputError(f"Say which of the {counted(len(numbered), 'answer')}: `%r2 prefer {next(iter(numbered))}`.")
    better = numbered.pop(which)
    for other in numbered.values():
        magics.router().prefer(better.id, over=other.id)
    _take(better, comparison.query, magics.session)
    others = listed([choice(each.candidate) for each in numbered.values()])
    said = f"preferred to {others}. `r2-router learn` learns from it." if others else "is the only answer that came."
    say(f"{choice(better.candidate)} {said}")
