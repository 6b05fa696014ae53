"""`r2-router doctor`: what is configured, what works, what is missing, and how to fix it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from r2_router.cli import common
from r2_router.errors import R2Error
from r2_router.records import Record

if TYPE_CHECKING:
    from r2_router.router import R2Router

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True, slots=True)
class Finding(Record):
    """One line of the report: ok works, note may be wanted, fault must be fixed."""

    part: str
    state: State
    text: str


def register(commands: common.Commands) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what is configured, what works and how to fix the rest",
        description="Check settings, ledger, keys, checkpoint, pool and embedder. Exit code 1 if one is at fault.",
    )
    common.add_router_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    findings = list(examine(args))
    faults = sum(f.state == "fault" for f in findings)
    if args.json:
        common.print_json({"ok": not faults, "findings": [f.to_dict() for f in findings]})
    else:
        width = max(len(f.part) for f in findings)
        for f in findings:
            print(f"{f.state:<6} {f.part:<{width}}  {f.text}")
        print(f"\n{faults or 'no'} fault{'s' * (faults != 1)}")
    return 1 if faults else 0


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Every part in the order a request meets it; a part at fault does not hide the next."""
    for part, look in (
        ("version", _version),
        ("settings", _settings),
        ("ledger", _ledger),
        ("keys", _keys),
        ("servers", _servers),
        ("checkpoint", lambda: _checkpoint(args)),
        ("learning", lambda: _learning(args)),
        ("ratings", _ratings),
        ("pool", lambda: _router(args)),
    ):
        yield from _guarded(part, look)


def _guarded(part: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except R2Error as error:
        yield Finding(part, "fault", str(error))


def _version() -> Iterator[Finding]:
    import platform

    import r2_router

    yield Finding("version", "ok", f"r2-mcp {r2_router.__version__}, Python {platform.python_version()}")


def _settings() -> Iterator[Finding]:
    from r2_router.config.folders import user_data_dir
    from r2_router.config.settings import load_settings, settings_file

    settings = load_settings()
    file = settings_file()
    yield Finding("settings", "ok", f"{file}{'' if file.is_file() else ' (none yet: defaults hold)'}")
    for name, source in settings.sources.items():
        if source not in ("not set", "default"):
            yield Finding("settings", "ok", f"{name} = {settings[name]} from {source}")
    data = user_data_dir()
    nearest = next(folder for folder in (data, *data.parents) if folder.exists())
    if os.access(nearest, os.W_OK):
        yield Finding("data", "ok", str(data))
    else:
        yield Finding("data", "note", f"{data} cannot be written; set R2_HOME to a folder that can")


def _ledger() -> Iterator[Finding]:
    from r2_router.ledger import Ledger, holdings

    ledger = Ledger.configured()
    held, days = holdings(ledger), ledger.keep_days
    kept = f"kept for {days:,} days" if days else "kept for ever (R2_LEDGER_DAYS says how many days)"
    since = f" since {held.first_day}" if held.first_day else ""
    yield Finding(
        "ledger", "ok", f"{ledger.place}: {held.entries:,} entries{since}, {held.bytes / 1e6:,.1f} MB, {kept}"
    )


def _checkpoint(args: argparse.Namespace) -> Iterator[Finding]:
    from r2_router.checkpoints.find import checkpoint_and_pool
    from r2_router.config.settings import load_settings

    c, _ = checkpoint_and_pool(load_settings(checkpoint=args.checkpoint, pool=args.pool))
    shape = f"{len(c.models)} models x {len(c.budgets)} budgets, embedder {c.embedder.id} ({c.embedder.dim}-d)"
    yield Finding("checkpoint", "ok", f"{c.name}: {shape}")
    if c.probe_vectors is None:
        yield Finding(
            "checkpoint",
            "note",
            "records no probes: a wrong embedding server cannot be told from the right one",
        )


def _learning(args: argparse.Namespace) -> Iterator[Finding]:
    """What was learned from use last, and whether that goes on by itself."""
    from r2_router.checkpoints.find import checkpoint_and_pool, learned_folder
    from r2_router.checkpoints.learned import runs
    from r2_router.cli.learn_run import run_lines
    from r2_router.config.settings import load_settings
    from r2_router.ledger.shared_learning import learned_by_all

    settings = load_settings(checkpoint=args.checkpoint, pool=args.pool)
    done = runs(learned_folder(checkpoint_and_pool(settings, learned=learned_by_all(settings))[1]))
    if done:
        state: State = "note" if done[-1].fault else "ok"
        yield Finding("learning", state, f"{run_lines(done[-1])[0]} (`r2-router learn --log`)")
    elif settings.log_text and settings.learn_after and not settings.checkpoint:
        yield Finding("learning", "ok", f"from use, once {settings.learn_after:,} answers or labels are there")


def _router(args: argparse.Namespace) -> Iterator[Finding]:
    from r2_router.router import R2Router

    router = R2Router.from_pretrained(args.checkpoint, pool=args.pool, embed_url=args.embed_url)
    yield from _pool(router)
    yield from _unused(router)
    yield from _guarded("answers", lambda: _answers(router))
    yield from _guarded("embedder", lambda: _embedder(router))


def _ratings() -> Iterator[Finding]:
    from r2_router.pools.ratings import load_ratings

    ratings = load_ratings()
    yield Finding("ratings", "ok", f"of {ratings.date}, {len(ratings.rated):,} models ({ratings.source})")


def _pool(router: R2Router) -> Iterator[Finding]:
    usable = [model for model in router.models if model.available]
    state: State = "ok" if usable else "fault"
    yield Finding("pool", state, f"{router.pool.name}: {len(usable)} of {len(router.models)} models available")
    for model in router.models:
        if not model.available:
            yield Finding("pool", "note", f"{model.name}: {model.unavailable}")


def _answers(router: R2Router) -> Iterator[Finding]:
    """Which models can be asked now; a model that cannot is no fault, routing works without it."""
    for model in router.models:
        if model.available:
            why = router.not_ready(model)
            yield Finding("answers", "note" if why else "ok", f"{model.name}: {why or 'can be asked'}")


def _keys() -> Iterator[Finding]:
    from r2_router.config.settings import keys_file, load_settings
    from r2_router.setup.discover import key_sources

    for source in key_sources(load_settings()):
        yield Finding("keys", "ok", f"{source.api_key_env} is set ({source.key_place}), for {source.name}")
    file = keys_file()
    if file.is_file() and os.name == "posix" and file.stat().st_mode & 0o077:
        yield Finding("keys", "note", f"{file} can be read by others; run: chmod 600 {file}")


def _servers() -> Iterator[Finding]:
    from r2_router.setup.discover import running_sources

    for source in running_sources():
        yield Finding("servers", "ok", f"{source.name} at {source.base_url}")


def _unused(router: R2Router) -> Iterator[Finding]:
    if router.unused:
        yield Finding("setup", "note", router.unused)


def _embedder(router: R2Router) -> Iterator[Finding]:
    start = time.perf_counter()
    embedder = router.embedder
    loaded = time.perf_counter() - start
    away = "" if embedder.local else " (text leaves this machine)"
    yield Finding("embedder", "ok", f"{embedder.id}{away}, ready in {loaded:.2f} s")
    start = time.perf_counter()
    decision = router.route_text("Is everything in order?")
    took = time.perf_counter() - start
    yield Finding("route", "ok", f"a query is routed in {took * 1000:.1f} ms (here: {decision.best.label})")
