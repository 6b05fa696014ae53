"""An MCP server over a small checkpoint and a loopback provider, and the words of what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mcp_types import CallToolResult, TextContent

from r2_mcp.loading import RouterLoader
from r2_mcp.server import R2Server, create_server
from r2_router import R2Router
from r2_router.pools.pool import Pool
from r2_router.router import router_for
from support.made_up import DIM, make_checkpoint, make_pool

KEY = "sk-not-for-anyones-eyes"
KEY_VARIABLE = "PROVIDER_API_KEY"
ERAS = ("auto", "legacy")  # 2026-07-28, and the handshake before it
QUERY = "Write a haiku about routers."


class Letters:
    """A real, if simple, embedder: how often each of DIM groups of letters occurs."""

    id = "made-up-embedder"
    local = True
    max_chars = 1000

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[1 + sum(ord(ch) % DIM == k for ch in text) for k in range(DIM)] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def provided(base_url: str, models: int = 3) -> Pool:
    """A pool whose models all answer at `base_url`, and want a key."""
    pool = make_pool(models)
    made = {m.name: replace(m, base_url=base_url, api_key_env=KEY_VARIABLE) for m in pool}
    return Pool(pool.name, made)


def make_router(tmp_path: Path, pool: Pool | None = None, embedder: Any = None, **checkpoint: Any) -> R2Router:
    folder = make_checkpoint(**checkpoint).save(tmp_path / "checkpoint")
    return router_for(
        "mcp",
        str(folder),
        pool=pool or make_pool(checkpoint.get("models", 3)),
        embedder=embedder or Letters(),
        worth_usd=0.01,
    )


def serve(router: R2Router | Callable[[], R2Router]) -> R2Server:
    return create_server(RouterLoader(router if not isinstance(router, R2Router) else lambda: router))


def words(result: CallToolResult) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
