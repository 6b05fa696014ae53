"""Values in words: money, budgets, qualities and names as every table, sentence and error says them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TextIO

from r2_router.records import MAX_BUDGET, UNLIMITED, Budget

_BAR = 10  # characters of a full quality bar
_EXCERPT = 48  # characters of a message that is named by its beginning
_NAMED = 3  # messages named, of several

# What a terminal obeys instead of showing it: controls, and what changes the direction of the text around it.
_OBEYED = re.compile("\r\n|[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def usd(amount: float | None, digits: int = 3) -> str:
    """Dollars with the `digits` that mean something: $0.000218, $1.20, -$0.00001; "-" for None."""
    if amount is None:
        return "-"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size == 0 or size >= 0.995:
        return f"{sign}${size:,.{max(2, digits - 1)}f}"
    whole, places = f"{size:.{digits - 1 - math.floor(math.log10(size))}f}".split(".")
    return f"{sign}${whole}.{places.rstrip('0').ljust(2, '0')}"


def usd_at_most(amount: float, digits: int = 3) -> str:
    """Dollars in `digits` digits that are not less than `amount`: what may be spent is not rounded down."""
    if amount <= 0:
        return usd(amount, digits)
    step = 10.0 ** (math.floor(math.log10(amount)) + 1 - digits) if amount < 0.995 else 0.01
    return usd(math.ceil(amount / step - 1e-9) * step, digits)  # 0.29 / 0.001 is no whole number to a computer


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


def counted(count: int, thing: str) -> str:
    """A number of things: 1 model, 1,200 models."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def not_a_budget(given: object) -> str:
    """What to say of a budget that is none."""
    return f"budget is a number of output tokens, 1 to {MAX_BUDGET:,}, or '{UNLIMITED}'; got {str(given)[:40]!r}."


# -- the length a query asks for -----------------------------------------------------------------------------

# Forms of an answer that have a length of their own.
FORMS = {
    "yes or no": "yes or no",
    "haiku": "a haiku",
    "limerick": "a limerick",
    "sonnet": "a sonnet",
    "couplet": "a couplet",
    "tweet": "a tweet",
    "short": "a short answer",
}
_NUMBER_OF = {"ideogram": "character", "bullet": "bullet point", "minute": "minute of speech"}


def length_asked(low: float, high: float, unit: str) -> str:
    """What a query asks for: "at most 3 sentences", "200 to 300 words", "a haiku"."""
    if unit in FORMS:
        return FORMS[unit]
    most = low if math.isinf(high) else high
    first, _, rest = _NUMBER_OF.get(unit, unit).partition(" of ")
    named = f"{first}{'' if most in (0.5, 1) else 's'}{f' of {rest}' if rest else ''}"
    if math.isinf(high):
        return f"at least {low:,.6g} {named}"
    if low == 0:
        return f"at most {high:,.6g} {named}"
    if low == high:
        return f"{high:,.6g} {named}"
    middle = (low + high) / 2
    if high < 1.2 * low:
        return f"about {middle:,.6g} {named}"
    return f"{low:,.6g} to {high:,.6g} {named}"


def asks_for_length(said: str) -> str:
    return f"The query asks for {said}."


# -- what a perfect answer is worth ---------------------------------------------------------------------------


def preset(name: str) -> str:
    """Where a worth comes from that a preset names."""
    return f"preset {name}"


def multiple(name: str, times: float, typical_usd: float, model: str) -> str:
    """Where a worth comes from that a preset makes of the pool's prices."""
    of = f"a typical answer of {model}" if model else "a typical answer"
    return f"{preset(name)}: {times:g} times {usd(typical_usd)}, what {of} costs"


def held_back(doubt: float) -> str:
    """What is taken off an estimated quality for its price."""
    return (
        f"Of its quality {doubt:.2f} is held back for its price: nothing was measured, and what is dear must be better."
    )


# -- warnings ------------------------------------------------------------------------------------------------

UNFAMILIAR = "Unlike the queries this checkpoint was trained on: take the numbers with care."


def estimated(source: str) -> str:
    return f"Estimated from {source}; nothing of this pool measured yet."


def cut_for_embedding(chars: int) -> str:
    return f"The query is long: only its beginning and end were embedded ({chars:,} characters in all)."


def explored(model: str, budget: Budget, given_up_usd: float, share: float) -> str:
    return (
        f"This choice is an exploration, as {share:.2g} of all may be (explore): {model} @ {budget} was expected to be "
        f"worth {usd(given_up_usd)} more."
    )


EXPLORED = "Why: to learn of a choice that may be better than is known."


def low_quality(quality: float) -> str:
    return f"A good answer is unlikely: even the choice is expected to reach quality {quality:.2f} only."


