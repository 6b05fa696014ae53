"""What a model is sent: how much of the conversation it reads, where its answer is cut, the body of the request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from r2_router.checkpoints.format import Instruction
from r2_router.generate.body import Body, Options, chat_body
from r2_router.generate.cache_hints import cache_hints
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.refused import CAPS
from r2_router.pools.model import Model
from r2_router.pools.part_tokens import part_tokens
from r2_router.routing.considered import Candidate
from r2_router.routing.decision import Limits
from r2_router.routing.messages import Message, counted_parts, instruct, prompt_tokens
from r2_router.routing.needs import PLAIN, Form
from r2_router.routing.tokens import estimate_tokens

# The cap of an answer without a budget: what it is expected to take several times over, so that it ends one day.
_UNLIMITED_TOKENS = 8192
_UNLIMITED_TIMES = 4
_LEAST_TOKENS = 16  # of a cap that makes room for a prompt


def asked_with(options: Options, limits: Limits, instruction: Instruction) -> Options:
    """`options` with what the limits of a request and the instruction as it is sent say besides."""
    if options.max_tokens is None and limits.max_tokens is not None:
        options = replace(options, max_tokens=limits.max_tokens)
    if instruction.temperature is not None:
        options = replace(options, sampling={"temperature": instruction.temperature, **options.sampling})
    return options


class Prepared:
    """A checked conversation with the form it comes with, as any candidate's model is sent it.

    `instruction` is the checkpoint's: it is left out where JSON is asked for. `hits` as in `cache_hints`.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        instruction: Instruction,
        options: Options,
        form: Form = PLAIN,
        hits: Mapping[str, float] | None = None,
    ) -> None:
        self._messages = messages
        self._form = form
        self._instruction = form.instruction(instruction)
        self._options = options
        self._hits = hits
        self._tokens = prompt_tokens(messages, form.text)
        self._parts = counted_parts(messages)

    def reads(self, candidate: Candidate, model: Model) -> int:
        """Tokens that the model reads, estimated, the instruction among them. Raises ConfigError for a model without a
        price."""
        sentence = self._instruction.render(candidate.budget)
        reads = self._tokens + part_tokens(model, self._parts) + (estimate_tokens(sentence) if sentence else 0)
        model.usd_per_million(reads)
        return reads

    def body(self, candidate: Candidate, model: Model, endpoint: Endpoint, reads: int) -> Body:
        """The body of a streamed request for an answer within the candidate's budget."""
        sampling = {**self._options.sampling, **self._form.fields}
        sent, hints = cache_hints(
            model,
            self._messages,
            instruct(self._messages, self._instruction, candidate.budget),
            {**sampling, **model.request},
            reads,
            self._hits,
        )
        cap = self._cap(candidate, model, reads)
        cap = min(cap, self._options.cap_tokens or cap)
        body = chat_body(model, sent, cap, {**hints, **sampling})
        refused = set(endpoint.profile.refuses).difference(CAPS)
        return {name: value for name, value in body.items() if name not in refused}

    def _cap(self, candidate: Candidate, model: Model, reads: int) -> int:
        """The tokens at which the answer is cut, thoughts included; always some: else nobody knows the worst. A
        budget's cut is left out where it would end a call or JSON."""
        cap = self._instruction.cap(candidate.budget)
        if cap is not None and not self._form.fields:
            return cap + model.thinking_tokens
        if self._options.max_tokens is not None:
            return self._options.max_tokens
        expected = candidate.predicted_output_tokens
        cap = max(_UNLIMITED_TOKENS, math.ceil(_UNLIMITED_TIMES * expected) if math.isfinite(expected) else 0)
        if model.context_window is None:
            return cap + model.thinking_tokens
        return min(cap + model.thinking_tokens, max(_LEAST_TOKENS, model.context_window - 2 * reads))
