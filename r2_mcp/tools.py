"""The tools: each a few lines over R2Router, run beside the event loop."""

# No `from __future__ import annotations`: the SDK reads the types of tools and resolvers as objects.

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, cast

from anyio.to_thread import run_sync
from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, Resolve, Sample
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, CreateMessageResult, ToolAnnotations

from r2_mcp import schemas as s
from r2_mcp.app import TOOL_META, with_ranking
from r2_mcp.consent import Begun, GoOn, Quote, can_ask_user
from r2_mcp.loading import RouterLoader
from r2_mcp.progress import Progress, reporting
from r2_mcp.replies import answer_reply, explain_reply, reply, route_reply
from r2_mcp.sampling import client_offers_sampling, client_reply, question
from r2_router.errors import NoCandidateError, R2Error

if TYPE_CHECKING:  # numpy and all that stands on it are loaded after the handshake
    from r2_router.generate import AnswerStream
    from r2_router.ledger.consent_guard import ConsentGuard
    from r2_router.router import R2Router
    from r2_router.routing.decision import Decision
    from r2_router.routing.request import Request

_T = TypeVar("_T")

RouterContext: TypeAlias = Context[RouterLoader, Any]

# Left out where only a choice is asked for: every argument costs. Who wants a message read alone gives it alone.
_FOR_A_CHOICE = ("preset", "model", "budget", "context")


@s.takes_wishes(*_FOR_A_CHOICE)
async def route(
    ctx: RouterContext,
    query: s.Query,
    *,
    messages: s.History = [],  # noqa: B006  (never changed; a schema needs a plain default)
    ready_only: s.ReadyOnly = True,
    top_k: s.TopK = s.CHOICES,
    **wishes: Any,
) -> Annotated[CallToolResult, s.RouteResult]:
    """Choose the LLM and answer length worth their price for a query. Free and fast: no LLM is asked."""

    def decide(router: "R2Router") -> CallToolResult:
        request = _request(query, wishes, messages=messages)
        decision = router.decide(request)
        ready = _ready(router, request) if decision.not_ready else None
        if ready_only and ready:
            decision, ready = ready, None
        router.record(decision)
        return route_reply(router, decision, top_k, ready.best.label if ready else "")

    return await beside(ctx, decide)


@s.takes_wishes(*_FOR_A_CHOICE)
async def explain_candidates(
    ctx: RouterContext,
    query: s.Query,
    *,
    messages: s.History = [],  # noqa: B006
    compare: s.Compare = "",
    top_k: s.TopK = s.EXPLAINED,
    **wishes: Any,
) -> Annotated[CallToolResult, s.ExplainResult]:
    """Rank every (LLM, length) for a query and say why: runner-up, where the choice flips, quality-cost frontier, what the limits took out."""  # noqa: E501

    def explained(router: "R2Router") -> CallToolResult:
        decision = router.decide(_request(query, wishes, messages=messages))
        return with_ranking(ctx, explain_reply(decision, top_k, compare), decision)

    return await beside(ctx, explained)


@s.takes_wishes("preset")
async def sample(
    ctx: RouterContext, query: str, system: str, messages: list[dict[str, Any]], **wishes: Any
) -> Sample | None:
    """The question to the client's own LLM, where no model of ours can be asked and the client offers it."""
    if not client_offers_sampling(ctx):
        return None

    def ask(router: "R2Router") -> Sample | None:
        if any(not router.not_ready(m) for m in router.models):
            return None
        return question(router, _request(query, wishes, system, messages))

    return await beside(ctx, ask)


@s.takes_wishes("preset")
async def begin(
    ctx: RouterContext,
    query: str,
    system: str,
    messages: list[dict[str, Any]],
    sampled: Annotated[CreateMessageResult | None, Resolve(sample)],
    **wishes: Any,
) -> Begun | None:
    """The answer, before its first piece is asked for; None where the client's own LLM gave one."""
    if sampled is not None:
        return None
    progress = Progress()

    def ask(router: "R2Router") -> "tuple[AnswerStream, ConsentGuard | None]":
        from r2_router.ledger.consent_guard import ConsentGuard

        above = router.confirm_above_usd
        guard = None if above is None else ConsentGuard(router.guard, above)
        request = _request(query, wishes, system, messages)
        return router.ask(request, on_event=progress.on_event, guard=guard), guard

    stream, guard = await beside(ctx, ask)
    if guard is None:
        return Begun(stream, progress)
    with said_as_tool_error():
        return Begun(stream, progress, Quote(guard, *await stream.quote(guard.limits)))