def unused(keys: Sequence[str], servers: Sequence[str]) -> str:
    """What to say of keys, by their names, and servers of this machine that nobody has set up; "" for none."""
    found = [
        f"{listed(keys)} {'is' if len(keys) == 1 else 'are'} set and unused" if keys else "",
        f"{listed(servers)} {'is' if len(servers) == 1 else 'are'} running here and unused" if servers else "",
    ]
    whose = "its" if len(keys) + len(servers) == 1 else "their"
    return f"{'; '.join(filter(None, found))}: `r2-router setup` routes among {whose} models." if any(found) else ""


def listed(names: Sequence[str]) -> str:
    """Names as part of a sentence: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def cannot_be_asked(model: str, why: str) -> str:
    return f"{model} cannot be asked now: {why}."


# -- why a candidate may not be chosen -----------------------------------------------------------------------


def over_cost(cost_usd: float, most_usd: float) -> str:
    digits = next((n for n in range(3, 12) if usd(cost_usd, n) != usd(most_usd, n)), 12)
    return f"costs {usd(cost_usd, digits)}, over max_cost_usd {usd(most_usd, digits)}"


def over_tokens(tokens: float, most: int) -> str:
    return f"{tokens:,.0f} tokens, over max_tokens {most:,}"


def under_quality(quality: float, least: float) -> str:
    return f"quality {quality:.3f}, under min_quality {least:g}"


def over_window(tokens: float, window: int) -> str:
    return f"query and answer need {tokens:,.0f} tokens, over its context window of {window:,}"


def over_answer(tokens: float, most: float) -> str:
    return f"{tokens:,.0f} tokens, over the {most:,.0f} its provider gives at most"


def over_query(tokens: float, most: float) -> str:
    return f"a query of {tokens:,.0f} tokens, over the {most:,.0f} its provider takes"


def other_budget(budget: Budget) -> str:
    return f"budget is {budget_text(budget)}"


CUTS_JSON = "could cut the JSON that is asked for"


def needs_most(refusal: str, count: int, of: int) -> str:
    return f"{count} of {counted(of, 'model')} {refusal}: add one that can, or leave it out."


def not_known(model: str, kinds: Sequence[str], where: Sequence[str]) -> str:
    """That nobody told whether a model can do what a request needs."""
    named = ", ".join(f"{kind} ({place})" for kind, place in zip(kinds, where, strict=True))
    return f"It is not known whether {model} takes {named}; `can` and `cannot` in the pool say so."


def not_measured(kinds: Sequence[str]) -> str:
    """That expected quality is that of plain text."""
    return f"Not measured for {' and '.join(kinds)}: the expected quality is that of an answer to the text alone."


def nothing_left(label: str, reasons: Sequence[str]) -> str:
    return (
        f"No candidate is left after the limits. Nearest: {label} ({'; '.join(reasons)}). Loosen that limit, or make "
        "the model available."
    )


# -- what was read -------------------------------------------------------------------------------------------

CLOSING = "Read as thanks or good-bye, which asks for nothing: any answer will do, so the cheapest is taken."


def read_with(earlier: Sequence[tuple[str, float | None]]) -> str:
    """With which earlier messages of a chat, (text, share), the last one was read."""
    named = [f"'{excerpt(text)}'" + ("" if share is None else f" ({100 * share:.0f} %)") for text, share in earlier]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"Read together with {', '.join(named[:_NAMED])}{more}."


def stays(cached: int, tokens: int, cost_usd: float, elsewhere_usd: float | None) -> str:
    """That the choice is the model which has the chat in its prompt cache."""
    against = "" if elsewhere_usd is None else f" against {usd(elsewhere_usd)} elsewhere"
    return f"Stays: {cached:,} of {tokens:,} tokens are cached, {usd(cost_usd)}{against}."


def leaves(model: str, cached: int, tokens: int, cost_usd: float, elsewhere_usd: float | None) -> str:
    """That the choice is another model than the one which has the chat in its prompt cache."""
    here = "" if elsewhere_usd is None else f"{usd(elsewhere_usd)} against "
    return f"Leaves {model}, which has {cached:,} of {tokens:,} tokens cached: {here}{usd(cost_usd)} there."


def excerpt(text: str) -> str:
    """The beginning of `text` on one line, safe to show."""
    text = text.lstrip()
    line = visible(" ".join(text[: 8 * _EXCERPT].split()))
    if len(line) <= _EXCERPT and len(text) <= 8 * _EXCERPT:
        return line
    return f"{line[:_EXCERPT].rpartition(' ')[0] or line[:_EXCERPT]} …"


# -- a text on a screen --------------------------------------------------------------------------------------


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
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
