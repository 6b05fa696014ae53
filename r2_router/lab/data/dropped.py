"""Are the answers without a quality, which a table leaves out, spread by chance over its candidates?"""

from __future__ import annotations

from typing import Any

from r2_router.lab.data.table import Table

_CHANCE = 0.001  # under this, for the most striking candidate of all, it is no chance


def dropped_warning(table: Table) -> str:
    """A sentence on the candidate that lost more of its answers than chance explains; "" where there is none.

    What is left of such a candidate may look better than it is: answers that nobody could read are seldom good ones.
    Fisher's exact test of each candidate against the others, its chance taken times the number of candidates.
    """
    lost = [table.dropped.get(candidate, 0) for candidate in table.candidates]
    kept: list[int] = table.measured.sum(axis=0).tolist()
    all_lost, all_kept = sum(lost), sum(kept)
    if not all_lost or len(lost) < 2:
        return ""
    from scipy import stats

    many: Any = stats.hypergeom  # the chance of as many or more
    chances = [
        float(many.sf(gone - 1, all_lost + all_kept, all_lost, gone + left)) * len(lost)
        for gone, left in zip(lost, kept, strict=True)
    ]
    worst = min(range(len(lost)), key=lambda j: (chances[j], -lost[j]))
    if chances[worst] > _CHANCE:
        return ""
    model, budget = table.candidates[worst]
    asked = lost[worst] + kept[worst]
    others = (all_lost - lost[worst]) / max(1, all_lost + all_kept - asked)
    return (
        f"The answers without a quality are not spread by chance: {model} @ {budget} lost {lost[worst]:,} of "
        f"{asked:,}, the others {others:.1%}. They are left out, and what is left may look better than it is. Count "
        f"them as wrong where they are: collect --unparsable 0 counts all that nobody could read."
    )
