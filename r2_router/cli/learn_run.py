"""One run of `r2-router learn`, by the user or by itself: what it learns, keeps and says of itself."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r2_router.words import counted, listed

if TYPE_CHECKING:
    from pathlib import Path

    from r2_router.checkpoints.format import Checkpoint
    from r2_router.checkpoints.learned import Run
    from r2_router.lab.learning.from_ledger import Learned
    from r2_router.ledger import Ledger
    from r2_router.pools.pool import Pool


def learned_now(
    args: argparse.Namespace,
    base: Checkpoint,
    ledger: Ledger,
    pool: Pool,
    *,
    keep: bool,
    automatic: bool = False,
) -> Learned:
    """What the ledger teaches, as the checkpoint of `pool`'s use; written and noted, to be used, if it is to `keep`."""
    from r2_router.checkpoints.find import learned_folder
    from r2_router.checkpoints.learned import note

    folder = learned_folder(pool)
    learned = _learn(args, base, ledger, pool)
    learned = replace(learned, checkpoint=replace(learned.checkpoint, name=folder.name, pool=pool.name))
    if keep:
        learned.checkpoint.save(folder)
        changes = [change.to_dict() for change in learned.changes]
        note(folder, run_of(ledger, folder, changes=changes, automatic=automatic))
    return learned


def _learn(args: argparse.Namespace, base: Checkpoint, ledger: Ledger, pool: Pool) -> Learned:
    from r2_router.checkpoints.find import learned_on
    from r2_router.cli.training_data import embed, instructions, make_embedder, other_words
    from r2_router.lab.data.outcomes import checkpoints_of
    from r2_router.lab.learning.from_ledger import learn

    embedder, _ = make_embedder(base)
    words = other_words(instructions(checkpoints_of(ledger, args.since)), base.instruction)
    return learn(
        ledger,
        base,
        lambda table: embed(embedder, table),
        in_use=learned_on(pool),
        since=args.since,
        half_life_days=args.half_life,
        other_words=words,
    )


def run_of(ledger: Ledger, folder: Path, **said: Any) -> Run:
    """This run, as it is noted, with what the ledger holds by now."""
    from r2_router.checkpoints.learned import Run, runs
    from r2_router.ledger.quiet_learning import held
    from r2_router.ledger.store import iso

    done = runs(folder)
    found = held(ledger, done[-1] if done else None)
    counts = {"answers": found.answers, "labels": found.labels, "preferences": found.preferences}
    return Run(time=iso(ledger.now()), **counts, **said)


def run_lines(run: Run) -> list[str]:
    """A run in words, a line a model that it changed."""
    head = f"{run.time[:16].replace('T', ' ')} UTC, {'by itself' if run.automatic else 'by you'}: "
    if run.fault:
        return [head + f"failed: {run.fault}"]
    if run.undone:
        return [head + "forgotten"]
    held = (counted(run.answers, "answer"), counted(run.labels, "label"), counted(run.preferences, "preference"))
    lines = [f"{head}{listed(held)} in the ledger"]
    for c in run.changes:
        quality = f"quality {c['quality_before']:.2f} -> {c['quality']:.2f}"
        tokens = f"tokens {c['tokens_before']:,.0f} -> {c['tokens']:,.0f}"
        lines.append(
            f"  {c['model']}: {quality}, {tokens} ({counted(c['answers'], 'answer')}, {counted(c['labels'], 'label')})"
        )
    return lines
