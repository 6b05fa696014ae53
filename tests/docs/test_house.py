"""The picture of the house and the walks in docs/architecture.md are those of the code."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from xml.etree import ElementTree

import house
import pytest
from floors import FLOORS
from support.snapshots import assert_snapshot
from walk import walk


@pytest.mark.slow
def test_the_picture_is_the_house() -> None:
    assert_snapshot(house.PICTURE, house.picture(), house.COMMAND)


@pytest.mark.slow
def test_the_pages_tables_are_the_house_and_a_real_querys_walk() -> None:
    assert_snapshot(house.PAGE, house.page(), house.COMMAND)


@pytest.mark.slow
def test_the_picture_holds_every_room_and_every_import() -> None:
    drawn = ElementTree.fromstring(house.picture())
    names = {span.text for span in drawn.iter("{http://www.w3.org/2000/svg}tspan") if span.get("class") == "name"}
    ways = [path for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("class") != "head"]
    assert names == {*FLOORS, "r2_mcp", "r2_magic"}
    assert len(ways) == len(house.edges())


def test_what_other_ways_imply_is_not_direct() -> None:
    assert house.direct([("a", "b"), ("b", "c"), ("a", "c")]) == {("a", "b"), ("b", "c")}


# -- the profiler ----------------------------------------------------------------------------------------------


def in_room(name: str, text: str, **known: object) -> FunctionType:
    """The function `f` of `text`, as if it stood in the module `name`."""
    module = ModuleType(name)
    module.__dict__.update(known)
    exec(text, module.__dict__)
    return module.f


def test_a_call_downward_is_a_stay_and_a_return_is_none() -> None:
    low = in_room("r2_router.pools.pool", "def f(): return 1")
    high = in_room("r2_router.router", "def f(): return low() + low()", low=low)
    seen = walk(high)
    assert dict(seen.stays) == {"router": 1, "pools": 2}
    assert not seen.climbs


def test_what_is_handed_down_and_calls_back_up_is_a_climb() -> None:
    low = in_room("r2_router.pools.pool", "def f(back): return back()")
    high = in_room("r2_router.router", "def f():\n    def back(): return 1\n    return low(back)", low=low)
    seen = walk(high)
    assert dict(seen.stays) == {"router": 2, "pools": 1}
    assert dict(seen.climbs) == {("pools", "router: f.back"): 1}


def test_a_coroutine_that_goes_on_after_a_wait_was_called_once() -> None:
    import asyncio

    low = in_room(
        "r2_router.pools.pool", "async def f():\n    for _ in range(5): await asyncio.sleep(0)", asyncio=asyncio
    )
    high = in_room("r2_router.router", "async def f(): await low()", low=low)
    seen = walk(lambda: asyncio.run(high()))
    assert dict(seen.stays) == {"router": 1, "pools": 1}


def test_the_profiler_is_gone_afterwards_whatever_happens() -> None:
    with pytest.raises(ZeroDivisionError):
        walk(lambda: 1 / 0)
    assert sys.getprofile() is None
