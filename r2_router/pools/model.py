"""Model: one way of asking an LLM, its dated price, and whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from r2_router.errors import ConfigError
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
    untrusted: str = ""  # the file its address is from, where that is neither the user's own nor shipped
    expires: str = ""  # ISO date after which the provider may take it away, "" if none is known
    max_input_tokens: int | None = None  # the longest query the provider takes
    max_output_tokens: int | None = None  # the longest answer the provider gives, thinking included

    @property
    def available(self) -> bool:
        return not self.unavailable

    @property
    def priced(self) -> bool:
        """Whether it is known what an answer costs. What is not priced is never routed to and never called."""
        return self.input_usd_per_million is not None and self.output_usd_per_million is not None

    def cost_usd(self, input_tokens: float, output_tokens: float) -> float:
        """USD of one answer. Raises ConfigError where the model has no price."""
        if self.input_usd_per_million is None or self.output_usd_per_million is None:
            raise ConfigError(f"{self.name} has no price. Set its usd_per_million in the pool; [0, 0] if it is free.")
        return answer_usd(input_tokens, self.input_usd_per_million, output_tokens, self.output_usd_per_million)


def answer_usd(input_tokens: Any, input_price: Any, output_tokens: Any, output_price: Any) -> Any:
    """USD of answers, numbers or arrays: tokens times prices in USD per million tokens.

    Multiplied first, divided then, as the seed release does: its rounded figures depend on it.
    """
    return input_tokens * input_price / 1e6 + output_tokens * output_price / 1e6
