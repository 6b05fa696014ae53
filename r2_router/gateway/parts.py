"""Content in parts, read from other APIs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from r2_router.errors import InputError
from r2_router.gateway.api import Body


def objects(value: object, where: str) -> list[Body]:
    """The JSON objects of a list. Raises InputError for what is none."""
    items = cast("list[object]", value) if isinstance(value, list) else None
    if items is None or not all(isinstance(item, dict) for item in items):
        raise InputError(f"{where} is a list of objects.")
    return cast("list[Body]", items)


def joined(parts: Sequence[Body]) -> str | list[Body]:
    """A content of these parts; of one plain text the text itself, which every server takes."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return cast("str", parts[0]["text"])
    return list(parts)
