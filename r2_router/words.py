"""Values in words: money, budgets, qualities and names as every table, sentence and error says them."""

from __future__ import annotations

import math
import re
from typing import TextIO

from r2_router.records import UNLIMITED, Budget

_BAR = 10  # characters of a full quality bar

# What a terminal obeys instead of showing it: controls, and what changes the direction of the text around it.
_OBEYED = re.compile("\r\n|[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def usd(amount: float | None) -> str:
    """Dollars with the digits that mean something: $0.000218, $1.20, -$0.00001; "-" for None."""
    if amount is None:
        return "-"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size == 0 or size >= 0.995:
        return f"{sign}${size:,.2f}"
    whole, digits = f"{size:.{2 - math.floor(math.log10(size))}f}".split(".")
    return f"{sign}${whole}.{digits.rstrip('0').ljust(2, '0')}"


def bar(quality: float) -> str:
    """A bar of block characters for a quality in 0..1."""
    full = round(quality * _BAR)
    return "█" * full + "░" * (_BAR - full)


def budget_text(budget: Budget) -> str:
    """A budget as a table cell."""
    return UNLIMITED if budget == UNLIMITED else f"{budget:,}"


def asked_for(budget: Budget) -> str:
    """A budget as part of a sentence."""
    return "as long as it likes" if budget == UNLIMITED else f"at most {budget:,} tokens"


def quality_text(quality: float, error: float | None) -> str:
    """An expected quality and its standard error, where one is known."""
    return f"{quality:.2f}" if error is None else f"{quality:.2f} ±{error:.2f}"


def price_text(usd_per_million: float | None) -> str:
    """A price in dollars per million tokens, to four digits; "-" for none."""
    return "-" if usd_per_million is None else f"{usd_per_million:.4g}"


def shortened(name: str, width: int) -> str:
    """`name` in at most `width` characters: where it is longer, its middle gives way to "…"."""
    if len(name) <= width:
        return name
    kept = max(width - 1, 1)
    return f"{name[: kept - kept // 2]}…{name[len(name) - kept // 2 :]}"


def visible(text: str) -> str:
    """`text` with what a terminal would obey as an escape that is read: "\\x1b[2J". Lines and tabs stay.

    Also right for pieces of a text: each character stands for itself.
    """
    return _OBEYED.sub(lambda m: "\n" if m[0] == "\r\n" else repr(m[0])[1:-1], text)


def for_terminal(text: str, stream: TextIO) -> str:
    """`text` as it is written to `stream`: visible() on a terminal; a pipe or file gets it as it is."""
    return visible(text) if stream.isatty() else text


def whole_characters(text: str) -> str:
    """`text` with the halves of a character (surrogates) joined, and a half alone replaced: it can be encoded."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
