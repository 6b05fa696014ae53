"""Whose heads decide: the checkpoint in use, what was learned from use in its place, the prior where it has none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from r2_router.checkpoints.find import composed, learned_on
from r2_router.checkpoints.format import Checkpoint
from r2_router.config.settings import LEDGER_URL, Settings
from r2_router.embedders.checked import CheckedEmbedder, embedder_maker
from r2_router.errors import R2Error
from r2_router.generate.providers import Providers
from r2_router.pools.pool import Pool
from r2_router.records import Later
from r2_router.routing.candidates import meant
from r2_router.routing.decider import Decider
from r2_router.routing.worth import worths

if TYPE_CHECKING:
    from r2_router.routing.decision import TradeOff
    from r2_router.routing.prompt_memory import PromptMemory
    from r2_router.routing.request import Request


class Deciders:
    """The decider `in_use`, what an answer is `worths` by its candidates, and the deciders of models without heads.

    `given` is the trade-off where none is stated, None for the settings' own; the rest is as in Decider.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        pool: Pool,
        embedder: CheckedEmbedder,
        providers: Providers,
        settings: Settings,
        *,
        given: TradeOff | None,
        unused: Later[str],
        compat: bool,
        memory: PromptMemory,
    ) -> None:
        self._pool, self._embedder, self._providers, self._settings = pool, embedder, providers, settings
        self._given, self._unused, self._compat, self._memory = given, unused, compat, memory
        self._take(self._made(checkpoint, pool, embedder, unused))
        self._unmeasured: Later[Decider] = Later(lambda: self._by_the_prior(self._rest()))
        self._offered: dict[str, Decider | None] = {}

    def _take(self, decider: Decider) -> None:
        self.worths = worths(self._settings, self._given, decider.predictor, decider.table)
        self.in_use: Decider = decider

    def take_learned(self) -> None:
        """Decide by what was learned from use from now on, where it is of the same embedder."""
        with suppress(R2Error):
            learned = learned_on(self._pool)
            if learned is not None and learned.embedder == self.in_use.checkpoint.embedder:
                self._take(self._made(learned, self._pool, self._embedder, self._unused))

    def about(self, request: Request, *, offered: bool) -> Decider:
        """What decides about the model that is forced: the checkpoint; or the prior, over the models of the pool that
        the checkpoint has no heads for, or, where those `offered` may be asked, over one of no pool that a provider
        has."""
        name = request.limits.model
        if self._compat or not name or meant(name, self.in_use.table.models):
            return self.in_use
        if meant(name, list(self._rest())):
            return self._unmeasured()
        if name not in self._offered and offered:
            self._offered[name] = self._offer(name)
        return self._offered.get(name) or self.in_use

    def _rest(self) -> Pool:
        """The models of the pool without heads."""
        known = set(self.in_use.checkpoint.models)
        return replace(self._pool, models={m.name: m for m in self._pool if m.name not in known})

    def _offer(self, name: str) -> Decider | None:
        from r2_router.setup.offered import offered

        model = offered(name, self._settings)
        return model and self._by_the_prior(Pool(self._pool.name, {model.name: model}))

    def _by_the_prior(self, pool: Pool) -> Decider:
        prior = composed(pool)
        embedder = self._embedder
        if prior.embedder != self.in_use.checkpoint.embedder:
            embedder = CheckedEmbedder(embedder_maker(prior, replace(self._settings, embedder="")), prior)
        return self._made(prior, pool, embedder, Later.known(""))

    def _made(self, checkpoint: Checkpoint, pool: Pool, embedder: CheckedEmbedder, unused: Later[str]) -> Decider:
        return Decider(
            checkpoint,
            pool,
            embedder,
            self._providers,
            unused=unused,
            compat=self._compat,
            memory=self._memory,
        )


def learned_by(settings: Settings) -> Callable[[Pool], Checkpoint | None]:
    """What finds the checkpoint learned from the use of a pool: by all machines whose ledger is the same, or here."""
    if settings.key(LEDGER_URL) is None:
        return learned_on
    from r2_router.ledger.shared_learning import learned_by_all

    return learned_by_all(settings)
