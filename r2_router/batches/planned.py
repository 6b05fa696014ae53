"""What goes into a provider's batch: prompts decided at a batch's prices, each as the server is sent it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from r2_router.batches.anthropic_batches import AnthropicBatches
from r2_router.batches.batch_apis import BatchApi
from r2_router.batches.batch_calls import BatchServer
from r2_router.batches.openai_batches import OpenAIBatches
from r2_router.batches.openrouter_batches import OpenRouterBatches
from r2_router.checkpoints.format import Instruction
from r2_router.errors import ConfigError
from r2_router.generate.billing import worst_case
from r2_router.generate.body import Body, Options
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.prepared import Prepared, asked_with
from r2_router.generate.providers import Providers
from r2_router.generate.refused import CAPS, known_quirks
from r2_router.pools.batch_prices import at_batch_price, batch_terms
from r2_router.pools.model import Model
from r2_router.pools.profiles import BatchTerms
from r2_router.routing.decision import Decision
from r2_router.routing.request import Request

if TYPE_CHECKING:
    from r2_router.ledger.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Lane:
    """Where batches for one model go: the server, what it says of batches, and the model at their price."""

    model: Model
    endpoint: Endpoint
    terms: BatchTerms
    api: BatchApi


@dataclass(frozen=True, slots=True)
class Planned:
    """A prompt on its way into a batch of `lane`: the `body` as it is meant and as it is `sent`, how many tokens it
    reads, and the most it may cost; `alone` as in Recorder.record."""

    lane: Lane
    decision: Decision
    body: Body
    sent: Body
    reads: int
    most_usd: float
    alone: bool


@dataclass(slots=True)
class Planner:
    """Decides prompts at what answers cost that can wait, and prepares those whose model takes batches.

    `decide` decides among the models that can be asked now; `model` is one by name, at its usual price.
    """

    decide: Callable[[Sequence[Request]], list[Decision]]
    model: Callable[[str], Model | None]
    providers: Providers
    instruction: Instruction
    options: Options
    recorder: Recorder
    _lanes: dict[str, Lane | None] = field(default_factory=dict[str, "Lane | None"])

    def lane(self, name: str) -> Lane | None:
        """Where the batches of that model go; None where its server takes none, or has no price for them."""
        if name not in self._lanes:
            self._lanes[name] = self._find_lane(name)
        return self._lanes[name]

    def plan(self, request: Request, decision: Decision) -> Planned | None:
        """`request` as it goes into a batch; None where its model takes none, or not such a request."""
        lane = self.lane(decision.model)
        if lane is None:
            return None
        candidate, model, endpoint = decision.best, lane.model, lane.endpoint
        options = asked_with(self.options, decision.limits, request.form.instruction(self.instruction))
        prepared = Prepared(request.messages, instruction=self.instruction, options=options, form=request.form)
        reads = prepared.reads(candidate, model)
        body = prepared.body(candidate, model, endpoint, reads)
        sent = known_quirks(endpoint.base_url, model.id).apply(body)
        if lane.api.request("", sent) is None:
            return None
        most_usd = worst_case(model, reads, next(sent[cap] for cap in CAPS if cap in sent))
        return Planned(lane, decision, body, sent, reads, most_usd, request.is_alone)

    def _find_lane(self, name: str) -> Lane | None:
        usual = self.model(name)
        base_url = usual and self.providers.base_url(usual)
        if usual is None or not base_url:
            return None
        terms, model = batch_terms(base_url), at_batch_price(usual, base_url)
        if terms is None or model is None:
            return None
        endpoint = self.providers.resolve(usual)
        if not isinstance(endpoint, Endpoint):
            raise ConfigError(f"{name} has an address and is local.")
        return Lane(model, endpoint, terms, _api(endpoint, terms))


def _api(endpoint: Endpoint, terms: BatchTerms) -> BatchApi:
    if terms.api == "anthropic":
        return AnthropicBatches(endpoint)
    server = BatchServer(endpoint)
    return OpenRouterBatches(server, terms) if terms.api == "openrouter" else OpenAIBatches(server, terms)
