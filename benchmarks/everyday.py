"""Forty everyday prompts over five hosted models that nobody measured: who is chosen at each preset, for how long.

The prompts and what a person finds clear about them stand in tests/routing/everyday.toml, where a test holds it. This
writes all choices to docs/everyday.md, to be looked at with one question: would a person find this silly?

python benchmarks/everyday.py
"""

from __future__ import annotations

import sys
import tomllib
from typing import Any

from common import RESULTS, publish

from r2_router import R2Router
from r2_router.pools.pool import load_pool
from r2_router.words import budget_text, usd

ROOT = RESULTS.parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from blocks import table, written  # noqa: E402  (of docs/, the home of pages that a command writes)

PROMPTS = ROOT / "tests" / "routing" / "everyday.toml"
POOL = ROOT / "tests" / "routing" / "data" / "everyday_pool.toml"
PAGE = ROOT / "docs" / "everyday.md"
PRESETS = ("economy", "balanced", "quality")
_SHOWN = 70  # characters of a query


def prompts() -> list[dict[str, Any]]:
    return tomllib.loads(PROMPTS.read_text(encoding="utf-8"))["prompt"]


def choices(router: R2Router) -> list[dict[str, Any]]:
    """Of each prompt: kind, query, what it states, and the choice at each preset."""
    found: list[dict[str, Any]] = []
    for prompt in prompts():
        row: dict[str, Any] = {"kind": prompt["kind"], "query": prompt["query"]}
        for preset in PRESETS:
            decision = router.route_text(prompt["query"], preset=preset)
            row["stated"] = decision.stated_length.said if decision.stated_length else ""
            row[preset] = {
                "model": decision.model,
                "budget": decision.budget,
                "tokens": round(decision.predicted_output_tokens),
                "quality": round(decision.predicted_quality, 3),
                "usd": float(f"{decision.predicted_cost_usd:.3g}"),
            }
        found.append(row)
    return found


def cell(choice: dict[str, Any]) -> str:
    """A choice: model @ budget, expected tokens and quality."""
    length = budget_text(choice["budget"])
    return f"{choice['model']} @ {length}: {choice['tokens']:,} tokens, quality {choice['quality']:.2f}"


def shown(query: str) -> str:
    line = " ".join(query.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN].rstrip()} ..."


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """The text of each named place of the page."""
    rows = [
        (row["kind"], shown(row["query"]), row["stated"] or "-", *(cell(row[preset]) for preset in PRESETS))
        for row in found["choices"]
    ]
    pool = [(name, *map(usd, prices), f"{points:,.0f}") for name, *prices, points in found["pool"]]
    return {
        "everyday-pool": table(("model", "input, a million tokens", "output", "rating"), pool),
        "everyday": table(("kind", "query", "asks for", *PRESETS), rows),
    }


def main() -> None:
    from r2_router.pools.ability import ability_of
    from r2_router.pools.ratings import load_ratings

    pool = load_pool(POOL)
    router = R2Router.from_pretrained("prior", pool=pool)
    ratings = load_ratings()
    about = [
        (m.name, m.input_usd_per_million, m.output_usd_per_million, round(ability_of(m, ratings).rating)) for m in pool
    ]
    found = {"pool": about, "checkpoint": router.checkpoint.name, "choices": choices(router)}
    for row in found["choices"]:
        print(f"{row['kind']}: {shown(row['query'])}" + (f"  [{row['stated']}]" if row["stated"] else ""))
        for preset in PRESETS:
            print(f"    {preset:9} {cell(row[preset])}, {usd(row[preset]['usd'])}")
    publish("everyday", "python benchmarks/everyday.py", found)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), blocks(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
