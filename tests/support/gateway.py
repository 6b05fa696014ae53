"""A gateway on a port the system chose, over a small checkpoint, and the provider behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from r2_router import R2Router
from r2_router.gateway.app import gateway_app
from r2_router.pools.pool import Pool
from r2_router.router import router_for
from support.chat_server import ChatServer
from support.made_up import LetterEmbedder, make_checkpoint, make_pool
from support.served import served

KEY = "sk-not-for-anyones-eyes"
KEY_VARIABLE = "PROVIDER_API_KEY"
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def make_router(provider: ChatServer, tmp_path: Path, embedder: Any = None, **said: dict[str, Any]) -> R2Router:
    """Three models at `provider`, which wants KEY; `said` are changes of theirs: m0={...}."""
    saved = make_checkpoint().save(tmp_path / "ckpt")
    models = {
        m.name: replace(m, base_url=provider.url, api_key_env=KEY_VARIABLE, **said.get(f"m{m.name[-1]}", {}))
        for m in make_pool()
    }
    return router_for(
        "gateway", str(saved), pool=Pool("here", models), embedder=embedder or LetterEmbedder(), worth_usd=0.01
    )


def serving(router: R2Router, **options: Any) -> AbstractAsyncContextManager[str]:
    """The address of a gateway, without a path."""
    return served(gateway_app(router, **options))


@contextmanager
def serving_thread(router: R2Router, **options: Any) -> Generator[str]:
    """`serving`, for clients that block."""
    address: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(router, **options) as url:
            address.append(url)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="gateway")
    thread.start()
    ready.wait()
    try:
        yield address[0]
    finally:
        over.set()
        thread.join()
