"""`r2-router models`: who can answer, at what price; `--refresh` asks the provider."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r2_router.cli.common import Commands, note, pool_in_use, print_json
from r2_router.cli.model_ratings import register_ratings
from r2_router.cli.pull_progress import register_pull
from r2_router.errors import InputError
from r2_router.show.tables import is_terminal, show_table

if TYPE_CHECKING:
    from r2_router.config.settings import Settings
    from r2_router.pools.pool import Pool
    from r2_router.pools.prices import Change, Refresh

NOT_WRITTEN = 3

Row = Sequence[str]


def register(commands: Commands) -> None:
    parser = commands.add_parser(
        "models",
        help="list the models of a pool with price and availability",
        description="List the models of a pool: id, USD per million tokens in and out, availability.",
        epilog=f"With --refresh, exit code {NOT_WRITTEN} says that there are changes and none was written; 1, that a "
        "provider's list could not be read: what the others say is shown, and written, nevertheless.",
    )
    parser.add_argument("--pool", metavar="P", help="a pool's name or TOML file (default: the checkpoint's own)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="ask the providers for prices and availability, show what changed",
    )
    parser.add_argument("--yes", action="store_true", help="with --refresh: write the changes without asking")
    parser.add_argument(
        "--api-base",
        metavar="URL",
        help="with --refresh: ask here, not the models' own provider; no key is sent",
    )
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    register_pull(actions)
    register_ratings(actions)


def run(args: argparse.Namespace) -> int:
    from r2_router.config.settings import load_settings
    from r2_router.generate.providers import Providers

    if not args.refresh and (args.yes or args.api_base):
        raise InputError("--yes and --api-base belong to --refresh.")
    settings = load_settings(pool=args.pool)
    pool = pool_in_use(settings)
    if pool.warning:
        note(f"note: {pool.warning}")
    if args.refresh:
        return _refresh(pool, settings, args)
    providers = Providers(settings)
    if args.json:
        missing = providers.not_ready
        models = [{**m.to_dict(), "available": m.available, "not_ready": missing(m)} for m in pool]
        print_json({"pool": pool.name, "models": models})
    else:
        _show_models(providers.ready(pool))
    return 0


# -- refresh -------------------------------------------------------------------------------------------------


def _refresh(pool: Pool, settings: Settings, args: argparse.Namespace) -> int:
    from r2_router.pools.user_models import write_user_models

    found = _found(pool, settings, args.api_base)
    changes = found.changes
    written = None
    if changes and not args.json:
        show_table(("model", "field", "old", "new"), [_texts(d) for d in _differences(changes)])
    for line in () if args.json else (*found.unknown.values(), *found.failures.values()):
        note(f"note: {line}")
    if changes and (args.yes or (not args.json and _agreed())):
        written = str(write_user_models(changes))
    if args.json:
        message = {"unknown": found.unknown, "failures": found.failures, "written": written}
        print_json({"pool": pool.name, "changes": _differences(changes), **message})
    elif not changes:
        note(f"Pool '{pool.name}': nothing has changed.")
    else:
        note(f"Written to {written}." if written else "Nothing is written. `--yes` writes without asking.")
    if found.failures:
        return 1
    return NOT_WRITTEN if changes and not written else 0


def _found(pool: Pool, settings: Settings, api_base: str | None) -> Refresh:
    """What each provider says differently of its models; local ones have no provider to ask."""
    from r2_router.config.toml_file import url
    from r2_router.pools.key_hosts import key_of
    from r2_router.pools.prices import refresh

    try:
        asked = url(api_base or "")
    except ValueError as fault:
        raise InputError(f"--api-base {fault}.") from None
    served = [model for model in pool if model.base_url]
    if not served:
        raise InputError(f"Pool '{pool.name}' has local models only: there is no provider to ask.")
    if asked:
        return refresh(served, base_url=asked)
    return refresh(served, key_of=lambda model: key_of(model, settings))


def _differences(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """One entry a field: model, field, old, new."""
    return [
        {"model": change.after.name, "field": field, "old": change.before[field], "new": new}
        for change in changes
        for field, new in change.fields().items()
    ]


def _texts(difference: dict[str, Any]) -> Row:
    absent = "available" if difference["field"] == "unavailable" else "-"
    field = "availability" if difference["field"] == "unavailable" else difference["field"]
    old, new = (_text(difference[side]) or absent for side in ("old", "new"))
    return difference["model"], field, old, new


def _agreed() -> bool:
    """Ask the person at the terminal; where there is none, the answer is no."""
    if not (sys.stdin.isatty() and is_terminal(stderr=True)):
        return False
    print("Write these changes to your models.toml? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# -- tables --------------------------------------------------------------------------------------------------


def _show_models(pool: Pool) -> None:
    from r2_router.pools.pool import pool_names

    columns = ("model", "id", "$/M in", "$/M out", "price of", "context", "available")
    rows = [
        (
            model.name,
            model.id or "-",
            _text(model.input_usd_per_million) or "-",
            _text(model.output_usd_per_million) or "-",
            model.prices_date or "-",
            _text(model.context_window) or "-",
            "yes" if model.available else f"no: {model.unavailable}",
        )
        for model in pool
    ]
    show_table(columns, rows, numbers={2, 3, 5})
    others = [name for name in pool_names() if name != pool.name]
    note(f"Pool '{pool.name}'." + (f" Others: {', '.join(others)} (--pool NAME)." if others else ""))


def _text(value: object) -> str:
    """A cell: prices to four digits, counts with separators, "" for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
