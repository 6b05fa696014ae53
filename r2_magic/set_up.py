"""`%r2 setup`: a pool of the user's own, as on the command line; nothing is asked in between."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from r2_magic.screen import News, say, show
from r2_router.errors import R2Error

if TYPE_CHECKING:
    from r2_magic.answer import CellAnswer
    from r2_magic.base import Configured


def set_up(args: argparse.Namespace, magics: Configured) -> None:
    """Show the proposal; with --yes write it, make it the default, and answer one query with it."""
    from r2_magic.proposal import proposal_view
    from r2_router.config.settings import load_settings
    from r2_router.setup.pool_file import write_pool
    from r2_router.setup.prepare import look
    from r2_router.show.proposal import first_answer_failed, measuring, written

    with magics.passing("looking for keys and servers …"):
        found = look(load_settings(), name=args.name, base_urls=args.base_url, models=args.models)
    if not args.yes:
        show(magics.shell, proposal_view(found))
        say("Nothing is written. `%r2 setup --yes` writes it; --models A,B chooses others.")
        return
    magics.put_out = True
    found = found.measured(lambda name: say(measuring(name)))
    show(magics.shell, proposal_view(found))
    for line in written(found.plan.name, write_pool(found.plan)):
        say(line)
    magics.session.reset()
    try:
        _first_answer(found.plan.name, magics)
    except R2Error as error:
        say(first_answer_failed(str(error)))


def _first_answer(pool: str, magics: Configured) -> None:
    from r2_magic.answering import answered
    from r2_router.generate.answer import answer_facts
    from r2_router.routing.request import Request
    from r2_router.setup.prepare import FIRST_QUERY

    session, news = magics.session, News()
    stream = session.router(pool=pool, embed_url=magics.embed_url).ask(Request.read(FIRST_QUERY), on_event=news)
    session.decision = stream.decision
    say(FIRST_QUERY)

    def keep(answer: CellAnswer) -> None:
        session.answer = answer

    say(answer_facts(answered(magics.shell, stream, "markdown", news=news, show=True, keep=keep)))
