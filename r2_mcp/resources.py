"""What can be read and completed: models, the checkpoint, the books; and a prompt that compares models."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from r2_router.errors import R2Error

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from r2_mcp.loading import RouterLoader
    from r2_router.pools.model import Model
    from r2_router.router import R2Router

_JSON = "application/json"
_MOST_COMPLETIONS = 100  # the protocol's own limit

_COMPARE = """\
Compare the models the router could choose for this query:

{query}

Call explain_candidates with query set to it{models}. Then tell in a short table, for the choice, the runner-up and the
baseline: model, budget, expected quality, cost in USD. Say at which worth_usd the choice flips, and to what. Call
nothing that spends money."""


def add_resources(server: MCPServer[RouterLoader], loader: RouterLoader) -> None:
    """Give `server` its resources, completions and prompt, over the router of `loader`."""

    async def read(work: Callable[[R2Router], Any]) -> str:
        try:
            found = await run_sync(lambda: work(loader.router()), abandon_on_cancel=True)
        except R2Error as error:
            raise ResourceError(str(error)) from error
        return json.dumps(found, ensure_ascii=False, allow_nan=False)

    @server.resource("r2://models", title="Models", mime_type=_JSON)
    async def models() -> str:
        """Every model of the pool: price in USD per million tokens, context window in tokens, whether and why not."""
        return await read(lambda router: [_model(router, m) for m in router.models])

    @server.resource("r2://models/{name}", title="One model", mime_type=_JSON)
    async def model(name: str) -> str:
        """One model by name, as in r2://models, with the budgets it was measured at (output tokens)."""
        return await read(lambda router: _one_model(router, name))

    @server.resource("r2://checkpoint", title="Checkpoint", mime_type=_JSON)
    async def checkpoint() -> str:
        """What the predictions rest on: models, budgets, embedder, instruction, training data, measured accuracy."""
        return await read(_checkpoint)

    @server.resource("r2://stats", title="Spend and saving", mime_type=_JSON)
    async def stats() -> str:
        """What was spent and saved (USD), and whether predictions came true, from this machine's ledger."""
        return await read(_stats)

    @server.prompt(title="Compare models")
    def compare_models(query: str, models: str = "") -> str:
        """Compare the models the router could choose for a query: quality, length, cost, and where the choice flips."""
        only = f" and models set to {models}" if models else ""
        return _COMPARE.format(query=query, models=only)

    @server.completion()
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        if argument.name not in ("name", "models"):
            return None
        begun = argument.value.lower()
        try:
            names = await run_sync(lambda: [m.name for m in loader.router().models], abandon_on_cancel=True)
        except R2Error:
            return None
        fitting = [name for name in names if begun in name.lower()]
        fitting.sort(key=lambda name: not name.lower().startswith(begun))
        return Completion(
            values=fitting[:_MOST_COMPLETIONS], total=len(fitting), has_more=len(fitting) > _MOST_COMPLETIONS
        )


def _model(router: R2Router, model: Model) -> dict[str, Any]:
    why = router.not_ready(model)
    return {
        "name": model.name,
        "id": model.id,
        "input_usd_per_million": model.input_usd_per_million,
        "output_usd_per_million": model.output_usd_per_million,
        "prices_date": model.prices_date,
        "context_window": model.context_window,
        "ready": not why,
        "not_ready": why,
        "note": model.note,
    }


def _one_model(router: R2Router, name: str) -> dict[str, Any]:
    found = next((m for m in router.models if m.name == name), None)
    if found is None:
        known = ", ".join(m.name for m in router.models)
        raise ResourceNotFoundError(f"No model '{name[:80]}'. Models: {known}.")
    budgets = [budget for model, budget in router.checkpoint.candidates if model == name]
    return {**_model(router, found), "budgets": budgets}


def _checkpoint(router: R2Router) -> dict[str, Any]:
    from r2_router.records import to_json

    c = router.checkpoint
    return to_json(
        {
            "name": c.name,
            "models": c.models,
            "budgets": c.budgets,
            "strongest": c.strongest,
            "embedder": {"id": c.embedder.id, "dimensions": c.embedder.dim},
            "instruction": {"text": c.instruction.text, "place": c.instruction.place},
            "data_card": dict(c.data_card),
            "metrics": dict(c.metrics),
        }
    )


def _stats(router: R2Router) -> dict[str, Any]:
    from r2_router.ledger import stats

    return stats(router.ledger).to_dict()
