"""`r2-router collect`: ask every model every query under every budget; a training table comes out."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from r2_router.cli import common
from r2_router.errors import InputError

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Instruction
    from r2_router.lab.collecting.plan import Estimate, Pace, Plan
    from r2_router.lab.collecting.session import Report
    from r2_router.pools.model import Model
    from r2_router.pools.pool import Pool


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "collect",
        help="measure models: ask each every query under every budget",
        description="Ask every model every query under every budget, grade the answers, and write a training table. "
        "Each finished call is kept at once: run the same command again to go on after a stop of any kind. "
        "Or read answers that exist already (--from).",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="the folder of the collection")
    parser.add_argument(
        "--queries", metavar="F", help="Parquet, CSV or JSONL: query, and perhaps query_id, answer, ..."
    )
    parser.add_argument("--pool", metavar="NAME", help="a pool's name or TOML file (default: the checkpoint's own)")
    parser.add_argument("--models", metavar="GLOB", help="only these models (name globs, comma-separated)")
    parser.add_argument("--exclude", metavar="GLOB", help="not these models (name globs, comma-separated)")
    parser.add_argument("--budgets", metavar="N,N", help="tokens, and unlimited: 10,30,80,200,unlimited")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N queries")
    parser.add_argument("--dry-run", action="store_true", help="estimate calls, tokens, dollars and hours; ask nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout at the end")

    asking = parser.add_argument_group("how models are asked")
    asking.add_argument("--checkpoint", metavar="DIR", help="take instruction and cap from this checkpoint")
    asking.add_argument("--instruction", metavar="TEXT", help="the sentence instead; may hold {budget} and {words}")
    asking.add_argument("--temperature", type=float, metavar="T", help="default: the checkpoint's")
    asking.add_argument("--max-output", type=int, metavar="N", help="tokens at which unlimited answers are cut")
    asking.add_argument("--concurrency", action="append", metavar="N", help="calls at once a model, or GLOB=N (4)")
    asking.add_argument("--rpm", action="append", metavar="N", help="requests a minute a model, or GLOB=N")
    asking.add_argument("--tpm", action="append", metavar="N", help="tokens a minute a model, or GLOB=N")
    asking.add_argument("--max-usd", type=float, metavar="USD", help="most dollars the whole collection may cost")

    grading = parser.add_argument_group("how answers are graded")
    grading.add_argument(
        "--grader",
        metavar="G",
        help="choice, number, exact, regex, contains, instructions, code, judge, none, a plugin's name, or your "
        "function: module:name or file.py:name (default: the queries' answer_type)",
    )
    grading.add_argument("--judge", metavar="MODEL", help="the model of the pool that judges")
    grading.add_argument(
        "--judge-labels", metavar="F", help="answers judged by people; how far the judge agrees is shown"
    )
    grading.add_argument(
        "--unparsable",
        choices=("cut", "drop", "0"),
        default="cut",
        help="answers in which no final answer can be found count as wrong if they were cut (the default), never "
        "(drop), or always (0); else they are left out of the table",
    )

    reading = parser.add_argument_group("answers that exist already")
    reading.add_argument("--from", dest="source", metavar="LOG", help="a log (JSONL, JSON or CSV), or r2-bench")
    reading.add_argument("--requests", metavar="F", help="of a batch's output: the batch's input file")
    reading.add_argument("--rows", type=int, metavar="N", help="of r2-bench: queries read")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    _check_extra()
    if args.source:
        from r2_router.cli.collect_from import run_from

        return run_from(args)
    if not args.queries or not args.budgets:
        raise InputError("Give --queries and --budgets, or --from LOG to read answers that exist.")
    from r2_router.generate import run as run_loop
    from r2_router.lab.collecting.plan import estimate
    from r2_router.lab.collecting.session import Collection

    plan, pool = make_plan(args)
    collection = Collection(
        plan,
        Path(args.output).expanduser(),
        pool=pool,
        grader=args.grader,
        judge=args.judge,
        labels=args.judge_labels,
        unparsable=args.unparsable,
        paces=_paces(args, plan),
        max_usd=args.max_usd,
    )
    with collection:
        ahead = estimate(plan, collection.store.answered(), collection.seen(), collection.paces)
        if args.dry_run:
            return _show_estimate(ahead, args)
        collection.check_ready()
        from r2_router.cli.collect_progress import progress

        try:
            with progress(collection, ahead) as watch:
                report = run_loop(collection.run(watch))
        except KeyboardInterrupt:
            common.note("Stopped. Every finished call is kept: the same command goes on from here.")
            raise
    return _show_report(report, args)


def _check_extra() -> None:
    """Raise InputError where the libraries of the extra are missing: before anything is paid, not after."""
    missing = [name for name in ("pyarrow", "aiolimiter", "regex") if find_spec(name) is None]
    if missing:
        raise InputError(f"Collecting needs {', '.join(missing)}: `pip install 'r2-mcp[lab]'`.")


def make_plan(args: argparse.Namespace) -> tuple[Plan, Pool]:
    """What is asked, by the options; and the pool."""
    from r2_router.checkpoints.find import checkpoint_and_pool
    from r2_router.config.settings import load_settings
    from r2_router.lab.collecting.plan import MAX_OUTPUT, Plan, parse_budgets
    from r2_router.lab.data.questions import read_questions

    checkpoint, pool = checkpoint_and_pool(load_settings(checkpoint=args.checkpoint, pool=args.pool))
    if pool.warning:
        common.note(f"note: {pool.warning}")
    questions = read_questions(args.queries)
    if args.limit is not None:
        questions = questions[: max(args.limit, 0)]
    return (
        Plan(
            questions,
            _chosen(pool, args),
            parse_budgets(args.budgets),
            _instruction(checkpoint.instruction, args),
            MAX_OUTPUT if args.max_output is None else args.max_output,
        ),
        pool,
    )


def _chosen(pool: Pool, args: argparse.Namespace) -> list[Model]:
    """The models the options name; all that are available by default."""
    from r2_router.routing.candidates import barred_by
    from r2_router.routing.request import limits

    barred = barred_by(limits(models=args.models, exclude=args.exclude), tuple(pool))
    chosen = [model for model in pool if model.name not in barred]
    if args.models is None:
        chosen = [model for model in chosen if model.available]
    if not chosen:
        raise InputError(f"No model of pool '{pool.name}' is left to ask. It has: {', '.join(m.name for m in pool)}.")
    return chosen


def _instruction(known: Instruction, args: argparse.Namespace) -> Instruction:
    from dataclasses import replace

    changes = {"text": args.instruction, "temperature": args.temperature}
    return replace(known, **{name: value for name, value in changes.items() if value is not None})


def _paces(args: argparse.Namespace, plan: Plan) -> dict[str, Pace]:
    from r2_router.lab.collecting.plan import Pace, parse_rates, rate_of

    at_once = parse_rates(args.concurrency or [], "--concurrency")
    rpm, tpm = parse_rates(args.rpm or [], "--rpm"), parse_rates(args.tpm or [], "--tpm")
    return {
        m.name: Pace(
            max(1, int(rate_of(m.name, at_once) or Pace().concurrency)), rate_of(m.name, rpm), rate_of(m.name, tpm)
        )
        for m in plan.models
    }


def _show_estimate(ahead: Estimate, args: argparse.Namespace) -> int:
    from r2_router.show.tables import show_table
    from r2_router.words import usd

    if args.json:
        common.print_json(ahead.to_dict())
        return 0
    columns = ("model", "calls", "done", "tokens in", "tokens out", "expected", "at most", "hours")
    rows = [
        (
            *(m.model, f"{m.calls:,}", f"{m.done:,}", f"{m.input_tokens:,}", f"{m.output_tokens:,}"),
            *(usd(m.expected_usd), usd(m.most_usd), f"{m.hours:.2f}"),
        )
        for m in ahead.models
    ]
    show_table(columns, rows, numbers=range(1, len(columns)))
    print(
        f"{ahead.calls:,} calls, about {usd(ahead.expected_usd)} (at most {usd(ahead.most_usd)}), "
        f"{ahead.hours:.2f} hours."
    )
    if ahead.guessed:
        print(f"No answer seen yet of {', '.join(ahead.guessed)}: length and speed are guesses. Try --limit 5 first.")
    return 0


def _show_report(report: Report, args: argparse.Namespace) -> int:
    if args.json:
        common.print_json(report.to_dict())
    else:
        print("\n".join(report.lines()))
    return 0 if report.complete else 1
