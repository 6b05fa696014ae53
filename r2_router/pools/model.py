"""Model: one way of asking an LLM, its dated price, and whether it can be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from r2_router.errors import ConfigError
from r2_router.records import Record

# Fields of a chat request that the router sets itself: neither a pool's `request` nor a caller may.
ROUTERS_FIELDS = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"}
)
# Fields in which a request may say whether, and how hard, the model is to think.
THINKING_FIELDS = frozenset({"reasoning", "reasoning_effort", "thinking", "enable_thinking", "think"})

# What a model may be able to do beside answering a text with a text: see pools/can.py.
Capability = Literal["images", "audio", "video", "files", "tools", "json_schema", "json_object", "prefill"]


@dataclass(frozen=True, slots=True)
class PriceTier(Record):
    """Prices, USD per million tokens, of a request that reads more than `above_input_tokens` tokens: all of it."""

    above_input_tokens: int
    input_usd_per_million: float
    output_usd_per_million: float


@dataclass(frozen=True, slots=True)
class Model(Record):
    """One LLM that can answer.

    Prices are USD per million tokens; None means unpriced (never routed to, never called). What is read from the
    provider's prompt cache, written to it, or thought has a price of its own where one is given, else the plain one.
    `id` is the provider's name for it; `unavailable` says why it cannot be used, "" if it can. One id asked in two
    ways, thinking and not, is two models: `request` says how, and price, ability and verbosity are that way's.
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
    cache_read_usd_per_million: float | None = None
    cache_write_usd_per_million: float | None = None
    thinking_usd_per_million: float | None = None
    request_usd: float = 0.0  # of each request, whatever it reads and writes
    tiers: tuple[PriceTier, ...] = ()  # rising
    rated_as: str = ""  # its name in the public ratings, where its id does not tell
    rating: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)  # stated: category -> points
    quality: float | None = None  # what its user believes of it: the mean quality of its answers, 0 to 1
    verbosity: float = 1.0  # the length of its answers, as a multiple of the usual one
    request: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)  # more fields of the body
    can: tuple[Capability, ...] = ()  # what it is known to do, see pools/can.py
    cannot: tuple[Capability, ...] = ()  # and what not; of the rest nothing is known

    @property
    def available(self) -> bool:
        return not self.unavailable

    @property
    def priced(self) -> bool:
        """Whether it is known what an answer costs. What is not priced is never routed to and never called."""
        return self.input_usd_per_million is not None and self.output_usd_per_million is not None

    def usd_per_million(self, input_tokens: float) -> tuple[float, float]:
        """The prices, of input and of output, of a request that reads `input_tokens` tokens.

        Raises ConfigError for a model without a price.
        """
        if self.input_usd_per_million is None or self.output_usd_per_million is None:
            raise ConfigError(f"{self.name} has no price. Set its usd_per_million in the pool; [0, 0] if it is free.")
        for tier in reversed(self.tiers):
            if input_tokens > tier.above_input_tokens:
                return tier.input_usd_per_million, tier.output_usd_per_million
        return self.input_usd_per_million, self.output_usd_per_million

    def cost_usd(
        self,
        input_tokens: float,
        output_tokens: float,
        *,
        cache_read_tokens: float = 0,
        cache_write_tokens: float = 0,
        thinking_tokens: float = 0,
    ) -> float:
        """USD of one request. `input_tokens` holds those of the cache, `output_tokens` the thoughts.

        In a tier the prices of cache and thoughts rise as the plain ones do. Raises ConfigError for a model without
        a price.
        """
        price_in, price_out = self.usd_per_million(input_tokens)
        usd = answer_usd(input_tokens, price_in, output_tokens, price_out)
        for price, plain, untiered, tokens in (
            (self.cache_read_usd_per_million, price_in, self.input_usd_per_million, cache_read_tokens),
            (self.cache_write_usd_per_million, price_in, self.input_usd_per_million, cache_write_tokens),
            (self.thinking_usd_per_million, price_out, self.output_usd_per_million, thinking_tokens),
        ):
            if price is not None and tokens:
                usd += tokens * ((price * plain / untiered if untiered else price) - plain) / 1e6
        return usd + self.request_usd

    def most_usd(self, input_tokens: float, output_tokens: float) -> float:
        """The most such a request can cost: all of it written to the cache and all of it thought, if that is dearer."""
        written = (0,) if self.cache_write_usd_per_million is None else (0, input_tokens)
        thought = (0,) if self.thinking_usd_per_million is None else (0, output_tokens)
        return max(
            self.cost_usd(input_tokens, output_tokens, cache_write_tokens=w, thinking_tokens=t)
            for w in written
            for t in thought
        )


def answer_usd(input_tokens: Any, input_price: Any, output_tokens: Any, output_price: Any) -> Any:
    """USD of answers, numbers or arrays: tokens times prices in USD per million tokens.

    Multiplied first, divided then, as the seed release does: its rounded figures depend on it.
    """
    return input_tokens * input_price / 1e6 + output_tokens * output_price / 1e6
