"""Decisions as text: rich tables on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.routing.decision import Candidate, Decision, Excluded
from r2_router.routing.explanation import Explanation, explain
from r2_router.show.ranking import COLUMNS, NUMBERS, choice, footnotes, more, ranking_row, rich_ranking
from r2_router.show.reasons import excluded_texts, reasons, span_text
from r2_router.show.tables import console, is_terminal, plain_table
from r2_router.words import quality_text, usd

if TYPE_CHECKING:
    from r2_router.router import R2Router


def show_decision(router: R2Router, decision: Decision, *, top: int | None, excluded: bool) -> None:
    """The choice in one line, the ranking as a table, and why."""
    best = decision.best
    shown = decision.candidates[:top]
    head = choice(best)
    why = reasons(explain(decision, router.checkpoint.strongest))
    tail = more(len(decision.candidates) - len(shown), "--verbose shows all")
    out = _excluded_lines(decision.excluded) if excluded else []
    if is_terminal():
        _rich_ranking(head, shown, [*tail, *why, *out])
    else:
        print("\n".join([head, *_plain_ranking(shown), *tail, *why, *out]))


def show_explanation(router: R2Router, explanation: Explanation) -> None:
    """The decision, its reasons, the frontier and what was filtered out."""
    show_decision(router, explanation.decision, top=5, excluded=False)
    lines = [
        "",
        "Frontier (nothing is both better and cheaper), with the worths at which each is the choice:",
    ]
    for point in explanation.frontier:
        c = point.candidate
        quality = quality_text(c.predicted_quality, c.quality_error)
        lines.append(f"  {quality:<12} {usd(c.predicted_cost_usd):>12}  {c.label}: {span_text(point)}")
    print("\n".join([*lines, *_excluded_lines(explanation.excluded)]))


def _excluded_lines(excluded: Sequence[Excluded]) -> list[str]:
    lines = [f"  {text}" for text in excluded_texts(excluded)]
    return ["", "Filtered out:", *lines] if lines else []


def _plain_ranking(shown: Sequence[Candidate]) -> list[str]:
    rows = [ranking_row(rank, c) for rank, c in enumerate(shown, 1)]
    return [*plain_table(COLUMNS, rows, NUMBERS), *footnotes(shown)]


def _rich_ranking(head: str, shown: Sequence[Candidate], lines: Sequence[str]) -> None:
    screen = console()
    screen.print(head, style="bold")
    screen.print(rich_ranking(shown))
    for line in [*footnotes(shown), *lines]:
        screen.print(line, style="dim" if line.startswith(("…", "*")) else None)
