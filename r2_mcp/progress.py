"""Progress while an answer comes: it keeps the client's clock alive, and tells the user what goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from r2_router.generate import Event

_GAP_S = 0.25  # between two reports
_SILENCE_S = 5.0  # after which one is made though nothing happened


class Progress:
    """What goes on in words, and since when. Both methods are cheap: a task of its own does the telling."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.message = "routing"
        self._label = ""
        self._pieces = 0

    def on_event(self, event: Event) -> None:
        """A model is being loaded, a try begins, the model thinks, or a try failed."""
        self._label = f"{event.model} @ {event.budget}"
        doing = {
            "loading": "loading",
            "asking": "asked",
            "thinking": f"thinking, {event.pieces} pieces",
            "failed": event.detail,
        }
        self._say(doing[event.kind])

    def on_text(self) -> None:
        """A piece of the answer came."""
        self._pieces += 1
        self._say(f"writing, {self._pieces} pieces")

    def _say(self, doing: str) -> None:
        self.message = f"{self._label}: {doing}"
        self.changed.set()


@asynccontextmanager
async def reporting(ctx: Context[Any, Any], progress: Progress) -> AsyncGenerator[None]:
    """Tell the client the news of `progress` until the block ends. Its number is seconds: only they always rise."""
    task = asyncio.create_task(_report(ctx, progress))
    try:
        yield
    finally:
        task.cancel()


async def _report(ctx: Context[Any, Any], progress: Progress) -> None:
    start = time.monotonic()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SILENCE_S):
                await progress.changed.wait()
        progress.changed.clear()
        await ctx.report_progress(round(time.monotonic() - start, 3), message=progress.message)
        await asyncio.sleep(_GAP_S)
