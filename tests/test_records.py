from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from r2_router.records import Record


@dataclass(frozen=True, slots=True)
class Point(Record):
    x: float
    inner: Point | None = None
    many: tuple[float, ...] = ()

    _aliases = {"old_x": "x"}  # noqa: RUF012

    @property
    def double(self) -> float:
        return 2 * self.x


def test_a_record_reads_like_a_dict() -> None:
    point = Point(1.5)
    assert point["x"] == point["old_x"] == 1.5
    assert point.get("nothing", 7) == 7
    assert "x" in point
    assert "y" not in point
    assert [key in point for key in ("double", "old_x", "to_dict")] == [False] * 3
    assert list(point) == point.keys() == ["x", "inner", "many"]
    assert dict(point) == {"x": 1.5, "inner": None, "many": ()}


@pytest.mark.parametrize("key", ["y", "_aliases", "to_dict", "__class__", "double"])
def test_what_is_not_a_field_is_a_key_error(key: str) -> None:
    with pytest.raises(KeyError):
        Point(1.0)[key]


def test_to_dict_is_strict_json() -> None:
    point = Point(math.nan, Point(math.inf), (1.0, -math.inf))
    text = json.dumps(point.to_dict(), allow_nan=False)
    assert json.loads(text) == {
        "x": None,
        "inner": {"x": None, "inner": None, "many": []},
        "many": [1.0, None],
    }
