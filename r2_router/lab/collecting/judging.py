"""The judge's calls: asked like any model, counted like any call, in a collection's store or in what a run may cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex

from r2_router.batches.each import MemoryLimit, RunGuard
from r2_router.batches.mapped import Mapped
from r2_router.checkpoints.format import Instruction
from r2_router.errors import ConfigError, InputError, ProviderError, SpendLimitError
from r2_router.generate import Answer, Generation, Options, Resolve
from r2_router.generate.billing import worst_case
from r2_router.generate.generation import Guard
from r2_router.generate.providers import Providers
from r2_router.lab.collecting.answers import CallGuard, Store
from r2_router.lab.collecting.plan import Key
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.pools.prompt_caches import cache_priced
from r2_router.records import UNLIMITED
from r2_router.routing.considered import Candidate
from r2_router.routing.tokens import estimate_tokens

_MAX_OUTPUT = 1024  # tokens of a judgement,
_LIKELY_OUTPUT = 150  # and what it is likely to take
_OVERHEAD_TOKENS = 20
LIMITED = "--max-usd leaves less: all judgements together"

# The judge's call made last in this task: it is over once its grade is written.
last_call: ContextVar[Key | None] = ContextVar("last_call", default=None)


def find_judge(pool: Pool, name: str, providers: Providers) -> Model:
    """The judge of that name. Raises InputError where the pool has none, ConfigError where it cannot be asked now."""
    model = pool.get(name)
    if model is None:
        raise InputError(f"The judge '{name}' is not in pool '{pool.name}': {', '.join(pool.models)}.")
    if why := providers.not_ready(model):
        raise ConfigError(f"The judge {model.name} cannot be asked: {why}.")
    return model


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
        key: Key = (token_hex(8), f"judge {self.judge.name}", UNLIMITED)
        if not self.store.begin(key, most_usd(self.judge, messages), self.max_usd):
            raise SpendLimitError(f"--max-usd {self.max_usd:g} leaves nothing for the judge.")
        last_call.set(key)
        guard = CallGuard(self.store, key, self.max_usd, self.guard)
        answer = await _judgement(self.judge, messages, self.resolve, guard, "\n".join(map(str, key)))
        return answer.text, answer.cost_usd


@dataclass(frozen=True, slots=True)
class RunJudge:
    """Asks the model `judge`, an `Ask` of the graders, within what `limit` leaves of this run's dollars."""

    judge: Model
    resolve: Resolve
    guard: Guard
    limit: MemoryLimit
    _numbers: count[int] = field(default_factory=count)

    async def __call__(self, messages: Sequence[dict[str, str]]) -> tuple[str, float]:
        """As that of JudgeCalls; a judgement that broke off is a ProviderError too."""
        number = next(self._numbers)
        guard = RunGuard(number, self.limit, self.limit.max_usd, self.guard, LIMITED)
        try:
            answer = await _judgement(self.judge, messages, self.resolve, guard, token_hex(8))
        finally:
            self.limit.over(Mapped(number, cost_usd=guard.billed_usd), kept=True)
        if answer.partial:
            raise ProviderError(f"The judgement of {self.judge.name} broke off: {answer.error}")
        return answer.text, answer.cost_usd


def most_usd(judge: Model, messages: Sequence[dict[str, str]]) -> float:
    """The most in USD that a judgement may cost."""
    return worst_case(judge, _reads(messages), _MAX_OUTPUT + judge.thinking_tokens)


def likely_usd(judge: Model, messages: Sequence[dict[str, str]]) -> float:
    """What it is likely to cost."""
    return cache_priced(judge).cost_usd(_reads(messages), _LIKELY_OUTPUT + judge.thinking_tokens)


def _reads(messages: Sequence[dict[str, str]]) -> int:
    return sum(estimate_tokens(message["content"]) + _OVERHEAD_TOKENS for message in messages)


async def _judgement(
    judge: Model, messages: Sequence[dict[str, str]], resolve: Resolve, guard: Guard, request_key: str
) -> Answer:
    most, tokens = most_usd(judge, messages), _MAX_OUTPUT + judge.thinking_tokens
    generation = Generation(
        [Candidate(judge.name, judge.id, UNLIMITED, 0.0, None, float(_MAX_OUTPUT), most, 0.0, None)],
        messages,
        instruction=Instruction(""),
        models={judge.name: judge},
        resolve=resolve,
        options=Options(models=1, max_tokens=tokens, sampling={"temperature": 0.0}, request_key=request_key),
        guard=guard,
    )
    return await generation.result()
