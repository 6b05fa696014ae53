"""Whose request is being answered: somebody with a name and limits of their own, or nobody in particular."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from r2_router.records import Record


@dataclass(frozen=True, slots=True)
class Caller(Record):
    """Somebody with a token. Dollars a UTC day and a UTC month, None for no limit; what a perfect answer is worth to
    them, in dollars or by a preset's name, where a request does not say; when they were added, in UTC."""

    name: str
    max_usd_per_day: float | None = None
    max_usd_per_month: float | None = None
    worth_usd: float | None = None
    preset: str = ""
    added: str = ""


_acting: ContextVar[Caller | None] = ContextVar("r2_caller", default=None)


def acting() -> Caller | None:
    """Who asked what is being done now, None where nobody with a name did. Tasks and threads that asyncio starts
    inherit it, so requests that run side by side cannot mix it up."""
    return _acting.get()


@contextmanager
def acting_for(caller: Caller | None) -> Generator[None]:
    """What is done in the block is done for `caller`."""
    before = _acting.set(caller)
    try:
        yield
    finally:
        _acting.reset(before)
