"""`r2-router stats`: what was spent and saved, and whether the predictions came true."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from r2_router.cli.common import Commands, add_since_option, print_json

if TYPE_CHECKING:
    from r2_router.ledger import Calibration, Calibrations, DayStats, Stats

_MOST_BARS = 31  # a month of days
_BAR_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


def register(commands: Commands) -> None:
    parser = commands.add_parser(
        "stats",
        help="what was spent and saved, by model and day, and how good the predictions were",
        description="Sum up the ledger: spend, saving against always asking the strongest model without a limit, what "
        "came from prompt caches, predicted against real quality, length and cost. Days are UTC.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    add_since_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.ledger import Ledger, stats

    summary = stats(Ledger.configured(), args.since)
    if args.json:
        print_json(summary.to_dict())
    else:
        _show(summary)
    return 0


# -- text ----------------------------------------------------------------------------------------------------


def _show(summary: Stats) -> None:
    from r2_router.show.tables import show_table

    print(*_summary_lines(summary), sep="\n")
    if not summary.calls:
        return
    print("", "Spend a day (UTC)", *_bars(summary.days), sep="\n")
    print("", "By model", sep="\n")
    columns = ("model", "calls", "answered", "spent", "saved", "tokens out", "cached", "latency")
    show_table(columns, _model_rows(summary), numbers=range(1, len(columns)))
    if summary.callers:
        from r2_router.words import usd

        print("", "By caller", sep="\n")
        show_table(("caller", "spent"), [(c.caller, usd(c.cost_usd)) for c in summary.callers], numbers=[1])
    print("", "Real over predicted, ± mean absolute error, n = answers that tell", sep="\n")
    columns = ("model", "budget", "answers", "quality", "tokens", "cost")
    show_table(columns, _candidate_rows(summary), numbers=range(1, len(columns)))


def _summary_lines(summary: Stats) -> list[str]:
    from r2_router.show.spending import cached, explored, spending

    when = f"Since {summary.since[:10]}" if summary.since else "In all"
    decided = f" Decisions without a call: {summary.decided:,}." if summary.decided else ""
    if not summary.calls:
        return [f"{when}: no calls in the ledger.{decided}"]
    ends = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(summary.outcomes.items()))
    told = [*spending(summary), *cached(summary.caches), *explored(summary.explored)]
    return [f"{when}: {summary.calls:,} calls ({ends}).{decided}", *told]


def _bars(days: Sequence[DayStats]) -> list[str]:
    """One line a day up to the last with a call, a bar of its spend; days without a call have their line too."""
    from r2_router.words import usd

    known = {date.fromisoformat(day.day): day for day in days}
    last = max(known)
    count = min((last - min(known)).days + 1, _MOST_BARS)
    shown = [last - timedelta(days=back) for back in reversed(range(count))]
    most = max((known[day].cost_usd for day in shown if day in known), default=0.0)
    lines: list[str] = []
    for day in shown:
        cost, calls = (known[day].cost_usd, known[day].calls) if day in known else (0.0, 0)
        lines.append(f"{day}  {_bar(cost, most):<{_BAR_WIDTH}}  {usd(cost):>10}  {calls:>6,} calls")
    return lines


def _bar(part: float, whole: float) -> str:
    """`part` of `whole` as blocks, to an eighth of a character; what is not nothing shows."""
    eighths = max(round(part / whole * _BAR_WIDTH * 8), 1) if part > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _model_rows(summary: Stats) -> list[tuple[str, ...]]:
    from r2_router.words import usd

    return [
        (
            model.model,
            f"{model.calls:,}",
            f"{model.answered:,}",
            usd(model.cost_usd),
            usd(model.saved_usd),
            f"{model.output_tokens:,}",
            f"{model.caches.share:.0%}" if model.caches.cache_read_tokens else "-",
            "-" if model.mean_latency_s is None else f"{model.mean_latency_s:.2f} s",
        )
        for model in summary.models
    ]


def _candidate_rows(summary: Stats) -> list[tuple[str, ...]]:
    rows = [(c.model, str(c.budget), f"{c.answered:,}", *_calibration_cells(c.calibration)) for c in summary.candidates]
    return [*rows, ("all", "", f"{summary.answered:,}", *_calibration_cells(summary.calibration))]


def _calibration_cells(calibration: Calibrations) -> tuple[str, str, str]:
    from r2_router.words import usd

    def cell(known: Calibration | None, error: str) -> str:
        if known is None:
            return "-"
        ratio = "-" if known.ratio is None else f"{known.ratio:.2f}"
        return f"{ratio} ±{error} n={known.count:,}"

    quality, tokens, cost = calibration.quality, calibration.output_tokens, calibration.cost_usd
    return (
        cell(quality, f"{quality.mean_absolute_error:.2f}" if quality else ""),
        cell(tokens, f"{tokens.mean_absolute_error:,.0f}" if tokens else ""),
        cell(cost, usd(cost.mean_absolute_error) if cost else ""),
    )