async def confirm(ctx: RouterContext, begun: Annotated[Begun | None, Resolve(begin)]) -> Elicit[GoOn] | None:
    """The question to the user, where there is one and the client can put it."""
    question = begun.quote.question if begun and begun.quote else ""
    return Elicit(question, GoOn) if question and can_ask_user(ctx) else None


@s.takes_wishes("preset")
async def route_and_generate(
    ctx: RouterContext,
    query: s.Query,
    sampled: Annotated[CreateMessageResult | None, Resolve(sample)],
    begun: Annotated[Begun | None, Resolve(begin)],
    told: Annotated[ElicitationResult[GoOn], Resolve(confirm)],
    *,
    system: s.System = "",
    messages: s.History = [],  # noqa: B006  (never changed; a schema needs a plain default)
    **wishes: Any,
) -> Annotated[CallToolResult, s.GenerateResult]:
    """Choose the LLM and answer length worth their price for a query, ask it, and return the answer with its real cost. Costs money unless the model is local."""  # noqa: E501
    if begun is None:
        answered = cast("CreateMessageResult", sampled)
        return await beside(ctx, lambda r: client_reply(r, _request(query, wishes, system, messages), answered))
    stream = begun.stream
    with said_as_tool_error():
        begun.hold_to(told)
        async with reporting(ctx, begun.progress), aclosing(stream):
            async for _ in stream:
                begun.progress.on_text()
    if (answer := stream.answer) is None:
        raise ToolError("The model ended its answer before any text came. Ask again, or another model.")
    decision = stream.decision
    return await beside(ctx, lambda _: with_ranking(ctx, answer_reply(answer, decision, stream.id), decision))


async def rate_answer(ctx: RouterContext, id: s.Id, quality: s.Verdict) -> Annotated[CallToolResult, s.RateResult]:  # noqa: A002
    """Note how good an answer of route_and_generate was, so that predictions can be held against it. Free."""

    def rate(router: "R2Router") -> CallToolResult:
        from r2_router.ledger.labels import find_answer, read_quality

        noted, entry = read_quality(quality), find_answer(router.ledger, id)
        router.ledger.set_quality(entry.id, noted)
        return reply({"id": entry.id, "quality": noted}, f"Noted: {entry.model} @ {entry.budget}, quality {noted:g}.")

    return await beside(ctx, rate)


def make_tools(*, local_embedder: bool) -> list[Tool]:
    """The tools; `local_embedder`: a query is routed without leaving this machine."""
    thinking = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=not local_embedder)
    asking = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
    noting = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    made = [
        Tool.from_function(route, title="Choose a model and a length", annotations=thinking),
        Tool.from_function(
            route_and_generate, title="Choose a model and get its answer", annotations=asking, meta=TOOL_META
        ),
        Tool.from_function(explain_candidates, title="Explain the choice", annotations=thinking, meta=TOOL_META),
        Tool.from_function(rate_answer, title="Rate an answer", annotations=noting),
    ]
    return [s.tidy(tool) for tool in made]


# -- inside --------------------------------------------------------------------------------------------------


async def beside(ctx: RouterContext, work: "Callable[[R2Router], _T]") -> _T:
    """What `work` makes of the router, in a thread of its own: it may wait for the weights to load.

    Raises ToolError with the words of any R2Error.
    """
    loader = ctx.request_context.lifespan_context
    with said_as_tool_error():
        return await run_sync(lambda: work(loader.router()), abandon_on_cancel=True)


@contextmanager
def said_as_tool_error() -> Generator[None]:
    """Within it an R2Error becomes a ToolError with its words."""
    try:
        yield
    except R2Error as error:
        raise ToolError(str(error)) from error


def _ready(router: "R2Router", request: "Request") -> "Decision | None":
    """The choice among the models that can be asked now, None where there is none."""
    if all(router.not_ready(model) for model in router.models):
        return None
    try:
        return router.decide(request, ready_only=True)
    except NoCandidateError:
        return None


def _request(
    query: str, wishes: Mapping[str, Any], system: str = "", messages: Sequence[Mapping[str, Any]] = ()
) -> "Request":
    from r2_router.routing.request import Request

    conversation = [*messages, {"role": "user", "content": query}] if messages else query
    return Request.read(conversation, system=system or None, **s.given(wishes))
