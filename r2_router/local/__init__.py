"""Local models: find their weights, fetch them, serve them on loopback, stop."""

from r2_router.local.pull import pull
from r2_router.local.servers import LocalServers, readiness
from r2_router.local.weights import Weights, find_weights, known_weights

__all__ = ["LocalServers", "Weights", "find_weights", "known_weights", "pull", "readiness"]
