"""Many prompts: each routed, or answered within a limit on what all of them may cost."""

from r2_router.batches.mapped import Mapped

__all__ = ["Mapped"]
