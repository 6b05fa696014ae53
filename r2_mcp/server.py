"""The server: the tools, the resources and the prompt, with arguments checked as their schemas say."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Any

from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.request_state import RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, Icon, InputRequiredResult
from pydantic import ValidationError

import r2_router
from r2_mcp.app import app
from r2_mcp.loading import RouterLoader
from r2_mcp.resources import add_resources
from r2_mcp.tools import make_tools
from r2_router.errors import R2Error

NAME = "r2"

# What a model that has seen many APIs calls an argument of ours.
_OTHER_NAMES = {
    **dict.fromkeys(("prompt", "text", "input", "question", "message", "task", "user_query"), "query"),
    **dict.fromkeys(("history", "conversation", "context_messages"), "messages"),
    **dict.fromkeys(("system_prompt", "system_message", "instructions"), "system"),
    **dict.fromkeys(("model", "candidates", "allowed_models", "only_models", "model_ids"), "models"),
    **dict.fromkeys(("model_id", "model_name", "llm"), "model"),
    **dict.fromkeys(("exclude_models", "excluded", "not_models"), "exclude"),
    **dict.fromkeys(("worth", "value_usd", "worth_in_usd"), "worth_usd"),
    **dict.fromkeys(("max_cost", "max_usd", "budget_usd", "cost_limit", "max_price"), "max_cost_usd"),
    **dict.fromkeys(("max_output_tokens", "max_completion_tokens", "max_length"), "max_tokens"),
    **dict.fromkeys(("quality", "min_accuracy", "quality_threshold"), "min_quality"),
    **dict.fromkeys(("lambda", "lam"), "lambda_val"),
    **dict.fromkeys(("k", "limit", "n", "top_n", "max_candidates"), "top_k"),
    **dict.fromkeys(("why_not", "compare_to", "versus", "alternative"), "compare"),
    **dict.fromkeys(("answer_id", "entry_id"), "id"),
    **dict.fromkeys(("rating", "score", "verdict", "label"), "quality"),
}

_WEBSITE = "https://github.com/r2-mcp/r2-mcp"
_ICON = (  # a fork in the road, an SVG; in base64, for a space or a quote is no part of a URI
    "data:image/svg+xml;base64,"
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA5IDkiPjxwYXRoIGQ9Ik00LjUg"
    "OVY1QzQuNSAzIDIgMyAyIDBNNC41IDVDNC41IDMgNyAzIDcgMCIgZmlsbD0ibm9uZSIgc3Ryb2tlPSIjMjU2M2ViIi8+PC9z"
    "dmc+"
)

_INSTRUCTIONS = """\
R2-Router chooses, for each query, the LLM and the length of its answer that are worth their price, among the user's own
models. From the text alone it predicts quality (0 to 1) and cost (USD) of every (model, budget) pair.

Use it to hand a self-contained piece of work to another model: a question, draft, summary, translation, one of many
items. Not for what needs your own context or tools, nor for what you answer in a sentence yourself.

- route_and_generate: the choice and the answer, with the real cost. It can spend the user's money: set max_cost_usd.
- route: only the choice, in milliseconds, free. To ask it yourself, send model_id to base_url with max_tokens and put
  instruction before the query: without it answers are cut.
- explain_candidates: why, "why not X" (compare), and at which worth the choice would flip.
- rate_answer: tell how good an answer was.

