"""What every result has in common: attributes, the seed release's dict reading, and JSON."""

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar, Literal, cast

Budget = int | Literal["unlimited"]
UNLIMITED: Literal["unlimited"] = "unlimited"


def typed_budget(text: str) -> Budget | None:
    """The budget somebody typed: a whole number above 0, or "unlimited" in any case. None if it is neither."""
    if text.lower() == UNLIMITED:
        return UNLIMITED
    return int(text) if text.isdecimal() and int(text) >= 1 else None


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


class Record:
    """Mixin for frozen dataclasses: `record["model"]` reads like the seed's dicts, `to_dict()` is JSON.

    `_aliases` maps the seed's key to ours where the two differ. Properties are readable as keys too.
    """

    __slots__ = ()
    _aliases: ClassVar[dict[str, str]] = {}

    def __getitem__(self, key: str) -> Any:
        name = self._aliases.get(key, key)
        if name.startswith("_") or not hasattr(self, name) or callable(getattr(self, name)):
            raise KeyError(key)
        return getattr(self, name)

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default` where there is none, as with a dict."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> list[str]:
        """The field names, so that `dict(record)` works."""
        return [field.name for field in fields(cast("Any", self)) if not field.name.startswith("_")]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key, _MISSING) is not _MISSING

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def to_dict(self) -> dict[str, Any]:
        """A new dict of plain JSON values (no NaN, no infinity, no numpy types)."""
        return {name: to_json(self[name]) for name in self.keys()}


_MISSING = object()
