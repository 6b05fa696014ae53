"""Whether a local model can be served now; every decision asks, so nothing that serves is imported for it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from r2_router.config.settings import Settings
from r2_router.errors import ConfigError
from r2_router.local.weights import absence, find_weights, get_weights
from r2_router.pools.model import Model


def readiness(model: Model, settings: Settings) -> str:
    """Why `model` cannot be served on this machine now and the command that changes it, "" if it can."""
    if model.unavailable:
        return model.unavailable
    if not model.weights:
        return "it has neither base_url nor weights; give it one of them in models.toml"
    if not can_serve():
        return 'local models need the extra `local`; get it with: pip install "r2-mcp[local]"'
    try:
        weights = get_weights(model.weights)
    except ConfigError as error:
        return str(error).rstrip(".")
    return "" if find_weights(weights.name, settings.models_dir) else absence(weights, settings.models_dir)


def can_serve() -> bool:
    """Whether the extra is installed. Once it is there it stays: looking for it touches every folder of the path."""
    try:
        return _find_runtime()
    except ModuleNotFoundError:
        return False


@cache
def _find_runtime() -> bool:
    if find_spec("xllamacpp") is None:
        raise ModuleNotFoundError  # not kept: it may be installed while this process runs
    return True
