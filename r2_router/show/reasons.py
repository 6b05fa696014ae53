"""Why the choice is the choice, what was filtered out, and what an answer took, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.errors import InputError
from r2_router.records import read_budget
from r2_router.show.ranking import choice
from r2_router.words import (
    CLOSING,
    EXPLORED,
    asked_for,
    asks_for_length,
    budget_text,
    held_back,
    leaves,
    read_with,
    stays,
    usd,
)

if TYPE_CHECKING:
    from r2_router.generate import Answer
    from r2_router.routing.decision import Candidate, Excluded
    from r2_router.routing.explanation import Explanation, FrontierPoint


def reasons(explanation: Explanation) -> list[str]:
    """Sentences that say why the choice is the choice."""
    decision, best = explanation.decision, explanation.decision.best
    worth = decision.worth_usd
    basis = "at λ = 0 only quality counts" if worth is None else f"if a perfect answer is worth {usd(worth)} to you"
    source = f"; {decision.trade_off.source}" if decision.trade_off.source else ""
    if decision.explored is None:
        lines = [f"Why: the best trade of quality and cost {basis} (λ = {decision.lambda_val:.6g}{source})."]
    else:
        lines = [EXPLORED]
    if decision.closing:
        lines.append(CLOSING)
    if decision.read_with:
        lines.append(read_with([(turn.text, turn.share) for turn in decision.read_with]))
    if (cache := decision.prompt_cache) is not None:
        numbers = (cache.cached_tokens, cache.input_tokens, cache.cost_usd, cache.other_usd)
        lines.append(stays(*numbers) if cache.stays else leaves(cache.model, *numbers))
    if decision.stated_length is not None:
        lines.append(asks_for_length(decision.stated_length.said))
    if best.doubt:
        lines.append(held_back(best.doubt))
    other = explanation.runner_up
    if other is not None and decision.explored is None:
        gap = "" if explanation.gap_usd is None else f", {usd(explanation.gap_usd)} of value behind"
        lines.append(f"Runner-up: {choice(other)}{gap}.")
    flips = [
        f"{word} {usd(flip.worth_usd)} it would be {choice(flip.candidate)}"
        for word, flip in (("above", explanation.flip_up), ("below", explanation.flip_down))
        if flip is not None and flip.worth_usd > 0 and decision.explored is None
    ]
    if flips:
        lines.append(f"Worth at which the choice flips: {'; '.join(flips)}.")
    base = explanation.baseline
    if base is not None and base.candidate != best:
        quality = f"{abs(base.lost_quality):.2f} {'lower' if base.lost_quality > 0 else 'higher'}"
        lines.append(
            f"Always {base.candidate.model}, unlimited, would cost {usd(base.candidate.predicted_cost_usd)} an answer; "
            f"this costs {usd(best.predicted_cost_usd)}, expected quality {quality}."
        )
    return lines


def span_text(point: FrontierPoint) -> str:
    """The worths at which a point of the frontier is the choice."""
    if point.from_worth_usd is None:
        return "never the choice: a mix of its neighbours is better"
    upper = "and above" if point.to_worth_usd is None else f"to {usd(point.to_worth_usd)}"
    return f"{usd(point.from_worth_usd)} {upper}"


def how_to_ask(model_id: str, base_url: str, max_tokens: int | None, instruction: str) -> str:
    """What to send to get the answer that was chosen; "" where it is asked nowhere but here."""
    if not base_url:
        return ""
    cap = f", max_tokens {max_tokens}" if max_tokens else ""
    words = f', before the query: "{instruction}"' if instruction else ""
    return f"To ask it yourself: {model_id} at {base_url}{cap}{words}"


def why_not(explanation: Explanation, named: str) -> str:
    """Why the candidate `named`, a model or "model @ budget", is not the choice: of a model its best-ranked one.

    Raises InputError where it names no candidate.
    """
    model, _, length = (part.strip() for part in named.rpartition("@")) if "@" in named else (named.strip(), "", "")
    budget, decision = read_budget(length) if length else None, explanation.decision
    for rank, c in enumerate(decision.candidates, 1):
        if _is(c, model) and budget in (None, c.budget):
            return _against(explanation, rank, c)
    found = [e for e in explanation.excluded if _is(e.candidate, model) and budget in (None, e.candidate.budget)]
    if not found:
        known = dict.fromkeys(c.model for c in (*decision.candidates, *(e.candidate for e in explanation.excluded)))
        raise InputError(f"'{named[:80]}' is none of the candidates. Models: {', '.join(known)}.")
    return f"Filtered out: {excluded_texts(found)[0]}."


def _is(candidate: Candidate, model: str) -> bool:
    return model.lower() in (candidate.model.lower(), candidate.model_id.lower())


def _against(explanation: Explanation, rank: int, other: Candidate) -> str:
    best = explanation.decision.best
    if rank == 1:
        return f"{choice(other)} is the choice."
    behind = "" if best.net_usd is None or other.net_usd is None else f": {usd(best.net_usd - other.net_usd)} behind"
    return (
        f"{choice(other)} ranks {rank} of {len(explanation.decision.candidates)}{behind}. Expected quality "
        f"{other.predicted_quality:.2f} for {usd(other.predicted_cost_usd)}; that of the choice "
        f"{best.predicted_quality:.2f} for {usd(best.predicted_cost_usd)}."
    )


def excluded_texts(excluded: Sequence[Excluded]) -> list[str]:
    """One line for each (model, reasons) that was filtered out."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for e in excluded:
        grouped.setdefault((e.candidate.model, e.reasons), []).append(budget_text(e.candidate.budget))
    return [f"{model} @ {', '.join(budgets)}: {'; '.join(why)}" for (model, why), budgets in grouped.items()]


# -- an answer -----------------------------------------------------------------------------------------------


def answer_facts(answer: Answer) -> str:
    """Who answered, how long, at what cost, in what time, and whether the text is whole."""
    cut = ", cut at its budget" if answer.finish_reason == "length" else ""
    stopped = f", broken off: {answer.error}" if answer.partial else ""
    failed = [f"{a.model}: {a.reason}" for a in answer.attempts if a.reason and a is not answer.attempts[-1]]
    kept = f", {answer.cache_read_tokens:,} of {answer.prompt_tokens:,} prompt tokens cached"
    cached = kept if answer.cache_read_tokens else ""
    names = ", ".join(str(call["function"]["name"]) for call in answer.tool_calls)
    calls = f", calls {names}" if names else ""
    before = f" (before it: {'; '.join(failed)})" if failed else ""
    return (
        f"{answer.model}, {asked_for(answer.budget)}: {answer.completion_tokens:,} tokens{cut}{stopped}{calls}{cached}"
        f", {usd(answer.cost_usd)} (expected {usd(answer.predicted_cost_usd)}), {answer.latency_s:.1f} s{before}"
    )
