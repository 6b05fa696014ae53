"""A pool that setup proposes: its table, its place on the frontier, where it is from, what changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2_router.show.plot import Mark, letters, plot
from r2_router.words import counted, listed, price_text, usd

if TYPE_CHECKING:
    from pathlib import Path

    from r2_router.setup.discover import Offer
    from r2_router.setup.pool_file import PoolPlan
    from r2_router.setup.prepare import Setup
    from r2_router.setup.ways import Way

COLUMNS = ("", "model", "of", "rating", "$/M in", "$/M out", "an answer", "ability")
NUMBERS = frozenset({3, 4, 5, 6})
_OTHERS = "·"
_KINDS = {
    "new": "+",
    "price": "$",
    "changed": "~",
    "gone": "-",
    "left": "-",
    "yours": "=",
    "removed": "=",
}


def proposal_rows(ways: Sequence[Way]) -> list[tuple[str, ...]]:
    """The rows under COLUMNS, cheapest first; a price that rests on a guessed speed has a ~."""
    return [
        (
            sign,
            way.model.name,
            way.source.name,
            f"{way.ability.rating:.0f}",
            f"{_guess(way)}{price_text(way.model.input_usd_per_million)}",
            f"{_guess(way)}{price_text(way.model.output_usd_per_million)}",
            f"{_guess(way)}{usd(way.typical_usd)}",
            way.ability.said,
        )
        for sign, way in zip(letters(len(ways)), ways, strict=True)
    ]


def frontier_plot(ways: Sequence[Way], chosen: Sequence[Way]) -> list[str]:
    """The ratings of all `ways` against the cost of a typical answer, the chosen ones by their letters."""
    others = [Mark(way.typical_usd, way.ability.rating, _OTHERS) for way in ways]
    marks = [
        Mark(way.typical_usd, way.ability.rating, sign) for sign, way in zip(letters(len(chosen)), chosen, strict=True)
    ]
    lowest = min((mark.height for mark in marks), default=0.0)
    shown = [mark for mark in others if mark.height >= lowest - 100]  # far below nothing is of interest
    return plot(f"rating ({_OTHERS} others that are offered)", [*shown, *marks], lambda rating: f"{rating:.0f}")


def found_lines(setup: Setup) -> list[str]:
    """What is here, and what each source offers; keys by their names only."""
    return [_found(offer) for offer in setup.offers]


def change_lines(plan: PoolPlan) -> list[str]:
    """What the run does to each model, a line each; nothing where all stays as it is."""
    return [f"{_KINDS[step.kind]} {step.model}" + (f": {step.detail}" if step.detail else "") for step in plan.steps]


def notes(setup: Setup) -> list[str]:
    """What to know of the proposal."""
    unrated = sum(not way.known for way in setup.ways)
    guessed = any(not way.measured for way in setup.chosen)
    said = [
        f"{counted(unrated, 'model')} offered beside them {'is' if unrated == 1 else 'are'} not rated: --models adds "
        "what you want of them."
        if unrated
        else "",
        "~ a guess: the speed of this machine is measured when the pool is written." if guessed else "",
        *left_out(setup),
    ]
    return [f"Ratings of {setup.ratings_date}.", *(line for line in said if line)]


def left_out(setup: Setup) -> list[str]:
    """The models of this machine that are left out, and why."""
    return [f"{name} gave no answer and is left out: {why}." for name, why in setup.failures.items()]


def measuring(model: str) -> str:
    return f"{model}: measuring its speed …"


def written(pool: str, file: Path) -> list[str]:
    """What is in use from now on."""
    from r2_router.setup.pool_file import in_the_way, overlaid

    other, changed = in_the_way(pool), overlaid(pool)
    said = f"but {other} is in force: unset that to route among these models." if other else "the default pool now."
    above = [f"Your models.toml stands above it: it adds or changes {listed(changed)}."] if changed else []
    return [f"Written to {file}, {said}", *above]


def first_answer_failed(why: str) -> str:
    return f"note: the pool stands, but its first answer failed: {why}"


def _found(offer: Offer) -> str:
    source = offer.source
    key = f", {source.api_key_env} ({source.key_place})" if source.api_key_env else ""
    head = f"{source.name} ({source.base_url}{key})"
    if offer.snapshot:
        return (
            f"{head}: its list cannot be had, so {counted(len(offer.listed), 'model')} known on {offer.snapshot} "
            f"stand in. {offer.failure}"
        )
    return f"{head}: {offer.failure or counted(len(offer.listed), 'model')}"


def _guess(way: Way) -> str:
    return "" if way.measured else "~"
