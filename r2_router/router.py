"""R2Router: text -> vector -> predictions -> ranked candidates -> a decision."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache, partial
from glob import escape
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

import numpy as np

from r2_router.checkpoints.find import (
    DEFAULT_CHECKPOINT,
    choose_embedder,
    configured_trade_off,
    load_checkpoint,
    release_pool,
)
from r2_router.checkpoints.format import Checkpoint, Floats
from r2_router.config.settings import Settings, load_settings
from r2_router.errors import InputError, R2Error
from r2_router.generate.desk import Asked, Desk
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool, load_pool
from r2_router.records import UNLIMITED, Budget
from r2_router.routing.batch import Decisions, choose_rows, labels
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.decision import Decision, Excluded, Limits, Ranking, TradeOff
from r2_router.routing.explanation import Explanation, explain
from r2_router.routing.predict import Predictor
from r2_router.routing.rank import exclusions, rank
from r2_router.routing.request import Wishes, check_count, check_counts, check_queries, read_wishes, trade_off
from r2_router.routing.tokens import estimate_tokens

if TYPE_CHECKING:
    from r2_router.embedders import Embedder
    from r2_router.generate import Answer, Event, Messages, Options
    from r2_router.ledger import Face


class R2Router:
    """Chooses the model and the length of its answer, by predicted quality against predicted cost.

    Make one with `from_pretrained`. All methods may be called from several threads.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        pool: Pool,
        *,
        settings: Settings,
        embedder: Embedder | Callable[[], Embedder],
        default: TradeOff,
        compat: bool = False,
        face: Face = "python",
    ) -> None:
        self.checkpoint = checkpoint
        self.pool = pool
        self.settings = settings
        self.compat = compat
        self.default = default
        self._predictor = Predictor(checkpoint)
        self._table = CandidateTable(checkpoint, pool, compat=compat)
        self.desk = Desk(settings, face=face)
        self._ready: tuple[Pool, CandidateTable] | None = None
        self._given = embedder
        self._embedder: Embedder | None = None
        self._probing = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        pool: Pool | str | os.PathLike[str] | None = None,
        embedder: Embedder | str | None = None,
        lambda_val: float | None = None,
        worth_usd: float | None = None,
        preset: str | None = None,
        embed_url: str | None = None,
        llm_api_base: str | None = None,
        llm_api_key: str | None = None,
        compat: bool = False,
        face: Face = "python",
    ) -> R2Router:
        """Load a checkpoint: a directory of ours, a released R2-Router directory, the name of a shipped or
        imported one, or None for the configured default.

        `pool` names or is the models to choose from (default: the checkpoint's own); `embedder` is one, or the
        spec of one (default: the one the checkpoint was trained with); one of lambda_val, worth_usd and preset
        sets the default trade-off. `compat` reproduces the seed release's rules: its prices, availability
        ignored, no instruction tokens, its rounding; it needs a released checkpoint. Answers come from the pool's
        providers and local models, or from the server `llm_api_base` with `llm_api_key`; `face` is who asks, for
        the ledger.

        Raises CheckpointError, ConfigError or InputError, each saying what to do.
        """
        settings = load_settings(
            checkpoint=None if path is None else os.fspath(path),
            pool=os.fspath(pool) if pool is not None and not isinstance(pool, Pool) else None,
            embedder=embedder if isinstance(embedder, str) else None,
            embed_url=embed_url,
            llm_api_base=llm_api_base,
            llm_api_key=llm_api_key,
        )
        checkpoint = load_checkpoint(settings.checkpoint or DEFAULT_CHECKPOINT)
        if compat:
            chosen_pool = release_pool(checkpoint)
        elif isinstance(pool, Pool):
            chosen_pool = pool
        else:
            chosen_pool = load_pool(settings.pool or checkpoint.pool or DEFAULT_CHECKPOINT)
        default = trade_off(lambda_val, worth_usd, preset, settings.presets)
        if default is None and compat:
            default = trade_off(lambda_val=cast("dict[str, Any]", checkpoint.release)["default_lambda"])
        return cls(
            checkpoint,
            chosen_pool,
            settings=settings,
            embedder=choose_embedder(embedder, checkpoint, settings),
            default=default or configured_trade_off(settings),
            compat=compat,
            face=face,
        )

    # -- what it works with ----------------------------------------------------------------------------------

    @property
    def models(self) -> tuple[Model, ...]:
        """The checkpoint's models as the pool describes them, in the checkpoint's order."""
        return self._table.models

    @property
    def embedder(self) -> Embedder:
        """The embedder, checked against the checkpoint's probes on first use.

        Raises EmbedderError where it cannot be had, CheckpointError where it is the wrong one.
        """
        with self._probing:
            if self._embedder is None:
                embedder = self._given() if callable(self._given) else self._given
                if self.checkpoint.probe_texts:
                    self.checkpoint.check_probes(embedder.embed(self.checkpoint.probe_texts), embedder.id)
                self._embedder = embedder
            return self._embedder

    def preload(self) -> None:
        """Start loading the embedder in the background; whatever goes wrong is raised on first use."""

        def load() -> None:
            with suppress(R2Error):
                _ = self.embedder

        threading.Thread(target=load, name="r2-preload", daemon=True).start()

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors (n, d) of `texts`, long ones cut as `Embedder.max_chars` says."""
        from r2_router.embedders import clip_text

        embedder = self.embedder
        vectors = embedder.embed([clip_text(text, embedder.max_chars) for text in texts])
        return self._predictor.check_batch(vectors)

    # -- routing ---------------------------------------------------------------------------------------------

    def route(
        self,
        embedding: object,
        lambda_val: float | None = None,
        input_tokens: int = 100,
        **wishes: Unpack[Wishes],
    ) -> Decision:
        """The decision for one embedding, (d,) or (1, d), of a query of `input_tokens` tokens.

        Raises InputError for bad input and NoCandidateError when the limits leave nothing.
        """
        vector = self._predictor.check(embedding)
        trade, limits = self._read(lambda_val, wishes)
        return self._decide(
            vector, self._outputs(vector), input_tokens=check_count(input_tokens), trade=trade, limits=limits
        )

    def route_batch(
        self,
        embeddings: object,
        lambda_val: float | None = None,
        input_tokens: int | Sequence[int] = 100,
        *,
        queries: Sequence[str] | None = None,
        **wishes: Unpack[Wishes],
    ) -> Decisions:
        """Decisions for (n, d) embeddings; `input_tokens` is one count for all, or one a row; `queries` labels them.

        Errors as in `route`; NoCandidateError is raised when a row that has no candidate is looked at.
        """
        vectors = self._predictor.check_batch(embeddings)
        counts = check_counts(input_tokens, len(vectors))
        trade, limits = self._read(lambda_val, wishes)
        outputs = self._outputs(vectors)

        def make(i: int) -> Decision:
            return self._decide(
                vectors[i],
                outputs[i],
                input_tokens=int(counts[i]),
                trade=trade,
                limits=limits,
                query=None if queries is None else queries[i],
            )

        best = choose_rows(self._predictor, self._table, outputs, counts, trade, limits)
        return Decisions(len(vectors), make, best, labels(self._table))

    @overload
    def route_text(self, query: str, lambda_val: float | None = None, **wishes: Unpack[Wishes]) -> Decision: ...
    @overload
    def route_text(
        self, query: list[str] | tuple[str, ...], lambda_val: float | None = None, **wishes: Unpack[Wishes]
    ) -> list[Decision]: ...
    def route_text(
        self,
        query: str | list[str] | tuple[str, ...],
        lambda_val: float | None = None,
        **wishes: Unpack[Wishes],
    ) -> Decision | list[Decision]:
        """The decision for a query, or a list of them for a list of queries; `wishes` as in constraints.Wishes.

        Raises InputError, EmbedderError, CheckpointError or NoCandidateError.
        """
        queries = check_queries(query)
        trade, limits = self._read(lambda_val, wishes)
        self._table.allowed(limits)  # a glob that matches nothing is said before anything is embedded
        vectors = self.embed(queries) if queries else ()
        decisions = [
            self._decide(
                vector,
                self._outputs(vector),
                input_tokens=self._input_tokens(text),
                trade=trade,
                limits=limits,
                query=text,
            )
            for text, vector in zip(queries, vectors, strict=True)
        ]
        return decisions[0] if isinstance(query, str) else decisions

    def explain(self, query: str, lambda_val: float | None = None, **wishes: Unpack[Wishes]) -> Explanation:
        """The decision for `query` with its reasons; arguments and errors as in `route_text`."""
        return explain(self.route_text(query, lambda_val, **wishes), self.checkpoint.strongest)

    # -- answering -------------------------------------------------------------------------------------------

    def stream(
        self,
        query: Messages,
        lambda_val: float | None = None,
        *,
        model: str | None = None,
        budget: Budget | None = None,
        system: str | None = None,
        options: Options | None = None,
        on_event: Callable[[Event], None] | None = None,
        **wishes: Unpack[Wishes],
    ) -> Asked:
        """Decide among the models that can be asked now, and start the answer: iterate what is returned, async.

        `query` is a text, or an OpenAI `messages` list: its last user message is routed, the rest is context and
        counted in the cost. `model` and `budget` force a choice; `system` is put before the conversation.

        Raises what `route_text` raises; iterating raises ProviderError, SpendLimitError or ConfigError.
        """
        from r2_router.generate import Generation, Options, check_messages

        messages = check_messages(query)
        if system:
            messages = [{"role": "system", "content": system}, *messages]
        decision = self._decide_messages(messages, lambda_val, model, budget, wishes)
        limits = decision.limits
        options = options or Options(first_token_s=self.settings.first_token_s)
        if options.max_tokens is None and limits.max_tokens is not None:
            options = replace(options, max_tokens=limits.max_tokens)
        if (measured_at := self.checkpoint.instruction.temperature) is not None:
            options = replace(options, sampling={"temperature": measured_at, **options.sampling})
        generation = Generation(
            list(decision.candidates),
            messages,
            instruction=self.checkpoint.instruction,
            models={m.name: m for m in self.models},
            resolve=self.desk.resolve,
            options=options,
            max_cost_usd=limits.max_cost_usd,
            guard=self.desk.guard,
            on_event=on_event,
            decision=decision,
        )
        return Asked(generation, decision, partial(self.desk.record, strongest=self.checkpoint.strongest))

    def route_and_generate(
        self,
        query: Messages,
        lambda_val: float | None = None,
        *,
        model: str | None = None,
        budget: Budget | None = None,
        system: str | None = None,
        options: Options | None = None,
        on_text: Callable[[str], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        **wishes: Unpack[Wishes],
    ) -> Answer:
        """The answer to `query` from the model and within the length that are worth their price.

        Works inside a running event loop too, and can be interrupted. `on_text` is given the text as it comes.
        Arguments and errors as in `stream`.
        """
        from r2_router.generate import iterate

        asked = self.stream(
            query, lambda_val, model=model, budget=budget, system=system, options=options, on_event=on_event, **wishes
        )
        with closing(iterate(asked)) as pieces:
            for piece in pieces:
                if on_text:
                    on_text(piece)
        return cast("Answer", asked.answer)

    def generate(
        self,
        query: Messages,
        model: str,
        budget: Budget = UNLIMITED,
        *,
        system: str | None = None,
        options: Options | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """The answer of a given model within a given budget; errors as in `stream`."""
        return self.route_and_generate(
            query, model=model, budget=budget, system=system, options=options, on_text=on_text
        )

    # -- inside ----------------------------------------------------------------------------------------------

    def _read(self, lambda_val: float | None, wishes: Wishes) -> tuple[TradeOff, Limits]:
        return read_wishes(lambda_val, wishes, presets=self.settings.presets, default=self.default)

    def _outputs(self, vectors: Floats) -> Floats:
        predictor = self._predictor
        return predictor.outputs_as_released(vectors) if self.compat else predictor.outputs(vectors)

    def _decide_messages(
        self,
        messages: Messages,
        lambda_val: float | None,
        model: str | None,
        budget: Budget | None,
        wishes: Wishes,
    ) -> Decision:
        """The decision for a conversation among the models that can be asked now."""
        from r2_router.generate import context_tokens, last_user_text

        text = last_user_text(messages)
        wished: Wishes = {**wishes}
        if model is not None:
            wished["models"] = escape(model)
        if budget is not None and budget != UNLIMITED:
            wished["max_tokens"] = budget
        trade, limits = self._read(lambda_val, wished)
        table = self._ready_table()
        table.allowed(limits)
        vector = self.embed([text])[0]
        decision = self._decide(
            vector,
            self._outputs(vector),
            input_tokens=self._input_tokens(text) + context_tokens(messages),
            trade=trade,
            limits=limits,
            query=text,
            table=table,
        )
        return decision if budget is None else _at_budget(decision, budget)

    def _ready_table(self) -> CandidateTable:
        """The candidates with every model that cannot be asked now unavailable."""
        ready = self.desk.ready(self.pool)
        known = self._ready
        if known is None or known[0] != ready:
            known = (ready, CandidateTable(self.checkpoint, ready))
            self._ready = known
        return known[1]

    def _decide(
        self,
        vector: Floats,
        outputs: Floats,
        *,
        input_tokens: int,
        trade: TradeOff,
        limits: Limits,
        query: str | None = None,
        table: CandidateTable | None = None,
    ) -> Decision:
        predictor = self._predictor
        table = table or self._table
        quality, tokens = predictor.quality(outputs), predictor.tokens(outputs, raw=self.compat)
        ranking = rank(
            table,
            quality,
            tokens,
            input_tokens=input_tokens,
            trade=trade,
            limits=limits,
            errors=cache(lambda: predictor.quality_errors(vector)),
        )

        def excluded() -> list[Excluded]:
            return exclusions(table, ranking.scores, input_tokens, limits)

        def leverages() -> tuple[float, float] | None:
            known = self.checkpoint.precision
            return None if known is None else (cast("float", predictor.leverage(vector)), known.leverage_limit)

        embedder = self._embedder
        return Decision(
            query=query,
            input_tokens=input_tokens,
            trade_off=trade,
            limits=limits,
            checkpoint=self.checkpoint.name,
            embedder=self.checkpoint.embedder.id if embedder is None else embedder.id,
            truncated=query is not None and embedder is not None and len(query) > embedder.max_chars,
            candidates=ranking,
            exclusions=excluded,
            leverages=cache(leverages),
        )

    def _input_tokens(self, text: str) -> int:
        if self.compat:  # the seed's own estimate
            return max(1, int(len(text.split()) * 1.3))
        return estimate_tokens(text)


def _at_budget(decision: Decision, budget: Budget) -> Decision:
    """`decision` narrowed to the candidates of one budget."""
    scores, order = decision.candidates.scores, decision.candidates.order
    wanted = np.inf if budget == UNLIMITED else float(budget)
    kept = order[scores.budgets[order] == wanted]
    if not len(kept):
        known = sorted({float(b) for b in scores.budgets[: scores.measured]})
        limited = [int(b) for b in known if np.isfinite(b)]
        span = f"between {limited[0]} and {limited[-1]}, or " if limited else ""
        raise InputError(f"Budget {budget} was not measured for any model allowed here. Choose one {span}'unlimited'.")
    return replace(decision, candidates=Ranking(scores, kept))
