"""The tools: each a few lines over R2Router, run beside the event loop."""

# No `from __future__ import annotations`: the SDK reads the types of tools and resolvers as objects.

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from anyio.to_thread import run_sync
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Resolve, Sample
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, CreateMessageResult, ToolAnnotations

from r2_mcp import schemas as s
from r2_mcp.loading import RouterLoader
from r2_mcp.progress import reporting
from r2_mcp.replies import answer_reply, explain_reply, route_reply
from r2_mcp.sampling import choose, client_offers_sampling, client_reply, question
from r2_router.errors import InputError, R2Error
from r2_router.records import UNLIMITED, Budget

if TYPE_CHECKING:  # numpy and all that stands on it are loaded after the handshake
    from r2_router.generate.desk import Asked
    from r2_router.router import R2Router
    from r2_router.routing.decision import Decision
    from r2_router.routing.explanation import Baseline
    from r2_router.routing.request import Wishes

    class RouteWishes(Wishes):
        """What a tool's arguments ask of a decision."""

        lambda_val: float | None


_T = TypeVar("_T")

RouterContext: TypeAlias = Context[RouterLoader, Any]


async def route(
    ctx: RouterContext,
    query: s.Query,
    worth_usd: s.WorthUsd = s.NOT_GIVEN,
    lambda_val: s.LambdaVal = s.NOT_GIVEN,
    max_cost_usd: s.MaxCostUsd = 0.0,
    max_tokens: s.MaxTokens = 0,
    min_quality: s.MinQuality = 0.0,
    models: s.Models = "",
    exclude: s.Exclude = "",
    top_k: s.TopK = s.CHOICES,
) -> Annotated[CallToolResult, s.RouteResult]:
    """Choose the LLM and answer length worth their price for a query. Free and fast: no LLM is asked."""
    wishes = _wishes(worth_usd, lambda_val, max_cost_usd, max_tokens, min_quality, models, exclude)

    def decide(router: "R2Router") -> CallToolResult:
        decision = router.route_text(query, **wishes)
        router.desk.record(decision, strongest=router.checkpoint.strongest)
        chosen = next(m for m in router.models if m.name == decision.model)
        return route_reply(decision, _baseline(router, decision), router.desk.not_ready(chosen), top_k)

    return await beside(ctx, decide)


async def explain_candidates(
    ctx: RouterContext,
    query: s.Query,
    worth_usd: s.WorthUsd = s.NOT_GIVEN,
    lambda_val: s.LambdaVal = s.NOT_GIVEN,
    max_cost_usd: s.MaxCostUsd = 0.0,
    max_tokens: s.MaxTokens = 0,
    min_quality: s.MinQuality = 0.0,
    models: s.Models = "",
    exclude: s.Exclude = "",
    top_k: s.TopK = s.CHOICES,
) -> Annotated[CallToolResult, s.ExplainResult]:
    """Rank every (LLM, length) for a query and say why: runner-up, where the choice flips, quality-cost frontier, what the limits took out."""  # noqa: E501
    wishes = _wishes(worth_usd, lambda_val, max_cost_usd, max_tokens, min_quality, models, exclude)
    return await beside(ctx, lambda router: explain_reply(router.explain(query, **wishes), top_k))


async def sample(  # noqa: PLR0913, PLR0917  (as many as the tool has)
    ctx: RouterContext,
    query: str,
    worth_usd: float,
    lambda_val: float,
    max_cost_usd: float,
    max_tokens: int,
    min_quality: float,
    models: str,
    exclude: str,
    model: str,
    budget: str,
    system: str,
    messages: list[dict[str, str]],
) -> Sample | None:
    """The question to the client's own LLM, where no model of ours can be asked and the client offers it."""
    if not client_offers_sampling(ctx):
        return None
    wishes = _wishes(worth_usd, lambda_val, max_cost_usd, max_tokens, min_quality, models, exclude)

    def ask(router: "R2Router") -> Sample | None:
        if any(not router.desk.not_ready(m) for m in router.models):
            return None
        choice = choose(router, query, model, _budget(budget), wishes)
        return question(router, choice.candidate, [*messages, {"role": "user", "content": query}], system, max_tokens)

    return await beside(ctx, ask)


