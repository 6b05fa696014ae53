"""R2-Router: for each query, the model and the answer length that are worth their price.

>>> from r2_router import R2Router
>>> router = R2Router.from_pretrained()
>>> decision = router.route_text("Write a Python function that returns the n-th prime.")
>>> decision.model, decision.budget
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r2_router.batches import Mapped
    from r2_router.checkpoints.format import Checkpoint
    from r2_router.embedders import Embedder
    from r2_router.errors import (
        CheckpointError,
        ConfigError,
        DownloadError,
        EmbedderError,
        EmptyAnswerError,
        InputError,
        LedgerError,
        LocalModelError,
        NoCandidateError,
        ProviderError,
        R2Error,
        SpendLimitError,
    )
    from r2_router.generate import Answer, AnswerStream, Attempt, Event, Options
    from r2_router.pools.model import Model
    from r2_router.pools.pool import Pool
    from r2_router.router import R2Router
    from r2_router.routing.batch import Decisions
    from r2_router.routing.considered import Candidate, Excluded
    from r2_router.routing.decision import Decision, Limits, TradeOff
    from r2_router.routing.explanation import Explanation
    from r2_router.routing.request import Request

__all__ = [
    "Answer",
    "AnswerStream",
    "Attempt",
    "Candidate",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "Decision",
    "Decisions",
    "DownloadError",
    "Embedder",
    "EmbedderError",
    "EmptyAnswerError",
    "Event",
    "Excluded",
    "Explanation",
    "InputError",
    "LedgerError",
    "Limits",
    "LocalModelError",
    "Mapped",
    "Model",
    "NoCandidateError",
    "Options",
    "Pool",
    "ProviderError",
    "R2Error",
    "R2Router",
    "Request",
    "SpendLimitError",
    "TradeOff",
]

_ROOMS = {
    "batches": ("Mapped",),
    "checkpoints.format": ("Checkpoint",),
    "embedders": ("Embedder",),
    "generate": ("Answer", "AnswerStream", "Attempt", "Event", "Options"),
    "pools.model": ("Model",),
    "pools.pool": ("Pool",),
    "router": ("R2Router",),
    "routing.batch": ("Decisions",),
    "routing.considered": ("Candidate", "Excluded"),
    "routing.decision": ("Decision", "Limits", "TradeOff"),
    "routing.explanation": ("Explanation",),
    "routing.request": ("Request",),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("r2-mcp")
    if name not in _HOME:
        raise AttributeError(f"module 'r2_router' has no attribute '{name}'")
    return getattr(import_module(f"r2_router.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
