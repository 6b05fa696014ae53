"""The page that hosts of MCP Apps show with a result: the ranking, and a worth to move that decides anew in it."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mcp.server.apps import Apps, ResourceCsp, client_supports_apps

from r2_router.pages.picture import part

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp_types import CallToolResult

    from r2_router.routing.considered import Candidate
    from r2_router.routing.decision import Decision

URI = "ui://r2/decision.html"
TOOL_META = {"ui": {"resourceUri": URI}}

_RANKING = "io.github.r2-mcp/ranking"
_MOST = 1000  # candidates that a page is given


def app() -> Apps:
    """The extension with the page in it, which needs no other address than its own."""
    apps = Apps()
    apps.add_html_resource(
        URI,
        page(),
        name="decision",
        title="The choice",
        description="The page that hosts show with a decision: its ranking, its picture, and a worth to move.",
        csp=ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[]),
        prefers_border=True,
    )
    return apps


def page() -> str:
    """The page as it is shown: nothing runs in it, and nothing styles it, but its own script and style."""
    text = files("r2_mcp").joinpath("decision.html").read_text(encoding="utf-8")
    text = text.replace("/* picture.css */", part("picture.css"))
    text = text.replace("/* picture.js */", f"const PICTURE = {part('picture.json')};\n{part('picture.js')}")
    for element in ("script", "style"):
        inside = text.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        text = text.replace(f"{element}-src 'none'", f"{element}-src 'sha256-{digest}'", 1)
    return text


def with_ranking(ctx: Context[Any, Any], result: CallToolResult, decision: Decision) -> CallToolResult:
    """`result`, and for hosts that show the page what it decides from, where no model reads it."""
    if not client_supports_apps(ctx):
        return result
    return result.model_copy(update={"meta": {**(result.meta or {}), _RANKING: _ranking(decision)}})


def _ranking(decision: Decision) -> dict[str, Any]:
    """All that a choice at any worth depends on, numbers as they are: [model, budget, quality, held back of it, cost in
    USD, added to it, output tokens, whether it lies between two measured budgets, the standard error of its quality],
    model an index into `models`."""
    shown = _shown(decision)
    models = sorted({c.model for c in shown})
    index = {name: i for i, name in enumerate(models)}
    return {
        "worth_usd": decision.worth_usd,
        "lambda_val": decision.lambda_val,
        "budget": decision.limits.budget,
        "total": len(decision.candidates),
        "models": models,
        "candidates": [
            [
                *(index[c.model], c.budget, c.predicted_quality, c.doubt, c.predicted_cost_usd, c.ahead_usd),
                *(c.predicted_output_tokens, int(c.interpolated)),
                None if c.quality_error is None else round(c.quality_error, 6),
            ]
            for c in shown
        ],
    }


def _shown(decision: Decision) -> list[Candidate]:
    """All candidates; of very many those that some worth picks, and then the best."""
    from r2_router.routing.explanation import chosen_at_some_worth

    ranked = list(decision.candidates)
    everyone = [*ranked, *decision.candidates.cuts]
    if len(everyone) <= _MOST:
        return everyone
    picked = chosen_at_some_worth(everyone)
    names = {c.label for c in picked}
    return [*picked, *(c for c in ranked if c.label not in names)][:_MOST]
