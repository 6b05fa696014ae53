"""Decisions on stdout: rich tables on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from r2_router.routing.considered import Candidate, Excluded
from r2_router.routing.decision import Decision
from r2_router.routing.explanation import Explanation, explain, reasons, span_text
from r2_router.routing.rows import NUMBERS, choice, excluded_texts, footnotes, more, ranking_table
from r2_router.show.ranking import rich_ranking
from r2_router.show.tables import console, is_terminal, plain_table
from r2_router.words import quality_text, usd


def show_decision(decision: Decision, *, top: int | None, excluded: bool) -> None:
    """The choice in one line, the ranking as a table, and why."""
    shown = decision.candidates[:top]
    tail = more(len(decision.candidates) - len(shown), "--verbose shows all")
    out = _excluded_lines(decision.excluded) if excluded else []
    _show(choice(decision.best), shown, [*tail, *reasons(explain(decision)), *out])


def show_explanation(explanation: Explanation) -> None:
    """The decision, its reasons, the frontier and what was filtered out."""
    show_decision(explanation.decision, top=5, excluded=False)
    lines = [
        "",
        "Frontier (nothing is both better and cheaper), with the worths at which each is the choice:",
    ]
    for point in explanation.frontier:
        c = point.candidate
        quality = quality_text(c.predicted_quality, c.quality_error)
        lines.append(f"  {quality:<12} {usd(c.predicted_cost_usd):>12}  {c.label}: {span_text(point)}")
    _write([*lines, *_excluded_lines(explanation.excluded)])


def show_ranking(head: str, shown: Sequence[Candidate], lines: Sequence[str]) -> None:
    """A ranking on a terminal: what it comes to, the table, and `lines` under it."""
    screen = console()
    screen.print(head, style="bold")
    screen.print(rich_ranking(shown, screen.width))
    for line in lines:
        screen.print(line, style="dim" if line.startswith(("…", "*")) else None)


def _show(head: str, shown: Sequence[Candidate], lines: Sequence[str]) -> None:
    lines = [*footnotes(shown), *lines]
    if is_terminal():
        show_ranking(head, shown, lines)
        return
    _write([head, *plain_table(*ranking_table(shown), NUMBERS), *lines])


def _excluded_lines(excluded: Sequence[Excluded]) -> list[str]:
    lines = [f"  {text}" for text in excluded_texts(excluded)]
    return ["", "Filtered out:", *lines] if lines else []


def _write(lines: Sequence[str]) -> None:
    sys.stdout.write("\n".join([*lines, ""]))
