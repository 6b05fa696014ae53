"""An application of ours on sockets of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from r2_router.serving.sockets import address, http_server, listen


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncGenerator[str]:
    """Where it is served, on a port the system chose."""
    running = http_server(app, **options)
    listening = listen("127.0.0.1", 0)
    task = asyncio.create_task(running.serve(listening))
    try:
        yield address("127.0.0.1", listening)
    finally:
        running.should_exit = True
        await task
