"""What the cells of a notebook share: routers, the conversation, the last decision and answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from r2_magic.history import History

if TYPE_CHECKING:
    from r2_magic.answer import CellAnswer
    from r2_magic.compared import Comparison
    from r2_router.router import R2Router
    from r2_router.routing.decision import Decision


class Session:
    """Made empty; a router is loaded when a cell first needs it. Its methods may be called from several threads."""

    def __init__(self) -> None:
        self.history = History()
        self.decision: Decision | None = None  # the last one
        self.answer: CellAnswer | None = None
        self.answer_id = ""  # its id in the ledger
        self.comparison: Comparison | None = None  # the last one
        self.spent_usd = 0.0  # by the cells of this notebook
        self._routers: dict[tuple[str, str, str], R2Router] = {}
        self._lock = threading.Lock()

    def router(self, checkpoint: str = "", pool: str = "", embed_url: str = "") -> R2Router:
        """The router of that checkpoint, pool and embedding server; "" is what the settings say.

        Raises what R2Router.from_pretrained raises.
        """
        from r2_router.router import router_for

        key = (checkpoint, pool, embed_url)
        with self._lock:
            if key not in self._routers:
                router = router_for("magic", checkpoint or None, pool=pool or None, embed_url=embed_url or None)
                router.preload()
                self._routers[key] = router
            return self._routers[key]

    def has_router(self, checkpoint: str, pool: str, embed_url: str) -> bool:
        """Whether `router` has made that one."""
        return (checkpoint, pool, embed_url) in self._routers

    def reset(self) -> None:
        """Forget the conversation, the last answer, and the routers with the settings they were made from."""
        with self._lock:
            self._routers.clear()
        self.history.clear()
        self.decision = self.answer = self.comparison = None
        self.answer_id = ""
