"""`r2-router train`: a table of measured answers -> a checkpoint."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2_router.cli import common
from r2_router.cli.training_data import embed, make_card, make_embedder, progress_bar, read_data
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint
    from r2_router.lab.data.table import Table
    from r2_router.pools.pool import Pool


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "train",
        help="learn heads for your own models from measured answers",
        description="Learn a checkpoint from a training table (columns query_id, query, model, budget, quality, "
        "output_tokens; Parquet, CSV or JSONL), as `r2-router collect` writes one. Each query is embedded once and "
        "remembered.",
    )
    parser.add_argument("--data", metavar="F", help="the training table")
    parser.add_argument("--output", metavar="DIR", required=True, help="the checkpoint's new folder")
    parser.add_argument("--pool", metavar="NAME", help="prices: a pool's name or TOML file (default: local)")
    parser.add_argument("--embedder", metavar="E", help="the embedder (default: the embedded one)")
    parser.add_argument("--embed-url", metavar="URL", help="an OpenAI-compatible embedding server")
    parser.add_argument("--name", metavar="NAME", help="the checkpoint's name (default: the folder's)")
    parser.add_argument("--card", metavar="F", help="a TOML or JSON file with fields for the data card")
    parser.add_argument("--note", metavar="TEXT", help="a line for the data card")
    parser.add_argument(
        "--instruction", metavar="TEXT", help="how the answers were told their budget, if not in the table"
    )
    parser.add_argument("--instruction-place", choices=("system", "suffix"), help="where the instruction stood")
    parser.add_argument("--words-per-token", type=float, metavar="R", help="what {words} of the instruction meant")
    parser.add_argument("--cap-extra", type=int, metavar="N", help="answers were cut at budget + N tokens")
    parser.add_argument("--temperature", type=float, metavar="T", help="the temperature of the answers")
    common.add_heads_option(parser, "linear ones: a checkpoint holds one matrix")
    parser.add_argument(
        "--penalty-by",
        choices=("kinds", "queries"),
        default="kinds",
        help="what is left out to choose the penalty: each category whole, where there are five or more, for kinds "
        "not in the table; or single queries, for more of the same (default: kinds)",
    )
    parser.add_argument("--no-evaluate", action="store_true", help="leave out the cross-validation")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--base",
        metavar="CKPT",
        help="start from this checkpoint, or `prior` for what is known of any pool: a few labels never hurt it, "
        "hundreds decide",
    )
    parser.add_argument(
        "--add", metavar="MODEL", help="add this model of the table to --base, whose other heads stay as they are"
    )
    parser.add_argument(
        "--from-ledger", action="store_true", help="learn from labelled answers (see `feedback`), with --data's"
    )
    common.add_since_option(parser, "labels of answers from this day on")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    output = Path(args.output).expanduser()
    common.check_output(output, force=args.force)
    learn = _add if args.add is not None else _train if args.base is None else _go_on
    checkpoint, table = learn(args)
    try:
        checkpoint.save(output)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}. Choose another --output.") from None
    if args.json:
        common.print_json({"checkpoint": str(output), "counts": table.counts(), "metrics": dict(checkpoint.metrics)})
        return 0
    _show(checkpoint, table)
    print(_verdict(args, checkpoint, table))
    print(_next(args, output, judged=args.base is not None))
    return 0


def _train(args: argparse.Namespace) -> tuple[Checkpoint, Table]:
    from functools import partial

    from r2_router.lab.data.dropped import dropped_warning
    from r2_router.lab.data.probes import PROBES
    from r2_router.lab.evaluation.cross_validation import cross_validate
    from r2_router.lab.learning.training import train
    from r2_router.pools.pool import load_pool

    heads = None
    if args.heads:
        from r2_router.lab.learning.regressors import make_regressor

        heads = make_regressor(args.heads)
    pool = load_pool(args.pool or "local")
    table, instruction = read_data(args)
    _check_priced(table, pool, only_say=args.no_evaluate)
    if message := dropped_warning(table):
        common.note(f"warning: {message}")
    card = make_card(args, table)
    embedder, info = make_embedder(None, args.embedder, args.embed_url)
    vectors = embed(embedder, table)
    name = _name(args)
    pool_name = _pool_name(args, pool)
    learn = partial(
        train,
        embedder=info,
        instruction=instruction,
        name=name,
        pool=pool_name,
        heads=heads,
        penalty_by=args.penalty_by,
    )
    checkpoint = learn(table, vectors, probe_texts=PROBES, probe_vectors=embedder.embed(PROBES), data_card=card)
    if args.no_evaluate:
        return checkpoint, table
    metrics: Mapping[str, Any]
    try:
        with progress_bar("cross-validating") as progress:
            metrics = cross_validate(table, vectors, learn, pool, progress=progress)
    except InputError as error:  # the heads are good; only the comparison cannot be had
        metrics = {"verdict": f"Not compared with the simple choices: {error}"}
    card = {**checkpoint.data_card, "verdict": metrics["verdict"]}
    return replace(checkpoint, metrics={**metrics, **checkpoint.metrics}, data_card=card), table


def _add(args: argparse.Namespace) -> tuple[Checkpoint, Table]:
    from r2_router.checkpoints.find import load_checkpoint
    from r2_router.lab.learning.new_model import add_model
    from r2_router.pools.pool import load_pool

    if not (args.add and args.base):
        raise InputError("--add MODEL names what is added; the checkpoint it is added to is missing: --base DIR.")
    if args.heads:
        raise InputError("--heads is for a new checkpoint: a model that is added is learned from the base's heads.")
    base = load_checkpoint(args.base)
    table = read_data(args, base)[0].only(args.add)
    pool = load_pool(args.pool or base.pool or "local")
    _check_priced(table, pool, only_say=True)
    card = make_card(args, table)
    embedder, _ = make_embedder(base, args.embedder, args.embed_url)
    added = add_model(base, table, embed(embedder, table), data_card=card)
    return replace(added, name=_name(args), pool=_pool_name(args, pool) if args.pool else base.pool), table


def _go_on(args: argparse.Namespace) -> tuple[Checkpoint, Table]:
    """The base as it is believed after the table's answers."""
    from r2_router.checkpoints.find import checkpoint_and_pool
    from r2_router.config.settings import load_settings
    from r2_router.lab.learning.from_base import known_of, learn_from

    if args.heads:
        raise InputError("--heads is for a checkpoint from nothing: with --base, answers move the heads of the base.")
    base, pool = checkpoint_and_pool(load_settings(checkpoint=args.base, pool=args.pool))
    table, unknown = known_of(base, read_data(args, base)[0])
    if unknown:
        named = ", ".join(f"{model} @ {budget}" for model, budget in unknown)
        common.note(f"note: left out, for '{base.name}' has no heads for them: {named}")
    _check_priced(table, pool, only_say=True)
    embedder, _ = make_embedder(base, args.embedder, args.embed_url)
    learned = learn_from(base, table, embed(embedder, table), data_card=make_card(args, table))
    return replace(learned, name=_name(args), pool=_pool_name(args, pool)), table


