"""Model: one way of asking an LLM, its dated price, and whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass

from r2_router.records import Record


@dataclass(frozen=True, slots=True)
class Model(Record):
    """One LLM that can answer.

    Prices are USD per million tokens; None means unpriced (never routed to, never called).
    `id` is the provider's name for it; `unavailable` says why it cannot be used, "" if it can.
    """

    name: str
    id: str
    input_usd_per_million: float | None
    output_usd_per_million: float | None
    unavailable: str = ""
    context_window: int | None = None  # tokens, query and answer together
    base_url: str = ""  # OpenAI-compatible API, e.g. "https://openrouter.ai/api/v1"
    api_key_env: str = ""  # the environment variable that holds the key, "" if none is needed
    thinking_tokens: int = 0  # allowance on top of a budget for a model that thinks aloud first
    prices_date: str = ""  # ISO date at which the price was true
    note: str = ""
    weights: str = ""  # local weights that serve it where base_url is ""
    expires: str = ""  # ISO date after which the provider may take it away, "" if none is known
    max_input_tokens: int | None = None  # the longest query the provider takes
    max_output_tokens: int | None = None  # the longest answer the provider gives, thinking included

    @property
    def available(self) -> bool:
        return not self.unavailable