async def route_and_generate(  # noqa: PLR0913, PLR0917  (the signature is the schema)
    ctx: RouterContext,
    query: s.Query,
    sampled: Annotated[CreateMessageResult | None, Resolve(sample)],
    worth_usd: s.WorthUsd = s.NOT_GIVEN,
    lambda_val: s.LambdaVal = s.NOT_GIVEN,
    max_cost_usd: s.MaxCostUsd = 0.0,
    max_tokens: s.MaxTokens = 0,
    min_quality: s.MinQuality = 0.0,
    models: s.Models = "",
    exclude: s.Exclude = "",
    model: s.ForcedModel = "",
    budget: s.ForcedBudget = "",
    system: s.System = "",
    messages: s.History = [],  # noqa: B006  (never changed; a schema needs a plain default)
) -> Annotated[CallToolResult, s.GenerateResult]:
    """Choose the LLM and answer length worth their price for a query, ask it, and return the answer with its real cost. Costs money unless the model is local."""  # noqa: E501
    wishes = _wishes(worth_usd, lambda_val, max_cost_usd, max_tokens, min_quality, models, exclude)
    if sampled is not None:
        return await beside(ctx, lambda r: client_reply(r, choose(r, query, model, _budget(budget), wishes), sampled))

    def ask(router: "R2Router") -> "Asked":
        return router.stream(
            [*messages, {"role": "user", "content": query}],
            model=model or None,
            budget=_budget(budget),
            system=system or None,
            on_event=progress.on_event,
            **wishes,
        )

    async with reporting(ctx) as progress:
        asked = await beside(ctx, ask)
        try:
            async with aclosing(asked):
                async for _ in asked:
                    progress.on_text()
        except R2Error as error:
            raise ToolError(str(error)) from error
    if (answer := asked.answer) is None:
        raise ToolError("The model ended its answer before any text came. Ask again, or another model.")
    decision = asked.decision
    return await beside(ctx, lambda r: answer_reply(answer, decision, _baseline(r, decision), asked.id))


def make_tools(*, local_embedder: bool) -> list[Tool]:
    """The three tools; `local_embedder`: a query is routed without leaving this machine."""
    thinking = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=not local_embedder)
    asking = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
    made = [
        Tool.from_function(route, title="Choose a model and a length", annotations=thinking),
        Tool.from_function(route_and_generate, title="Choose a model and get its answer", annotations=asking),
        Tool.from_function(explain_candidates, title="Explain the choice", annotations=thinking),
    ]
    return [s.tidy(tool) for tool in made]


# -- inside --------------------------------------------------------------------------------------------------


async def beside(ctx: RouterContext, work: "Callable[[R2Router], _T]") -> _T:
    """What `work` makes of the router, in a thread of its own: it may wait for the weights to load.

    Raises ToolError with the words of any R2Error.
    """
    loader = ctx.request_context.lifespan_context
    try:
        return await run_sync(lambda: work(loader.router()), abandon_on_cancel=True)
    except R2Error as error:
        raise ToolError(str(error)) from error


def _wishes(
    worth_usd: float,
    lambda_val: float,
    max_cost_usd: float,
    max_tokens: int,
    min_quality: float,
    models: str,
    exclude: str,
) -> "RouteWishes":
    """Keyword arguments of R2Router: None where an argument says "not given" or "no limit"."""
    return {
        "lambda_val": None if lambda_val == s.NOT_GIVEN else lambda_val,
        "worth_usd": None if worth_usd == s.NOT_GIVEN else worth_usd,
        "max_cost_usd": max_cost_usd or None,
        "max_tokens": max_tokens or None,
        "min_quality": min_quality or None,
        "models": models,
        "exclude": exclude,
    }


def _budget(budget: str) -> Budget | None:
    if not budget or budget == UNLIMITED:
        return UNLIMITED if budget else None
    if not budget.isdecimal() or int(budget[:12]) < 1:
        raise InputError(f"budget is a number of output tokens or 'unlimited'; got '{budget[:40]}'.")
    return int(budget[:12])


def _baseline(router: "R2Router", decision: "Decision") -> "Baseline | None":
    from r2_router.routing.explanation import baseline

    return baseline(decision, router.checkpoint.strongest)
