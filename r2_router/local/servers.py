"""LocalServers: one server a local model, from its first use to `stop` or the end of this process."""

from __future__ import annotations

import threading
import weakref

from r2_router.config.machine import cores
from r2_router.config.settings import Secret, Settings
from r2_router.errors import LocalModelError
from r2_router.local.memory import available_bytes
from r2_router.local.process import Launch, ServerProcess
from r2_router.local.readiness import readiness
from r2_router.local.weights import Weights, absence, find_weights, get_weights
from r2_router.pools.model import Model

SLOTS = 4  # requests answered side by side
SLOT_TOKENS = 4096  # query and answer together, for a model without a context_window

_IDLE_SECONDS = 600
_OVERHEAD_BYTES = 256 << 20  # the runtime itself and its scratch buffers

_Key = tuple[str, int]  # the weights, the tokens of a slot


class LocalServers:
    """The local models of this process, started on first use; they end with it, however it ends.

    All methods may be called from several threads. They block: an event loop calls them by asyncio.to_thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers: dict[_Key, ServerProcess] = {}
        self._starting = threading.Lock()
        weakref.finalize(self, _stop_all, self._servers)

    def address(self, model: Model) -> tuple[str, Secret]:
        """The OpenAI-compatible API that serves `model`, like http://127.0.0.1:43210/3f9c.../v1, and the key without
        which it answers nobody. It is started if need be.

        Its slots hold the model's context_window. Raises LocalModelError if the extra or the weights are
        missing, memory is short, or the server does not start.
        """
        if found := self.running(model):
            return found
        key = _key(model)
        with self._starting:  # one at a time: each measures the memory that those before it left
            running = self._servers.get(key)
            if running is None or not running.is_ready():
                running = self._start(model, key, running)
            return running.base_url, running.key

    def running(self, model: Model) -> tuple[str, Secret] | None:
        """`address`, where the server of `model` runs already; at once."""
        server = self._servers.get(_key(model))
        return (server.base_url, server.key) if server is not None and server.is_ready() else None

    def stop(self) -> None:
        """Stop every server and free its memory, one that is still starting too. A later use starts it anew."""
        _stop_all(self._servers)

    def _start(self, model: Model, key: _Key, ended: ServerProcess | None) -> ServerProcess:
        if ended is not None:
            ended.stop()
        launch = _prepare(model, key[1], self._settings)
        server = self._servers[key] = ServerProcess(launch)
        try:
            server.wait_ready()
        except LocalModelError as error:
            raise LocalModelError(f"{model.name}: {error}. Try again, or use another model.") from None
        return server


def _key(model: Model) -> _Key:
    return model.weights, model.context_window or SLOT_TOKENS


def _stop_all(servers: dict[_Key, ServerProcess]) -> None:
    while servers:
        servers.popitem()[1].stop()


def _prepare(model: Model, slot_tokens: int, settings: Settings) -> Launch:
    """What to start, everything it needs being there. Raises LocalModelError otherwise."""
    if why := readiness(model, settings):
        raise LocalModelError(f"{model.name}: {why}.")
    weights = get_weights(model.weights)
    path = find_weights(weights.name, settings.models_dir)
    if path is None:  # deleted this moment
        raise LocalModelError(f"{model.name}: {absence(weights, settings.models_dir)}.")
    _check_memory(model.name, weights, slot_tokens)
    return Launch(str(path), model.id or model.name, SLOTS, slot_tokens, cores(), _IDLE_SECONDS)


def _check_memory(name: str, weights: Weights, slot_tokens: int) -> None:
    """Raise LocalModelError unless what a server takes is free: else the system ends it, or something else."""
    needed = weights.size_bytes + SLOTS * slot_tokens * weights.context_bytes_per_token + _OVERHEAD_BYTES
    free = available_bytes()
    if needed > free:
        raise LocalModelError(
            f"{name} needs {needed / 1e9:.1f} GB of memory (weights, and {SLOTS} x {slot_tokens:,} tokens of "
            f"context), and {free / 1e9:.1f} GB is free. Close something, give it a smaller context_window in "
            f"models.toml, or use a smaller model."
        )
