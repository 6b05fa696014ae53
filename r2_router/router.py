"""R2Router: request -> vector -> predictions -> ranked candidates -> decision -> answer -> ledger."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast, overload

import numpy as np

from r2_router.acting import acting
from r2_router.arrays import Singles
from r2_router.checkpoints.find import checkpoint_and_pool
from r2_router.checkpoints.format import Checkpoint
from r2_router.config.folders import spelled
from r2_router.config.settings import Settings, load_settings
from r2_router.deciders import Deciders, learned_by
from r2_router.embedders.checked import CheckedEmbedder, embedder_maker
from r2_router.errors import NoCandidateError, R2Error
from r2_router.generate.providers import Providers
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.records import UNLIMITED, Budget, Later
from r2_router.routing.batch import Decisions
from r2_router.routing.decider import Decider
from r2_router.routing.decision import Decision, Limits, TradeOff
from r2_router.routing.explanation import Explanation, explain
from r2_router.routing.explore import check_explores, explored
from r2_router.routing.prompt_memory import PromptMemory
from r2_router.routing.request import Request, check_count, check_counts, check_query, check_texts, read_wishes
from r2_router.routing.wishes import Wishes, takes_wishes
from r2_router.routing.worth import finite, trade_off

if TYPE_CHECKING:
    from r2_router.batches import Mapped
    from r2_router.batches.planned import Planner
    from r2_router.embedders import Embedder
    from r2_router.generate import Answer, AnswerStream, Event, Messages, Options
    from r2_router.generate.generation import Guard
    from r2_router.ledger import Face, Ledger
    from r2_router.ledger.quiet_learning import QuietLearner
    from r2_router.ledger.recorder import Recorder
    from r2_router.routing.prompt_memory import PromptStore
    from r2_router.routing.warm import Answered, Cached

    Cache: TypeAlias = Answered | Iterable[Answered | Cached | tuple[str, int] | tuple[str, int, float]] | None


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
        trade_off: TradeOff | None = None,
        compat: bool = False,
        face: Face = "python",
        unused: Later[str] | None = None,
        own_pool: bool = True,
    ) -> None:
        self.pool: Pool = pool
        self._settings = settings
        self._compat = compat
        self._face: Face = face
        self._own_pool = own_pool  # one that is in no file, perhaps
        self._providers = Providers(settings)
        self._unused = unused or Later.known("")
        self._embedder = CheckedEmbedder(embedder, checkpoint)
        self._recorder: Later[Recorder] = Later(self._open_recorder)
        self._memory = PromptMemory(store=Later(self._open_store))
        self._deciders = Deciders(
            checkpoint,
            pool,
            self._embedder,
            self._providers,
            settings,
            given=trade_off,
            unused=self._unused,
            compat=compat,
            memory=self._memory,
        )
        self._explore = 0.0 if compat else settings.explore
        check_explores(checkpoint, self._explore)
        self._learner: Later[QuietLearner | None] = Later(self._open_learner)

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
    ) -> R2Router:
        """Load a checkpoint: a directory of ours, a released R2-Router directory, the name of a shipped or imported
        one, "prior" for what is known of any pool before a label, or None for the configured one, else the one that
        was measured on the pool, else the prior.

        `pool` names or is the models to choose from (default: the configured pool, else the checkpoint's own);
        `embedder` is one, or the spec of one (default: the one the checkpoint was trained with); one of lambda_val,
        worth_usd and preset sets the trade-off of requests that name none. `compat` reproduces the seed release's
        rules: its prices, availability ignored, no instruction tokens, its rounding; it needs a released checkpoint.
        Answers come from the pool's providers and local models, or from the server `llm_api_base` with `llm_api_key`.

        Raises CheckpointError, ConfigError or InputError, each saying what to do.
        """
        settings = load_settings(
            checkpoint=None if path is None else spelled(path),
            pool=spelled(pool) if pool is not None and not isinstance(pool, Pool) else None,
            embedder=embedder if isinstance(embedder, str) else None,
            embed_url=embed_url,
            llm_api_base=llm_api_base,
            llm_api_key=llm_api_key,
            preset=preset,
        )
        given_pool = pool if isinstance(pool, Pool) else None
        checkpoint, chosen_pool = checkpoint_and_pool(settings, given_pool, learned=learned_by(settings))
        given = trade_off(lambda_val, worth_usd, preset)
        if compat:
            from r2_router.checkpoints.release import release_pool

            chosen_pool = release_pool(checkpoint)
            if given is None and preset is None:
                given = trade_off(cast("dict[str, Any]", checkpoint.release)["default_lambda"])
        return cls(
            checkpoint,
            chosen_pool,
            settings=settings,
            embedder=embedder_maker(checkpoint, settings)
            if embedder is None or isinstance(embedder, str)
            else embedder,
            trade_off=given,
            compat=compat,
            unused=Later(lambda: _unused(settings)) if pool is None and not compat else None,
            own_pool=isinstance(pool, Pool),
        )

    # -- what it works with ----------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Checkpoint:
        """The heads it decides by; what was learned from use takes their place."""
        return self._deciders.in_use.checkpoint

    @property
    def models(self) -> tuple[Model, ...]:
        """The checkpoint's models as the pool describes them, in the checkpoint's order."""
        return self._deciders.in_use.table.models

    @property
    def presets(self) -> Mapping[str, TradeOff]:
        """The named worths of the settings, for this pool."""
        return self._deciders.worths.presets

    @property
    def trade_off(self) -> TradeOff:
        """The trade-off of requests that state none."""
        return self._deciders.worths.default

    @property
    def embedder(self) -> Embedder:
        """The embedder, checked against the checkpoint's probes on first use.

        Raises EmbedderError where it cannot be had, CheckpointError where it is the wrong one.
        """
        return self._embedder.get()

    def preload(self) -> None:
        """Start loading the embedder in the background, and what the ledger needs meanwhile; whatever goes wrong is
        raised on first use."""

        def load() -> None:
            with suppress(R2Error):
                _ = self.embedder

        threading.Thread(target=load, name="r2-preload", daemon=True).start()
        self._recorder()

    def embed(self, texts: Iterable[str]) -> Singles:
        """Unit vectors (n, d) of n texts, a list or a column; long ones are cut as `Embedder.max_chars` says.

        Raises InputError naming the row that is no text, and what `embedder` raises.
        """
        return self._deciders.in_use.embed(check_texts(texts))

    def not_ready(self, model: Model) -> str:
        """Why `model` cannot be asked now and what to do about it, "" if it can."""
        return self._providers.not_ready(model)

    @property
    def unused(self) -> str:
        """Keys and servers that are here and that nobody has set up, in a sentence; "" for none, or where a pool was
        chosen. Found out once."""
        return self._unused()

    @property
    def ledger(self) -> Ledger:
        """Where decisions, answers and spend are kept."""
        return self._recorder().ledger

    @property
    def options(self) -> Options:
        """How models are asked where nothing else is said."""
        from r2_router.generate import Options

        return Options(first_token_s=self._settings.first_token_s)

    @property
    def guard(self) -> Guard:
        """What keeps the user's spending limits: every call that is to be paid asks it first."""
        return self._recorder().guard

    @property
    def confirm_above_usd(self) -> float | None:
        """Dollars above which a face that acts for others asks its user first; None: it need not."""
        return self._settings.confirm_above_usd

    def record(self, decision: Decision) -> str:
        """Write a decision that nobody is asked to answer to the ledger; the id of its entry.

        Answers are recorded by themselves. Raises LedgerError.
        """
        return self._recorder().record(decision)

    def prefer(self, answer_id: str, over: str) -> None:
        """Note that you prefer one answer to another to the same prompt, by their ids (`AnswerStream.id`, or the last
        characters), for `r2-router learn`. Raises InputError for answers that cannot be compared, LedgerError."""
        from r2_router.ledger.labels import prefer

        prefer(self.ledger, answer_id, over)

    def __repr__(self) -> str:
        parts = f"checkpoint={self.checkpoint.name!r}, pool={self.pool.name!r} ({len(self.models)} models)"
        return f"<R2Router {parts}, embedder={self.checkpoint.embedder.id!r}>"

    # -- routing ---------------------------------------------------------------------------------------------

    @takes_wishes
    def route(
        self, embedding: object, lambda_val: float | None = None, input_tokens: int = 100, **wishes: Unpack[Wishes]
    ) -> Decision:
        """The decision for one embedding, (d,) or (1, d), of a query of `input_tokens` tokens.

        Raises InputError for bad input and NoCandidateError when the limits leave nothing.
        """
        trade, limits = self._wishes(lambda_val, wishes)
        return self._deciders.in_use.decide_vector(embedding, check_count(input_tokens), trade, limits)

    @takes_wishes
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
        vectors = self._deciders.in_use.predictor.check_batch(embeddings)
        counts = check_counts(input_tokens, len(vectors))
        trade, limits = self._wishes(lambda_val, wishes)
        return self._deciders.in_use.decide_rows(vectors, counts, trade, limits, queries)

    @overload
    def route_text(  # pyright: ignore[reportOverlappingOverload]  (a string is one query, not a list of letters)
        self, query: str, lambda_val: float | None = None, **wishes: Unpack[Wishes]
    ) -> Decision: ...
    @overload
    def route_text(
        self, query: Iterable[str], lambda_val: float | None = None, **wishes: Unpack[Wishes]
    ) -> list[Decision]: ...
    @takes_wishes
    def route_text(
        self, query: str | Iterable[str], lambda_val: float | None = None, **wishes: Unpack[Wishes]
    ) -> Decision | list[Decision]:
        """The decision for a query, or a list of them for a list (or column) of queries.

        Raises InputError, EmbedderError, CheckpointError or NoCandidateError.
        """
        if not isinstance(query, (str, bytes)) and hasattr(query, "__iter__"):
            requests = [Request.read(text, lambda_val, **wishes) for text in check_texts(query)]
            return self.decide_all(requests)
        return self.decide(Request.read(check_query(query), lambda_val, **wishes))

    @takes_wishes
    def route_messages(
        self, messages: Messages, lambda_val: float | None = None, *, cache: Cache = None, **wishes: Unpack[Wishes]
    ) -> Decision:
        """The decision for an OpenAI `messages` list, as a chat or an agent would send it; nothing is sent.

        Its last user message is routed, read with the earlier ones it leans on; the rest is context and counted in
        the cost. `cache` says which models have read how much of it: the last answer, or (model, tokens, seconds ago),
        each; else what was answered here counts. Raises what `route_text` raises.
        """
        return self.decide(Request.read(messages, lambda_val, cache=cache, **wishes))

    def decide(self, request: Request, *, ready_only: bool = False) -> Decision:
        """The decision for a request; `ready_only`: among the models that can be asked now.

        Raises InputError, EmbedderError, CheckpointError or NoCandidateError.
        """
        return self._decide(self._decider(request), [request], ready_only=ready_only)[0]

    def decide_all(self, requests: Sequence[Request]) -> list[Decision]:
        """The decision for each of many requests that force the same model, or none; their queries are embedded
        together. Raises what `decide` raises, for all of them."""
        return self._decide(self._decider(requests[0]), requests) if requests else []

    @takes_wishes
    def explain(
        self, query: Messages, lambda_val: float | None = None, *, cache: Cache = None, **wishes: Unpack[Wishes]
    ) -> Explanation:
        """The decision for `query`, a text or a `messages` list, with its reasons; arguments and errors as in
        `route_messages`."""
        return explain(self.decide(Request.read(query, lambda_val, cache=cache, **wishes)))

    # -- answering -------------------------------------------------------------------------------------------

    def ask(
        self,
        request: Request,
        *,
        options: Options | None = None,
        on_event: Callable[[Event], None] | None = None,
        guard: Guard | None = None,
    ) -> AnswerStream:
        """Decide among the models that can be asked now, and start the answer: iterate what is returned, async.

        `on_event` is told what goes on while no text comes; `guard` keeps the spending limits instead of `self.guard`,
        which it is to ask. Raises what `decide` raises; iterating raises
        ProviderError, SpendLimitError or ConfigError.
        """
        from r2_router.generate import AnswerStream, Generation
        from r2_router.generate.prepared import asked_with

        options = options or self.options
        request = request.with_fields(options.sampling)
        decider = self._decider(request)
        decision = self._decide(decider, [request], ready_only=True)[0]
        if self._explore and (rng := np.random.default_rng()).random() < self._explore:
            decision = explored(decision, rng, self._explore)
        limits, instruction = decision.limits, request.form.instruction(decider.checkpoint.instruction)
        options = asked_with(options, limits, instruction)

        def record(decided: Decision, *, answer: Answer | None = None, **told: Any) -> str:
            if answer is not None and (model := table.get(answer.model)) is not None:
                # It learns from what it knows itself, where it may have marked the prompt.
                learns = decided.warm is not None and not request.cached and not decided.closing
                expected = decided.cached_tokens(answer.model, answer.budget) if learns else None
                self._memory.answered(request.messages, instruction, answer, model, expected, request.form.text)
            answer_id = self._recorder().record(decided, answer=answer, alone=request.is_alone, **told)
            if answer is not None and (learner := self._learner()) is not None:
                learner.answered()
            return answer_id

        table = {m.name: m for m in decider.table.models}
        generation = Generation(
            decision.candidates,
            request.messages,
            instruction=instruction,
            models=table,
            resolve=self._providers.resolve,
            options=options,
            max_cost_usd=limits.max_cost_usd,
            guard=guard or self.guard,
            on_event=on_event,
            decision=decision,
            hits=None if decision.warm is None or decision.closing else self._memory.hits,
            form=request.form,
        )
        return AnswerStream(generation, decision, record)

    @takes_wishes
    def stream(
        self,
        query: Messages,
        lambda_val: float | None = None,
        *,
        system: str | None = None,
        cache: Cache = None,
        options: Options | None = None,
        on_event: Callable[[Event], None] | None = None,
        **wishes: Unpack[Wishes],
    ) -> AnswerStream:
        """`ask` with a request made of the arguments.

        `query` is a text, or an OpenAI `messages` list, routed as by `route_messages`. `system` is put before the
        conversation, `cache` is that of `route_messages`.
        """
        request = Request.read(query, lambda_val, system=system, cache=cache, **wishes)
        return self.ask(request, options=options, on_event=on_event)

    @takes_wishes
    def route_and_generate(
        self,
        query: Messages,
        lambda_val: float | None = None,
        *,
        system: str | None = None,
        cache: Cache = None,
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

        stream = self.stream(
            query, lambda_val, system=system, cache=cache, options=options, on_event=on_event, **wishes
        )
        with closing(iterate(stream)) as pieces:
            for piece in pieces:
                if on_text:
                    on_text(piece)
        return cast("Answer", stream.answer)

    @takes_wishes
    def map(
        self,
        prompts: Iterable[Any],
        lambda_val: float | None = None,
        *,
        answer: bool = False,
        max_usd: float | None = None,
        at_once: int = 8,
        system: str | None = None,
        **wishes: Unpack[Wishes],
    ) -> Iterator[Mapped]:
        """What becomes of each of many prompts, texts or `messages` lists, in order and as they come.

        They are routed, which is free; with `answer` they are answered too, `at_once` side by side. No answer is begun
        that could make all together cost more than `max_usd` dollars: the prompts from there on are left out. A prompt
        that is none, or cannot be answered, is a Mapped with an `error`, and ends nothing. Arguments as in `stream`.
        Raises InputError for a wish or a limit that cannot be used.
        """
        from r2_router.batches.each import MemoryLimit, answer_each, in_order, route_each

        def read(prompt: Any) -> Request:
            return Request.read(prompt, lambda_val, system=system, **wishes)

        read(".")  # a wish that cannot be used is an error of the call, and not of each prompt
        rows = enumerate(prompts)
        if not answer:
            return route_each(rows, read, self.decide_all)
        from r2_router.generate import iterate
        from r2_router.ledger.money import check_amount

        most = None if max_usd is None else check_amount(finite("max_usd", max_usd), "max_usd")
        found = answer_each(
            rows, read, self._asked_within, guard=self.guard, limit=MemoryLimit(most), max_usd=most, at_once=at_once
        )
        return in_order(iterate(found))

    def _asked_within(self, request: Request, guard: Guard) -> AnswerStream:
        return self.ask(request, guard=guard)

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

    def _decide(self, decider: Decider, requests: Sequence[Request], *, ready_only: bool = False) -> list[Decision]:
        trades = [self._trade_off(request.trade_off, request.preset) for request in requests]
        try:
            return decider.decide_all(requests, trades, ready_only=ready_only)
        except NoCandidateError as error:
            if not ready_only:
                raise
            raise NoCandidateError(f"{self.unused} {error}".strip()) from None

    def _decider(self, request: Request) -> Decider:
        """What decides about it. Who asks for others asks those whom the user chose."""
        return self._deciders.about(request, offered=self._face not in ("mcp", "gateway"))

    def _wishes(self, lambda_val: float | None, wishes: Wishes) -> tuple[TradeOff, Limits]:
        trade, preset, limits = read_wishes(lambda_val, wishes)
        return self._trade_off(trade, preset), limits

    def _trade_off(self, stated: TradeOff | None, preset: str) -> TradeOff:
        """What is stated, else what goes with the token of who asks, else the default."""
        caller = acting() if stated is None and not preset else None
        if caller is not None and (caller.worth_usd is not None or caller.preset):
            stated, preset = trade_off(None, caller.worth_usd), caller.preset
        return self._deciders.worths.in_force(stated, preset)

    def _open_recorder(self) -> Recorder:
        from r2_router.ledger.recorder import Recorder

        return Recorder(self._settings, self._face)

    def _open_store(self) -> PromptStore:
        from r2_router.ledger.warm_prompts import WarmPrompts

        return WarmPrompts(lambda: self.ledger)

    def _open_learner(self) -> QuietLearner | None:
        from r2_router.ledger.quiet_learning import quiet_learner

        if self._compat or self._own_pool:
            return None
        return quiet_learner(self._settings, self.ledger, self.pool, self._deciders.take_learned)


def router_for(face: Face, path: str | None = None, **options: Any) -> R2Router:
    """R2Router.from_pretrained for one of our own faces, which the ledger then names."""
    router = R2Router.from_pretrained(path, **options)
    router._face = face  # pyright: ignore[reportPrivateUsage]
    return router


def _unused(settings: Settings) -> str:
    from r2_router.setup.unused import unused

    return unused(settings)


def batch_planner(router: R2Router, like: Request) -> Planner:
    """What decides prompts that wish what `like` does, at what answers cost that can wait, and prepares them for their
    providers' batches. For our own faces. Raises InputError for a forced model that is none."""
    from r2_router.batches.planned import Planner
    from r2_router.pools.batch_prices import at_batch_price

    decider = router._decider(like)  # pyright: ignore[reportPrivateUsage]
    decide = router._decide  # pyright: ignore[reportPrivateUsage]
    providers = router._providers  # pyright: ignore[reportPrivateUsage]
    waiting = decider.at_prices(lambda model: at_batch_price(model, providers.base_url(model)) or model)
    return Planner(
        decide=lambda requests: decide(waiting, requests, ready_only=True),
        model=decider.pool.get,
        providers=providers,
        instruction=decider.checkpoint.instruction,
        options=router.options,
        recorder=router._recorder(),  # pyright: ignore[reportPrivateUsage]
    )
