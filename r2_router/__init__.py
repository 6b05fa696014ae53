"""R2-Router: for each query, the model and the answer length that are worth their price.

>>> from r2_router import R2Router
>>> router = R2Router.from_pretrained()
>>> decision = router.route_text("Write a Python function that returns the n-th prime.")
>>> decision.model, decision.budget
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r2_router.checkpoint import Checkpoint as Checkpoint
    from r2_router.decision import Candidate as Candidate
    from r2_router.decision import Decision as Decision
    from r2_router.errors import R2Error as R2Error
    from r2_router.explain import Explanation as Explanation
    from r2_router.pool import Model as Model
    from r2_router.pool import Pool as Pool
    from r2_router.router import R2Router as R2Router

_HOMES = {
    "Candidate": "decision",
    "Checkpoint": "checkpoint",
    "Decision": "decision",
    "Explanation": "explain",
    "Model": "pool",
    "Pool": "pool",
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
