"""Decider: one checkpoint over one pool. Requests, or vectors, to decisions; nothing is asked and nothing recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from r2_router.arrays import Floats, Singles
from r2_router.checkpoints.format import Checkpoint
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool, as_of_today
from r2_router.records import UNLIMITED, Later
from r2_router.routing.batch import Decisions, choose_rows, labels
from r2_router.routing.candidates import CandidateTable, forced
from r2_router.routing.conversation import Reader, Reading
from r2_router.routing.decision import Decision, Limits, TradeOff
from r2_router.routing.messages import context_tokens, counted_parts, is_marked
from r2_router.routing.need_quality import categories, rated, shift
from r2_router.routing.predict import Predictor
from r2_router.routing.prompt_memory import PromptMemory
from r2_router.routing.rank import exclusions, rank
from r2_router.routing.request import Request
from r2_router.routing.stated_length import StatedLength, stated_length
from r2_router.routing.tokens import estimate_tokens
from r2_router.routing.warm import Cached, Warmth
from r2_router.routing.warm_prices import has_rules, warmth


class Texts(Protocol):
    """What turns texts into vectors: its `id`, whether it cuts a text, and (n, d) vectors of n texts."""

    @property
    def id(self) -> str: ...
    def cuts(self, text: str) -> bool: ...
    def embed(self, texts: Sequence[str]) -> Singles: ...


class Readiness(Protocol):
    """Which models can be asked now: why one cannot, "" if it can; and the pool with those that cannot unavailable."""

    def not_ready(self, model: Model) -> str: ...
    def ready(self, pool: Pool) -> Pool: ...


class Decider:
    """The decisions of one checkpoint over one pool. Thread-safe.

    `memory` knows which chats were answered lately, and by whom. `unused` is what decisions say of
    keys and servers that are not in the pool. `compat` reproduces the seed release's rules.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        pool: Pool,
        texts: Texts,
        readiness: Readiness,
        *,
        unused: Later[str],
        compat: bool = False,
        memory: PromptMemory | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.pool = pool
        self.predictor = Predictor(checkpoint)
        self._texts = texts
        self._readiness = readiness
        self._unused = unused
        self._compat = compat
        self._memory = memory or PromptMemory()
        self._reader = Reader(self.predictor, self.embed)
        self._known = (pool, CandidateTable(checkpoint, pool, compat=compat))
        self._ready: tuple[list[str], CandidateTable] | None = None  # by why each model is not

    def at_prices(self, price: Callable[[Model], Model]) -> Decider:
        """This decider over the same models at other prices, for answers that come when no prompt cache is warm."""
        pool = replace(self.pool, models={model.name: price(model) for model in self.pool})
        return Decider(self.checkpoint, pool, self._texts, self._readiness, unused=self._unused, compat=self._compat)

    @property
    def table(self) -> CandidateTable:
        """The candidates, without the models that have expired by now: servers live long."""
        pool, table = self._known
        if not self._compat and (today := as_of_today(pool)) is not pool:
            table = CandidateTable(self.checkpoint, today)
            self._known = (today, table)
        return table

    @property
    def ready_table(self) -> CandidateTable:
        """The candidates with every model that cannot be asked now unavailable."""
        pool = as_of_today(self.pool)
        whys = [self._readiness.not_ready(model) for model in pool]
        known = self._ready
        if known is None or known[0] != whys:
            known = (whys, CandidateTable(self.checkpoint, self._readiness.ready(pool)))
            self._ready = known
        return known[1]

    def embed(self, texts: Sequence[str]) -> Singles:
        """Unit vectors (n, d) of n texts; raises EmbedderError or CheckpointError."""
        return self.predictor.check_batch(self._texts.embed(texts))

    # -- requests --------------------------------------------------------------------------------------------

    def decide_all(
        self, requests: Sequence[Request], trades: Sequence[TradeOff], *, ready_only: bool = False
    ) -> list[Decision]:
        """The decision for each request at its trade-off, their queries embedded together; `ready_only`: among the
        models that can be asked now. Raises InputError, EmbedderError, CheckpointError or NoCandidateError."""
        table = self.ready_table if ready_only else self.table
        for request in requests:
            table.allowed(request.limits)  # a name that means no model is told before anything is embedded
        chats = [[request.query] if self._compat else request.turns for request in requests]
        vectors = self.embed([self._reader.first_text(turns) for turns in chats]) if chats else ()
        readings = [self._reader.read(turns, vector) for turns, vector in zip(chats, vectors, strict=True)]
        counts = [self._count(request) for request in requests]
        seen = [counted_parts(request.messages) for request in requests]
        parts = [table.parts(found) if found else None for found in seen]
        falls = [categories(r.limits.needs, context_tokens(r.messages)) for r in requests]
        rates = [rated(self.checkpoint, named) for named in falls]
        return [
            self._decide(
                reading,
                self.predictor.easiest_outputs() if reading.closing else self._outputs(reading.vector, rate),
                input_tokens=tokens,
                parts=more,
                trade=trade,
                limits=self._limits(request, table),
                query=request.query,
                rated_for=() if reading.closing else rate,
                table=table,
                warm=self._warmth(request, _with(tokens, more), table, last=reading.closing)
                if request.is_chat
                else None,
            )
            for request, trade, reading, tokens, more, rate in zip(
                requests, trades, readings, counts, parts, rates, strict=True
            )
        ]

    # -- vectors ---------------------------------------------------------------------------------------------

    def decide_vector(self, embedding: object, input_tokens: int, trade: TradeOff, limits: Limits) -> Decision:
        """The decision for one unit vector, (d,) or (1, d). Raises InputError or NoCandidateError."""
        vector = self.predictor.check(embedding)
        return self._decide(
            Reading(vector), self._outputs(vector), input_tokens=input_tokens, trade=trade, limits=limits
        )

    def decide_rows(
        self, vectors: Singles, counts: Floats, trade: TradeOff, limits: Limits, queries: Sequence[str] | None
    ) -> Decisions:
        """The decisions for checked vectors (n, d) of queries of `counts` (n,) tokens, each made when it is looked at:
        NoCandidateError is raised then."""
        outputs = self._outputs(vectors)

        def make(i: int) -> Decision:
            return self._decide(
                Reading(vectors[i]),
                outputs[i],
                input_tokens=int(counts[i]),
                trade=trade,
                limits=limits,
                query=None if queries is None else queries[i],
            )

        singly = [row for row, query in enumerate(queries or ()) if self._stated_length(query) is not None]
        best = choose_rows(self.predictor, self.table, outputs, counts, trade, limits, singly)
        return Decisions(len(vectors), make, best, labels(self.table))

    # -- inside ----------------------------------------------------------------------------------------------

    def _decide(
        self,
        reading: Reading,
        outputs: Singles,
        *,
        input_tokens: int,
        trade: TradeOff,
        limits: Limits,
        parts: Floats | None = None,
        query: str | None = None,
        rated_for: tuple[str, ...] = (),
        table: CandidateTable | None = None,
        warm: Warmth | None = None,
    ) -> Decision:
        predictor, checkpoint = self.predictor, self.checkpoint
        table = table or self.table
        vector, unknown = reading.vector, reading.closing  # nothing was measured that a closing could be held against
        stated = self._stated_length(query)
        reads = _with(input_tokens, parts)
        ranking = rank(
            table,
            predictor.quality(outputs),
            predictor.tokens(outputs, raw=self._compat),
            input_tokens=reads,
            trade=trade,
            limits=limits,
            errors=Later(lambda: None if unknown else predictor.quality_errors(vector)),
            stated=stated,
            warm=warm,
        )
        not_ready = self._readiness.not_ready
        more = 0 if parts is None else int(parts[ranking.measured(0)])
        return Decision(
            query=query,
            input_tokens=input_tokens + more,
            trade_off=trade,
            limits=limits,
            checkpoint=checkpoint.name,
            embedder=self._texts.id,
            truncated=query is not None and self._texts.cuts(query),
            candidates=ranking,
            exclusions=Later(lambda: exclusions(table, ranking.scores, reads, limits, ranking.order)),
            leverages=Later(lambda: None if unknown else predictor.leverages(vector)),
            readiness=Later(lambda: not_ready(table.models[ranking.scores.model_index[ranking.order[0]]])),
            strongest=checkpoint.strongest,
            estimated_from=checkpoint.estimated_from,
            pool_warning=self.pool.warning,
            read_with=reading.turns,
            closing=reading.closing,
            unused=self._unused,
            stated_length=stated,
            warm=warm,
            rated_for=rated_for,
        )

    def _warmth(self, request: Request, tokens: int | Floats, table: CandidateTable, *, last: bool) -> Warmth | None:
        """What prompt caches change: those that the caller tells of, else those that earlier answers left."""
        if self._compat or not has_rules(table):
            return None
        candidates = self.checkpoint.candidates
        if request.cached:
            said: dict[str, list[Cached]] = {m: [] for m in self.checkpoint.models}
            for cached in request.cached:
                said[forced(cached.model, table.models)].append(cached)
            known = [said[model] for model, _ in candidates]
        else:
            instruction = request.form.instruction(self.checkpoint.instruction)
            known = self._memory.cached(request.messages, instruction, candidates, request.form.text)
        return warmth(table, tokens, known, self._memory.hits, marks=is_marked(request.messages), last=last)

    def _outputs(self, vectors: Singles, rated_for: Sequence[str] = ()) -> Singles:
        if self._compat:
            return self.predictor.outputs_as_released(vectors)
        outputs = self.predictor.outputs(vectors)
        if rated_for:
            outputs[..., : len(self.checkpoint.candidates)] += shift(self.checkpoint, rated_for)
        return outputs

    def _stated_length(self, query: str | None) -> StatedLength | None:
        return None if self._compat or not query else stated_length(query)

    def _limits(self, request: Request, table: CandidateTable) -> Limits:
        """The limits of a request: an answer that must be JSON is cut by no budget, unless one is asked for."""
        limits = request.limits
        if not request.form.structured or limits.budget is not None or limits.max_tokens is not None:
            return limits
        unlimited = np.isinf(table.budgets[table.allowed(limits).index]).any()
        return replace(limits, budget=UNLIMITED) if unlimited else limits

    def _count(self, request: Request) -> int:
        """Tokens, estimated, of all that a model reads but an instruction, and what is no text."""
        read = self._input_tokens(request.query) + context_tokens(request.messages)
        return read + estimate_tokens(request.form.text)

    def _input_tokens(self, text: str) -> int:
        if self._compat:  # the seed's own estimate
            return max(1, int(len(text.split()) * 1.3))
        return estimate_tokens(text)


def _with(tokens: int, parts: Floats | None) -> int | Floats:
    """The tokens of a text and of the parts beside it, one a candidate where there are any."""
    return tokens if parts is None else tokens + parts
