"""`r2-router evaluate`: does routing pay, on measured answers?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2_router.cli import common
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint
    from r2_router.lab.data.table import Table
    from r2_router.pools.pool import Pool


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="does routing pay? compare it with the simple choices",
        description="Compare routing with every constant choice, the best mix that does not look at the query, nearest "
        "neighbours, the paper's heads, a router without length choice, chance and the oracle, on a training table. "
        "Writes report.html, report.json and plots.",
    )
    parser.add_argument("--data", metavar="F", required=True, help="the training table")
    parser.add_argument("--output", metavar="DIR", required=True, help="the folder of the report")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--checkpoint", metavar="DIR", help="evaluate this checkpoint")
    which.add_argument("--train-on-folds", action="store_true", help="cross-validate training (the default)")
    parser.add_argument("--pool", metavar="NAME", help="prices: a pool's name or TOML file (default: the checkpoint's)")
    parser.add_argument(
        "--price", metavar="MODEL=IN,OUT", action="append", help="USD per million tokens of a model; may be repeated"
    )
    parser.add_argument("--models", metavar="GLOB", help="only these models of the table (globs, comma-separated)")
    parser.add_argument("--embedder", metavar="E", help="the embedder (default: the checkpoint's, or the embedded one)")
    parser.add_argument("--embed-url", metavar="URL", help="an OpenAI-compatible embedding server")
    parser.add_argument("--ood", action="store_true", help="also leave out each category whole")
    parser.add_argument("--folds", type=common.count_above_zero, default=5, metavar="N", help="default: 5")
    parser.add_argument("--seeds", type=common.count_above_zero, default=5, metavar="N", help="default: 5")
    common.add_heads_option(parser, "any, linear or not")
    parser.add_argument(
        "--jobs",
        type=common.count_above_zero,
        metavar="N",
        help="folds at once (default: one a processor)",
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import hashlib
    from functools import partial

    from r2_router.cli.training_data import embed, make_embedder, progress_bar, tell_form
    from r2_router.lab.data.read import read_table
    from r2_router.lab.evaluation.assessment import evaluate
    from r2_router.lab.evaluation.report import write_report
    from r2_router.lab.learning.regressors import make_regressor, regress
    from r2_router.lab.learning.training import kinds_of, train

    if args.heads and args.checkpoint:
        raise InputError("--heads says how to learn, and --checkpoint is learned already: give one of them.")
    heads = make_regressor(args.heads) if args.heads else None
    if args.folds < 2:
        raise InputError("--folds is at least 2: what is learned from must not be what is judged.")
    checkpoint = _checkpoint(args) if args.checkpoint else None
    table = _chosen(read_table(args.data), args)
    tell_form(table)
    if checkpoint is not None:
        table = _known(table, checkpoint)
    pool = _pool(args, checkpoint, table)
    embedder, info = make_embedder(checkpoint, args.embedder, args.embed_url)
    # What an instruction says decides nothing here; where it cuts does, and tables without one were not cut.
    instruction = table.instruction
    own = partial(train, embedder=info, instruction=instruction, name="evaluated", pool=pool.name)
    learn = checkpoint or (partial(regress, heads=heads, instruction=instruction) if heads else own)
    penalties_differ = learn is own and kinds_of(table) is not None
    with Path(args.data).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    vectors = embed(embedder, table)
    with progress_bar("cross-validating") as progress:
        found = evaluate(
            table,
            vectors,
            pool,
            learn,
            folds=args.folds,
            seeds=args.seeds,
            ood=args.ood,
            sha256=digest,
            heads=args.heads,
            rivals={"by_queries": partial(own, penalty_by="queries")} if penalties_differ else None,
            jobs=args.jobs,
            progress=progress,
        )
    folder = Path(args.output).expanduser()
    left_out = write_report(found.report, folder)
    if args.json:
        common.print_json(found.report)
    else:
        _show(found.report, folder)
    for line in left_out:
        common.note(line)
    return 0


def _chosen(table: Table, args: argparse.Namespace) -> Table:
    from r2_router.pools.model import Model
    from r2_router.routing.candidates import barred_by
    from r2_router.routing.request import limits

    if args.models is None:
        return table
    models = [Model(name, name, None, None) for name in dict.fromkeys(name for name, _ in table.candidates)]
    barred = barred_by(limits(models=args.models), models)
    return table.among([j for j, (name, _) in enumerate(table.candidates) if name not in barred])


def _checkpoint(args: argparse.Namespace) -> Checkpoint:
    from r2_router.checkpoints.find import composed, is_prior, load_checkpoint
    from r2_router.pools.pool import DEFAULT_POOL, load_pool

    if is_prior(args.checkpoint):
        return composed(load_pool(args.pool or DEFAULT_POOL), args.checkpoint)
    return load_checkpoint(args.checkpoint)


def _known(table: Table, checkpoint: Checkpoint) -> Table:
    """The candidates that the checkpoint has heads for."""
    kept = [j for j, candidate in enumerate(table.candidates) if candidate in set(checkpoint.candidates)]
    if left := len(table.candidates) - len(kept):
        common.note(f"note: '{checkpoint.name}' has no heads for {left} (model, budget) of the table; left out")
    return table.among(kept)


def _pool(args: argparse.Namespace, checkpoint: Checkpoint | None, table: Table) -> Pool:
    """The pool with the prices of --price over it."""
    from dataclasses import replace

    from r2_router.pools.model import Model
    from r2_router.pools.pool import DEFAULT_POOL, Pool, load_pool

    pool = load_pool(args.pool or (checkpoint.pool if checkpoint else "") or DEFAULT_POOL)
    models = dict(pool.models)
    for text in args.price or ():
        name, _, pair = text.rpartition("=")
        try:
            price_in, price_out = (float(part) for part in pair.split(","))
        except ValueError:
            price_in = price_out = -1.0
        if not name or not (0 <= price_in < float("inf") and 0 <= price_out < float("inf")):
            raise InputError(f"--price is MODEL=IN,OUT in USD per million tokens; got '{text}'.")
        known = models.get(name) or Model(name, name, None, None)
        models[name] = replace(known, input_usd_per_million=price_in, output_usd_per_million=price_out)
    absent = [m for m in dict.fromkeys(model for model, _ in table.candidates) if m not in models]
    if absent:
        raise InputError(
            f"No price for {', '.join(absent)}: name a pool that has them with --pool, give --price MODEL=IN,OUT, or "
            f"leave them out with --models."
        )
    return Pool(pool.name, models)


def _show(report: dict[str, Any], folder: Path) -> None:
    from r2_router.lab.evaluation import report as tables
    from r2_router.show.tables import show_table

    if report["warning"]:
        print(f"WARNING: {report['warning']}\n")
    for rows in (
        tables.method_rows(report),
        tables.gain_rows(report),
        tables.constant_rows(report["best_constants"], with_worth=True),
        tables.choice_rows(report),
        tables.category_rows(report["gain_by_category"]),
        tables.head_rows(report),
    ):
        if rows[1]:
            show_table(*rows, numbers=range(1, len(rows[0])))
            print()
    if cascade := report["cascade"]:
        for rows in (tables.signal_rows(cascade), tables.cascade_rows(cascade)):
            show_table(*rows, numbers=range(2, len(rows[0])))
            print()
    print(report["verdict"])
    if cascade:
        print(cascade["verdict"])
    if report["ood"]:
        print(f"Categories never seen: {report['ood']['verdict']}")
    print(f"Report: {folder / 'report.html'}")
