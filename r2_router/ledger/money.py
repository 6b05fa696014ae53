"""Money that adds up: dollars outside, whole nano-dollars (1e-9 USD) in the ledger.

A sum of floats depends on the order in which processes wrote them, and a limit compared with one can be
passed by a rounding error. Whole numbers add up the same in any order, to the last digit. A nano-dollar is a
thousandth of what a token costs at a dollar a million; SQLite's 64 bits hold nine billion dollars of them.
"""

from __future__ import annotations

from r2_router.errors import InputError

_NANOS = 1_000_000_000
_MOST_USD = 1e9


def is_amount(usd: float) -> bool:
    """Whether `usd` is money the ledger can hold: finite, not negative, at most a billion."""
    return 0 <= usd <= _MOST_USD


def check_amount(usd: float, what: str) -> float:
    """`usd`, where it is money. Raises InputError, naming `what`, where it is not."""
    if not is_amount(usd):
        raise InputError(f"{what} is an amount in dollars, from 0 to {_MOST_USD:,.0f}; got {usd}.")
    return usd


def to_nanos(usd: float, what: str) -> int:
    """`usd` dollars in nano-dollars, to the nearest; what is not free costs at least one.

    Raises InputError, naming `what`, for what is no amount.
    """
    return max(round(check_amount(usd, what) * _NANOS), int(usd > 0))


def to_usd(nanos: int) -> float:
    """Nano-dollars in dollars."""
    return nanos / _NANOS


def exact_text(nanos: int) -> str:
    """Nano-dollars as dollars, to the last digit: $0.0000058, $1.995, $2.00."""
    dollars, rest = divmod(nanos, _NANOS)
    return f"${dollars:,}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"
