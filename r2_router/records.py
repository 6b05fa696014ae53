"""What every result has in common: attributes, the seed release's dict reading, and JSON, written and read."""

import math
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

Budget = int | Literal["unlimited"]
UNLIMITED: Literal["unlimited"] = "unlimited"
MAX_BUDGET = 10_000_000  # output tokens; no model answers at such length

_T = TypeVar("_T")
_MISSING: Any = object()


def read_budget(given: object) -> Budget | None:
    """The budget somebody gave: a whole number from 1 to MAX_BUDGET, or "unlimited" in any case; as text or number.

    None if it is neither.
    """
    if isinstance(given, str):
        text = given.strip().replace(",", "").replace("_", "")
        if text.lower() == UNLIMITED:
            return UNLIMITED
        given = int(text) if text.isdecimal() and len(text) < 20 else None
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MAX_BUDGET:
        return None
    return int(given)


def to_json(value: object) -> Any:
    """The JSON form of a field: records become dicts, tuples lists, non-finite numbers null."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in cast("dict[object, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in cast("list[object]", value)]
    return value


def as_dict(value: object) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """`value` if it is a JSON array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_texts(value: object) -> list[str]:
    """The texts in `value` if it is a JSON array, else none."""
    return [each for each in as_list(value) if isinstance(each, str)]


class Later(Generic[_T]):
    """A value that is made when it is first called for; copied and pickled as that value."""

    __slots__ = ("_make", "_value")

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make: Callable[[], _T] | None = make
        self._value: _T = _MISSING

    @classmethod
    def known(cls, value: Any) -> "Later[Any]":
        """One that need not be made any more."""
        later: Later[Any] = cls(lambda: value)
        later()
        return later

    def __call__(self) -> _T:
        make = self._make
        if make is not None:
            self._value = make()
            self._make = None
        return self._value

    def __reduce__(self) -> tuple[Any, ...]:
        return (Later.known, (self(),))


class Record:
    """Mixin for frozen dataclasses: `record["model"]` reads like the seed's dicts, `to_dict()` is JSON.

    `_aliases` maps further keys to attributes, the seed's own where they differ: one can read by them, and they are
    not listed.
    """

    __slots__ = ()
    _aliases: ClassVar[dict[str, str]] = {}

    def __getitem__(self, key: str) -> Any:
        name = self._aliases.get(key)
        if name is None:
            if key not in self.keys():
                raise KeyError(key)
            name = key
        return getattr(self, name)

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default` where there is none, as with a dict."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> list[str]:
        """The names of the fields, so that `dict(record)` works."""
        return list(_field_names(type(self)))

    def values(self) -> list[Any]:
        """The fields, in the order of `keys`."""
        return [getattr(self, name) for name in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        """The fields with their names."""
        return list(zip(self.keys(), self.values(), strict=True))

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def to_dict(self) -> dict[str, Any]:
        """A new dict of plain JSON values (no NaN, no infinity, no numpy types)."""
        return {name: to_json(getattr(self, name)) for name in self.keys()}


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if not field.name.startswith("_"))
