"""The pool that is proposed: a few models on the frontier of ability against the price of a typical answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from r2_router.errors import InputError
from r2_router.pools.ability import typical_quality
from r2_router.routing.globs import glob_matches
from r2_router.setup.ways import Way

FEWEST, MOST = 3, 8

# How far apart two models must be for a choice between them to be one: so many points, or so many times the price.
_POINTS = 30.0
_TIMES = 2.0
_SURE_POINTS = 10.0  # by which one way of asking is better at something than the other
_HALF = 0.5  # of the strongest one's quality: what answers worse is no answer at any price
_LEAST_USD = 1e-7  # of a typical answer: below it, prices are all the same


def propose(ways: Sequence[Way]) -> list[Way]:
    """Three to eight of `ways`, cheapest first; fewer only where there are no more.

    The strongest of known ability; of the frontier, on which nothing is both better and cheaper, the cheapest, and then
    each time the one that lies farthest from those taken, until none is left that lies far enough away. Where the
    frontier has too few, those nearest below it are added. The other way of asking a model that is among them, thinking
    or not, is added where there is room. What is expected to answer less than half as well as the strongest is left
    out, and so is what a provider offers of unknown ability, unless there are too few others. Where this machine serves
    models and none of them is among these, its strongest is added: it is there to be used.
    """
    if not ways:
        return []
    distinct = _distinct(ways)
    best = max(distinct, key=lambda way: (way.known, way.sure_rating, -way.typical_usd))
    least = _HALF * typical_quality(best.sure_rating)
    usable = [way for way in distinct if typical_quality(way.sure_rating) >= least]
    known = [way for way in usable if way.known]
    usable = known if len(known) >= FEWEST else usable
    front = frontier(usable)
    taken = [best]
    _take_far(taken, front, MOST, 1.0)
    if len(taken) < FEWEST:
        _take_far(taken, front, FEWEST, 0.0)
    if len(taken) < FEWEST:
        below = sorted((way for way in usable if way not in taken), key=lambda way: _below(way, front))
        taken += below[: FEWEST - len(taken)]
    taken += [way for way in usable if way not in taken and _is_twin(way, taken)][: MOST - len(taken)]
    own = [way for way in distinct if way.source.own]
    if own and not any(way.source.own for way in taken):
        taken = [*taken[: MOST - 1], max(own, key=lambda way: way.sure_rating)]
    return sorted(taken, key=lambda way: (way.typical_usd, way.sure_rating))


def frontier(ways: Iterable[Way]) -> list[Way]:
    """The ways that nothing is both better and cheaper than, cheapest first."""
    front: list[Way] = []
    for way in sorted(ways, key=lambda way: (way.typical_usd, -way.sure_rating)):
        if not front or way.sure_rating > front[-1].sure_rating:
            front.append(way)
    return front


def pick(ways: Sequence[Way], wanted: str) -> list[Way]:
    """The ways that a list of names, ids or globs names, cheapest first. Raises InputError for one that names none."""
    taken: dict[str, Way] = {}
    for glob in (part.strip() for part in wanted.split(",") if part.strip()):
        found = [way for way in ways if glob_matches(way.model.name, glob) or glob_matches(way.model.id, glob)]
        if not found:
            raise InputError(_no_such(glob, ways))
        taken |= {way.model.name: way for way in found}
    if not taken:
        raise InputError("--models names no model: give names, ids or globs, comma-separated.")
    return sorted(taken.values(), key=lambda way: (way.typical_usd, way.sure_rating))


def _take_far(taken: list[Way], front: Sequence[Way], most: int, least: float) -> None:
    """Add to `taken` what lies farthest from it, and farther than `least`, until there are `most`; the cheapest first
    of all."""
    order = [front[0]] if front[0] not in taken else []
    while len(taken) < most:
        left = [way for way in front if way not in taken]
        if not left:
            return
        next_one = order.pop() if order else max(left, key=lambda way: _apart(way, taken))
        if _apart(next_one, taken) <= least:
            return
        taken.append(next_one)


def _apart(way: Way, others: Sequence[Way]) -> float:
    """How far `way` is from the nearest of `others`: 1 where a choice between them begins to be one."""
    return min(abs(_rank(way) - _rank(other)) + abs(_level(way) - _level(other)) for other in others)


def _is_twin(way: Way, others: Sequence[Way]) -> bool:
    """Whether one of `others` is the same model asked in another way, and `way` is cheaper or better at something."""
    return any(
        (way.model.id, way.source) == (other.model.id, other.source)
        and (way.typical_usd < other.typical_usd or _better_at(way, other))
        for other in others
    )


def _better_at(way: Way, other: Way) -> bool:
    """Whether `way` is rated higher in some category, by more than a rating may be off."""
    known = other.ability.by_category
    return any(points > known[c] + _SURE_POINTS for c, points in way.ability.by_category.items() if c in known)


def _below(way: Way, front: Sequence[Way]) -> tuple[bool, float]:
    """Whether its ability is a guess, and how many points it lacks to the best that costs no more."""
    no_dearer = (other.sure_rating for other in front if other.typical_usd <= way.typical_usd)
    return not way.known, max(no_dearer, default=0.0) - way.sure_rating


def _rank(way: Way) -> float:
    return way.sure_rating / _POINTS


def _level(way: Way) -> float:
    return math.log(max(way.typical_usd, _LEAST_USD)) / math.log(_TIMES) / 2


def _distinct(ways: Sequence[Way]) -> list[Way]:
    """One way of each model that several offers hold: the cheapest, as they are given."""
    seen: dict[tuple[object, ...], Way] = {}
    for way in ways:
        key = (way.ability.said, way.thinks) if way.ability.source == "rated" else (way.model.name,)
        seen.setdefault(key, way)
    return list(seen.values())


def _no_such(glob: str, ways: Sequence[Way]) -> str:
    from difflib import get_close_matches

    names = [name for way in ways for name in (way.model.name, way.model.id)]
    near = get_close_matches(glob, names, 3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"None of the {len(ways):,} chat models that are offered is called {glob[:100]!r}.{hint}"
