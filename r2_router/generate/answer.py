"""What a generation gives: the answer, the tries it took, and what happens while no text comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from r2_router.pages import html
from r2_router.records import Budget, Record
from r2_router.routing.decision import Decision
from r2_router.words import asked_for, usd, visible, whole_characters


@dataclass(frozen=True, slots=True)
class Attempt(Record):
    """One try to get an answer from one model.

    `reason` says why it failed, "" for the one that answered whole; `status` is the HTTP status, or the one an
    error body stands for, None where none came. `seconds` it took; `cost_usd` it is billed.
    """

    model: str
    budget: Budget
    reason: str
    status: int | None
    seconds: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Event(Record):
    """What is going on while no text comes, for a progress line.

    loading: a model of this machine is being started; asking: a try begins; thinking: the model reasons, `pieces` came
    so far; failed: a try failed, `detail` says why and what follows.
    """

    kind: Literal["loading", "asking", "thinking", "failed"]
    model: str
    budget: Budget
    detail: str = ""
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """The text a model gave, what was asked of it and what it took. Reads like the seed's dict too.

    Tokens are those of the answering try: `completion_tokens` holds `reasoning_tokens`,
    `prompt_tokens` what was read from the provider's prompt cache and written to it, and `cache_saved_usd` is what that
    took off its price (below 0: put on it). Where the provider told
    none they are estimated, and `usage_estimated` says so. `cost_usd` is that of all tries together: the
    provider's own figure where it gives one, else tokens at the pool's price, and where nobody knows what a try is
    billed the most that it may be. `latency_s` and `first_token_s` are seconds from the first request, `ended_at` when
    it was over, in seconds since 1970. `partial`: the text stops where it does because of `error`, not because the
    model was done. `finish_reason` is the provider's ("stop", "length" ...), "" if it gave none.
    `mean_logprob` is how sure the model was, in nats a token, 0 at most; None where the server was not asked or tells
    none. `tool_calls` are the tools that the model asks for, in the form of OpenAI's API, to be sent back with
    `message`.
    """

    text: str
    model: str
    model_id: str
    served_model: str
    budget: Budget
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    finish_reason: str
    predicted_quality: float
    predicted_cost_usd: float
    risk: float
    cost_usd: float
    latency_s: float
    first_token_s: float | None
    attempts: tuple[Attempt, ...]
    request_id: str
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_saved_usd: float = 0.0
    ended_at: float = 0.0
    partial: bool = False
    error: str = ""
    mean_logprob: float | None = None
    tool_calls: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    decision: Decision | None = field(default=None, repr=False, compare=False)

    _aliases: ClassVar[dict[str, str]] = {
        "response": "text",
        "openrouter_id": "model_id",
        "query": "query",
        "usage": "usage",
    }

    @property
    def query(self) -> str | None:
        """The text that was routed, None where nothing was."""
        return None if self.decision is None else self.decision.query

    @property
    def usage(self) -> dict[str, int]:
        """The token counts under the API's names."""
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}

    @property
    def message(self) -> dict[str, Any]:
        """The answer as the next message of the conversation, its calls of tools with it."""
        calls = {"tool_calls": list(self.tool_calls)} if self.tool_calls else {}
        return {"role": "assistant", "content": self.text or None if calls else self.text, **calls}

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str | None:
        """The text, as it came, and what it took, as a notebook shows them."""
        text = visible(whole_characters(self.text))
        return html.page(html.prose(text), html.paragraph(answer_facts(self), "r2-note"))


def answer_facts(answer: Answer) -> str:
    """Who answered, and what it took."""
    return f"{answer.model}, {asked_for(answer.budget)}: {answer_took(answer)}"


def answer_took(answer: Answer) -> str:
    """How long an answer is, at what cost, in what time, and whether the text is whole."""
    cut = ", cut at its budget" if answer.finish_reason == "length" else ""
    stopped = f", broken off: {answer.error}" if answer.partial else ""
    failed = [f"{a.model}: {a.reason}" for a in answer.attempts if a.reason and a is not answer.attempts[-1]]
    kept = f", {answer.cache_read_tokens:,} of {answer.prompt_tokens:,} prompt tokens cached"
    cached = kept if answer.cache_read_tokens else ""
    names = ", ".join(str(call["function"]["name"]) for call in answer.tool_calls)
    calls = f", calls {names}" if names else ""
    before = f" (before it: {'; '.join(failed)})" if failed else ""
    return (
        f"{answer.completion_tokens:,} tokens{cut}{stopped}{calls}{cached}"
        f", {usd(answer.cost_usd)} (expected {usd(answer.predicted_cost_usd)}), {answer.latency_s:.1f} s{before}"
    )
