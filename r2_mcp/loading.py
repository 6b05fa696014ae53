"""The router, loaded once and in the background: the handshake comes first, the weights later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from r2_router.router import R2Router


class RouterLoader:
    """Hands out the one router of the process, which `make` makes; who comes early waits for it.

    A router that could not be made is tried again at the next call, so that a repaired configuration needs no
    restart.
    """

    def __init__(self, make: Callable[[], R2Router] | None = None) -> None:
        self._make = make or _make
        self._lock = threading.Lock()
        self._router: R2Router | None = None
        self._started = False

    def start(self) -> None:
        """Begin to load router and embedder; what goes wrong is told to the first call that needs them."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._load, name="r2-load", daemon=True).start()

    def router(self) -> R2Router:
        """The router; may take seconds. Raises CheckpointError, ConfigError or InputError."""
        with self._lock:
            if self._router is None:
                self._router = self._make()
            return self._router

    def _load(self) -> None:
        with suppress(Exception):  # the call that needs it fails with it, where somebody listens
            _ = self.router().embedder


def _make() -> R2Router:
    from r2_router.router import router_for

    return router_for("mcp")
