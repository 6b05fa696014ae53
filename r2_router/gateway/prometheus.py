"""Counts for Prometheus, at /metrics: requests, dollars, tokens, seconds."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from r2_router.errors import ConfigError

if TYPE_CHECKING:
    from r2_router.gateway.seen import Seen

INSTALL = "pip install 'r2-mcp[gateway]'"
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_MOST_CALLERS, _OTHERS = 100, "(others)"
_DECIDED = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)


class Metrics:
    """The counts of one gateway. Raises ConfigError where prometheus-client is not installed."""

    def __init__(self) -> None:
        if find_spec("prometheus_client") is None:
            raise ConfigError(f"/metrics wants prometheus-client: {INSTALL}")
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self._registry}
        self._callers: set[str] = set()
        who, whose = ("model",), ("model", "caller")
        ends = ("path", "model", "status", "caller")
        self._requests = Counter("r2_requests", "Requests, by their end", ends, **kept)
        self._usd = Counter("r2_cost_usd", "Dollars billed, all tries", whose, **kept)
        self._tokens = Counter("r2_tokens", "Tokens billed", (*whose, "direction"), **kept)
        self._cached = Counter("r2_cached_tokens", "Tokens read from prompt caches", who, **kept)
        self._tries = Counter("r2_tries", "Tries, retries and fallbacks among them", who, **kept)
        self._first = Histogram("r2_first_token_seconds", "Until the first token", who, buckets=_SECONDS, **kept)
        self._whole = Histogram("r2_answer_seconds", "Until the end", who, buckets=_SECONDS, **kept)
        self._decided = Histogram("r2_decision_seconds", "Until a model was asked", buckets=_DECIDED, **kept)

    def __call__(self, seen: Seen) -> None:
        """Count a request that is over."""
        model = seen.told.model if seen.told else ""
        caller = self._caller(seen.caller)
        self._requests.labels(seen.path, model, seen.status, caller).inc()
        if seen.decided_s is not None:
            self._decided.observe(seen.decided_s)
        answer = seen.answer
        if answer is None:
            return
        self._usd.labels(model, caller).inc(answer.cost_usd)
        self._tokens.labels(model, caller, "in").inc(answer.prompt_tokens)
        self._tokens.labels(model, caller, "out").inc(answer.completion_tokens)
        self._cached.labels(model).inc(answer.cache_read_tokens)
        self._tries.labels(model).inc(len(answer.attempts))
        self._whole.labels(model).observe(seen.ended_s)
        if answer.first_token_s is not None:
            self._first.labels(model).observe(answer.first_token_s)

    def _caller(self, name: str) -> str:
        """The label of a caller: whoever comes after `_MOST_CALLERS` others has one in common, as each is a series for
        good."""
        if name and name not in self._callers:
            if len(self._callers) >= _MOST_CALLERS:
                return _OTHERS
            self._callers.add(name)
        return name

    def text(self) -> tuple[bytes, str]:
        """All counts in Prometheus's form, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
