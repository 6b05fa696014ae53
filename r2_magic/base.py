"""What the magic shares with its commands: the configured defaults, the shell, and the session of the notebook."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics
from traitlets import Bool, Enum, Float, Int, Unicode

from r2_magic import options
from r2_magic.screen import Passing, is_whole_cell
from r2_magic.session import Session
from r2_router.words import usd

if TYPE_CHECKING:
    from r2_router.batches.each import RunGuard, RunLimit
    from r2_router.router import R2Router
    from r2_router.routing.decision import Decision


class Configured(Magics):
    """Defaults of `%%r2`; an option on the line stands above them, the settings of r2-router below."""

    worth_usd = Float(None, allow_none=True, help="What a perfect answer is worth to you, in dollars.").tag(config=True)
    lambda_val = Float(None, allow_none=True, help="The paper's λ, instead of worth_usd.").tag(config=True)
    preset = Unicode(None, allow_none=True, help="A named worth, instead of worth_usd.").tag(config=True)
    max_cost_usd = Float(None, allow_none=True, help="Most dollars an answer may cost.").tag(config=True)
    top = Int(5, min=1, help="Candidates shown.").tag(config=True)
    history = Int(0, min=0, help="Earlier turns given as context.").tag(config=True)
    format = Enum(options.FORMATS, "markdown", help="How the answer is shown.").tag(config=True)
    stream = Bool(True, help="Show the answer as it comes.").tag(config=True)
    budget = Float(None, allow_none=True, help="Most dollars the cells of this notebook may spend.").tag(config=True)
    quiet = Bool(False, help="Show the answer only.").tag(config=True)
    checkpoint = Unicode("", help="A checkpoint's name or folder.").tag(config=True)
    pool = Unicode("", help="A pool's name or TOML file.").tag(config=True)
    embed_url = Unicode("", help="An OpenAI-compatible embedding server.").tag(config=True)

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.session = Session()
        self.put_out = False  # the cell that runs has put out something that is to stay

    def router(self) -> R2Router:
        """The router that `%config R2Magics` and the settings describe."""
        return self.session.router(self.checkpoint, self.pool, self.embed_url)

    @contextmanager
    def loading(self) -> Generator[R2Router]:
        """The router, for its first use: a line says that it is loaded, where it is not there yet."""
        key = (self.checkpoint, self.pool, self.embed_url)
        with ExitStack() as meanwhile:
            if not self.session.has_router(*key):
                meanwhile.enter_context(self.passing("loading the router …"))
            yield self.router()

    def passing(self, text: str = "") -> Passing:
        """A line about what goes on."""
        return Passing(self.shell, text, alone=is_whole_cell(self.shell) and not self.put_out)

    def left_usd(self) -> float | None:
        """What the notebook's budget leaves to spend, None without a budget."""
        return None if self.budget is None else max(0.0, self.budget - self.session.spent_usd)

    def guard(self, index: int = 0, limit: RunLimit | None = None) -> RunGuard:
        """Keeps the notebook's budget, and the user's own limits, for one answer; for number `index` of several that
        share `limit`, what the budget leaves."""
        from r2_router.batches.each import MemoryLimit, RunGuard

        limited = "R2Magics.budget leaves less: all cells together"
        return RunGuard(index, limit or MemoryLimit(self.left_usd()), self.budget, self.router().guard, limited)

    def spent_here(self) -> str:
        """What the notebook has spent of its budget, in words; "" without a budget."""
        return "" if self.budget is None else f"spent here: {usd(self.session.spent_usd)} of {usd(self.budget)}"

    def decide(self, query: str, args: argparse.Namespace) -> Decision:
        """The decision for `query` after the turns that --history says, kept as the last one and written to the
        ledger."""
        conversation = self.session.history.messages(query, args.history)
        with self.loading() as router:
            decision = router.decide(options.request(conversation, args))
        router.record(decision)
        self.session.decision = decision
        return decision
