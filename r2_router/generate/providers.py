"""Providers: where each model is asked, with which key, and whether it can be asked now."""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from r2_router.config.settings import LLM_API_KEY, Settings
from r2_router.errors import ConfigError
from r2_router.generate.endpoint import Endpoint
from r2_router.pools.key_hosts import key_of, missing_key
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool

if TYPE_CHECKING:
    from r2_router.local.servers import LocalServers


class Providers:
    """The endpoints of models under the user's settings; local servers are started when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._servers: LocalServers | None = None

    def resolve(self, model: Model) -> Endpoint | Awaitable[Endpoint]:
        """The endpoint of `model`: the configured server for all, the model's own, or a local one; to be awaited where
        that has to be started first.

        Raises ConfigError naming the variable of a missing key, or a typed error of the local server.
        """
        if self.settings.llm_api_base:
            return Endpoint(self.settings.llm_api_base, self.settings.key(LLM_API_KEY))
        if model.base_url:
            if why := self.missing_key(model):
                raise ConfigError(f"{model.name}: {why}.")
            return Endpoint(model.base_url, key_of(model, self.settings))
        running = self.servers.running(model)
        return Endpoint(*running) if running else self._started(model)

    def base_url(self, model: Model) -> str:
        """The server at which `model` is asked, "" for a local one."""
        return self.settings.llm_api_base or model.base_url

    def missing_key(self, model: Model) -> str:
        """ "" or why there is no key to ask `model` with, and what to do about it."""
        return "" if self.settings.llm_api_base else missing_key(model, self.settings)

    def not_ready(self, model: Model) -> str:
        """ "" if `model` can be asked now, else why not and what to do about it."""
        if model.unavailable:
            return model.unavailable
        if self.settings.llm_api_base:
            return ""
        if model.base_url:
            return self.missing_key(model)
        from r2_router.local.readiness import readiness

        return readiness(model, self.settings)

    def ready(self, pool: Pool) -> Pool:
        """`pool` with every model that cannot be asked now unavailable, for the reason why."""
        return replace(pool, models={m.name: replace(m, unavailable=self.not_ready(m)) for m in pool})

    @property
    def servers(self) -> LocalServers:
        """The local servers of this process."""
        from r2_router.local.servers import LocalServers

        with self._lock:
            if self._servers is None:
                self._servers = LocalServers(self.settings)
            return self._servers

    async def _started(self, model: Model) -> Endpoint:
        import asyncio

        return Endpoint(*await asyncio.to_thread(self.servers.address, model))