Say how much the answer matters with worth_usd, the dollars a perfect answer is worth: 0.0001 for trivia, 0.01 for
everyday work, 1 for what must be right. Leave it out for the user's own default. Resources: r2://models lists the
models with prices and whether they can be asked now; r2://checkpoint says what the predictions rest on; r2://stats
what was spent and saved. If a call fails, its message says what to set; `r2-router doctor` on the user's machine
says the rest. Keys are never arguments: they stand in the environment or the user's file.
"""


class R2Server(MCPServer[RouterLoader]):
    """An MCPServer that refuses arguments it does not know, and words every failure for a model to act on."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[RouterLoader, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        given = {key: value for key, value in arguments.items() if value is not None}
        given = await self._renamed(name, given)
        await self._check_names(name, given)
        try:
            return await super().call_tool(name, given, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(_wrong_arguments(cause)) from cause
            raise ToolError(str(cause or error)) from cause

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[RouterLoader, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        known = [prompt.name for prompt in await self.list_prompts()]
        if name not in known:
            raise MCPError(code=INVALID_PARAMS, message=f"No prompt '{name[:80]}'. Prompts: {', '.join(known)}.")
        try:
            return await super().get_prompt(name, arguments, context)
        except ValueError as error:  # the SDK's word for arguments that lack or do not fit
            raise MCPError(code=INVALID_PARAMS, message=f"{name}: {error}") from error

    async def _renamed(self, tool_name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """`arguments`, what others call by another name by ours; not where that would say two things."""
        tool = next((tool for tool in await self.list_tools() if tool.name == tool_name), None)
        known = [] if tool is None else list(tool.input_schema.get("properties", ()))
        renamed: dict[str, Any] = {}
        for name, value in arguments.items():
            ours = name
            while ours not in known and ours in _OTHER_NAMES:
                ours = _OTHER_NAMES[ours]
            fits = ours in known and ours not in arguments and ours not in renamed
            renamed[ours if fits else name] = value
        return renamed

    async def _check_names(self, tool_name: str, arguments: dict[str, Any]) -> None:
        tool = next((tool for tool in await self.list_tools() if tool.name == tool_name), None)
        known = [] if tool is None else list(tool.input_schema.get("properties", ()))
        for name in arguments if tool else ():
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"Did you mean {near[0]}?" if near else f"Arguments: {', '.join(known)}."
                raise ToolError(f"{tool_name} has no argument '{name[:80]}'. {hint}")


def create_server(loader: RouterLoader | None = None, *, shared_secret: str = "") -> R2Server:
    """The server over the router of `loader` (default: the configured one).

    Replicas that answer each other's clients are given the same `shared_secret`.
    """
    loader = loader or RouterLoader()

    @asynccontextmanager
    async def lifespan(_: MCPServer[RouterLoader]) -> AsyncGenerator[RouterLoader]:
        yield loader

    async def load_after_first_answer(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        try:
            return await call_next(ctx)
        finally:
            loader.start()

    server = R2Server(
        NAME,
        title="R2-Router",
        description="Chooses the LLM and the length of its answer that are worth their price.",
        instructions=_INSTRUCTIONS,
        website_url=_WEBSITE,
        icons=[Icon(src=_ICON, mime_type="image/svg+xml", sizes=["any"])],
        version=r2_router.__version__,
        tools=make_tools(local_embedder=_embeds_here()),
        lifespan=lifespan,
        extensions=[app()],
        log_level="WARNING",
        middleware=[load_after_first_answer],
        request_state_security=_security(shared_secret),
        subscriptions=False,
        cache_hints={
            "tools/list": CacheHint(ttl_ms=3_600_000, scope="public"),
            "prompts/list": CacheHint(ttl_ms=3_600_000, scope="public"),
            "resources/list": CacheHint(ttl_ms=3_600_000, scope="public"),
            "resources/templates/list": CacheHint(ttl_ms=3_600_000, scope="public"),
        },
    )
    add_resources(server, loader)
    return server


def _security(shared_secret: str) -> RequestStateSecurity | None:
    if not shared_secret:
        return None
    return RequestStateSecurity(keys=[hashlib.sha256(b"r2-mcp request state\0" + shared_secret.encode()).digest()])


def _embeds_here() -> bool:
    """Whether queries are embedded on this machine. A configuration at fault is told by the first call, not here."""
    from r2_router.config.settings import load_settings

    try:
        return not load_settings().embed_url
    except R2Error:
        return True


def _wrong_arguments(error: ValidationError) -> str:
    """Every argument at fault, in words; values are not repeated."""
    faults = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)]
    return "Wrong arguments. " + "; ".join(faults) + "."
