"""The judge's calls: asked like any model, counted in the store like any call."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from secrets import token_hex

from r2_router.checkpoints.format import Instruction
from r2_router.errors import SpendLimitError
from r2_router.generate import Generation, Options, Resolve
from r2_router.generate.billing import worst_case
from r2_router.generate.generation import Guard
from r2_router.lab.collecting.answers import CallGuard, Store
from r2_router.lab.collecting.plan import Key
from r2_router.pools.model import Model
from r2_router.records import UNLIMITED
from r2_router.routing.decision import Candidate
from r2_router.routing.tokens import estimate_tokens

_MAX_OUTPUT = 1024  # tokens of a judgement
_OVERHEAD_TOKENS = 20

# The judge's call made last in this task: it is over once its grade is written.
last_call: ContextVar[Key | None] = ContextVar("last_call", default=None)


@dataclass(frozen=True, slots=True)
class JudgeCalls:
    """Asks the model `judge`, an `Ask` of the graders. With what the store holds as spent, no call passes `max_usd`."""

    judge: Model
    store: Store
    resolve: Resolve
    guard: Guard
    max_usd: float | None

    async def __call__(self, messages: Sequence[dict[str, str]]) -> tuple[str, float]:
        """The judge's words and their cost in USD. Raises ProviderError or SpendLimitError."""
        model = self.judge
        reads = sum(estimate_tokens(message["content"]) + _OVERHEAD_TOKENS for message in messages)
        most = worst_case(model, reads, _MAX_OUTPUT + model.thinking_tokens)
        key: Key = (token_hex(8), f"judge {model.name}", UNLIMITED)
        if not self.store.begin(key, most, self.max_usd):
            raise SpendLimitError(f"--max-usd {self.max_usd:g} leaves nothing for the judge.")
        last_call.set(key)
        generation = Generation(
            [Candidate(model.name, model.id, UNLIMITED, 0.0, None, float(_MAX_OUTPUT), most, 0.0, None)],
            messages,
            instruction=Instruction(""),
            models={model.name: model},
            resolve=self.resolve,
            options=Options(
                models=1,
                max_tokens=_MAX_OUTPUT + model.thinking_tokens,
                sampling={"temperature": 0.0},
                request_key="\n".join(map(str, key)),
            ),
            guard=CallGuard(self.store, key, self.max_usd, self.guard),
        )
        answer = await generation.result()
        return answer.text, answer.cost_usd
