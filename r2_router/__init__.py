"""R2-Router: for each query, the model and the answer length that are worth their price.

>>> from r2_router import R2Router
>>> router = R2Router.from_pretrained()
>>> decision = router.route_text("Write a Python function that returns the n-th prime.")
>>> decision.model, decision.budget
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint as Checkpoint
    from r2_router.errors import R2Error as R2Error
    from r2_router.pools.model import Model as Model
    from r2_router.pools.pool import Pool as Pool
    from r2_router.router import R2Router as R2Router
    from r2_router.routing.decision import Candidate as Candidate
    from r2_router.routing.decision import Decision as Decision
    from r2_router.routing.explanation import Explanation as Explanation

_HOMES = {
    "Candidate": "routing.decision",
    "Checkpoint": "checkpoints.format",
    "Decision": "routing.decision",
    "Explanation": "routing.explanation",
    "Model": "pools.pool",
    "Pool": "pools.pool",
    "R2Error": "errors",
    "R2Router": "router",
}

__all__ = [
    "Candidate",
    "Checkpoint",
    "Decision",
    "Explanation",
    "Model",
    "Pool",
    "R2Error",
    "R2Router",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("r2-mcp")
    if name not in _HOMES:
        raise AttributeError(f"module 'r2_router' has no attribute '{name}'")
    return getattr(import_module(f"r2_router.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*_HOMES, "__version__"]
