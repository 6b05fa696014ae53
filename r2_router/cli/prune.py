"""`r2-router ledger prune`: entries that are too old go, and the disk gets their space."""

from __future__ import annotations

import argparse

from r2_router.cli.common import Commands, count_above_zero, print_json
from r2_router.errors import InputError

_HOW_LONG = "Say how many days of entries to keep: --days 90, or set R2_LEDGER_DAYS."


def register(commands: Commands) -> None:
    parser = commands.add_parser("ledger", help="keep the ledger small", description="Look after the ledger's file.")
    own = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    pruning = own.add_parser(
        "prune",
        help="remove old entries",
        description="Remove all entries but those of the last days (UTC, today included), and give the disk their "
        "space. What `r2-router stats` sums up stays. `calibrate` and `train --from-ledger` work on entries, labelled "
        "ones too: what is removed is lost to them. With R2_LEDGER_DAYS set, old entries go by themselves.",
    )
    pruning.add_argument(
        "--days", type=count_above_zero, metavar="N", help="days of entries to keep (default: R2_LEDGER_DAYS)"
    )
    pruning.add_argument("--json", action="store_true", help="one JSON object on stdout")
    pruning.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.config.settings import load_settings
    from r2_router.ledger import Ledger, prune

    days = args.days or load_settings().ledger_days
    if days is None:
        raise InputError(_HOW_LONG)
    pruned = prune(Ledger.configured(), days)
    if args.json:
        print_json(pruned.to_dict())
    else:
        before, after = (f"{size / 1e6:,.1f} MB" for size in (pruned.bytes_before, pruned.bytes_after))
        print(f"Removed {pruned.removed:,} entries from before {pruned.first_kept}: {before} before, {after} now.")
    return 0
