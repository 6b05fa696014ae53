"""What the ledger adds up to, in words."""

from __future__ import annotations

from r2_router.ledger.statistics import CacheStats, ExplorationStats, Totals
from r2_router.words import usd


def spending(totals: Totals) -> list[str]:
    """What was spent; and, over the answers of which both are known, against always the strongest model, unlimited."""
    baseline, saved = totals.baseline_cost_usd, totals.saved_usd
    lines = [f"Spent {usd(totals.cost_usd)}."]
    if baseline:
        answers = f"{totals.compared:,} answer{'s' * (totals.compared != 1)}"
        much = f"{usd(abs(saved))} ({abs(saved) / baseline:.0%}) {'saved' if saved >= 0 else 'more'}"
        lines.append(
            f"Of that {usd(totals.compared_cost_usd)} for {answers} that always the strongest model, unlimited, was "
            f"expected to give for {usd(baseline)}: {much}."
        )
    return lines


def cached(caches: CacheStats) -> list[str]:
    """What providers' prompt caches did; nothing where none told of any."""
    if not (caches.cache_read_tokens or caches.cache_write_tokens):
        return []
    saved = caches.saved_usd
    much = f"{usd(abs(saved))} {'saved' if saved >= 0 else 'more: more was written to them than read'}"
    return [f"Of {caches.prompt_tokens:,} prompt tokens, {caches.share:.0%} came from prompt caches: {much}."]


def explored(stats: ExplorationStats) -> list[str]:
    """What explorations cost; nothing where there was none."""
    if not stats.answers:
        return []
    answers = f"{stats.answers:,} answer{'s were explorations' if stats.answers != 1 else ' was an exploration'}"
    return [f"{answers}, which gave up {usd(stats.given_up_usd)} of expected value."]
