"""What an answer took, and how to ask for it oneself, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2_router.words import asked_for, usd

if TYPE_CHECKING:
    from r2_router.generate import Answer, Event


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


def event_text(event: Event) -> str:
    """What goes on while no text comes."""
    said = {
        "loading": f"loading {event.model} …",
        "asking": f"asking {event.model}, {asked_for(event.budget)} …",
        "thinking": f"{event.model} is thinking …",
        "failed": f"{event.model}: {event.detail}",
    }
    return said[event.kind]


def how_to_ask(model_id: str, base_url: str, max_tokens: int | None, instruction: str) -> str:
    """What to send to get the answer that was chosen; "" where it is asked nowhere but here."""
    if not base_url:
        return ""
    cap = f", max_tokens {max_tokens}" if max_tokens else ""
    words = f', before the query: "{instruction}"' if instruction else ""
    return f"To ask it yourself: {model_id} at {base_url}{cap}{words}"
