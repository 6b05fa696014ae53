"""`r2-router learn`: the answers of one's own ledger move the expectations they are routed by."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint
    from r2_router.config.settings import Settings
    from r2_router.lab.learning.from_ledger import Learned
    from r2_router.ledger import Ledger
    from r2_router.pools.pool import Pool


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "learn",
        help="learn from the answers you got and judged",
        description="Go on from what is expected of the models of a pool: each answer in the ledger tells its length, "
        "each label (`r2-router feedback`) its quality, a preference which of two is better. Where the query's text "
        "was kept (R2_LOG_TEXT=1 while asking), that is learned for queries like it; else of models and lengths on the "
        "whole. What is learned is used from then on wherever no --checkpoint is named; every run starts anew from "
        "what was expected before any use.",
    )
    parser.add_argument("--pool", metavar="NAME", help="the pool: its name or TOML file (default: the configured one)")
    common.add_since_option(parser, "answers from this day on")
    parser.add_argument(
        "--half-life",
        type=common.count_above_zero,
        metavar="DAYS",
        default=90,
        help="days after which an answer counts half (default: 90)",
    )
    judging = parser.add_argument_group("labels from a judge")
    judging.add_argument(
        "--judge",
        metavar="MODEL",
        help="first have this model of the pool judge answers that have no label, and pairs of answers to one query; "
        "yours always count before its own",
    )
    judging.add_argument(
        "--share",
        type=_share,
        metavar="0..1",
        default=0.05,
        help="the share of answers and pairs that it judges, drawn by chance, the same in every run (default: 0.05)",
    )
    judging.add_argument(
        "--max-usd", type=float, metavar="USD", default=1.0, help="most dollars that this run may cost (default: 1)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what a judge would cost and what would change; change nothing"
    )
    parser.add_argument("--log", action="store_true", help="show each time it learned, by itself too, and what changed")
    parser.add_argument("--undo", action="store_true", help="forget what was learned; the ledger stays")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--automatic", action="store_true", help=argparse.SUPPRESS)  # ours: ledger/quiet_learning.py
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.checkpoints.find import checkpoint_and_pool, learned_folder
    from r2_router.checkpoints.learned import log_of
    from r2_router.config.file_locks import locked
    from r2_router.config.settings import load_settings
    from r2_router.ledger import Ledger
    from r2_router.ledger.shared_learning import keep_in_step, take_news

    settings = load_settings(pool=args.pool)
    base, pool = checkpoint_and_pool(replace(settings, checkpoint=""), learned=lambda pool: None)
    folder = learned_folder(pool)
    if args.automatic:
        from r2_router.cli.learn_automatic import learn_when_due

        return learn_when_due(args, base, settings, pool)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Ledger.configured(settings) as ledger:
            if args.log:
                take_news(ledger, pool)
                return _log(args, pool.name, folder)
            with locked(log_of(folder)):
                keep_in_step(ledger, pool)
                run = _undo if args.undo else _run
                code = run(args, base, settings, ledger, pool)
                keep_in_step(ledger, pool)
                return code
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from None


def _run(args: argparse.Namespace, base: Checkpoint, settings: Settings, ledger: Ledger, pool: Pool) -> int:
    """Learn, keep what was learned, and show it."""
    from r2_router.checkpoints.find import learned_folder
    from r2_router.cli.learn_run import learned_now

    if args.judge:
        for line in _judge(args, settings, pool):
            common.note(line)
    learned = learned_now(args, base, ledger, pool, keep=not args.dry_run)
    if args.json:
        changes = [change.to_dict() for change in learned.changes]
        common.print_json(
            {"checkpoint": str(learned_folder(pool)), "changes": changes, "preferences": learned.preferences}
        )
        return 0
    _show(learned)
    _tell_use(args, settings, learned.checkpoint.name)
    return 0


def _share(text: str) -> float:
    """The option's share."""
    with suppress(ValueError):
        if 0 < (share := float(text)) <= 1:
            return share
    raise argparse.ArgumentTypeError(f"a number above 0, at most 1; got '{text}'")


