"""An MCP server over a small checkpoint and a loopback provider, and the words of what it answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mcp_types import CallToolResult, TextContent

from r2_mcp.http import http_app
from r2_mcp.loading import RouterLoader
from r2_mcp.server import R2Server, create_server
from r2_router import R2Router
from r2_router.pools.pool import Pool
from r2_router.router import router_for
from r2_router.serving.gate import HttpLimits
from support.made_up import DIM, make_checkpoint, make_pool
from support.served import served

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


def serving(router: R2Router, *, token: str = "", **options: Any) -> AbstractAsyncContextManager[str]:
    """The address of a server over HTTP of its own, on a port the system chose."""
    server = create_server(RouterLoader(lambda: router), shared_secret=token)
    limits = options.get("limits") or HttpLimits()
    return served(http_app(server, token=token, **options), receive_s=limits.receive_s)


def own_pool(url: str) -> Path:
    """The default checkpoint's models, all answering at `url`: a pool of the user's own, so that they get the key."""
    names = ("SmolLM2-135M-Instruct", "Qwen2.5-Coder-0.5B-Instruct", "Qwen2.5-Coder-1.5B-Instruct")
    tables = [f'[models."{name}"]\nid = "test/{name}"\nusd_per_million = [0.1, 0.2]\n' for name in names]
    file = Path(os.environ["R2_HOME"]) / "pools" / "pool.toml"
    file.parent.mkdir()
    file.write_text(f'[pool]\nbase_url = "{url}"\napi_key_env = "{KEY_VARIABLE}"\n' + "\n".join(tables))
    return file


def words(result: CallToolResult) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
