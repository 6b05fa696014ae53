"""Decisions and answers in words: what the command line and the notebook both show, as plain text."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from r2_router.records import UNLIMITED, Budget

if TYPE_CHECKING:
    from rich.table import Table

    from r2_router.decision import Candidate, Excluded
    from r2_router.explain import Explanation, FrontierPoint
    from r2_router.generate import Answer

_BAR = 10  # characters of a full quality bar

COLUMNS = ("", "model", "budget", "quality", "tokens", "cost", "net value", "risk")
NUMBERS = frozenset({0, 2, 3, 4, 5, 6, 7})  # the columns that stand to the right
QUALITY = 3  # the column that has a bar where there is room for one


# -- values --------------------------------------------------------------------------------------------------


def usd(amount: float | None) -> str:
    """Dollars with the digits that mean something: $0.000218, $1.20, -$0.00001; "-" for None."""
    if amount is None:
        return "-"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size == 0 or size >= 0.995:
        return f"{sign}${size:,.2f}"
    whole, digits = f"{size:.{2 - math.floor(math.log10(size))}f}".split(".")
    return f"{sign}${whole}.{digits.rstrip('0').ljust(2, '0')}"


def bar(quality: float) -> str:
    """A bar of block characters for a quality in 0..1."""
    full = round(quality * _BAR)
    return "█" * full + "░" * (_BAR - full)


def budget_text(budget: Budget) -> str:
    """A budget as a table cell."""
    return UNLIMITED if budget == UNLIMITED else f"{budget:,}"


def asked_for(budget: Budget) -> str:
    """A budget as part of a sentence."""
    return "as long as it likes" if budget == UNLIMITED else f"at most {budget:,} tokens"


def choice(c: Candidate) -> str:
    """Model and budget as part of a sentence."""
    return f"{c.model}, {asked_for(c.budget)}"


def quality_text(c: Candidate) -> str:
    """Expected quality and its standard error."""
    error = "" if c.quality_error is None else f" ±{c.quality_error:.2f}"
    return f"{c.predicted_quality:.2f}{error}"


# -- a ranking -----------------------------------------------------------------------------------------------


def ranking_row(rank: int, c: Candidate) -> tuple[str, ...]:
    """The cells of a candidate under COLUMNS."""
    return (
        str(rank),
        c.model,
        budget_text(c.budget) + ("*" if c.interpolated else ""),
        quality_text(c),
        f"{c.predicted_output_tokens:,.0f}",
        usd(c.predicted_cost_usd),
        usd(c.net_usd),
        f"{c.risk:.8f}",
    )


def rich_ranking(shown: Sequence[Candidate]) -> Table:
    """The ranking as a rich table, the first row standing out; a model named [red] shows as it is."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if i in NUMBERS else "left", no_wrap=i in NUMBERS)
    for rank, c in enumerate(shown, 1):
        cells = [Text(cell) for cell in ranking_row(rank, c)]
        cells[QUALITY] = Text(f"{bar(c.predicted_quality)} {quality_text(c)}")
        table.add_row(*cells, style="bold cyan" if rank == 1 else None)
    return table


def footnotes(shown: Sequence[Candidate]) -> list[str]:
    """What the signs in the rows of `shown` mean."""
    return ["* between two measured budgets, at your limit"] if any(c.interpolated for c in shown) else []


def more(count: int, how: str) -> list[str]:
    """The line under a table that hides `count` rows, and `how` to see them."""
    return [f"… and {count} more ({how})"] if count > 0 else []


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> list[str]:
    """The lines of an aligned table; the columns at the positions `numbers` stand to the right."""
    table = [columns, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    return ["  ".join(_cell(text, widths[i], i in numbers) for i, text in enumerate(row)).rstrip() for row in table]


def _cell(text: str, width: int, number: bool) -> str:
    return text.rjust(width) if number else text.ljust(width)


# -- reasons -------------------------------------------------------------------------------------------------


def reasons(explanation: Explanation) -> list[str]:
    """Sentences that say why the choice is the choice."""
    decision, best = explanation.decision, explanation.decision.best
    worth = decision.worth_usd
    basis = "at λ = 0 only quality counts" if worth is None else f"if a perfect answer is worth {usd(worth)} to you"
    lines = [f"Why: the best trade of quality and cost {basis} (λ = {decision.lambda_val:.6g})."]
    other = explanation.runner_up
    if other is not None:
        gap = "" if explanation.gap_usd is None else f", {usd(explanation.gap_usd)} of value behind"
        lines.append(f"Runner-up: {choice(other)}{gap}.")
    flips = [
        f"{word} {usd(flip.worth_usd)} it would be {choice(flip.candidate)}"
        for word, flip in (("above", explanation.flip_up), ("below", explanation.flip_down))
        if flip is not None and flip.worth_usd > 0
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
    before = f" (before it: {'; '.join(failed)})" if failed else ""
    return (
        f"{answer.model}, {asked_for(answer.budget)}: {answer.completion_tokens:,} tokens{cut}{stopped}, "
        f"{usd(answer.cost_usd)} (expected {usd(answer.predicted_cost_usd)}), {answer.latency_s:.1f} s{before}"
    )