def _judge(args: argparse.Namespace, settings: Settings, pool: Pool) -> list[str]:
    """Have the judge look at what waits, or find out what that would cost; in words."""
    from r2_router.batches.each import MemoryLimit
    from r2_router.generate import run as run_loop
    from r2_router.generate.providers import Providers
    from r2_router.lab.collecting.judging import RunJudge, find_judge
    from r2_router.lab.learning.judged import ahead, judge_answers
    from r2_router.lab.learning.judged_pairs import judge_pairs, pairs_ahead
    from r2_router.ledger.labels import sampled, sampled_pairs
    from r2_router.ledger.money import check_amount
    from r2_router.ledger.recorder import Recorder

    most = check_amount(args.max_usd, "--max-usd")
    providers, recorder = Providers(settings), Recorder(settings, "cli")
    judge = find_judge(pool, args.judge, providers)
    with recorder.ledger as ledger:
        waiting, pairs = sampled(ledger, args.share, args.since), sampled_pairs(ledger, args.share, args.since)
        if args.dry_run:
            return [*ahead(judge, waiting).lines(most), *pairs_ahead(judge, pairs, most)]
        ask = RunJudge(judge, providers.resolve, recorder.guard, MemoryLimit(most))
        labelled = run_loop(judge_answers(ledger, waiting, ask)).lines()
        return [*labelled, *run_loop(judge_pairs(ledger, pairs, ask)).lines()]


def _undo(args: argparse.Namespace, _: Checkpoint, settings: Settings, ledger: Ledger, pool: Pool) -> int:
    from r2_router.checkpoints.find import learned_folder
    from r2_router.checkpoints.learned import forget, note
    from r2_router.cli.learn_run import run_of

    folder = learned_folder(pool)
    known = forget(folder)
    if known:
        note(folder, run_of(ledger, folder, undone=True))
    if args.json:
        common.print_json({"forgotten": known})
    elif known:
        print(f"What was learned for pool '{pool.name}' is forgotten.")
        if after := settings.learn_after:
            common.note(f"After {after:,} more answers or labels it learns again by itself: learn_after = 0 ends that.")
    else:
        print(f"Nothing was learned for '{pool.name}'.")
    return 0


def _log(args: argparse.Namespace, pool: str, folder: Path) -> int:
    """Each run: when, by whom, from what, and what it changed."""
    from r2_router.checkpoints.learned import runs
    from r2_router.cli.learn_run import run_lines

    done = runs(folder)
    if args.json:
        for each in done:
            common.print_json(each.to_dict())
        return 0
    if not done:
        print(f"Nothing was learned for '{pool}'.")
    for each in done:
        print("\n".join(run_lines(each)))
    return 0


def _show(learned: Learned) -> None:
    from r2_router.show.tables import show_table

    for line in learned.outcomes.lines()[1:]:
        common.note(f"note: {line}")
    if learned.preferences:
        common.note(f"Learned from {learned.preferences:,} preferences between two answers too.")
    rows = [
        (
            *(c.model, f"{c.answers:,}", f"{c.labels:,}"),
            *(f"{c.quality_before:.2f}", f"{c.quality:.2f}", f"{c.tokens_before:,.0f}", f"{c.tokens:,.0f}"),
        )
        for c in learned.changes
    ]
    head = ("model", "answers", "labels", "quality before", "now", "tokens before", "now")
    show_table(head, rows, range(1, len(head)))
    for c in learned.changes:
        if c.drifted:
            way = "worse" if (c.surprise or 0) < 0 else "better"
            common.note(
                f"note: the newest answers of {c.model} were judged {way} than expected, beyond chance ("
                f"{c.surprise:+.1f} standard errors): perhaps another model stands behind its name now. A shorter "
                "--half-life forgets the old one sooner."
            )


def _tell_use(args: argparse.Namespace, settings: Settings, name: str) -> None:
    if args.dry_run:
        print("Nothing was changed: --dry-run.")
        return
    named = (
        f" Your settings name checkpoint '{settings.checkpoint}', so it is not: unset it."
        if settings.checkpoint
        else ""
    )
    print(f"Learned, and used from now on.{named} `r2-router learn --undo` forgets it. (checkpoint {name})")