def _verdict(args: argparse.Namespace, checkpoint: Checkpoint, table: Table) -> str:
    if args.add is not None:
        return f"{args.add} is added to '{args.base}'."
    if args.base is None:
        return str(checkpoint.metrics.get("verdict", "Not compared."))
    return f"'{args.base}' as it is believed after {int(table.measured.sum()):,} answers."


def _check_priced(table: Table, pool: Pool, *, only_say: bool) -> None:
    """Say which models of the table the router could not choose, before anything takes time."""
    models = [pool.get(name) for name, _ in table.candidates]
    priced = {m.name for m in models if m and m.priced}
    absent = list(dict.fromkeys(name for name, _ in table.candidates if name not in priced))
    if not absent:
        return
    message = f"Pool '{pool.name}' has no price for {', '.join(absent)}, and what has no price is never chosen."
    if only_say:
        common.note(f"note: {message}")
        return
    raise InputError(f"{message} Add it to the pool (--pool), or train without comparing: --no-evaluate.")


def _name(args: argparse.Namespace) -> str:
    return args.name or Path(args.output).expanduser().resolve().name or "trained"


def _pool_name(args: argparse.Namespace, pool: Pool) -> str:
    """How a later run finds the pool again: by name. A checkpoint goes to others, and says no paths."""
    from r2_router.config.folders import is_pool_file

    return Path(args.pool).stem if args.pool and is_pool_file(args.pool) else pool.name


# -- what is shown ---------------------------------------------------------------------------------------------


def _show(checkpoint: Checkpoint, table: Table) -> None:
    """What was read, and the candidates learned from it."""
    import numpy as np

    from r2_router.show.tables import show_table

    counts = table.counts()
    left = [f"{counts[key]:,} {key.replace('_', ' ')}" for key in ("repeated_rows", "ungraded_rows") if counts[key]]
    missing = sum(cell["queries"] for cell in counts["missing_cells"])
    notes = [*left, *([f"{missing:,} missing cells"] if missing else [])]
    print(f"{counts['rows']:,} rows, {counts['queries']:,} queries{''.join(f', {note}' for note in notes)}.")
    known = {(h["model"], h["budget"]): h for h in checkpoint.metrics.get("heads", ())}
    quality, tokens = np.nanmean(table.quality, axis=0), np.nanmean(table.output_tokens, axis=0)
    rows = [
        (
            *(model, str(budget), f"{int(n):,}", f"{q:.3f}", f"{t:,.0f}"),
            *(_r2(known.get((model, budget), {}).get(key)) for key in ("quality_r2", "tokens_r2")),
        )
        for (model, budget), n, q, t in zip(table.candidates, table.measured.sum(axis=0), quality, tokens, strict=True)
    ]
    show_table(("model", "budget", "queries", "quality", "tokens", "R² quality", "R² tokens"), rows, range(1, 7))


def _r2(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _next(args: argparse.Namespace, output: Path, *, judged: bool) -> str:
    """The command that uses what was made."""
    from r2_router.config.folders import is_pool_file, spelled

    folder = shlex.quote(spelled(output))
    used = f" --pool {shlex.quote(args.pool)}" if args.pool and is_pool_file(args.pool) else ""
    used += f" --embed-url {shlex.quote(args.embed_url)}" if args.embed_url else ""
    pays = ""
    if judged and args.data:
        data = shlex.quote(args.data)
        pays = f"\nDoes it pay? r2-router evaluate --data {data} --checkpoint {folder}{used} --output report"
    return f'Saved. Try it: r2-router route "..." --checkpoint {folder}{used}{pays}'
