"""`r2-router calibrate`: do the predictions come true?"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from r2_router.cli import common

if TYPE_CHECKING:
    from r2_router.ledger.calibration import Calibrated, Comparison, Group, QualityComparison, Quantity

Format = Callable[[float], str]


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="compare predictions with what the answers turned out to be",
        description="Compare predicted quality, output tokens and cost with the ledger's real outcomes, and say what "
        "is off. Quality needs labels: `r2-router feedback`. Days are UTC.",
    )
    common.add_since_option(parser, "answers from this day on")
    parser.add_argument("--checkpoint", metavar="NAME", help="only what this checkpoint predicted (a name or folder)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.ledger import Ledger
    from r2_router.ledger.calibration import calibrate

    found = calibrate(Ledger.configured(), args.since, _name(args.checkpoint))
    if args.json:
        common.print_json(found.to_dict())
    else:
        _show(found)
    return 0


def _name(checkpoint: str | None) -> str:
    """The name under which the ledger knows the checkpoint."""
    if checkpoint is None or not Path(checkpoint).expanduser().is_dir():
        return checkpoint or ""
    from r2_router.checkpoints.find import load_checkpoint

    return load_checkpoint(checkpoint).name


# -- text ----------------------------------------------------------------------------------------------------


def _show(found: Calibrated) -> None:
    whose = f" of checkpoint '{found.checkpoint}'" if found.checkpoint else ""
    when = f" since {found.since[:10]}" if found.since else ""
    if not found.answered:
        print(f'No whole answer{whose}{when} in the ledger. `r2-router ask "..."` gets one.')
        return
    print(f"{found.answered:,} whole answers{whose}{when}, {found.labelled:,} of them with a label.")
    _show_quantity(found, "Quality", "quality", "{:.2f}".format)
    if found.overall.quality is not None:
        _show_reliability(found.overall.quality)
    _show_quantity(found, "Output tokens", "output_tokens", "{:,.0f}".format)
    from r2_router.words import usd

    _show_quantity(found, "Cost of an answer", "cost_usd", lambda value: f"{'-' * (value < 0)}{usd(abs(value))}")
    print("", *_advice(found), sep="\n")


def _show_quantity(found: Calibrated, title: str, quantity: Quantity, shown: Format) -> None:
    from r2_router.show.tables import show_table

    rows = [_row(group, getattr(group, quantity), shown) for group in (*found.candidates, found.overall)]
    known = [row for row in rows if row]
    if known:
        print("", title, sep="\n")
        columns = ("model", "budget", "n", "predicted", "real", "ratio", "mean error", "bias, 95 % interval", "r")
        show_table(columns, known, numbers=range(1, len(columns)))


def _row(group: Group, known: Comparison | None, shown: Format) -> Sequence[str]:
    if known is None:
        return ()
    interval = known.bias_interval_95
    return (
        group.model or "all",
        "" if group.budget is None else str(group.budget),
        f"{known.count:,}",
        shown(known.predicted_mean),
        shown(known.real_mean),
        "-" if known.ratio is None else f"{known.ratio:.2f}",
        shown(known.mean_absolute_error),
        "-" if interval is None else f"{shown(interval[0])} to {shown(interval[1])}",
        "-" if known.correlation is None else f"{known.correlation:.2f}",
    )


def _show_reliability(quality: QualityComparison) -> None:
    from r2_router.show.tables import show_table

    print("", "Reliability of quality, from the lowest predictions to the highest", sep="\n")
    rows = [(f"{b.count:,}", f"{b.predicted:.2f}", f"{b.real:.2f}") for b in quality.bins]
    show_table(("answers", "predicted", "real"), rows, numbers=range(3))
    if quality.brier is not None and quality.brier_of_mean is not None:
        print(f"Brier score {quality.brier:.3f}; always saying the mean would score {quality.brier_of_mean:.3f}.")


def _advice(found: Calibrated) -> list[str]:
    """What is off, and what to do about it."""
    lines = list(found.findings)
    if not lines:
        lines.append("Nothing is shown to be off.")
    starts = {line.split()[0] for line in found.findings}
    if starts & {"Quality", "Tokens"}:
        lines.append("`r2-router train --from-ledger --data F` learns from the labels beside the table F.")
    if "Cost" in starts:
        lines.append("Where tokens are right and cost is not, look at the pool's prices: `r2-router models`.")
    if found.labelled:
        lines.append("Labels are of the answers somebody chose to judge: those may not be like the others.")
    else:
        lines.append(
            "No answer has a label, so quality cannot be compared. `r2-router feedback --list` shows the last answers, "
            "`r2-router feedback ID good|bad` labels one."
        )
    return lines
