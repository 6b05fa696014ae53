"""`r2-router models ratings`: what each model of a pool can do, and newer ratings."""

from __future__ import annotations

import argparse

from r2_router.cli.common import Commands, note, pool_in_use, print_json


def register_ratings(subcommands: Commands) -> None:
    """Add `ratings` to the subcommands of `models`."""
    parser = subcommands.add_parser(
        "ratings",
        help="what each model can do, by public ratings",
        description="Show what each model of a pool can do, in points of the public ratings, and where that is from: "
        "stated in the pool, rated by people, or guessed from price and size.",
    )
    parser.add_argument("--pool", metavar="P", default=argparse.SUPPRESS, help="a pool's name or TOML file")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object on stdout")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FILE|URL",
        help="first take over the ratings in this CSV, as the dataset has them, if they are not older",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from r2_router.config.settings import load_settings
    from r2_router.pools.ability import abilities
    from r2_router.pools.ratings import load_ratings
    from r2_router.pools.ratings_refresh import refresh_ratings
    from r2_router.show.tables import show_table

    if args.source:
        ratings, file = refresh_ratings(args.source)
        note(f"{len(ratings.rated):,} models are rated, as of {ratings.date}. Written to {file}.")
    ratings = load_ratings()
    pool = pool_in_use(load_settings(pool=args.pool))
    found = abilities(pool, ratings)
    if args.json:
        about = {"date": ratings.date, "source": ratings.source, "models": len(ratings.rated)}
        print_json({"pool": pool.name, "ratings": about, "abilities": {n: a.to_dict() for n, a in found.items()}})
        return 0
    rows = [(name, f"{ability.rating:.0f}", f"{ability.error:.0f}", ability.said) for name, ability in found.items()]
    show_table(("model", "rating", "±", "from"), rows, numbers={1, 2})
    note(f"Ratings of {ratings.date}: {ratings.source}.")
    return 0
